"""The state of the log and its looks at itself: below /api/v1/audit/."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import partitions, selectors, verifying
from audit.actors import Actor
from audit.api.views import Ledger
from audit.health import log_status
from audit.models import Verification
from audit.state import attestation, last_reconciliation
from config.errors import NotFound


class VerificationSerializer(serializers.ModelSerializer[Verification]):
    """One look at the log."""

    class Meta:
        model = Verification
        fields = [
            "id", "kind", "state", "asked_by", "asked_at", "started_at", "finished_at", "first", "size", "root", "done",
            "broken", "problems", "error",
        ]  # fmt: skip
        read_only_fields = fields


class AskSerializer(serializers.Serializer[Any]):
    """What to look at."""

    kind = serializers.ChoiceField(Verification.Kind.choices, default=Verification.Kind.FULL)


class ReconciliationSerializer(serializers.Serializer[Any]):
    """The last comparison of the tables with the log."""

    index = serializers.IntegerField()
    at = serializers.DateTimeField()
    action = serializers.CharField()
    facts = serializers.DictField()


class StatusSerializer(serializers.Serializer[Any]):
    """What is known of the log now."""

    state = serializers.ChoiceField(["whole", "broken", "unknown"])
    problem = serializers.CharField(allow_blank=True)
    size = serializers.IntegerField()
    root = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # a field, not the serializer tree's root
    checkpoint_at = serializers.DateTimeField(allow_null=True)
    first_kept = serializers.IntegerField(help_text="Entries below it were dropped with their partition.")
    room = serializers.IntegerField(help_text="Entries until the next partition is needed.")
    witnesses = serializers.CharField(allow_blank=True, help_text="Who cosigned, in words; empty without witnesses.")
    verification = VerificationSerializer(allow_null=True)
    under_way = VerificationSerializer(allow_null=True)
    reconciliation = ReconciliationSerializer(allow_null=True)


class LogStatusView(Ledger):
    """The state of the log."""

    @extend_schema(summary="Get the state of the log", responses=StatusSerializer)
    def get(self, _: Request) -> Response:
        """Say what the head, the witnesses, the last look and the last reconciliation say."""
        status, head = log_status(), selectors.head()
        known = partitions.listed()
        size = head.size if head else 0
        reconciled = last_reconciliation()
        body = {
            "state": status.state,
            "problem": status.problem,
            "size": size,
            "root": bytes(head.root).hex() if head else "",
            "checkpoint_at": head.at if head else None,
            "first_kept": known[0].low if known else 0,
            "room": (known[-1].high if known else 0) - size,
            "witnesses": attestation().words,
            "verification": selectors.last_verification(),
            "under_way": selectors.verification_under_way(),
            "reconciliation": reconciled,
        }
        return Response(StatusSerializer(body).data)


class Verifications(Ledger):
    """Looks at the log."""

    @extend_schema(summary="Verify the log now", request=AskSerializer, responses={202: VerificationSerializer})
    def post(self, request: Request) -> Response:
        """Have a worker look at the log; if it is at it already, that look is returned."""
        asked = AskSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        found = verifying.ask(by=Actor.of(request), kind=asked.validated_data["kind"])
        return Response(VerificationSerializer(found).data, status=202)


class VerificationDetail(Ledger):
    """One look at the log."""

    @extend_schema(summary="Get a verification of the log", responses=VerificationSerializer)
    def get(self, _: Request, verification: int) -> Response:
        """Say how far it is, or what it found."""
        found = selectors.verification(verification)
        if found is None:
            raise NotFound(f"There is no verification {verification}.", code="ledger.no_verification")
        return Response(VerificationSerializer(found).data)
