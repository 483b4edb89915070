"""People and their keys. A team is a Django group; what a team may do is in ``registry.roles``."""

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Model, Q

from audit import personal
from audit.commitments import Personal
from audit.governed import EntryOf
from config import as_of


class User(AbstractUser):
    """A person, or a service account (``is_service``) that can hold tokens but never signs."""

    ledger_entry_of: ClassVar = EntryOf(
        quiet=(
            *("last_login", "sign_in_failures", "sign_in_window_from", "sign_in_locked_until"),
            *("signing_failures", "signing_locked_until"),
        ),
        because="Counters of tries to sign in and to sign; what matters of them has entries of its own.",
    )
    history_free: ClassVar = "Names, addresses and passwords must be erasable: the past shows the names of today."

    display_name = models.CharField(max_length=120, blank=True)
    is_service = models.BooleanField(default=False, help_text="Service accounts use tokens and may never sign.")
    sign_in_failures = models.PositiveSmallIntegerField(default=0, editable=False)
    sign_in_window_from = models.DateTimeField(null=True, blank=True, editable=False)
    sign_in_locked_until = models.DateTimeField(null=True, blank=True, editable=False)
    signing_failures = models.PositiveSmallIntegerField(default=0, editable=False)
    signing_locked_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                name="user_service_account_is_no_superuser", condition=~Q(is_service=True, is_superuser=True)
            )
        ]

    def has_perm(self, perm: str, obj: Model | None = None) -> bool:
        """Whether the account holds it today, also while the past is being shown."""
        with as_of.today():
            return super().has_perm(perm, obj)

    def __str__(self) -> str:
        return self.username

    def ledger_facts(self) -> dict[str, object]:
        """What the ledger's after-digest covers: never the password, and what is personal by its commitment.

        A digest over a user name itself could be guessed, for ever. That of an erased account covers what stands in its
        place.
        """
        gone = self.username == personal.placeholder(self.pk)
        about = Personal(f"user:{self.pk}", personal.USERNAME, self.username)
        return {
            "username": self.username if gone else personal.commitment(about),
            "is_active": self.is_active,
            "is_staff": self.is_staff,
            "is_superuser": self.is_superuser,
            "is_service": self.is_service,
        }


class ApiToken(models.Model):
    """A bearer token ``prefix.secret``. Only the SHA-256 of the secret is kept; the secret is shown once."""

    ledger_entry_of: ClassVar = EntryOf(
        quiet=("last_used_at", "refused_at"), because="When it was last seen: at most once a minute, by any request."
    )
    history_free: ClassVar = "Secrets and their use; entries say when a token was made and revoked."

    class Scope(models.TextChoices):
        READ = "read", "Read"
        WRITE = "write", "Read and write"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    secret_sha256 = models.CharField(max_length=64, editable=False)
    scope = models.CharField(max_length=8, choices=Scope, default=Scope.WRITE)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    refused_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Last refusal on record.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(name="apitoken_expires_after_creation", condition=Q(expires_at__gt=F("created_at"))),
            models.CheckConstraint(name="apitoken_hash_is_sha256", condition=Q(secret_sha256__regex=r"^[0-9a-f]{64}$")),  # noqa: S106 - a shape,
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return self.prefix

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def ledger_facts(self) -> dict[str, object]:
        """Identity and reach of the token, never the secret."""
        return {
            "user": self.user_id,
            "prefix": self.prefix,
            "scope": self.scope,
            "revoked": self.revoked_at is not None,
        }


class RoleGrant(models.Model):
    """A team holds a role, on every model (``model`` empty) or on one. Guardian rows follow from it."""

    ledger_entry_of: ClassVar = EntryOf("auth.group", "team_id")

    team = models.ForeignKey("auth.Group", on_delete=models.PROTECT, related_name="role_grants")
    role = models.CharField(max_length=20)
    model = models.ForeignKey(
        "registry.RegisteredModel", null=True, blank=True, on_delete=models.CASCADE, related_name="role_grants"
    )
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    granted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "role"], condition=Q(model=None), name="rolegrant_one_per_team"),
            models.UniqueConstraint(
                fields=["team", "role", "model"], condition=~Q(model=None), name="rolegrant_one_per_team_and_model"
            ),
            models.CheckConstraint(
                name="rolegrant_known_role",
                condition=Q(role__in=["contributor", "validator", "approver", "auditor", "administrator"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.team}: {self.role} on {self.model or 'every model'}"
