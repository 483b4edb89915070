"""Promotion requests: asked, shown with what the policy wants and with what the asker may do, and talked about."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from governance.models import Comment, PromotionRequest
from governance.selectors.requests import issuance_of
from governance.states import IssuanceState, RequestState
from registry.api.endpoint import PageQuery
from registry.api.fields import Input, Name, Text, Whole


class RequestQuery(PageQuery):
    """Filters of the list of requests."""

    state = serializers.ChoiceField(choices=RequestState.choices, required=False)
    model = serializers.CharField(required=False, max_length=256)
    version = serializers.IntegerField(required=False, min_value=1, max_value=999_999_999)
    target = serializers.CharField(required=False, max_length=80)


class RequestIn(Input):
    """What is asked: this version, to that target, for this use."""

    model = Name()
    version = Whole(min_value=1, max_value=999_999_999)
    target = Text(max_length=80, single_line=True, help_text="`alias:production` or `stage:Production`.")
    intended_use = Text(max_length=10_000, required=False, allow_blank=True, default="")


class RequestOut(serializers.Serializer[PromotionRequest]):
    """A promotion request, in short."""

    ref = serializers.CharField()
    model = serializers.CharField(source="model.name")
    version = serializers.IntegerField(source="version.number")
    target = serializers.CharField()
    state = serializers.ChoiceField(choices=RequestState.choices)
    round = serializers.IntegerField(
        help_text="Grows when evidence or policy change; votes of earlier rounds are void."
    )
    manifest_digest = serializers.CharField()
    evidence_digest = serializers.CharField(
        help_text="Digest of what is signed on; empty until the checks have finished."
    )
    policy = serializers.CharField(source="policy_version.policy.name")
    policy_version = serializers.IntegerField(source="policy_version.number")
    requested_by = serializers.CharField(source="requested_by.username")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    decide_by = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)


class Judgement(serializers.Serializer[Any]):
    """A figure against its limit."""

    figure = serializers.CharField()
    attribute = serializers.CharField(allow_blank=True, allow_null=True)
    group = serializers.CharField(allow_blank=True, allow_null=True)
    value = serializers.FloatField(allow_null=True)
    ci_low = serializers.FloatField(allow_null=True)
    ci_high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField(allow_null=True)
    op = serializers.CharField()
    limit = serializers.FloatField()
    bound = serializers.CharField()
    judgement = serializers.CharField()
    reason = serializers.CharField()


class Requirement(serializers.Serializer[Any]):
    """One thing the policy asks for, where it stands, why, and the way out. ``children`` are requirements too."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    status = serializers.ChoiceField(choices=["met", "not_met", "waived", "pending", "cannot_tell"])
    reason = serializers.CharField(allow_blank=True)
    remedy = serializers.CharField(allow_blank=True)
    anchor = serializers.CharField(allow_blank=True)
    waiver = serializers.CharField(required=False)
    judged = Judgement(many=True, required=False)
    children = serializers.ListField(child=serializers.DictField())


class AllowedAction(serializers.Serializer[Any]):
    """Something one could do, and the reason if one may not."""

    action = serializers.CharField()
    allowed = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)


class IssuanceOut(serializers.Serializer[Any]):
    """How far the permit of an approved request is."""

    state = serializers.ChoiceField(choices=IssuanceState.choices)
    problem = serializers.CharField(allow_blank=True, help_text="Why it was refused the last time.")
    attempts = serializers.IntegerField()
    retry_at = serializers.DateTimeField(allow_null=True)


class RequestDetail(RequestOut):
    """A promotion request with everything needed to act on it."""

    intended_use = serializers.CharField()
    replaces = serializers.IntegerField(source="replaces.number", allow_null=True, default=None)
    requirements = serializers.SerializerMethodField()
    allowed_actions = serializers.SerializerMethodField()
    permit = serializers.SerializerMethodField(help_text="Id of the permit that came of it.")
    issuance = serializers.SerializerMethodField(
        help_text="An approved request's way to its permit: seconds, if both signers work. Null before the approval."
    )

    @extend_schema_field(Requirement)
    def get_requirements(self, _request: PromotionRequest) -> object:
        """The verdict tree."""
        return self.context["verdict"].root.as_dict()

    @extend_schema_field(AllowedAction(many=True))
    def get_allowed_actions(self, _request: PromotionRequest) -> object:
        """Each action, with the reason against it."""
        return self.context["actions"]

    @extend_schema_field(IssuanceOut(allow_null=True))
    def get_issuance(self, request: PromotionRequest) -> object:
        """Where its permit is, and what holds it up."""
        found = issuance_of(request)
        return IssuanceOut(found).data if found else None

    def get_permit(self, _request: PromotionRequest) -> str | None:
        """Its id, if one was issued."""
        permit = self.context["permit"]
        return str(permit.pk) if permit else None


class ReasonIn(Input):
    """Why."""

    reason = Text(max_length=10_000, required=False, allow_blank=True, default="")


class CommentIn(Input):
    """A remark."""

    text = Text(max_length=10_000)


class CommentOut(serializers.Serializer[Comment]):
    """A remark in a request's thread."""

    id = serializers.IntegerField()
    author = serializers.CharField(source="author.username")
    text = serializers.CharField()
    created_at = serializers.DateTimeField()
