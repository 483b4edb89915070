"""Signatures, permits and policies."""

from django.urls import reverse
from rest_framework import serializers

from governance.models import Challenge, Decision, Permit, Policy, PolicyVersion
from governance.selectors.permits import signers_of, statement_of
from governance.states import PermitState
from registry.api.endpoint import PageQuery
from registry.api.fields import Input, Sha256, Text


class ChallengeOut(serializers.Serializer[Challenge]):
    """A single-use number that ties a signature to what the person saw."""

    id = serializers.UUIDField()
    evidence_digest = serializers.CharField()
    policy_digest = serializers.CharField()
    created_at = serializers.DateTimeField()


class DecisionIn(Input):
    """A signature: outcome and meaning, the challenge, what was seen, and the password again."""

    outcome = serializers.ChoiceField(choices=Decision.Outcome.choices)
    meaning = serializers.ChoiceField(choices=Decision.Meaning.choices)
    comment = Text(max_length=10_000, required=False, allow_blank=True, default="")
    conditions = Text(max_length=10_000, required=False, allow_blank=True, default="")
    challenge = serializers.UUIDField()
    evidence_digest = Sha256()
    password = Text(max_length=4096, single_line=True, write_only=True)


class DecisionOut(serializers.Serializer[Decision]):
    """One person's signed vote."""

    id = serializers.UUIDField()
    person = serializers.CharField(source="person.username")
    role = serializers.CharField()
    stage = serializers.IntegerField()
    round = serializers.IntegerField()
    outcome = serializers.ChoiceField(choices=Decision.Outcome.choices)
    meaning = serializers.ChoiceField(choices=Decision.Meaning.choices)
    comment = serializers.CharField(allow_blank=True)
    conditions = serializers.CharField(allow_blank=True)
    record = serializers.CharField(help_text="The canonical JSON that was signed.")
    record_digest = serializers.CharField()
    signed_at = serializers.DateTimeField()
    entry_id = serializers.CharField(help_text="Its entry in the ledger.")


class PermitQuery(PageQuery):
    """Filters of the list of permits."""

    model = serializers.CharField(required=False, max_length=256)
    version = serializers.IntegerField(required=False, min_value=1, max_value=999_999_999)
    state = serializers.ChoiceField(choices=PermitState.choices, required=False)


class PermitOut(serializers.Serializer[Permit]):
    """The result of an approval."""

    id = serializers.UUIDField()
    request = serializers.CharField(source="request.ref")
    model = serializers.CharField(source="model.name")
    version = serializers.IntegerField(source="version.number")
    target = serializers.CharField()
    state = serializers.ChoiceField(choices=PermitState.choices)
    manifest_digest = serializers.CharField()
    key_id = serializers.CharField()
    not_before = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    issued_at = serializers.DateTimeField()
    suspended_at = serializers.DateTimeField(allow_null=True)
    suspended_reason = serializers.CharField(allow_blank=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_reason = serializers.CharField(allow_blank=True)
    superseded_by = serializers.UUIDField(source="superseded_by_id", allow_null=True)
    key_ids = serializers.SerializerMethodField(
        help_text="The keys that signed it: two, of the trust root's role permit."
    )
    namespaces = serializers.SerializerMethodField(
        help_text="Where it may be deployed: Kubernetes namespaces, `*` is all."
    )
    envelope_url = serializers.SerializerMethodField()
    file_url = serializers.SerializerMethodField()

    def get_key_ids(self, permit: Permit) -> list[str]:
        """Ids of keys."""
        return signers_of(permit.envelope)

    def get_namespaces(self, permit: Permit) -> list[str]:
        """From the signed statement; permits of the first kind name none."""
        return list(statement_of(permit)["predicate"].get("namespaces", []))

    def get_file_url(self, permit: Permit) -> str:
        """Where the permit is with what proves it."""
        return reverse("api:permit-file", kwargs={"permit": permit.pk})

    def get_envelope_url(self, permit: Permit) -> str:
        """Where the signed envelope is."""
        return reverse("api:permit-envelope", kwargs={"permit": permit.pk})


class RevocationIn(Input):
    """Why a permit ends early, pauses, or goes on."""

    reason = Text(max_length=10_000)


class PolicyVersionOut(serializers.Serializer[PolicyVersion]):
    """One immutable text of a policy, without the text."""

    policy = serializers.CharField(source="policy.name")
    number = serializers.IntegerField()
    digest = serializers.CharField()
    targets = serializers.ListField(child=serializers.CharField())
    tiers = serializers.ListField(child=serializers.IntegerField())
    adopted_by = serializers.CharField(source="adopted_by.username", allow_null=True, default=None)
    adopted_at = serializers.DateTimeField()
    document_url = serializers.SerializerMethodField()

    def get_document_url(self, version: PolicyVersion) -> str:
        """Where the text is, byte for byte."""
        return reverse("api:policy-document", kwargs={"policy": version.policy.name, "number": version.number})


class PolicyOut(serializers.Serializer[Policy]):
    """A policy and the version in force."""

    name = serializers.CharField()
    current = PolicyVersionOut(allow_null=True)
    created_at = serializers.DateTimeField()
