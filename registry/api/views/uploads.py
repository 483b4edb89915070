"""An upload in progress: where it stands, its chunks, its end."""

import io
import re
from typing import Final, cast
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import Invalid, NotFound
from registry.api.endpoint import Endpoint
from registry.api.parsers import ChunkParser
from registry.api.schema import BYTES, documented
from registry.api.serializers.artifacts import UploadOut
from registry.models import Upload
from registry.services import artifacts
from registry.storage import Readable

_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_OFFSET: Final = re.compile(r"[0-9]{1,18}")
PLACE: Final = [
    OpenApiParameter(
        "Upload-Offset",
        int,
        OpenApiParameter.HEADER,
        description="Where this chunk begins. Either this or `Content-Range`.",
    ),
    OpenApiParameter("Content-Range", str, OpenApiParameter.HEADER, description="Such as `bytes 0-1023/4096`."),
]


class LengthRequired(APIException):
    """411."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "A chunk needs a Content-Length."
    default_code = "length_required"


class UploadEndpoint(Endpoint):
    """Views of one upload. Only the person who opened it sees it."""

    def mine(self, upload: UUID) -> Upload:
        """The upload, if the person opened it. Raises ``NotFound``."""
        found = Upload.objects.filter(pk=upload, owner=self.person).select_related("version__model", "dataset").first()
        if found is None:
            raise NotFound("There is no such upload, or it is not yours.", code="upload.unknown")
        return found

    def present(self, upload: Upload) -> Response:
        """The state, also as headers for clients that only look."""
        headers = {
            "Upload-Offset": str(upload.received),
            "Upload-Length": str(upload.declared_size),
            "Cache-Control": "no-store",
        }
        return Response(UploadOut(upload).data, headers=headers)


class OneUpload(UploadEndpoint):
    """State and chunks."""

    parser_classes = [ChunkParser]

    @documented(
        "uploads_read",
        "Where an upload stands",
        tag="files",
        answer=UploadOut,
        description="`HEAD` gives the same as headers: `Upload-Offset` is where to go on after a cut-off.",
    )
    def get(self, _request: Request, upload: UUID) -> Response:
        """Read."""
        self.ask()
        return self.present(self.mine(upload))

    @documented(
        "uploads_put",
        "Send a chunk",
        tag="files",
        request={"application/octet-stream": BYTES},
        answer=UploadOut,
        writes=True,
        parameters=PLACE,
        errors=[411],
    )
    def put(self, request: Request, upload: UUID) -> Response:
        """Append one chunk at the offset that is next."""
        found = self.mine(upload)
        length = request.headers.get("Content-Length", "")
        if not _OFFSET.fullmatch(length):
            raise LengthRequired
        offset = _place(request, size=found.declared_size, length=int(length))
        if offset + int(length) > found.declared_size:
            raise Invalid(
                f"The chunk goes beyond the {found.declared_size} bytes that were declared.",
                code="upload.too_long",
                field="Content-Length",
            )
        stream = cast(Readable, request.data if int(length) else io.BytesIO())  # what ChunkParser gave
        return self.present(artifacts.append_chunk(upload=found, offset=offset, stream=stream, by=self.actor))

    @documented(
        "uploads_patch",
        "Send a chunk, as tus clients do",
        tag="files",
        request={"application/octet-stream": BYTES},
        answer=UploadOut,
        writes=True,
        parameters=PLACE,
        errors=[411],
    )
    def patch(self, request: Request, upload: UUID) -> Response:
        """The same as PUT."""
        return self.put(request, upload)


class CompleteUpload(UploadEndpoint):
    """The end of an upload."""

    @documented(
        "uploads_complete",
        "Close an upload",
        tag="files",
        request=None,
        answer=UploadOut,
        writes=True,
        description="The server computes the SHA-256 of what it received. If it is not the declared one, the upload is "
        "`failed`, its bytes are gone, and the ledger says so.",
    )
    def post(self, _request: Request, upload: UUID) -> Response:
        """Compare and keep."""
        return self.present(artifacts.complete_upload(upload=self.mine(upload), by=self.actor))


def _place(request: Request, *, size: int, length: int) -> int:
    """The offset that the headers name.

    Raises ``Invalid``: neither header is there, one is malformed, or ``Content-Range`` contradicts the body or
    the upload.
    """
    span = request.headers.get("Content-Range", "")
    given = request.headers.get("Upload-Offset", "")
    if span:
        match = _RANGE.fullmatch(span)
        if not match:
            raise Invalid(
                "Content-Range must look like 'bytes 0-1023/4096'.", code="upload.range", field="Content-Range"
            )
        first, last = int(match.group(1)), int(match.group(2))
        if last - first + 1 != length:
            raise Invalid(
                f"Content-Range names {last - first + 1} bytes, and the body has {length}.",
                code="upload.range",
                field="Content-Range",
            )
        if match.group(3) != "*" and int(match.group(3)) != size:
            raise Invalid(
                f"Content-Range says the file has {match.group(3)} bytes; {size} were declared.",
                code="upload.range",
                field="Content-Range",
            )
        return first
    if not _OFFSET.fullmatch(given):
        raise Invalid(
            "Say where the chunk begins, by Upload-Offset or Content-Range.",
            code="upload.offset",
            field="Upload-Offset",
        )
    return int(given)
