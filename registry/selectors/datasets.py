"""Data sets as people may see them."""

from django.db.models import Q, QuerySet

from config import as_of
from registry import reach
from registry.models import Dataset, DatasetVersion, ModelVersion, User


def visible(user: User) -> QuerySet[Dataset]:
    """Data sets the person may see: their own, and for whoever holds a role on some model, all of them."""
    if reach.holds_anywhere(user, reach.VIEW):
        return Dataset.objects.all()
    return Dataset.objects.filter(owner=user)


def shown(rows: QuerySet[DatasetVersion]) -> QuerySet[DatasetVersion]:
    """With everything that pages and the REST API show."""
    return rows.select_related("dataset", "created_by", "predictions_of__model", "predictions_for__dataset", "blob")


def may_read(user: User, version: DatasetVersion) -> bool:
    """Whether the person may have the rows, a hold-out apart: who registered it, validators and auditors."""
    if version.created_by_id == user.pk and user.is_active:
        return True
    return any(reach.holds_anywhere(user, permission) for permission in (reach.VALIDATE, reach.AUDIT))


def holdout_of(sha256: str) -> DatasetVersion | None:
    """The hold-out whose file, or whose rows as Parquet, these bytes are, whatever moment is being shown."""
    with as_of.today():
        holdouts = DatasetVersion.objects.filter(role=DatasetVersion.Role.HOLDOUT)
        return holdouts.filter(Q(digest=sha256) | Q(table_id=sha256)).select_related("dataset").first()


def is_holdouts(sha256: str) -> bool:
    """Whether these bytes are a hold-out's."""
    return holdout_of(sha256) is not None


def uploaded_predictions(version: ModelVersion, data: DatasetVersion) -> DatasetVersion | None:
    """The newest sealed predictions that somebody uploaded for this version on this data, or None."""
    rows = DatasetVersion.objects.sealed().filter(predictions_of=version, predictions_for=data)
    return rows.select_related("dataset", "created_by").order_by("-sealed_at", "pk").first()
