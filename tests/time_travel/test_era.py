"""A database that is restored into another cluster goes on after everything it knows, though transactions count anew."""

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from audit.guard import Guard
from audit.history import ddl, era
from audit.history.install import install
from audit.history.moments import NotInThisCluster, check_cluster
from audit.sequencer import Refused, Sequencer
from config import as_of
from registry.models import RegisteredModel, User
from registry.services import catalog
from tests.audit.conftest import guard
from tests.factories import pages as make
from tests.factories.audit import KEY
from tests.time_travel.moments import here
from tests.time_travel.test_tampering import as_owner

__all__ = ["guard"]


@pytest.fixture
def elsewhere(model: RegisteredModel, scientist: User) -> as_of.Moment:
    """The moment before the database was brought here from a cluster that had counted much further."""
    catalog.update_model(model=model, description="there", by=make.actor(scientist))
    moment = here()
    far = int(moment.snapshot.split(":")[0]) + 5_000_000_000
    with connection.cursor() as cursor:
        cursor.execute("UPDATE history.era SET system_identifier = '4711'")
    as_owner(f"UPDATE public.audit_moment SET snapshot = '{far}:{far}:'", "audit_moment")
    as_owner(f"UPDATE registry_registeredmodel SET known_from = '{far - 1}'")
    return as_of.Moment(moment.size, moment.root, moment.at, f"{far}:{far}:")


@pytest.fixture(autouse=True)
def known_cluster(transactional_db: None) -> Iterator[None]:
    """The next test's database is this one: an offset is harmless there, a strange system identifier is not."""
    yield
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE history.era SET system_identifier = (SELECT system_identifier::text FROM pg_control_system())"
        )
    install(connection)


def test_before_migrate_has_seen_the_new_cluster_nothing_is_signed(elsewhere: as_of.Moment, guard: Guard) -> None:
    with pytest.raises(NotInThisCluster, match="migrate"):
        check_cluster()
    with pytest.raises(Refused, match="another cluster"):
        Sequencer(KEY, guard).check()


def test_migrate_begins_an_era_above_everything_known(
    elsewhere: as_of.Moment, model: RegisteredModel, scientist: User
) -> None:
    install(connection)
    check_cluster()
    catalog.update_model(model=model, description="here", by=make.actor(scientist))
    after = here()
    catalog.update_model(model=model, description="later", by=make.actor(scientist))
    said = []
    for moment in (elsewhere, after):
        with as_of.travelling(moment):
            said.append(RegisteredModel.objects.get(pk=model.pk).description)
    assert said == ["there", "here"]
    assert int(after.snapshot.split(":")[0]) > int(elsewhere.snapshot.split(":")[0])


def test_a_cluster_that_counts_lower_is_another_one_whatever_it_is_called(elsewhere: as_of.Moment) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE history.era SET system_identifier = (SELECT system_identifier::text FROM pg_control_system())"
        )
        assert "another cluster" in era.problem(cursor)
    install(connection)
    check_cluster()


@pytest.mark.parametrize(
    ("snapshot", "shifted"),
    [("10:10:", "1010:1010:"), ("10:20:11,15", "1010:1020:1011,1015"), ("3:4:3", "1003:1004:1003")],
)
def test_a_snapshot_is_shifted_as_a_whole(snapshot: str, shifted: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ddl.shifted_function(1000))
        cursor.execute("SELECT history.shifted(%s), history.shifted(%s)::pg_snapshot::text", [snapshot, snapshot])
        assert cursor.fetchone() == (shifted, shifted)
        cursor.execute(ddl.shifted_function(0))
        cursor.execute("SELECT history.shifted(%s)", [snapshot])
        assert cursor.fetchone() == (snapshot,)
        transaction.set_rollback(True)
