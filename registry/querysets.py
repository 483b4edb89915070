"""Querysets that only narrow: what may be seen, what is locked, what is live. No writes here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.contrib.auth.models import Permission
from django.db import models
from django.db.models import Exists, OuterRef, Q

from config import as_of
from registry import reach

if TYPE_CHECKING:
    from registry.models import (  # noqa: F401 - named as text below
        DatasetVersion,
        Experiment,
        ModelVersion,
        RegisteredModel,
        User,
    )

VIEW = reach.VIEW


def _granted_on_model(user: User, codename: str, outer: str) -> Q:
    """Rows whose model carries ``codename`` for the user or one of their teams (guardian's direct-FK tables)."""
    from registry.models import RegisteredModelGroupObjectPermission as ByTeam  # noqa: PLC0415
    from registry.models import RegisteredModelUserObjectPermission as ByPerson  # noqa: PLC0415

    permission = Permission.objects.filter(content_type__app_label="registry", codename=codename).values("pk")[:1]
    by_team = ByTeam.objects.filter(
        content_object=OuterRef(outer), permission=permission, group__in=user.groups.values("pk")
    )
    by_person = ByPerson.objects.filter(content_object=OuterRef(outer), permission=permission, user=user)
    return Q(Exists(by_team)) | Q(Exists(by_person))


class RegisteredModelQuerySet(models.QuerySet["RegisteredModel"]):
    """Registered models."""

    def alive(self) -> Self:
        """Without the deleted."""
        return self.filter(deleted_at=None)

    def visible_to(self, user: User, permission: str = VIEW) -> Self:
        """Those on which the user holds ``permission``, by a role on every model or on that one, or as owner."""
        if not user.is_active:
            return self.none()
        if reach.holds(user, permission):
            return self
        if as_of.current():
            return self.filter(pk__in=reach.seen_today(user, permission))
        mine = Q(owner=user) if permission == VIEW else Q()
        codename = reach.codename_of(permission)
        granted = _granted_on_model(user, codename, "pk")
        return self.filter(granted | mine if mine else granted)

    def locked(self) -> Self:
        """``SELECT … FOR NO KEY UPDATE`` in primary-key order. Evaluate at once."""
        return self.order_by("pk").select_for_update(of=("self",), no_key=True)


class ModelVersionQuerySet(models.QuerySet["ModelVersion"]):
    """Model versions."""

    def alive(self) -> Self:
        """Without the deleted."""
        return self.filter(deleted_at=None, model__deleted_at=None)

    def visible_to(self, user: User, permission: str = VIEW) -> Self:
        """Those of models visible to the user."""
        from registry.models import RegisteredModel  # noqa: PLC0415

        if reach.holds(user, permission):
            return self
        return self.filter(model__in=RegisteredModel.objects.visible_to(user, permission).values("pk"))

    def locked(self) -> Self:
        """``SELECT … FOR NO KEY UPDATE`` in primary-key order. Evaluate at once."""
        return self.select_related("model").order_by("pk").select_for_update(of=("self",), no_key=True)


class DatasetVersionQuerySet(models.QuerySet["DatasetVersion"]):
    """Data set versions."""

    def sealed(self) -> Self:
        """Those whose bytes are fixed."""
        return self.filter(sealed_at__isnull=False)


class ExperimentQuerySet(models.QuerySet["Experiment"]):
    """Experiments of the tracking process that are known here."""

    def closed_to(self, user: User, *, write: bool = False) -> Self:
        """The restricted ones that the user may not read (or write): not the owner's, not granted, no role for it."""
        from registry.models import ExperimentGroupObjectPermission as ByTeam  # noqa: PLC0415

        if as_of.current():
            with as_of.today():
                closed = list(type(self)(self.model).closed_to(user, write=write).values_list("pk", flat=True))
            return self.filter(pk__in=closed)
        restricted = self.filter(restricted=True)
        if not user.is_active:
            return restricted
        if reach.holds(user, reach.ADMINISTER) or (not write and reach.holds(user, reach.AUDIT)):
            return restricted.none()
        codenames = ["write_experiment"] if write else ["write_experiment", "read_experiment"]
        granted = ByTeam.objects.filter(
            content_object=OuterRef("pk"), permission__codename__in=codenames, group__in=user.groups.values("pk")
        )
        return restricted.exclude(owner=user).exclude(Exists(granted))

    def visible_to(self, user: User) -> Self:
        """Those the user may read: nothing without a role, nothing restricted that is not for them."""
        if not reach.holds_anywhere(user, VIEW):
            return self.none()
        return self.exclude(pk__in=type(self)(self.model).closed_to(user).values("pk"))

    def managed_by(self, user: User) -> Self:
        """Those the user may restrict and grant: their own, and for administrators all."""
        if not user.is_active:
            return self.none()
        if as_of.current():
            with as_of.today():
                return self.filter(pk__in=list(type(self)(self.model).managed_by(user).values_list("pk", flat=True)))
        return self if reach.holds(user, reach.ADMINISTER) else self.filter(owner=user)

    def locked(self) -> Self:
        """``SELECT … FOR NO KEY UPDATE`` in primary-key order. Evaluate at once."""
        return self.order_by("pk").select_for_update(of=("self",), no_key=True)
