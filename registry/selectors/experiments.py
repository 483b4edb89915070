"""Which experiments an account may not see, and which sealed versions were read from where in the artifact store."""

from collections.abc import Collection
from typing import Final

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet

from registry.models import Experiment, ExperimentGroupObjectPermission, ModelVersion, User

ACCESS: Final = {"read": "read_experiment", "write": "write_experiment"}
"""What a team may be granted → the permission that says so. Who writes also reads."""


def closed_among(user: User, tracking_ids: Collection[str], *, write: bool) -> Experiment | None:
    """One of these experiments that the user may not read (or write), with its owner; ``None`` if there is none."""
    if not tracking_ids:
        return None
    found = Experiment.objects.closed_to(user, write=write).filter(tracking_id__in=tracking_ids)
    return found.select_related("owner").order_by("pk").first()


def hidden_from(user: User) -> frozenset[str]:
    """Tracking ids of all experiments that the user may not read."""
    return frozenset(Experiment.objects.closed_to(user).values_list("tracking_id", flat=True))


def closed_at(user: User, path: str, *, write: bool) -> Experiment | None:
    """A restricted experiment that the user may not read (or write) and whose artifacts lie at or above ``path``.

    For a write, also one below it: deleting a folder deletes what is in it.
    """
    closed = Experiment.objects.closed_to(user, write=write).exclude(artifact_root="")
    where = Q(artifact_root__in=above(path))
    if write:
        where |= Q(artifact_root__startswith=f"{path}/") if path else Q(restricted=True)
    return closed.filter(where).select_related("owner").order_by("pk").first()


def somebody_elses_at(user: User, path: str) -> bool:
    """Whether another account's experiment keeps its artifacts at, above or below ``path``."""
    there = Q(artifact_root__in=above(path), artifact_root__gt="") | Q(artifact_root__startswith=f"{path}/")
    return Experiment.objects.filter(there).exclude(owner=user).exists()


def sealed_at(path: str) -> ModelVersion | None:
    """A living, sealed version whose bytes were read at ``path``, above it or below it."""
    parts = path.split("/")
    here = Q(artifact_path__in=above(path), artifact_path__gt="") | Q(artifact_path__startswith=f"{path}/")
    unknown = Q(artifact_path=None) & (
        Q(run_id__in=parts) & ~Q(run_id="") | Q(logged_model_id__in=parts) & ~Q(logged_model_id="")
    )
    return _living().filter(here | unknown).order_by("created_at").first()


def sealed_of(*, run_id: str = "", logged_model_id: str = "", experiment_id: str = "") -> ModelVersion | None:
    """A living, sealed version that was registered from this run, logged model or experiment."""
    given = {"run_id": run_id, "logged_model_id": logged_model_id, "experiment_id": experiment_id}
    wanted = {name: value for name, value in given.items() if value}
    if not wanted:
        return None
    return _living().filter(**wanted).order_by("created_at").first()


def registered_of(*, run_id: str = "", logged_model_id: str = "") -> ModelVersion | None:
    """A living version, sealed or not, that was registered from this run or logged model."""
    wanted = {name: value for name, value in {"run_id": run_id, "logged_model_id": logged_model_id}.items() if value}
    if not wanted:
        return None
    return ModelVersion.objects.alive().filter(**wanted).select_related("model").order_by("created_at").first()


def granted(experiment: Experiment) -> dict[int, str]:
    """What each team was granted, by its primary key: ``read`` or ``write``."""
    rows = ExperimentGroupObjectPermission.objects.filter(content_object=experiment)
    words = {codename: access for access, codename in ACCESS.items()}
    return {team: words[codename] for team, codename in rows.values_list("group_id", "permission__codename")}


def grants_of(experiment: Experiment) -> list[tuple[Group, str]]:
    """The teams to which it was granted, by name, with ``read`` or ``write``."""
    access = granted(experiment)
    return [(team, access[team.pk]) for team in Group.objects.filter(pk__in=access).order_by("name")]


def above(path: str) -> list[str]:
    """The path and every folder that contains it."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _living() -> QuerySet[ModelVersion]:
    return ModelVersion.objects.alive().filter(sealed_at__isnull=False).select_related("model")
