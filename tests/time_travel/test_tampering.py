"""Who may write the history: nobody. Who does it as the owner, with triggers off, is found."""

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from audit.history.inspection import broken_chains, disagreements
from audit.models import Inbox
from config.runtime import roles
from registry.models import ModelVersion, RegisteredModel, User
from registry.services import catalog
from tests.audit.conftest import Connect, signed_in_as
from tests.factories import pages as make
from tests.factories.audit import vouch
from tests.time_travel.moments import here

__all__ = ["signed_in_as"]


@pytest.fixture
def described(model: RegisteredModel, scientist: User) -> RegisteredModel:
    """A model with three former versions."""
    for words in ("first", "second", "third"):
        here()
        catalog.update_model(model=model, description=words, by=make.actor(scientist))
    here()
    return model


@pytest.mark.parametrize("role", [roles.APP, roles.SEQUENCER])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history.registry_registeredmodel SET description = 'never'",
        "DELETE FROM history.registry_registeredmodel",
        "TRUNCATE history.registry_registeredmodel",
        "INSERT INTO history.registry_registeredmodel SELECT * FROM history.registry_registeredmodel",
        "ALTER TABLE registry_registeredmodel DISABLE TRIGGER history_keep",
        "DROP SCHEMA history CASCADE",
        "CREATE VIEW asof.registry_alias2 AS SELECT 1",
        "INSERT INTO history.era VALUES (9, 'x', 0)",
        "UPDATE audit_moment SET snapshot = '1:1:'",
        "CREATE OR REPLACE FUNCTION history.position() RETURNS xid8 LANGUAGE sql STABLE AS $$ SELECT '1'::xid8 $$",
    ],
)
def test_the_roles_that_serve_cannot_touch_it(
    role: str, statement: str, described: RegisteredModel, signed_in_as: Connect
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        signed_in_as(role).execute(statement)


def test_the_roles_that_serve_write_it_by_changing_rows_and_cannot_forge_the_stamp(
    described: RegisteredModel, signed_in_as: Connect
) -> None:
    app = signed_in_as(roles.APP)
    (before, *_), *_ = app.execute("SELECT history.position()::text::bigint").fetchall()

    with app.transaction():
        app.execute("UPDATE registry_registeredmodel SET description = 'by the app', known_from = '7'")
        app.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [_an_entry_about(described)])
    live = app.execute(
        "SELECT known_from::text::bigint, history.position()::text::bigint FROM registry_registeredmodel"
    )

    (stamp, now), *_ = live.fetchall()
    assert int(str(before)) <= int(str(stamp)) <= int(str(now))
    past = app.execute("SELECT description FROM history.registry_registeredmodel").fetchall()
    assert ("third",) in past


def _an_entry_about(model: RegisteredModel) -> str:
    """One as a service would append it."""
    with transaction.atomic():
        vouch(model)
        canon = Inbox.objects.order_by("-pk").values_list("canon", flat=True)[0]
        transaction.set_rollback(True)
    return str(canon)


def test_not_even_the_owner_changes_it_by_mistake(described: RegisteredModel) -> None:
    for statement in (
        "UPDATE history.registry_registeredmodel SET description = 'never'",
        "DELETE FROM history.registry_registeredmodel",
        "TRUNCATE history.registry_registeredmodel",
    ):
        with connection.cursor() as cursor, pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(statement)


def as_owner(statement: str, *tables: str) -> None:
    """What somebody with the database in their hands can do. The triggers are put back as they were."""
    names = [
        f"{schema}.{table}" for table in tables or ("registry_registeredmodel",) for schema in ("history", "public")
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT array_agg(n) FROM unnest(%s::text[]) AS n WHERE to_regclass(n) IS NOT NULL", [names])
        names = cursor.fetchone()[0]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger "
            "WHERE tgrelid = ANY(%s::regclass[]) AND NOT tgisinternal AND tgenabled = 'A'",
            [names],
        )
        always = cursor.fetchall()
        for name in names:
            cursor.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER")
        cursor.execute(statement)
        for name in names:
            cursor.execute(f"ALTER TABLE {name} ENABLE TRIGGER USER")
        for name, trigger in always:
            cursor.execute(f'ALTER TABLE {name} ENABLE ALWAYS TRIGGER "{trigger}"')


_PAST = "history.registry_registeredmodel"
_MIDDLE = f"SELECT ctid FROM {_PAST} WHERE description = 'first'"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"DELETE FROM history.registry_registeredmodel WHERE ctid IN ({_MIDDLE})", "a version is missing"),
        (
            f"UPDATE {_PAST} SET known_until = (known_until::text::bigint + 1)::text::xid8 WHERE ctid IN ({_MIDDLE})",
            "a version is missing",
        ),
        (
            f"INSERT INTO {_PAST} SELECT * FROM {_PAST} WHERE ctid IN ({_MIDDLE})",
            "begin or end with the same transaction",
        ),
        ("UPDATE registry_registeredmodel SET known_from = '5'", "a version is missing"),
    ],
    ids=["removed", "moved", "doubled", "live row moved"],
)
def test_versions_that_do_not_join_are_found(statement: str, said: str, described: RegisteredModel) -> None:
    assert list(broken_chains()) == []

    as_owner(statement)

    assert [(one.key, said in one.problem) for one in broken_chains()] == [(str(described.pk), True)]


def test_another_content_is_found_at_the_moment_it_is_told_of(model: RegisteredModel, scientist: User) -> None:
    catalog.update_model(model=model, description="true", by=make.actor(scientist))
    then = here()
    catalog.update_model(model=model, description="later", by=make.actor(scientist))
    after = here()
    assert list(disagreements(then)) == []

    as_owner("UPDATE history.registry_registeredmodel SET description = 'forged' WHERE description = 'true'")

    assert [(one.key, "is not what its last entry" in one.problem) for one in disagreements(then)] == [
        (str(model.pk), True)
    ]
    assert list(disagreements(after)) == []


def test_an_object_wiped_out_with_its_history_is_missed(version: ModelVersion) -> None:
    then = here()
    as_owner("DELETE FROM registry_versiontag", "registry_versiontag")
    as_owner("DELETE FROM registry_modelversion; DELETE FROM history.registry_modelversion", "registry_modelversion")

    assert [one.key for one in disagreements(then) if one.table == "registry_modelversion"] == [str(version.pk)]


def test_a_row_smuggled_into_the_past_is_found(model: RegisteredModel) -> None:
    then = here()
    columns = (
        "name, description, owner_id, use_case, tier, tier_inputs, card, next_version, created_at, updated_at, revision"
    )
    as_owner(
        f"INSERT INTO history.registry_registeredmodel (id, {columns}, known_from, known_until) "
        f"SELECT 4711, {columns.replace('name', chr(39) + 'ghost' + chr(39), 1)}, '1', '18446744073709551614' "
        "FROM registry_registeredmodel"
    )

    assert [one.key for one in disagreements(then)] == ["4711"]


def test_the_command_says_what_it_found_and_ends_with_it(
    described: RegisteredModel, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("audit_history")
    assert "agrees with the log at 4 moments" in capsys.readouterr().out

    as_owner(f"UPDATE {_PAST} SET description = 'forged' WHERE description = 'second'")

    with pytest.raises(SystemExit) as ended:
        call_command("audit_history")
    assert ended.value.code == 1
    assert "the row is not what its last entry (6) says" in capsys.readouterr().out
