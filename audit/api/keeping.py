"""Legal holds and rules of retention over REST: read by auditors and administrators, set by administrators."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import keeping
from audit.actors import Actor
from audit.retention import LegalHold, RetentionRule
from config.errors import NotAllowed

AUDIT = "registry.audit_registeredmodel"


class HoldSerializer(serializers.ModelSerializer[LegalHold]):
    """A legal hold."""

    class Meta:
        model = LegalHold
        fields = [
            "id", "of", "object_type", "object_id", "since", "until", "reason", "set_by", "set_at", "release_reason",
            "released_by", "released_at",
        ]  # fmt: skip


class HoldIn(serializers.Serializer[Any]):
    """A new hold."""

    of = serializers.ChoiceField(choices=LegalHold.Of.choices)
    object_type = serializers.CharField(required=False, max_length=100, allow_blank=True)
    object_id = serializers.CharField(required=False, max_length=255, allow_blank=True, help_text="A person: user:7.")
    since = serializers.DateTimeField(required=False, allow_null=True)
    until = serializers.DateTimeField(required=False, allow_null=True)
    reason = serializers.CharField(max_length=2000)


class ReleaseIn(serializers.Serializer[Any]):
    """The end of a hold."""

    reason = serializers.CharField(max_length=2000)


class RuleSerializer(serializers.ModelSerializer[RetentionRule]):
    """How long entries are kept; 0 days is for ever."""

    class Meta:
        model = RetentionRule
        fields = ["id", "of", "prefix", "days", "basis"]


class RuleIn(serializers.Serializer[Any]):
    """A rule; it replaces the one of the same beginning."""

    of = serializers.ChoiceField(choices=RetentionRule.Of.choices)
    prefix = serializers.CharField(max_length=100)
    days = serializers.IntegerField(min_value=0, max_value=36525)
    basis = serializers.CharField(max_length=400)


class MayReadOrKeep(BasePermission):
    """Auditors and administrators read; who may change is decided by the service."""

    def has_permission(self, request: Request, _: APIView) -> bool:
        """Raise ``NotAllowed`` with the reason."""
        if not (request.user.has_perm(AUDIT) or request.user.has_perm(keeping.PERMISSION)):
            raise NotAllowed("This needs the role auditor or administrator.", code="ledger.not_auditor")
        return True


class Keeping(APIView):
    """What all endpoints here share."""

    permission_classes = [IsAuthenticated, MayReadOrKeep]

    def read(self, kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
        """Return the body, checked. Raises a validation error naming the field."""
        form = kind(data=request.data)
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)


class Holds(Keeping):
    """Legal holds."""

    @extend_schema(operation_id="audit_holds_list", summary="List legal holds", responses=HoldSerializer(many=True))
    def get(self, _: Request) -> Response:
        """List them, newest first, the released ones too."""
        return Response(HoldSerializer(LegalHold.objects.all()[:1000], many=True).data)

    @extend_schema(summary="Set a legal hold", request=HoldIn, responses={201: HoldSerializer})
    def post(self, request: Request) -> Response:
        """Keep an object, a person or a period until it is released."""
        hold = keeping.set_hold(by=Actor.of(request), **self.read(HoldIn, request))
        return Response(HoldSerializer(hold).data, status=status.HTTP_201_CREATED)


class Release(Keeping):
    """The end of a hold."""

    @extend_schema(summary="Release a legal hold", request=ReleaseIn, responses=HoldSerializer)
    def post(self, request: Request, hold: int) -> Response:
        """Release it, for good."""
        given = self.read(ReleaseIn, request)
        return Response(HoldSerializer(keeping.release_hold(hold_id=hold, by=Actor.of(request), **given)).data)


class Rules(Keeping):
    """How long entries are kept."""

    @extend_schema(
        operation_id="audit_retention_list", summary="List rules of retention", responses=RuleSerializer(many=True)
    )
    def get(self, _: Request) -> Response:
        """List them; of those that fit an entry the longest holds."""
        return Response(RuleSerializer(RetentionRule.objects.all()[:1000], many=True).data)

    @extend_schema(summary="Set a rule of retention", request=RuleIn, responses=RuleSerializer)
    def put(self, request: Request) -> Response:
        """Set, or replace, the rule of this beginning."""
        return Response(RuleSerializer(keeping.set_rule(by=Actor.of(request), **self.read(RuleIn, request))).data)


class Rule(Keeping):
    """One rule."""

    @extend_schema(summary="Take a rule of retention away", request=None, responses={204: None})
    def delete(self, request: Request, rule: int) -> Response:
        """Take it away; entries are then kept as long as the others say."""
        keeping.drop_rule(rule_id=rule, by=Actor.of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
