"""The log in the layout of https://c2sp.org/tlog-tiles, below /api/v1/log/: for auditors, and so for their tools."""

from collections.abc import Mapping
from http import HTTPStatus

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from audit import selectors
from audit.api.views import Ledger, NoteRenderer
from audit.receipts import cosigned
from audit.tiles import layout, source
from config.errors import NotFound

BYTES = {(HTTPStatus.OK, "application/octet-stream"): OpenApiTypes.BINARY}


class BytesRenderer(BaseRenderer):
    """Makes ``Accept: application/octet-stream`` acceptable. What it renders itself are problems, as a sentence."""

    media_type = "application/octet-stream"
    format = "bin"
    charset = None

    def render(self, data: Mapping[str, object], *_: object, **__: object) -> bytes:
        """Return the sentence of a problem."""
        return f"{data.get('detail', '')}\n".encode()


class LogCheckpoint(Ledger):
    """The signed head, as C2SP tools fetch it."""

    renderer_classes = [JSONRenderer, NoteRenderer]

    @extend_schema(
        summary="Fetch the checkpoint of the tiled log",
        responses={(200, "text/plain"): OpenApiResponse(str, description="C2SP signed note, with its cosignatures.")},
    )
    def get(self, _: Request) -> HttpResponse:
        """Return the latest checkpoint with the cosignatures it has so far."""
        head = selectors.head()
        if head is None:
            raise NotFound("The log has no checkpoint yet.", code="ledger.empty")
        answer = HttpResponse(cosigned(head), content_type="text/plain; charset=utf-8")
        answer["Cache-Control"] = "no-store"
        return answer


class LogTile(Ledger):
    """A tile of hashes, or a bundle of entries."""

    renderer_classes = [JSONRenderer, BytesRenderer]

    @extend_schema(
        summary="Fetch a tile or an entry bundle of the tiled log",
        parameters=[
            OpenApiParameter(
                "path",
                str,
                OpenApiParameter.PATH,
                description="`<L>/<N>`, `entries/<N>`, each with or without `.p/<W>`.",
            )
        ],
        responses=BYTES,
    )
    def get(self, _: Request, path: str) -> HttpResponse:
        """Return its bytes. They never change, so a client may keep them for ever."""
        tile, head = layout.parse(path), selectors.head()
        if tile is None or head is None:
            raise NotFound(f"tile/{path} is no tile of this log.", code="ledger.no_tile")
        try:
            content = source.read(tile, head.size)
        except source.Missing as missing:
            raise NotFound(f"{missing}.", code="ledger.no_tile") from missing
        except layout.TooLong as long:
            raise NotFound(f"{long}.", code="ledger.no_bundle", remedy="Read its entries one by one.") from long
        answer = HttpResponse(content, content_type="application/octet-stream")
        answer["Cache-Control"] = "private, max-age=31536000, immutable"
        return answer
