"""Sealed hold-outs: who makes them, that nobody reads one, and what is written down of who tried."""

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone

from audit.actors import Actor
from config.errors import NotAllowed
from registry.models import DatasetVersion, HoldoutAttempt, User
from registry.roles import Role
from registry.services import datasets, holdouts, sealing
from tests.factories import registry as make
from tests.registry.datasets.files import CSV

pytestmark = pytest.mark.usefixtures("by_hand")

WORKER = Actor.service("ingest")


def held_out(by: User, content: bytes = CSV, *, role: str = "holdout", name: str = "exam") -> DatasetVersion:
    """What the worker makes of an uploaded file."""
    version = datasets.register_dataset(name=name, role=role, by=make.actor(by), columns={"label": "bad"})
    make.uploaded(version, by, content, path="data")
    datasets.finish_dataset(dataset_version=version, by=make.actor(by))
    return sealing.seal_dataset(dataset_version=version, by=WORKER)


@pytest.fixture
def validator() -> User:
    return make.person(Role.VALIDATOR)


@pytest.mark.parametrize("role", [Role.VALIDATOR, Role.APPROVER])
def test_validators_and_officers_seal_one(role: Role, artifact_root: Path) -> None:
    version = held_out(make.person(role))

    assert (version.status, version.status_message) == ("sealed", "")
    assert version.profile is not None
    assert all(set(one) == {"name", "type", "role", "secret"} for one in version.profile["columns"])


def test_who_makes_models_makes_no_hold_out(scientist: User) -> None:
    with pytest.raises(NotAllowed) as refused:
        datasets.register_dataset(name="exam", role="holdout", by=make.actor(scientist))

    assert (refused.value.code, refused.value.field) == ("holdout.not_allowed", "role")
    assert not DatasetVersion.objects.exists()


def test_nobody_reads_one_not_even_who_registered_it(validator: User, artifact_root: Path) -> None:
    version = held_out(validator)
    administrator = make.person(Role.ADMINISTRATOR, Role.AUDITOR)

    for user in (validator, administrator):
        with pytest.raises(NotAllowed) as refused:
            holdouts.opened(version, by=make.actor(user), door="dataset")
        assert refused.value.code == "holdout.sealed"
    assert make.actions().count("holdout.refused") == 2
    assert make.entries()[-1]["facts"] == {"door": "dataset", "unlogged_before": 0}
    assert make.entries()[-1]["actor"]["id"] == f"user:{administrator.pk}"


def test_its_bytes_are_a_hold_outs_whatever_else_they_are_called(validator: User, artifact_root: Path) -> None:
    version = held_out(validator)
    digests = [one for one in (version.blob_id, version.table_id) if one]
    assert len(digests) == 2

    for digest in digests:
        with pytest.raises(NotAllowed):
            holdouts.check_bytes(digest, by=make.actor(validator), door="file")
    holdouts.check_bytes("ab" * 32, by=make.actor(validator), door="file")


def test_attempts_do_not_flood_the_log_and_none_is_forgotten(validator: User, artifact_root: Path) -> None:
    version, by = held_out(validator), make.actor(validator)

    def attempts(number: int) -> None:
        for _ in range(number):
            with pytest.raises(NotAllowed):
                holdouts.opened(version, by=by, door="dataset")

    attempts(50)
    assert make.actions().count("holdout.refused") == 1
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=False):
        attempts(3)

    told = [entry["facts"]["unlogged_before"] for entry in make.entries() if entry["action"] == "holdout.refused"]
    assert told == [0, 49]
    assert HoldoutAttempt.objects.get().unlogged == 2


def test_what_people_can_read_is_sealed_as_no_hold_out(scientist: User, validator: User, artifact_root: Path) -> None:
    assert held_out(scientist, role="test", name="known").status == "sealed"

    version = held_out(validator)

    assert version.status == "failed"
    assert "registered as known v1, which people can read" in version.status_message


def test_what_is_sealed_as_one_is_registered_as_nothing_else(
    scientist: User, validator: User, artifact_root: Path
) -> None:
    held_out(validator)

    version = held_out(scientist, role="test", name="alias")

    assert version.status == "failed"
    assert "sealed hold-out" in version.status_message
    with pytest.raises(NotAllowed):
        holdouts.check_bytes(str(version.digest), by=make.actor(scientist), door="dataset")


def test_the_rows_of_others_are_for_validators_and_auditors(scientist: User, artifact_root: Path) -> None:
    version = held_out(scientist, role="test")

    for user in (scientist, make.person(Role.VALIDATOR), make.person(Role.AUDITOR)):
        with holdouts.opened(version, by=make.actor(user), door="dataset") as stream:
            assert stream.read() == CSV
    for user in (make.person(Role.CONTRIBUTOR), make.person(Role.APPROVER), make.person()):
        with pytest.raises(NotAllowed) as refused:
            holdouts.opened(version, by=make.actor(user), door="dataset")
        assert refused.value.code == "dataset.not_readable"
    assert "holdout.refused" not in make.actions()


def test_bytes_that_are_a_hold_outs_are_not_given_out_under_another_name(validator: User, artifact_root: Path) -> None:
    """Sealing refuses to register them so; should a row say otherwise, the door looks at the bytes."""
    version = held_out(validator)
    ordinary = held_out(validator, b"age,bad\n30,0\n31,1\n", role="test", name="ordinary")
    with holdouts.opened(ordinary, by=make.actor(validator), door="dataset") as stream:
        assert stream.read()
    ordinary.blob = version.blob  # not saved: PostgreSQL keeps sealed rows
    with pytest.raises(NotAllowed) as refused:
        holdouts.opened(ordinary, by=make.actor(validator), door="dataset")
    assert refused.value.code == "holdout.sealed"
