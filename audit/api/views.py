"""The ledger's endpoints. Read-only; for people with the auditor's permission on every model."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import proofs, selectors
from audit.api.serializers import (
    CheckpointSerializer,
    ConsistencySerializer,
    EntrySerializer,
    EntryWithProofSerializer,
    FilterSerializer,
)
from audit.models import Checkpoint, Entry
from audit.personal import named
from config.errors import Invalid, NotAllowed, NotFound
from config.pagination import KeysetPagination

PERMISSION = "registry.audit_registeredmodel"


class MayAudit(BasePermission):
    """The auditor's permission on all models. The log speaks of every model, so one on some models is not enough."""

    def has_permission(self, request: Request, _: APIView) -> bool:
        """Raise ``NotAllowed`` with the reason."""
        if not request.user.has_perm(PERMISSION):
            raise NotAllowed(
                "The audit log speaks of every model, so reading it needs the auditor role on all models.",
                code="ledger.not_auditor",
                remedy="Ask an administrator for it.",
            )
        return True


class Ledger(APIView):
    """What all endpoints here share."""

    permission_classes = [IsAuthenticated, MayAudit]


class NewestFirst(KeysetPagination):
    """By index, newest first."""

    ordering = "-index"


class EntryList(Ledger, generics.ListAPIView[Entry]):
    """Entries, newest first."""

    serializer_class = EntrySerializer
    pagination_class = NewestFirst
    queryset = Entry.objects.none()

    def paginate_queryset(self, queryset: Any) -> Any:  # noqa: ANN401 - as the framework gives it
        """One page, with the names of the actors."""
        rows = super().paginate_queryset(queryset)
        return None if rows is None else named(rows)

    def get_queryset(self) -> "QuerySet[Entry]":
        """Apply the filters. Raises a validation error naming the parameter."""
        parameters = FilterSerializer(data=self.request.query_params)
        parameters.is_valid(raise_exception=True)
        return selectors.entries(parameters.filters())

    @extend_schema(summary="List ledger entries", parameters=[FilterSerializer])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List the entries that match every given filter."""
        return super().get(request, *args, **kwargs)


class EntryDetail(Ledger):
    """One entry with its proof."""

    @extend_schema(summary="Get a ledger entry with its inclusion proof", responses=EntryWithProofSerializer)
    def get(self, _: Request, index: int) -> Response:
        """Prove the entry in the latest checkpoint."""
        entry = Entry.objects.filter(index=index).first() if index < 2**63 else None
        checkpoint = _head()
        if entry is None or entry.index >= checkpoint.size:
            raise NotFound(f"There is no entry {index}; the log has {checkpoint.size}.", code="ledger.no_entry")
        proof = proofs.inclusion(entry.index, checkpoint.size)
        inclusion = {
            "size": proof.size,
            "root": proof.root.hex(),
            "hashes": [digest.hex() for digest in proof.hashes],
            "checkpoint": checkpoint.note,
        }
        return Response({**EntrySerializer(named([entry])[0]).data, "leaf": entry.leaf_text, "inclusion": inclusion})


class NoteRenderer(BaseRenderer):
    """The signed note itself, for C2SP tools."""

    media_type = "text/plain"
    format = "txt"
    charset = "utf-8"

    def render(self, data: Mapping[str, object], *_: object, **__: object) -> bytes:
        """Return the note; for a problem its sentence."""
        text = str(data["note"]) if "note" in data else f"{data.get('detail', '')}\n"
        return text.encode()


class LatestCheckpoint(Ledger):
    """The signed head of the log."""

    renderer_classes = [JSONRenderer, NoteRenderer]

    @extend_schema(
        summary="Get the latest checkpoint",
        responses={
            (200, "application/json"): CheckpointSerializer,
            (200, "text/plain"): OpenApiResponse(str, description="The C2SP signed note."),
        },
    )
    def get(self, _: Request) -> Response:
        """Return it as JSON, or as the bare note for ``Accept: text/plain``."""
        return Response(CheckpointSerializer(_head()).data)


class ConsistencyProof(Ledger):
    """That the log only grew between two sizes."""

    @extend_schema(
        summary="Prove that the log only grew",
        parameters=[
            OpenApiParameter("from", int, required=True, description="Size you know."),
            OpenApiParameter("to", int, description="Later size; the latest checkpoint's if left out."),
        ],
        responses=ConsistencySerializer,
    )
    def get(self, request: Request) -> Response:
        """Prove that the log of ``to`` entries begins with the one of ``from``."""
        new = _size(request, "to") if "to" in request.query_params else _head().size
        proof = proofs.consistency(_size(request, "from"), new)
        return Response(
            {
                "old": proof.old,
                "new": proof.new,
                "old_root": proof.old_root.hex(),
                "new_root": proof.new_root.hex(),
                "hashes": [digest.hex() for digest in proof.hashes],
            }
        )


def _head() -> Checkpoint:
    checkpoint = selectors.head()
    if checkpoint is None:
        raise NotFound("The log has no checkpoint yet.", code="ledger.empty")
    return checkpoint


def _size(request: Request, name: str) -> int:
    given = request.query_params.get(name, "")
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise Invalid(f"{name} must be a plain number of entries.", code="ledger.size", field=name)
    return int(given)
