"""Who holds which duty, who decided what, and who was refused: what a report on the separation of duties reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import Permission
from django.db.models import Prefetch

from audit.models import Entry
from governance.models import Decision, PromotionRequest
from registry.models import (
    ModelVersion,
    RegisteredModelGroupObjectPermission,
    RegisteredModelUserObjectPermission,
    User,
)
from registry.reach import ADMINISTER, APPROVE, AUDIT, CONTRIBUTE, VALIDATE, VIEW, codename_of, holds
from registry.roles import Role

_MARKS: Final = {
    codename_of(CONTRIBUTE): Role.CONTRIBUTOR.value,
    codename_of(VALIDATE): Role.VALIDATOR.value,
    codename_of(APPROVE): Role.APPROVER.value,
    codename_of(AUDIT): Role.AUDITOR.value,
    codename_of(ADMINISTER): Role.ADMINISTRATOR.value,
}
"""The permission that makes somebody a holder of each role: the rows that decide, not the grants they came from."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Somebody holds a role: on every model, or on one."""

    user: User
    role: str
    model_id: int | None = None
    model: str = ""


def duties() -> list[Duty]:
    """Everybody who is active and holds a role, by account. A superuser administers by being one."""
    found = set(_everywhere()) | set(_on_models())
    users = User.objects.in_bulk({key for key, _, _, _ in found})
    made = [Duty(users[key], role, model_id, name) for key, role, model_id, name in found if users[key].is_active]
    return sorted(made, key=lambda one: (one.user.get_username(), one.model, list(_MARKS.values()).index(one.role)))


def _everywhere() -> Iterator[tuple[int, str, int | None, str]]:
    ours = Permission.objects.filter(content_type__app_label="registry", codename__in=_MARKS)
    for codename, by_team, by_person in ours.values_list("codename", "group__user", "user"):
        for key in {by_team, by_person} - {None}:
            yield key, _MARKS[codename], None, ""
    for key in User.objects.filter(is_superuser=True).values_list("pk", flat=True):
        yield key, Role.ADMINISTRATOR.value, None, ""


def _on_models() -> Iterator[tuple[int, str, int | None, str]]:
    columns = ("permission__codename", "content_object_id", "content_object__name")
    living = {"permission__codename__in": list(_MARKS), "content_object__deleted_at": None}
    teams = RegisteredModelGroupObjectPermission.objects.filter(**living).values_list("group__user", *columns)
    people = RegisteredModelUserObjectPermission.objects.filter(**living).values_list("user", *columns)
    for key, codename, model_id, name in [*teams, *people]:
        if key is not None:
            yield key, _MARKS[codename], model_id, name


def decided_between(reader: User, since: datetime, until: datetime) -> Iterator[PromotionRequest]:
    """Requests that were decided in the period, oldest first, with everything ``conflicts_of`` reads."""
    found = PromotionRequest.objects.visible_to(reader).filter(closed_at__gte=since, closed_at__lt=until)
    found = found.filter(decisions__isnull=False).distinct().order_by("closed_at", "number")
    return (
        found.select_related(
            "version__model",
            "version__manifest",
            "version__registered_by",
            "version__trained_by",
            "version__code_author",
            "requested_by",
        )
        .prefetch_related(
            Prefetch("version__manifest__versions", ModelVersion.objects.order_by("pk")),
            Prefetch("decisions", Decision.objects.select_related("person").order_by("signed_at", "pk")),
        )
        .iterator(chunk_size=200)
    )


def refusals_between(reader: User, since: datetime, until: datetime, size: int) -> list[Entry]:
    """Entries below ``size`` about attempts to sign that were refused, of requests the reader may see, in the log's order."""
    found = Entry.objects.filter(action="decision.refused", at__gte=since, at__lt=until, index__lt=size).order_by(
        "index"
    )
    if holds(reader, VIEW):
        return list(found)
    seen = {str(key) for key in PromotionRequest.objects.visible_to(reader).values_list("pk", flat=True)}
    return [entry for entry in found if entry.object_id in seen]
