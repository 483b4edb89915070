"""The log in partitions: made ahead of need, guarded like the whole, dropped whole, and everything stays provable."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from psycopg import sql

from audit import merkle, partitions, proofs, tree
from audit.guard import Guard
from audit.merkle import leaf_hash
from audit.models import Checkpoint, Entry, StreamHead
from audit.partitions import NotDroppable, Partition
from audit.sequencer import Sequencer
from config.runtime import roles
from tests.audit.conftest import Connect
from tests.factories.audit import KEY, integrate, log_of, narrow_partitions, touch


@pytest.mark.django_db
def test_a_new_log_is_one_partition_with_room_ahead() -> None:
    assert partitions.listed() == [Partition("audit_entry_from_0", 0, partitions.WIDTH)]
    assert (partitions.first_kept(), partitions.room()) == (0, partitions.WIDTH)
    assert partitions.ensure() == partitions.WIDTH


@pytest.mark.django_db
def test_the_next_partition_is_made_ahead_of_need_and_guarded_like_the_others() -> None:
    narrow_partitions(256)
    assert partitions.room() == 256
    log_of(1)
    assert partitions.room() == partitions.WIDTH
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname, count(*) FILTER (WHERE tgtype & 1 = 1 AND tgtype & 24 = 24), count(*) FILTER (WHERE tgtype & 32 = 32)
            FROM pg_class JOIN pg_trigger ON tgrelid = pg_class.oid JOIN pg_proc ON pg_proc.oid = tgfoid
            WHERE relname ~ '^audit_(entry|checkpoint)' AND tgenabled = 'A' AND proname = 'audit_refuse_change' GROUP BY 1
            """
        )
        guarded = {name: (changes, truncate) for name, changes, truncate in cursor.fetchall()}
        cursor.execute(
            "SELECT relname FROM pg_class, unnest(%s::text[]) AS role, unnest(%s::text[]) AS p"
            " WHERE relname ~ '^audit_(entry|checkpoint)_from_[0-9]+$' AND has_table_privilege(role, pg_class.oid, p)",
            [[roles.APP, roles.SEQUENCER, roles.READER, roles.CATALOGUE], ["SELECT", "INSERT", "UPDATE", "TRUNCATE"]],
        )
        assert cursor.fetchall() == []
    tables = ("entry", "entry_from_0", "entry_from_256", "checkpoint", "checkpoint_from_1", "checkpoint_from_257")
    assert guarded == {f"audit_{table}": (1, 1) for table in tables}


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["audit_entry", "audit_entry_from_0", "audit_checkpoint", "audit_node"])
def test_not_even_the_owner_changes_deletes_or_truncates(table: str) -> None:
    log_of(256)
    for statement in (
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
        f"SET LOCAL pgtrigger.ignore = 'x'; TRUNCATE {table}",
    ):
        with pytest.raises(IntegrityError, match="is append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert Entry.objects.count() == 256


def test_the_sequencer_has_the_next_partition_made_and_the_web_process_may_not(signed_in_as: Connect) -> None:
    log_of(1)
    assert signed_in_as(roles.SEQUENCER).execute("SELECT audit_ensure_partitions()").fetchone() == (partitions.WIDTH,)
    for role, statement in (
        (roles.APP, "SELECT audit_ensure_partitions()"),
        (roles.SEQUENCER, "SELECT audit_make_partition('audit_entry', 9, 10)"),
        (roles.SEQUENCER, "DROP TABLE audit_entry_from_0"),
        (roles.SEQUENCER, "ALTER TABLE audit_entry DETACH PARTITION audit_entry_from_0"),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            signed_in_as(role).execute(statement)


@pytest.mark.django_db
def test_without_room_nothing_is_sealed_and_nothing_is_lost(guard: Guard, caplog: pytest.LogCaptureFixture) -> None:
    narrow_partitions(256)
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION audit_ensure_partitions()")
    for number in range(250):
        touch(str(number))
    worker = Sequencer(KEY, guard)
    assert worker.run_once() == 250
    assert "room for 6 more entries" in caplog.text
    for number in range(7):
        touch(str(number))
    with pytest.raises(DatabaseError), transaction.atomic():
        worker.run_once()
    assert Entry.objects.count() == 250
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_inbox")
        assert cursor.fetchone() == (7,)
        cursor.execute("SELECT audit_make_partition('audit_entry', 256, 512)")
        cursor.execute("SELECT audit_make_partition('audit_checkpoint', 257, 513)")
    assert worker.run_once() == 7


def dropped_log() -> list[Entry]:
    """A log of 600 entries in partitions of 256 whose first is dropped; returns all entries as they were."""
    narrow_partitions(256, count=3)
    entries = log_of(600)
    assert partitions.drop(partitions.listed()[0]) == 256
    return entries


@pytest.mark.django_db
def test_what_a_dropped_partition_held_can_still_be_proved() -> None:
    entries = dropped_log()
    assert partitions.first_kept() == 256
    root = bytes(Checkpoint.objects.get(size=600).root)
    for index in (0, 5, 255, 256, 599):
        proof = proofs.inclusion(index, 600)
        merkle.verify_inclusion(leaf_hash(entries[index].leaf_text.encode()), index, 600, proof.hashes, root)
    for old in (3, 256, 300):
        growth = proofs.consistency(old, 600)
        edge = merkle.Frontier()
        for entry in entries[:old]:
            list(edge.append(bytes(entry.leaf_hash)))
        merkle.verify_consistency(old, 600, growth.hashes, edge.root(), root)


@pytest.mark.django_db
def test_streams_go_on_where_they_stood() -> None:
    entries = dropped_log()
    assert {(head.object_id, head.n) for head in StreamHead.objects.all()} == {
        (one, [entry.object_id for entry in entries[:256]].count(one)) for one in "0123456"
    }
    before = partitions.heads_digest()
    touch("0")
    integrate()
    assert Entry.objects.get(index=600).stream_previous == 595
    narrow = [entry for entry in entries if entry.object_id == "0"]
    assert Entry.objects.get(index=600).stream_n == len(narrow) + 1
    assert partitions.heads_digest() == before != ""


@pytest.mark.django_db
def test_an_object_whose_entries_were_all_dropped_is_not_begun_again() -> None:
    narrow_partitions(256, count=2)
    touch("once")
    for number in range(256):
        touch(str(number))
    integrate()
    partitions.drop(partitions.listed()[0])
    touch("once")
    integrate()
    again = Entry.objects.get(object_id="once")
    assert (again.stream_n, again.stream_previous) == (2, 0)


@pytest.mark.django_db
def test_only_the_oldest_full_partition_over_a_whole_tree_is_dropped() -> None:
    narrow_partitions(256, count=3)
    log_of(300)
    first, second, third, _ = partitions.listed()
    for wrong in (second, third):
        with pytest.raises(NotDroppable, match="not the oldest"):
            partitions.drop(wrong)
    partitions.drop(first)
    with pytest.raises(NotDroppable, match="44 entries"):
        partitions.drop(second)
    log_of(300)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_node DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM audit_node WHERE index = 1")
    with pytest.raises(NotDroppable, match="audit_verify"):
        partitions.drop(second)


@pytest.mark.django_db
def test_a_missing_entry_of_a_partition_that_is_there_is_not_taken_for_dropped() -> None:
    log_of(300)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM audit_entry WHERE index = 297")
    with pytest.raises(tree.TreeDamaged, match="entry 297 is missing"):
        proofs.inclusion(296, 300)


@pytest.fixture
def older_database(transactional_db: None) -> Iterator[str]:
    """A database as the release before left it, with one table of entries and no partitions; its owner's address."""
    name = f"{connection.settings_dict['NAME']}_older"
    url = os.environ["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        address = f"{url.rsplit('/', 1)[0]}/{name}"
        migrate(address, "0003")
        yield address
        server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def migrate(address: str, *to: str) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.audit.process_settings",
        "SECRET_KEY": "x" * 40,
        "DATABASE_ROLE": "owner",
        "DATABASE_OWNER_URL": address,
    }
    command = [sys.executable, "-m", "django", "migrate", "audit", *to, "--verbosity", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def rows(database: "psycopg.Connection[Any]", table: str, key: str) -> list[tuple[Any, ...]]:
    return database.execute(
        sql.SQL("SELECT * FROM {} ORDER BY {}").format(sql.Identifier(table), sql.Identifier(key))
    ).fetchall()


@pytest.mark.slow
def test_a_log_without_partitions_is_converted_and_no_byte_of_it_changes(older_database: str) -> None:
    log_of(600)
    entries = Entry.objects.order_by("index").values_list("index", "canon", "stream_n", "stream_previous")
    heads = Checkpoint.objects.values_list("size", "root", "note", "at")
    with psycopg.connect(older_database, autocommit=True) as database:
        with database.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO audit_entry (index, canon, stream_n, stream_previous) VALUES (%s, %s, %s, %s)",
                list(entries),
            )
            cursor.executemany(
                "INSERT INTO audit_checkpoint (size, root, note, at) VALUES (%s, %s, %s, %s)", list(heads)
            )
        tables = (("audit_entry", "index"), ("audit_checkpoint", "size"))
        before = [rows(database, *table) for table in tables]
        files = database.execute("SELECT pg_relation_filenode('audit_entry')").fetchone()
        migrate(older_database)
        assert [rows(database, *table) for table in tables] == before
        assert len(before[0]) == 600
        # The very same file: nothing was copied.
        assert database.execute("SELECT pg_relation_filenode('audit_entry_from_0')").fetchone() == files
        bounds = database.execute("SELECT low, high FROM audit_partition_bounds('audit_entry')").fetchall()
        assert bounds == [(0, partitions.WIDTH)]
        for statement in (
            "UPDATE audit_entry SET canon = canon",
            "DELETE FROM audit_entry_from_0",
            "TRUNCATE audit_entry",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation):
                database.execute(sql.SQL(statement))
        plan = database.execute(
            "EXPLAIN SELECT index FROM audit_entry WHERE object_type = 'x' AND object_id = 'y' ORDER BY index DESC LIMIT 1"
        ).fetchall()
        assert any("entry_by_object" in line for (line,) in plan)
        assert not any("Sort" in line for (line,) in plan)
