"""People and their keys. A team is a Django group; what a team may do is in ``registry.roles``."""

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Model, Q

from audit.governed import EntryOf
from audit.subjects import row_facts
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
    ledger_rows: ClassVar = ("user_permissions", "registeredmodeluserobjectpermission_set", "userobjectpermission_set")
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
        """The row, and permissions given to the person: nothing here gives any, and they would count.

        What is personal cannot be guessed from the digest: that covers the salted hash of the password, too, or the
        random text in its place. Erasing an account replaces it.
        """
        return {
            **row_facts(self),
            "permissions": sorted(one.pk for one in self.user_permissions.all()),
            "on_models": sorted(
                [one.content_object_id, one.permission_id] for one in self.registeredmodeluserobjectpermission_set.all()
            ),
            "on_others": sorted(
                [one.content_type_id, one.object_pk, one.permission_id] for one in self.userobjectpermission_set.all()
            ),
        }

    def check_password(self, raw_password: str | None) -> bool:
        """Whether this is the password. Unlike Django's, it changes nothing: a hash is written by services only."""
        return check_password(raw_password, self.password)


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
