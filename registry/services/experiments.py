"""Writes to experiments: noting who created one, restricting it, granting it to teams. Guardian's rows say who may what."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.contrib.auth.models import Group
from django.db import transaction
from guardian.shortcuts import assign_perm, remove_perm

from audit.actors import Actor
from audit.services import append
from config.errors import Conflict, Invalid, NotFound, Refusal
from registry import guards, names
from registry.models import Experiment, User
from registry.selectors.experiments import ACCESS, granted
from registry.services.catalog import person_of
from registry.tracking import NotThere, TrackedExperiment, TrackingClient, TrackingDown

LONGEST_NAME: Final = 500
_ID: Final = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
Connect = Callable[[], TrackingClient]


class TrackingUnavailable(Refusal):
    """The tracking process must be asked first, and does not answer."""

    status = HTTPStatus.CONFLICT
    code = "tracking.unavailable"


@transaction.atomic
def record_experiment(*, tracking_id: str, name: str, artifact_root: str, by: Actor) -> Experiment:
    """Note an experiment that was just created through us: it is who asked's. One that is known stays as it is."""
    experiment, created = Experiment.objects.get_or_create(
        tracking_id=tracking_id,
        defaults={"name": _name(name), "owner": person_of(by), "artifact_root": artifact_root},
    )
    if created:
        append(action="experiment.created", subject=experiment, by=by, facts={"tracking_id": tracking_id, "name": name})
    return experiment


@transaction.atomic
def adopt_experiment(*, tracking_id: str, name: str, artifact_root: str, owner: User, by: Actor) -> Experiment:
    """Note an experiment that was not created through us, so that it can be restricted.

    Raises ``NotAllowed`` for all but administrators, ``Conflict`` for one that is known.
    """
    guards.check_can_administer(by)
    experiment, created = Experiment.objects.get_or_create(
        tracking_id=tracking_id, defaults={"name": _name(name), "owner": owner, "artifact_root": artifact_root}
    )
    if not created:
        raise Conflict(
            f"The experiment {tracking_id} is known already; it belongs to {experiment.owner}.",
            code="experiment.known",
            field="tracking_id",
        )
    facts = {"tracking_id": tracking_id, "name": name, "owner": f"user:{owner.pk}"}
    append(action="experiment.adopted", subject=experiment, by=by, facts=facts)
    return experiment


@transaction.atomic
def rename_experiment(*, tracking_id: str, name: str, by: Actor) -> None:
    """Follow a rename that the tracking process has made. Nothing, for an experiment that is not known."""
    experiment = Experiment.objects.locked().filter(tracking_id=tracking_id).first()
    if experiment is None or experiment.name == name:
        return
    before, experiment.name = experiment.name, _name(name)
    experiment.save(update_fields=["name", "updated_at"])
    append(
        action="experiment.renamed",
        subject=experiment,
        by=by,
        diff={"name": {"before": before, "after": experiment.name}},
    )


def look_up(tracking_id: str, connect: Connect = TrackingClient) -> TrackedExperiment:
    """Ask the tracking process for an experiment. Raises ``Invalid`` if it has none, ``TrackingUnavailable``."""
    if not _ID.fullmatch(tracking_id):
        raise Invalid("The id of an experiment is a whole number.", code="experiment.id", field="tracking_id")
    try:
        with connect() as tracking:
            return tracking.experiment(tracking_id)
    except NotThere as error:
        raise Invalid(
            f"The tracking server has no experiment {tracking_id}.", code="experiment.not_there", field="tracking_id"
        ) from error
    except TrackingDown as error:
        raise TrackingUnavailable(str(error), remedy="Try again in a moment.") from error


def set_restricted(
    *, experiment: Experiment, restricted: bool, by: Actor, connect: Connect = TrackingClient
) -> Experiment:
    """``restrict_experiment``, after its folder was looked up if it is not on record. Raises as both do."""
    guards.check_can_manage_experiment(by, experiment)
    root = experiment.artifact_root
    if restricted and not root:
        root = look_up(experiment.tracking_id, connect).artifact_root
    return restrict_experiment(experiment=experiment, restricted=restricted, by=by, artifact_root=root)


@transaction.atomic
def restrict_experiment(*, experiment: Experiment, restricted: bool, by: Actor, artifact_root: str = "") -> Experiment:
    """Close an experiment to all but those it is for, or open it again; one that is so already is left.

    Raises ``NotAllowed`` for all but its owner and administrators.
    """
    guards.check_can_manage_experiment(by, experiment)
    experiment = _lock(experiment)
    if artifact_root and not experiment.artifact_root:
        experiment.artifact_root = artifact_root
        experiment.save(update_fields=["artifact_root", "updated_at"])
        append(action="experiment.located", subject=experiment, by=by)
    if experiment.restricted != restricted:
        experiment.restricted = restricted
        experiment.save(update_fields=["restricted", "updated_at"])
        append(action="experiment.restricted" if restricted else "experiment.opened", subject=experiment, by=by)
    return experiment


@transaction.atomic
def grant_experiment(*, experiment: Experiment, team: Group, access: str, by: Actor) -> None:
    """Let a team read (or write) a restricted experiment, in place of what it could. Raises ``NotAllowed``, ``Invalid``."""
    guards.check_can_manage_experiment(by, experiment)
    if access not in ACCESS:
        raise Invalid(f"{access!r} is not known; give read or write.", code="experiment.access", field="access")
    experiment = _lock(experiment)
    before = granted(experiment).get(team.pk)
    if before == access:
        return
    if before:
        remove_perm(f"registry.{ACCESS[before]}", team, experiment)
    assign_perm(f"registry.{ACCESS[access]}", team, experiment)
    facts = {"team": team.name, "access": access}
    append(action="experiment.granted", subject=experiment, by=by, facts=facts)


@transaction.atomic
def revoke_experiment(*, experiment: Experiment, team: Group, by: Actor) -> None:
    """Take what a team was granted; a team without a grant is no error. Raises ``NotAllowed``."""
    guards.check_can_manage_experiment(by, experiment)
    experiment = _lock(experiment)
    before = granted(experiment).get(team.pk)
    if before:
        remove_perm(f"registry.{ACCESS[before]}", team, experiment)
        append(action="experiment.revoked", subject=experiment, by=by, facts={"team": team.name, "access": before})


def _lock(experiment: Experiment) -> Experiment:
    found = Experiment.objects.locked().filter(pk=experiment.pk).first()
    if found is None:
        raise NotFound("There is no such experiment.", code="experiment.unknown")
    return found


def _name(name: str) -> str:
    names.check_text(name, field="name", longest=LONGEST_NAME)
    return name or "(without a name)"
