"""Promotion requests, the decisions people sign on them, comments, and the permits that result."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from audit.append_only import append_only_triggers
from audit.governed import EntryOf
from audit.subjects import row_facts
from governance.querysets import PermitQuerySet, PromotionRequestQuerySet
from governance.states import OPEN_REQUEST_STATES, PermitState, RequestState


class PromotionRequest(models.Model):
    """One review of (version digest, target, intended use, evidence snapshot, policy version)."""

    ledger_entry_of: ClassVar = EntryOf(quiet=("updated_at",), because="When it last changed.")
    ledger_rows: ClassVar = (
        "comments",
        "snapshots",
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True, editable=False, help_text="Shown as REQ-0412.")
    version = models.ForeignKey("registry.ModelVersion", on_delete=models.PROTECT, related_name="requests")
    model = models.ForeignKey("registry.RegisteredModel", on_delete=models.PROTECT, related_name="requests")
    target = models.CharField(max_length=80, help_text="alias:production or stage:Production.")
    replaces = models.ForeignKey(
        "registry.ModelVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The version that the target named when this was asked.",
    )
    manifest_digest = models.CharField(max_length=64)
    policy_version = models.ForeignKey("governance.PolicyVersion", on_delete=models.PROTECT, related_name="requests")
    intended_use = models.TextField(blank=True)
    state = models.CharField(max_length=24, choices=RequestState.choices, default=RequestState.DRAFT)
    stage = models.PositiveSmallIntegerField(default=0, help_text="Index of the review stage under way.")
    evidence_digest = models.CharField(max_length=64, blank=True, help_text="Digest of the evidence snapshot in force.")
    round = models.PositiveSmallIntegerField(
        default=1, help_text="Grows when evidence or policy changes: older votes are void."
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="promotion_requests"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    decide_by = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = PromotionRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "target"],
                condition=Q(state__in=OPEN_REQUEST_STATES),
                name="request_one_open_per_target",
            ),
            models.CheckConstraint(
                name="request_closed_iff_terminal",
                condition=Q(state__in=OPEN_REQUEST_STATES, closed_at=None)
                | ~Q(state__in=OPEN_REQUEST_STATES) & Q(closed_at__isnull=False),
            ),
            models.CheckConstraint(name="request_known_state", condition=Q(state__in=RequestState.values)),
            models.CheckConstraint(name="request_names_bytes", condition=Q(manifest_digest__regex=r"^[0-9a-f]{64}$")),
        ]
        indexes = [
            models.Index(fields=["state", "decide_by"], name="request_inbox"),
            models.Index(fields=["model", "-created_at"], name="request_by_model"),
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return self.ref

    def __str__(self) -> str:
        return self.ref

    @property
    def ref(self) -> str:
        """The number people cite."""
        return f"REQ-{self.number:04d}"

    def ledger_facts(self) -> dict[str, object]:
        """The row, its thread and its snapshots."""
        comments = [row_facts(comment) for comment in sorted(self.comments.all(), key=lambda one: one.pk)]
        snapshots = sorted(
            (row_facts(snapshot) for snapshot in self.snapshots.all()), key=lambda one: str(one["digest"])
        )
        return {**row_facts(self), "comments": comments, "snapshots": snapshots}


class Decision(models.Model):
    """One person's signed vote. Append-only: a vote is voided by a newer round, never edited."""

    ledger_entry_of: ClassVar = EntryOf()

    ledger_append_only = True

    class Outcome(models.TextChoices):
        APPROVE = "approve", "Approve"
        CONDITIONS = "approve_with_conditions", "Approve with conditions"
        RETURN = "request_changes", "Return for changes"
        REJECT = "reject", "Reject"

    class Meaning(models.TextChoices):
        """The meaning of the signature (21 CFR 11.50(a)(3))."""

        APPROVAL = "approval", "Approval: I answer for this decision"
        REVIEW = "review", "Review: I have examined the evidence"
        RESPONSIBILITY = "responsibility", "Responsibility: I own the outcome"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(PromotionRequest, on_delete=models.PROTECT, related_name="decisions")
    round = models.PositiveSmallIntegerField()
    stage = models.PositiveSmallIntegerField()
    role = models.CharField(max_length=20)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="decisions")
    outcome = models.CharField(max_length=24, choices=Outcome)
    meaning = models.CharField(max_length=16, choices=Meaning)
    comment = models.TextField(blank=True)
    conditions = models.TextField(blank=True)
    record = models.TextField(help_text="Canonical JSON that was signed: person, meaning, digests, challenge.")
    record_digest = models.CharField(max_length=64)
    challenge = models.UUIDField(unique=True, help_text="Single use.")
    authenticated = models.CharField(max_length=24, help_text="How the person proved who they are while signing.")
    signed_at = models.DateTimeField()
    entry_id = models.CharField(max_length=64, help_text="The ledger entry of this signature.")

    class Meta:
        ordering = ["signed_at"]
        triggers = append_only_triggers()
        constraints = [
            models.UniqueConstraint(
                fields=["request", "round", "person"], name="decision_one_vote_per_person_and_round"
            ),
            models.CheckConstraint(
                name="decision_refusal_says_why", condition=Q(outcome="approve") | ~Q(comment="") | ~Q(conditions="")
            ),
            models.CheckConstraint(
                name="decision_conditions_are_named",
                condition=~Q(outcome="approve_with_conditions") | ~Q(conditions=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.outcome} on {self.request}"

    def ledger_facts(self) -> dict[str, object]:
        """The row but for the id of its entry, which is not known before the entry is written."""
        return {column: value for column, value in row_facts(self).items() if column != "entry_id"}


class Challenge(models.Model):
    """A single-use nonce handed out with the signing form, tied to what the person saw."""

    ledger_free: ClassVar = "A nonce that is worth nothing after half an hour; the signature that spends it names it."

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(PromotionRequest, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    evidence_digest = models.CharField(max_length=64)
    policy_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="challenge_age")]

    def __str__(self) -> str:
        return str(self.id)


class Comment(models.Model):
    """A remark in a request's thread. Not a vote."""

    ledger_entry_of: ClassVar = EntryOf("governance.promotionrequest", "request_id")

    ledger_append_only = True

    request = models.ForeignKey(PromotionRequest, on_delete=models.PROTECT, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at"]
        triggers = append_only_triggers()
        constraints = [models.CheckConstraint(name="comment_not_empty", condition=~Q(text=""))]

    def __str__(self) -> str:
        return self.text[:60]


class Permit(models.Model):
    """The result of an approval, with a life of its own: an in-toto Statement in a DSSE envelope."""

    ledger_entry_of: ClassVar = EntryOf()

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.OneToOneField(PromotionRequest, on_delete=models.PROTECT, related_name="permit")
    version = models.ForeignKey("registry.ModelVersion", on_delete=models.PROTECT, related_name="permits")
    model = models.ForeignKey("registry.RegisteredModel", on_delete=models.PROTECT, related_name="permits")
    target = models.CharField(max_length=80)
    state = models.CharField(max_length=12, choices=PermitState.choices, default=PermitState.ACTIVE)
    manifest_digest = models.CharField(max_length=64)
    envelope = models.TextField(help_text="DSSE envelope, exactly as signed.")
    key_id = models.CharField(max_length=64)
    not_before = models.DateTimeField()
    expires_at = models.DateTimeField()
    issued_at = models.DateTimeField(auto_now_add=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspended_reason = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_reason = models.TextField(blank=True)
    superseded_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="supersedes"
    )

    objects = PermitQuerySet.as_manager()

    class Meta:
        ordering = ["-issued_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "target"], condition=Q(state=PermitState.ACTIVE), name="permit_one_active_per_target"
            ),
            models.CheckConstraint(
                name="permit_ended_iff_terminal",
                condition=Q(state__in=["active", "suspended"], ended_at=None)
                | Q(state__in=["expired", "revoked", "superseded"], ended_at__isnull=False),
            ),
            models.CheckConstraint(
                name="permit_suspended_says_since",
                condition=~Q(state__in=["active", "suspended"])
                | Q(state="active", suspended_at=None)
                | Q(state="suspended", suspended_at__isnull=False),
            ),
            models.CheckConstraint(name="permit_expires_after_start", condition=Q(expires_at__gt=F("not_before"))),
        ]
        indexes = [models.Index(fields=["state", "expires_at"], name="permit_expiry")]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return f"{self.model.name} {self.target}"

    def __str__(self) -> str:
        return f"{self.model.name} {self.target} ({self.state})"
