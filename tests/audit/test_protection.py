"""The runtime roles really cannot rewrite the ledger: asked as themselves, with their own passwords."""

import psycopg
import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from audit.grants import CATALOGUE_GRANTS, RolesMissing, apply_grants
from audit.models import Checkpoint, Entry, Node
from config.runtime import roles
from tests.audit.conftest import Connect
from tests.factories.audit import integrate, log_of, touch

LEDGER = ("audit_entry", "audit_node", "audit_checkpoint")
CHANGES = (
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} ENABLE REPLICA TRIGGER some_trigger",
    "DROP TABLE {table}",
    "CREATE TRIGGER sly BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()",
)
COLUMN = {"audit_entry": "canon", "audit_node": "hash", "audit_checkpoint": "note"}


@pytest.mark.parametrize("table", LEDGER)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", [roles.APP, roles.SEQUENCER])
def test_no_runtime_role_can_change_the_ledger(signed_in_as: Connect, role: str, change: str, table: str) -> None:
    log_of(1)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        signed_in_as(role).execute(change.format(table=table, column=COLUMN[table]))
    assert Entry.objects.count() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM audit_inbox",
        "DELETE FROM audit_inbox",
        "UPDATE audit_inbox SET canon = canon",
        "TRUNCATE audit_inbox",
        "INSERT INTO audit_inbox (id, canon) VALUES (1, '{}')",
        "INSERT INTO audit_inbox (canon, txid) VALUES ('{}', 1)",
        "INSERT INTO audit_entry (index, canon, stream_n) VALUES (9, '{}', 1)",
        "INSERT INTO audit_checkpoint (size, root, note, at) VALUES (9, '', '', now())",
        "INSERT INTO audit_node (level, index, hash, children) VALUES (8, 0, '', '')",
        "UPDATE audit_cursor SET next_index = 0",
        "SET ROLE countersign_owner",
        "SET session_replication_role = replica",
    ],
)
def test_the_web_process_can_only_add_to_the_inbox(signed_in_as: Connect, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        signed_in_as(roles.APP).execute(statement)


def test_the_web_process_appends_and_the_sequencer_integrates(signed_in_as: Connect) -> None:
    touch()
    canon = _taken_from_inbox()
    app, sequencer = signed_in_as(roles.APP), signed_in_as(roles.SEQUENCER)
    app.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon])
    row = sequencer.execute("DELETE FROM audit_inbox RETURNING canon").fetchone()
    assert row == (canon,)
    sequencer.execute("INSERT INTO audit_entry (index, canon, stream_n) VALUES (0, %s, 1)", [canon])
    assert app.execute("SELECT action FROM audit_entry").fetchall() == [("test.touched",)]


def _taken_from_inbox() -> str:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_inbox RETURNING canon")
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
@pytest.mark.parametrize("table", LEDGER)
def test_the_owner_is_refused_by_the_triggers(table: str) -> None:
    log_of(256)
    for statement in (f"UPDATE {table} SET {COLUMN[table]} = {COLUMN[table]}", f"DELETE FROM {table}"):
        for trick in ("", "SET LOCAL pgtrigger.ignore = '{{{trigger}}}'; "):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", [table]
                )
                trigger = cursor.fetchone()[0]
            with (
                pytest.raises(IntegrityError, match="is append-only"),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(trick.format(trigger=trigger) + statement)
    assert (Entry.objects.count(), Node.objects.count(), Checkpoint.objects.count()) == (256, 1, 1)


@pytest.mark.django_db
def test_the_triggers_of_every_write_once_table_fire_always() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid
            WHERE proname = 'audit_refuse_change' AND tgenabled = 'A' AND tgtype & 1 = 1 AND tgtype & 24 = 24
            """
        )
        guarded = {row[0] for row in cursor.fetchall()}
    marked = {model._meta.db_table for model in apps.get_models() if getattr(model, "ledger_append_only", False)}
    assert marked
    assert marked - guarded == set()


@pytest.mark.django_db
def test_the_app_may_add_to_write_once_tables_and_no_more() -> None:
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            if model._meta.app_label == "audit" or not model._meta.managed:
                continue
            table = model._meta.db_table
            cursor.execute(
                "SELECT p, has_table_privilege(%s, %s, p) FROM unnest(%s::text[]) AS p",
                [
                    roles.APP,
                    f'"{table}"',
                    ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES"],
                ],
            )
            held = {right for right, has in cursor.fetchall() if has}
            allowed = {"SELECT", "INSERT", "UPDATE", "DELETE"}
            if getattr(model, "ledger_append_only", False):
                allowed = {"SELECT", "INSERT"}
            if getattr(model, "ledger_read_only", False):
                allowed = {"SELECT"}
            assert held == allowed, table


@pytest.mark.django_db
def test_the_reader_sees_the_ledger_only() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname = 'public' AND relkind IN ('r', 'p') AND has_table_privilege(%s, pg_class.oid, 'SELECT')
            """,
            [roles.READER],
        )
        attested = {f"audit_{name}" for name in ("cosignature", "timestamp", "anchor", "attestor")}
        assert {row[0] for row in cursor.fetchall()} == {*LEDGER, "audit_cursor", "audit_streamhead"} | attested


@pytest.mark.django_db
def test_the_tracking_process_reads_the_catalogue_and_neither_passwords_nor_tokens_nor_the_ledger() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname, attname FROM pg_attribute
            JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname = 'public' AND relkind IN ('r', 'v', 'm', 'p') AND attnum > 0 AND NOT attisdropped
            AND has_column_privilege(%s, pg_class.oid, attname, 'SELECT')
            """,
            [roles.CATALOGUE],
        )
        readable = cursor.fetchall()
        cursor.execute(
            """
            SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname = 'public' AND relkind IN ('r', 'v', 'm', 'p')
            AND has_table_privilege(%s, pg_class.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
            """,
            [roles.CATALOGUE],
        )
        assert cursor.fetchall() == []
    assert {table for table, _ in readable} == {table for _, table in CATALOGUE_GRANTS}
    assert {column for table, column in readable if table == "registry_user"} == {
        "id", "username", "is_active", "is_superuser", "is_service",
    }  # fmt: skip


@pytest.mark.django_db
def test_rights_can_be_granted_again_and_missing_roles_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    apply_grants(connection, strict=True)
    monkeypatch.setattr("audit.grants.APP", "countersign_nobody")
    apply_grants(connection)
    with pytest.raises(RolesMissing, match="countersign_nobody"):
        apply_grants(connection, strict=True)


def test_a_transaction_that_commits_late_comes_late_but_comes(signed_in_as: Connect) -> None:
    touch("model")
    canon = _taken_from_inbox()
    early, late = signed_in_as(roles.APP), signed_in_as(roles.APP)
    early.execute("BEGIN")
    early.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon.replace('"model"', '"early"')])
    late.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon.replace('"model"', '"late"')])
    assert integrate() == 1
    early.execute("COMMIT")
    assert integrate() == 1
    assert list(Entry.objects.order_by("index").values_list("object_id", flat=True)) == ["late", "early"]


def test_cause_comes_before_effect_within_a_batch(signed_in_as: Connect) -> None:
    touch("model")
    canon = _taken_from_inbox()
    cause, effect = signed_in_as(roles.APP), signed_in_as(roles.APP)
    cause.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon.replace('"model"', '"cause"')])
    effect.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon.replace('"model"', '"effect"')])
    assert integrate() == 2
    assert list(Entry.objects.order_by("index").values_list("object_id", flat=True)) == ["cause", "effect"]


def test_appending_waits_for_nobody(signed_in_as: Connect) -> None:
    touch("model")
    canon = _taken_from_inbox()
    holder, other = signed_in_as(roles.APP), signed_in_as(roles.APP)
    other.execute("SET lock_timeout = '1ms'")
    holder.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
    other.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
    holder.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon])
    other.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon])
    other.execute("COMMIT")
    holder.execute("COMMIT")
    assert integrate() == 2
