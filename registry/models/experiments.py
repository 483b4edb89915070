"""Experiments of the tracking process, as far as we decide who may see them. Their runs are kept there, not here."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from guardian.models import GroupObjectPermissionBase

from audit.governed import EntryOf
from audit.subjects import row_facts
from registry.querysets import ExperimentQuerySet


class Experiment(models.Model):
    """An experiment that was created through us, or taken into care by an administrator.

    One without a row, or not restricted, is open: every role reads it and contributors write. A restricted one is its
    owner's, the teams' to whom it was granted, the auditors' (reading) and the administrators'.
    """

    ledger_entry_of: ClassVar = EntryOf(quiet=("updated_at",), because="When it last changed.")
    ledger_rows: ClassVar = ("experimentgroupobjectpermission_set",)

    tracking_id = models.CharField(max_length=64, unique=True, help_text="Its id in the tracking process.")
    name = models.CharField(max_length=500)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="experiments")
    restricted = models.BooleanField(default=False)
    artifact_root = models.CharField(
        max_length=2000,
        blank=True,
        help_text="Folder of its artifacts in the store that is served here, if it is there.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ExperimentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        default_permissions = ()
        permissions = [
            ("read_experiment", "Can read the runs of an experiment"),
            ("write_experiment", "Can read and write the runs of an experiment"),
        ]
        constraints = [
            models.CheckConstraint(
                name="experiment_id_is_a_number", condition=Q(tracking_id__regex=r"^(0|[1-9][0-9]*)$")
            ),
            models.CheckConstraint(name="experiment_name_not_empty", condition=~Q(name="")),
        ]
        indexes = [
            models.Index(
                fields=["artifact_root"],
                name="experiment_root",
                condition=Q(restricted=True) & ~Q(artifact_root=""),
                opclasses=["text_pattern_ops"],
            )
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return self.name

    def __str__(self) -> str:
        return self.name

    def ledger_facts(self) -> dict[str, object]:
        """The row and what was granted to which team."""
        granted = self.experimentgroupobjectpermission_set.all()
        return {**row_facts(self), "granted": sorted([one.group_id, one.permission_id] for one in granted)}


class ExperimentGroupObjectPermission(GroupObjectPermissionBase):
    """Guardian's direct-FK table: which team may read or write a restricted experiment."""

    ledger_entry_of: ClassVar = EntryOf("registry.experiment", "content_object_id")

    content_object = models.ForeignKey(Experiment, on_delete=models.CASCADE)
