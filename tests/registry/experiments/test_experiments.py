"""Who may see an experiment, and who says so."""

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from audit.actors import SYSTEM
from config.errors import Conflict, Invalid, NotAllowed
from registry.models import Experiment, ModelVersion, User
from registry.roles import Role
from registry.selectors import experiments as seen
from registry.services import access
from registry.services import experiments as verbs
from tests.factories import registry as make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]


@pytest.fixture
def experiment(scientist: User) -> Experiment:
    """The scientist's, open, with its artifacts in the folder 7."""
    return verbs.record_experiment(tracking_id="7", name="churn", artifact_root="7", by=make.actor(scientist))


@pytest.fixture
def team(db: None) -> Group:
    """A team with one contributor in it, who is called mate."""
    team = access.create_team(name="the second floor", by=SYSTEM)
    access.add_member(team=team, user=make.person(Role.CONTRIBUTOR, name="mate"), by=SYSTEM)
    return team


def told() -> list[str]:
    return [action for action in make.actions() if action.startswith("experiment.")]


def may(user: User, *, write: bool) -> bool:
    fresh = User.objects.get(pk=user.pk)
    by_id = seen.closed_among(fresh, ["7"], write=write) is None
    assert by_id == (seen.closed_at(fresh, "7/run/artifacts/model/MLmodel", write=write) is None)
    assert write or by_id == ("7" not in seen.hidden_from(fresh))
    return by_id


def test_an_open_experiment_is_closed_to_nobody(experiment: Experiment, stranger: User) -> None:
    assert may(stranger, write=True)


def test_a_restricted_one_is_its_owners_the_auditors_to_read_and_the_administrators(
    experiment: Experiment, scientist: User
) -> None:
    verbs.restrict_experiment(experiment=experiment, restricted=True, by=make.actor(scientist))
    people = {role: make.person(role) for role in Role}
    assert may(scientist, write=True)
    assert {role for role, user in people.items() if may(user, write=False)} == {Role.AUDITOR, Role.ADMINISTRATOR}
    assert {role for role, user in people.items() if may(user, write=True)} == {Role.ADMINISTRATOR}
    scientist.is_active = False
    scientist.save()
    assert not may(scientist, write=False)


def test_a_team_is_granted_reading_then_writing_then_nothing(
    experiment: Experiment, scientist: User, team: Group
) -> None:
    by, mate = make.actor(scientist), User.objects.get(username="mate")
    verbs.restrict_experiment(experiment=experiment, restricted=True, by=by)
    assert not may(mate, write=False)
    verbs.grant_experiment(experiment=experiment, team=team, access="read", by=by)
    assert may(mate, write=False)
    assert not may(mate, write=True)
    verbs.grant_experiment(experiment=experiment, team=team, access="write", by=by)
    verbs.grant_experiment(experiment=experiment, team=team, access="write", by=by)
    assert may(mate, write=True)
    assert seen.granted(experiment) == {team.pk: "write"}
    verbs.revoke_experiment(experiment=experiment, team=team, by=by)
    verbs.revoke_experiment(experiment=experiment, team=team, by=by)
    assert not may(mate, write=False)
    verbs.restrict_experiment(experiment=experiment, restricted=False, by=by)
    assert may(mate, write=True)
    assert told() == [
        "experiment.created", "experiment.restricted", "experiment.granted", "experiment.granted", "experiment.revoked",
        "experiment.opened",
    ]  # fmt: skip


def test_nobody_else_says_who_may_see_it(experiment: Experiment, team: Group) -> None:
    mate = make.actor(User.objects.get(username="mate"))
    for verb in (
        lambda: verbs.restrict_experiment(experiment=experiment, restricted=True, by=mate),
        lambda: verbs.grant_experiment(experiment=experiment, team=team, access="read", by=mate),
        lambda: verbs.revoke_experiment(experiment=experiment, team=team, by=mate),
        lambda: verbs.adopt_experiment(tracking_id="8", name="x", artifact_root="8", owner=mate.user, by=mate),  # type: ignore[arg-type]
    ):
        with pytest.raises(NotAllowed):
            verb()
    experiment.refresh_from_db()
    assert not experiment.restricted
    assert told() == ["experiment.created"]


def test_an_administrator_takes_one_into_care_once(experiment: Experiment, scientist: User) -> None:
    boss = make.actor(make.person(Role.ADMINISTRATOR))
    verbs.adopt_experiment(tracking_id="0", name="Default", artifact_root="0", owner=scientist, by=boss)
    with pytest.raises(Conflict, match="belongs to"):
        verbs.adopt_experiment(tracking_id="7", name="churn", artifact_root="7", owner=scientist, by=boss)
    with pytest.raises(Invalid):
        verbs.grant_experiment(experiment=experiment, team=Group(pk=1), access="own", by=boss)


def test_the_same_experiment_is_noted_once_and_follows_a_rename(experiment: Experiment, scientist: User) -> None:
    other = make.actor(make.person(Role.CONTRIBUTOR))
    assert verbs.record_experiment(tracking_id="7", name="x", artifact_root="", by=other).owner == scientist
    verbs.rename_experiment(tracking_id="7", name="attrition", by=other)
    verbs.rename_experiment(tracking_id="7", name="attrition", by=other)
    verbs.rename_experiment(tracking_id="99", name="nobody's", by=other)
    experiment.refresh_from_db()
    assert experiment.name == "attrition"
    assert told() == ["experiment.created", "experiment.renamed"]


@pytest.mark.parametrize("bad", ["07", "", "+7", "seven", "\u0667"])
def test_an_id_is_a_number_written_one_way(scientist: User, bad: str) -> None:
    with pytest.raises(IntegrityError, match="experiment_id_is_a_number"), transaction.atomic():
        Experiment.objects.create(tracking_id=bad, name="x", owner=scientist)


def test_who_deletes_a_folder_deletes_what_is_in_it(experiment: Experiment, scientist: User, stranger: User) -> None:
    verbs.restrict_experiment(experiment=experiment, restricted=True, by=make.actor(scientist))
    Experiment.objects.filter(pk=experiment.pk).update(artifact_root="teams/credit")
    assert seen.closed_at(stranger, "teams", write=True) is not None
    assert seen.closed_at(stranger, "", write=True) is not None
    assert seen.closed_at(stranger, "teams", write=False) is None
    assert seen.closed_at(stranger, "teams/credits", write=True) is None
    assert seen.closed_at(stranger, "team", write=True) is None


@pytest.mark.parametrize(
    ("path", "meets"),
    [
        ("7/r1/artifacts/model", True), ("7/r1/artifacts/model/MLmodel", True), ("7/r1", True), ("7", True),
        ("7/r1/artifacts/model2", False), ("7/r1/artifacts/mode", False), ("7/r2", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("known", [True, False])
def test_a_path_meets_what_was_sealed_from_it(sealed: ModelVersion, path: str, meets: bool, known: bool) -> None:
    ModelVersion.objects.filter(pk=sealed.pk).update(artifact_path="7/r1/artifacts/model" if known else None)
    if known:
        assert (seen.sealed_at(path) == sealed) is meets
        ModelVersion.objects.filter(pk=sealed.pk).update(deleted_at=sealed.sealed_at)
        assert seen.sealed_at(path) is None


def test_as_long_as_its_place_is_unknown_all_of_its_run_is_kept(sealed: ModelVersion) -> None:
    assert sealed.artifact_path is None
    pending = ModelVersion.objects.create(model=sealed.model, number=9, registered_by=sealed.registered_by, run_id="r9")
    assert seen.sealed_at("7/r9/artifacts/other") is None
    pending.delete()
    assert seen.sealed_at("7//artifacts") is None
