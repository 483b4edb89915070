"""What a bank's auditor would try: many writers and a sequencer that keeps dying, every isolation, a superuser, a full disk."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from psycopg import IsolationLevel

from audit import proofs
from audit.fsck import fsck
from audit.guard import Guard
from audit.merkle import verify_consistency
from audit.models import Checkpoint, Entry, Inbox
from config.runtime import roles
from tests.audit.conftest import Connect
from tests.audit.test_fsck import complaints, guard, tamper
from tests.audit.test_sequence import Starter, _no_other_sequencer, notes_key, process_environment, start
from tests.factories.audit import KEY, integrate, touch
from tests.waiting import until

__all__ = ["guard", "process_environment", "start"]
WRITERS = 32
EACH = 15


def in_threads(count: int, work: Callable[[int], None]) -> list[threading.Thread]:
    """Begin ``work`` in threads, each with a connection of its own."""

    def run(number: int) -> None:
        try:
            work(number)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.timeout(240)
@pytest.mark.django_db(transaction=True)
def test_32_writers_and_a_sequencer_that_dies_every_half_second(start: Starter, tmp_path: Path) -> None:
    acknowledged: list[str] = []
    lock = threading.Lock()

    def write(writer: int) -> None:
        for number in range(EACH):
            one = touch(str(number % 5), writer=writer)
            with lock:
                acknowledged.append(one)

    threads = in_threads(WRITERS, write)
    active, deaths = start("--adopt"), 0
    while any(thread.is_alive() for thread in threads) or deaths < 5:
        standby = start("--adopt")  # there at once when the active one dies
        until_or_half_a_second(lambda: not any(thread.is_alive() for thread in threads))
        active.kill()
        active.wait()
        active, deaths = standby, deaths + 1
        touch(f"after death {deaths}")
    active.kill()
    active.wait()
    for thread in threads:
        thread.join()
    until(_no_other_sequencer, what="the last session to end")
    output, _ = (last := start("--once", "--adopt")).communicate(timeout=60)
    assert last.returncode == 0, output
    logged = list(Entry.objects.order_by("index").values_list("index", "entry_id"))
    assert [index for index, _ in logged] == list(range(len(logged)))
    assert len({entry_id for _, entry_id in logged}) == len(logged) == WRITERS * EACH + deaths
    assert set(acknowledged) <= {entry_id for _, entry_id in logged}
    checkpoints = list(Checkpoint.objects.order_by("size"))
    for old, new in pairwise(checkpoints):
        proof = proofs.consistency(old.size, new.size).hashes
        verify_consistency(old.size, new.size, proof, bytes(old.root), bytes(new.root))
    assert fsck(key=notes_key(tmp_path), guard=Guard(tmp_path / "guard.json")).problems == []


def until_or_half_a_second(look: Callable[[], bool]) -> None:
    from config import waiting  # noqa: PLC0415 - the one place where running out of time is no failure

    waiting.until(look, seconds=0.5, every=0.05)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_logging_makes_no_transaction_fail_at_any_isolation(
    level: IsolationLevel, signed_in_as: Connect, guard_of_none: Guard
) -> None:
    """Eight transactions that overlap as a whole, and a sequencer in the midst of them: none has to be repeated."""
    canons = [touch_text(str(number)) for number in range(16)]
    sessions = [signed_in_as(roles.APP) for _ in range(8)]
    for session in sessions:
        session.autocommit = False
        session.isolation_level = level
        session.execute("SELECT count(*) FROM audit_entry")  # its snapshot is taken now
    for session, canon in zip(sessions, canons[:8], strict=True):
        session.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon])
    integrate(guard_of_none)
    for session in sessions[:4]:
        session.commit()
    integrate(guard_of_none)
    for session, canon in zip(sessions[4:], canons[8:12], strict=True):
        session.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon])
    for session in sessions[4:]:
        session.commit()
    integrate(guard_of_none)
    assert Entry.objects.count() == 12
    assert not Inbox.objects.exists()
    assert fsck(key=KEY.public_key(), guard=guard_of_none).problems == []


@pytest.fixture
def guard_of_none(tmp_path: Path) -> Guard:
    """The guard of a log that begins."""
    return Guard(tmp_path / "begins.json")


def touch_text(name: str) -> str:
    """The text of an entry, as a transaction would insert it."""
    with transaction.atomic():
        touch(name)
        canon = Inbox.objects.order_by("-pk").values_list("canon", flat=True)[0]
        Inbox.objects.all().delete()
    return str(canon)


# A superuser


@pytest.fixture
def superuser(transactional_db: None) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A session that may do everything PostgreSQL can do."""
    if "TEST_SUPERUSER_URL" not in os.environ:
        pytest.skip("the tests run on a server of somebody's own, and have no superuser there")
    name = connection.settings_dict["NAME"]
    with psycopg.connect(os.environ["TEST_SUPERUSER_URL"], dbname=name, autocommit=True) as session:
        yield session


@pytest.mark.django_db(transaction=True)
def test_replica_mode_switches_no_trigger_of_the_log_off(
    superuser: "psycopg.Connection[tuple[object, ...]]", tmp_path: Path
) -> None:
    guard = Guard(tmp_path / "guard.json")
    for number in range(256):
        touch(str(number % 7))
    integrate(guard)
    superuser.execute("SET session_replication_role = replica")
    for statement in (
        "UPDATE audit_entry SET canon = canon WHERE index = 3",
        "DELETE FROM audit_entry WHERE index = 3",
        "DELETE FROM audit_checkpoint",
        "UPDATE audit_node SET hash = hash",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation, match="is append-only"):
            superuser.execute(statement)
    assert complaints(guard) == []


TEXTS = (
    *("entry_id", "action", "actor_id", "actor_name", "actor_kind", "object_type", "object_id", "object_version"),
    *("object_digest", "request_id"),
)
FLIP = "CASE WHEN coalesce({0}, '') = '' THEN chr(1) ELSE overlay({0} PLACING chr(ascii({0}) # 1) FROM 1 FOR 1) END"
FLIPPED = {
    **{name: FLIP.format(name) for name in TEXTS},
    "at": "at + interval '1 microsecond'",
    "leaf_hash": "set_bit(leaf_hash, 9, 1 - get_bit(leaf_hash, 9))",
}


@pytest.mark.django_db
@pytest.mark.parametrize("column", sorted(FLIPPED))
def test_one_bit_flipped_in_a_derived_column_is_found_and_named(guard: Guard, column: str) -> None:
    tamper(
        f"ALTER TABLE audit_entry ALTER COLUMN {column} DROP EXPRESSION",
        f"UPDATE audit_entry SET {column} = {FLIPPED[column]} WHERE index = 17",
    )
    assert any(one.startswith("entry 17: ") and column in one for one in complaints(guard)), complaints(guard)


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["salt", "id", "action", "source", "type"])
def test_one_bit_flipped_in_the_text_is_found_and_named(guard: Guard, field: str) -> None:
    place = f'position(\'"{field}":"\' in canon) + {len(field) + 4}'
    tamper(
        "UPDATE audit_entry SET canon = overlay(canon PLACING chr(ascii(substr(canon, "
        f"{place})) # 1) FROM {place} FOR 1) WHERE index = 17"
    )
    assert any(one.startswith("entry 17: ") for one in complaints(guard)), complaints(guard)


@pytest.mark.django_db
def test_a_table_swapped_for_a_copy_of_itself_with_one_word_changed_is_found(guard: Guard) -> None:
    """A rewrite of the heap goes around every trigger: the copy has none, and another content."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid"
                       " WHERE i.inhparent = 'audit_entry'::regclass ORDER BY c.relname LIMIT 1")  # fmt: skip
        (partition,) = cursor.fetchone()
        cursor.execute(f"SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = '{partition}'")
        (bounds,) = cursor.fetchone()
        cursor.execute(f"ALTER TABLE audit_entry DETACH PARTITION {partition}")
        cursor.execute(f"CREATE TABLE copied (LIKE {partition} INCLUDING ALL)")
        cursor.execute(
            "INSERT INTO copied (index, canon, stream_n, stream_previous) SELECT index, CASE index WHEN 17 THEN"
            f" replace(canon, 'robot', 'human') ELSE canon END, stream_n, stream_previous FROM {partition}"
        )
        cursor.execute(f"DROP TABLE {partition}")
        cursor.execute(f"ALTER TABLE copied RENAME TO {partition}")
        cursor.execute(f"ALTER TABLE audit_entry ATTACH PARTITION {partition} {bounds}")
    found = complaints(guard)
    assert any(one.startswith("entry 17: changed since") for one in found), found
    assert any(partition in one and "trigger" in one for one in found), found


# Clocks


@pytest.mark.django_db
def test_a_clock_that_jumps_changes_no_order(tmp_path: Path) -> None:
    guard = Guard(tmp_path / "clock.json")
    now = datetime.now(UTC)
    for jump in (timedelta(0), timedelta(days=-400), timedelta(days=3650), timedelta(seconds=-1), timedelta(0)):
        with time_machine.travel(now + jump, tick=True):
            touch("clock", by_days=jump.days)
            integrate(guard)
    entries = list(Entry.objects.filter(object_id="clock").order_by("index"))
    assert [entry.stream_n for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.facts["by_days"] for entry in entries] == [0, -400, 3650, -1, 0]
    assert entries[1].at < entries[0].at < entries[2].at
    assert fsck(key=KEY.public_key(), guard=guard).problems == []


# A full disk


@pytest.mark.django_db(transaction=True)
def test_on_a_full_disk_a_change_and_its_entry_fail_together_and_the_log_goes_on_after(tmp_path: Path) -> None:
    guard = Guard(tmp_path / "full.json")
    touch("before")
    integrate(guard)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE business (id serial, filler text)")
        cursor.execute("ALTER TABLE business ALTER COLUMN filler SET STORAGE PLAIN")
    try:
        committed: list[str] = []
        with full_disk(), pytest.raises(DatabaseError, match=r"could not extend|No space|File too large"):
            _fill(committed)
        rows = 200 * len(committed)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM business")
            assert cursor.fetchone()[0] == rows
        assert Inbox.objects.count() == len(committed)
        touch("after")
        integrate(guard)
        assert Entry.objects.filter(object_id="business").count() == len(committed)
        assert fsck(key=KEY.public_key(), guard=guard).problems == []
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE business")


def _fill(committed: list[str]) -> None:
    """Write rows and entries, transaction by transaction, until PostgreSQL refuses."""
    filler = "SELECT repeat(md5(random()::text), 200) FROM generate_series(1, 200)"
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO business (filler) {filler}")
            one = touch("business")
        committed.append(one)


@contextmanager
def full_disk() -> Iterator[None]:
    """A session's process of PostgreSQL may write no file beyond 17 MiB: as on a full disk, extending one fails.

    The files of the write-ahead log have 16 MiB.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    _limit_files(pid, str(17 * 2**20))
    try:
        yield
    finally:
        _limit_files(pid, "resource.RLIM_INFINITY")


def _limit_files(pid: int, most: str) -> None:
    """Only the same account may limit a process."""
    code = f"import resource; resource.prlimit({pid}, resource.RLIMIT_FSIZE, ({most}, resource.RLIM_INFINITY))"
    owner = Path(f"/proc/{pid}").stat()
    user, group = (owner.st_uid, owner.st_gid) if os.getuid() == 0 else (None, None)
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-c", code], capture_output=True, check=False, cwd="/", user=user, group=group
    )
    if done.returncode:
        pytest.skip(f"the database's processes are not ours to limit: {done.stderr.decode()[-200:]}")


@pytest.mark.django_db
def test_a_guard_file_that_cannot_be_written_is_loud_and_lags_a_batch(tmp_path: Path) -> None:
    guard = Guard(tmp_path / "place" / "guard.json")
    touch()
    integrate(guard)
    (tmp_path / "place" / "guard.json.new").symlink_to("/dev/full")
    touch()
    with pytest.raises(OSError, match="No space left"):
        integrate(guard)
    assert Entry.objects.count() == 2  # it is true already; only the file lags
    (tmp_path / "place" / "guard.json.new").unlink()
    touch()
    integrate(guard)
    assert fsck(key=KEY.public_key(), guard=guard).problems == []
