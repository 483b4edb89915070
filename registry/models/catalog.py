"""The catalogue: registered models, their versions, aliases, stages and tags."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Left
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from audit.governed import EntryOf
from audit.subjects import row_facts
from registry.querysets import ModelVersionQuerySet, RegisteredModelQuerySet


class RegisteredModel(models.Model):
    """A named model with its owner, risk tier and card. MLflow's registered model, plus what governance needs."""

    ledger_entry_of: ClassVar = EntryOf(
        quiet=("next_version", "revision", "updated_at"),
        because="Counters that grow with the changes of others: of versions, tags and aliases, which have their entries.",
    )
    ledger_rows: ClassVar = ("tags",)

    class Tier(models.IntegerChoices):
        ONE = 1, "Tier 1"
        TWO = 2, "Tier 2"
        THREE = 3, "Tier 3"

    name = models.CharField(max_length=256)
    description = models.TextField(blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_models")
    team = models.ForeignKey("auth.Group", null=True, blank=True, on_delete=models.PROTECT, related_name="models")
    use_case = models.CharField(max_length=400, blank=True)
    tier = models.PositiveSmallIntegerField(
        choices=Tier, default=Tier.ONE, help_text="Unassessed models count as tier 1."
    )
    tier_inputs = models.JSONField(default=dict, blank=True)
    card = models.JSONField(default=dict, blank=True, help_text="Structured card fields, by key.")
    evaluation_dataset = models.ForeignKey(
        "registry.Dataset",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="evaluates",
        help_text="The held-out data set that policies mean by role, when they name none.",
    )
    next_version = models.PositiveIntegerField(default=1, editable=False, help_text="Numbers are never used twice.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    revision = models.PositiveIntegerField(default=1, editable=False, help_text="ETag: grows with every change.")
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = RegisteredModelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [
            ("contribute_registeredmodel", "Can register versions and ask for promotion"),
            ("validate_registeredmodel", "Can validate"),
            ("approve_registeredmodel", "Can approve (compliance officer)"),
            ("audit_registeredmodel", "Can audit"),
            ("administer_registeredmodel", "Can administer"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(deleted_at=None), name="registeredmodel_name_once"),
            models.CheckConstraint(name="registeredmodel_name_not_empty", condition=~Q(name="")),
            models.CheckConstraint(name="registeredmodel_known_tier", condition=Q(tier__in=[1, 2, 3])),
        ]
        indexes = [models.Index(fields=["-updated_at", "name"], name="registeredmodel_recent")]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return self.name

    def __str__(self) -> str:
        return self.name

    def ledger_facts(self) -> dict[str, object]:
        """The row and its tags: ``ledger_tags`` (once), if whoever logs knows them all, or those of the database."""
        tags = self.__dict__.pop("ledger_tags", None)
        return {**row_facts(self), "tags": {tag.key: tag.value for tag in self.tags.all()} if tags is None else tags}


class RegisteredModelUserObjectPermission(UserObjectPermissionBase):
    """Guardian's direct-FK table for people."""

    ledger_entry_of: ClassVar = EntryOf("registry.user", "user_id")

    content_object = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE)


class RegisteredModelGroupObjectPermission(GroupObjectPermissionBase):
    """Guardian's direct-FK table for teams."""

    ledger_entry_of: ClassVar = EntryOf("auth.group", "group_id")

    content_object = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE)


class ModelVersion(models.Model):
    """One version. Its identity is ``manifest_digest``; sealed, its content can't change (a trigger refuses)."""

    ledger_entry_of: ClassVar = EntryOf(
        quiet=(
            *("ingest_lease_until", "ingest_attempts", "status_message", "updated_at"),
            *("artifact_path", "experiment_id"),
        ),
        because="The job of reading its bytes, and where they were found; its end has an entry, with the reason.",
    )
    history_forgets: ClassVar = ("ingest_lease_until", "ingest_attempts")
    ledger_rows: ClassVar = ("tags",)

    class Status(models.TextChoices):
        PENDING = "PENDING_REGISTRATION", "Being sealed"
        READY = "READY", "Sealed"
        FAILED = "FAILED_REGISTRATION", "Failed"

    class Stage(models.TextChoices):
        NONE = "None", "None"
        STAGING = "Staging", "Staging"
        PRODUCTION = "Production", "Production"
        ARCHIVED = "Archived", "Archived"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Here and below, where no index is asked for, a unique constraint begins with this column: one index less to write.
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    description = models.TextField(blank=True)
    status = models.CharField(max_length=24, choices=Status, default=Status.PENDING)
    status_message = models.TextField(blank=True)
    stage = models.CharField(max_length=12, choices=Stage, default=Stage.NONE)
    source = models.CharField(max_length=2000, blank=True, help_text="Where the bytes came from, as the client said.")
    run_id = models.CharField(max_length=64, blank=True)
    logged_model_id = models.CharField(max_length=64, blank=True)
    artifact_path = models.CharField(  # noqa: DJ001 - null is no answer yet, empty is one
        max_length=2000,
        null=True,
        editable=False,
        help_text="Where its bytes were read, in the tracking process's store. Empty: not there. Null: not looked up yet.",
    )
    experiment_id = models.CharField(  # noqa: DJ001 - as artifact_path
        max_length=64, null=True, editable=False, help_text="As artifact_path."
    )
    run_link = models.CharField(max_length=2000, blank=True)
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="versions")
    trained_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="trained_versions"
    )
    code_author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="authored_versions",
        help_text="The person the commit's author resolves to, if they are known here.",
    )
    manifest = models.ForeignKey(
        "registry.Manifest", null=True, blank=True, on_delete=models.PROTECT, related_name="versions"
    )
    manifest_digest = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    flavours = models.JSONField(default=list)
    signature = models.JSONField(default=dict)
    parameters = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)
    ingest_lease_until = models.DateTimeField(null=True, editable=False)
    ingest_attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    sealed_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        ordering = ["model", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="modelversion_number_once"),
            models.CheckConstraint(
                name="modelversion_ready_iff_sealed",
                condition=Q(status="READY", sealed_at__isnull=False, manifest__isnull=False)
                & Q(manifest_digest__regex=r"^[0-9a-f]{64}$")
                | ~Q(status="READY") & Q(sealed_at=None, manifest=None, manifest_digest=""),
            ),
            models.CheckConstraint(
                name="modelversion_failed_says_why", condition=~Q(status="FAILED_REGISTRATION", status_message="")
            ),
        ]
        indexes = [
            models.Index(fields=["run_id"], name="modelversion_run", condition=~Q(run_id="")),
            # Whether a path of the artifact store lies below (or above) what a version was sealed from.
            models.Index(
                fields=["artifact_path"],
                name="modelversion_artifacts",
                condition=Q(artifact_path__gt=""),
                opclasses=["text_pattern_ops"],
            ),
            models.Index(fields=["experiment_id"], name="modelversion_experiment", condition=Q(experiment_id__gt="")),
            models.Index(
                fields=["logged_model_id"], name="modelversion_logged_model", condition=~Q(logged_model_id="")
            ),
            models.Index(
                fields=["sealed_at"],
                name="modelversion_unlocated",
                condition=Q(artifact_path=None, sealed_at__isnull=False),
            ),
            models.Index(fields=["manifest_digest"], name="modelversion_digest", condition=~Q(manifest_digest="")),
            models.Index(
                fields=["created_at"], name="modelversion_pending", condition=Q(status="PENDING_REGISTRATION")
            ),
            # Every answer about a model names its newest version per stage: one probe each, however many there are. The
            # order is by an expression so that PostgreSQL cannot walk the unique index backwards, past thousands.
            models.Index("model", "stage", F("number") * -1, name="modelversion_latest", condition=Q(deleted_at=None)),
            # The order of MLflow's search: each page starts where the last one ended.
            models.Index(fields=["-updated_at"], name="modelversion_recent", condition=Q(deleted_at=None)),
            models.Index(fields=["model", "-updated_at"], name="modelversion_recent_of", condition=Q(deleted_at=None)),
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"

    @property
    def is_sealed(self) -> bool:
        """Whether the bytes are fixed."""
        return self.sealed_at is not None

    def ledger_facts(self) -> dict[str, object]:
        """The row and its tags: ``ledger_tags`` (once), if whoever logs knows them all, or those of the database."""
        tags = self.__dict__.pop("ledger_tags", None)
        return {**row_facts(self), "tags": {tag.key: tag.value for tag in self.tags.all()} if tags is None else tags}


class Alias(models.Model):
    """A movable name for one version of a model. A governed alias moves only with an active permit."""

    ledger_entry_of: ClassVar = EntryOf()

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="aliases", db_index=False)
    name = models.CharField(max_length=256)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="aliases")
    set_at = models.DateTimeField(auto_now=True)
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["model", "name"], name="alias_once_per_model")]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.model.name}@{self.name}"


class ModelTag(models.Model):
    """A key and a value on a registered model."""

    ledger_entry_of: ClassVar = EntryOf("registry.registeredmodel", "model_id")

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="tags", db_index=False)
    key = models.CharField(max_length=250)
    value = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "key"], name="modeltag_key_once")]
        # Prompts are left out of every search that does not ask for them.
        indexes = [
            models.Index(
                fields=["model"], name="modeltag_prompt", condition=Q(key="mlflow.prompt.is_prompt", value="true")
            )
        ]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class VersionTag(models.Model):
    """A key and a value on a version."""

    ledger_entry_of: ClassVar = EntryOf("registry.modelversion", "version_id")

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="tags", db_index=False)
    key = models.CharField(max_length=250)
    value = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "key"], name="versiontag_key_once")]
        # Values may be longer than an index entry can be: whoever searches compares the beginning, too.
        indexes = [models.Index("key", Left("value", 100), name="versiontag_value")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class IdempotencyKey(models.Model):
    """The answer once given to a request with this ``Idempotency-Key`` (IETF draft-ietf-httpapi-idempotency-key)."""

    ledger_free: ClassVar = "An answer kept for a day, in case its request is repeated; what it did has its entries."

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=128)
    route = models.CharField(max_length=200)
    request_sha256 = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key", "route"], name="idempotencykey_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotencykey_age")]

    def __str__(self) -> str:
        return self.key
