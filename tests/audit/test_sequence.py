"""The sequencer: dense, ordered, signed; alone; and never against what it signed before."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from audit import keys, notes, sequencer
from audit.fsck import fsck
from audit.guard import Guard, Head, Refused
from audit.merkle import Frontier, verify_consistency
from audit.models import Checkpoint, Entry, Inbox, Node
from audit.proofs import consistency
from audit.tree import stored
from config.runtime import roles
from tests.audit.conftest import Connect
from tests.factories.audit import KEY, integrate, log_of, touch
from tests.waiting import until

pytestmark = pytest.mark.django_db
Starter = Callable[..., "subprocess.Popen[str]"]


def test_entries_are_dense_and_the_inbox_is_empty(guard: Guard) -> None:
    for _ in range(3):
        for number in range(5):
            touch(str(number))
        assert integrate(guard) == 5
    assert list(Entry.objects.order_by("index").values_list("index", flat=True)) == list(range(15))
    assert not Inbox.objects.exists()
    assert integrate(guard) == 0
    assert [checkpoint.size for checkpoint in Checkpoint.objects.order_by("size")] == [5, 10, 15]


def test_each_checkpoint_is_signed_and_continues_the_one_before(guard: Guard) -> None:
    heads: list[notes.CheckpointText] = []
    for size in (1, 2, 7, 300, 301):
        for _ in range(size - (heads[-1].size if heads else 0)):
            touch()
        integrate(guard)
        note = Checkpoint.objects.get(size=size).note
        heads.append(notes.verify_checkpoint(note, keys.origin(KEY.public_key()), KEY.public_key()))
    for old, new in pairwise(heads):
        verify_consistency(old.size, new.size, consistency(old.size, new.size).hashes, old.root, new.root)
    assert fsck(key=KEY.public_key(), guard=guard).problems == []


def test_full_tiles_are_kept() -> None:
    log_of(520)
    assert list(Node.objects.values_list("level", "index").order_by("level", "index")) == [(8, 0), (8, 1)]
    leaves = [bytes(digest) for digest in Entry.objects.order_by("index").values_list("leaf_hash", flat=True)]
    assert bytes(Node.objects.get(level=8, index=1).children) == b"".join(leaves[256:512])
    assert Frontier.load(520, stored).root() == bytes(Checkpoint.objects.get(size=520).root)


def test_a_batch_has_a_limit_and_the_rest_follows(guard: Guard) -> None:
    for _ in range(7):
        touch()
    worker = sequencer.Sequencer(KEY, guard, batch=3)
    assert [worker.run_once() for _ in range(4)] == [3, 3, 1, 0]
    assert fsck(key=KEY.public_key(), guard=guard).sound


def test_taking_joins_nothing_whatever_the_planner_believes_of_the_inbox() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE audit_inbox")
        touch()
        cursor.execute("EXPLAIN " + sequencer.TAKE, [2000])
        plan = "\n".join(str(line) for (line,) in cursor.fetchall())
    assert "Delete on audit_inbox" in plan
    assert not re.search("Nested Loop|Join", plan), plan


def test_a_guard_file_that_lags_behind_a_crash_is_accepted(guard: Guard) -> None:
    touch()
    integrate(guard)
    lagging = guard.path.read_text()
    touch()
    integrate(guard)
    guard.path.write_text(lagging)
    touch()
    assert integrate(Guard(guard.path)) == 1
    assert json.loads(guard.path.read_text())["size"] == 3


def test_a_log_that_was_rolled_back_is_not_signed(guard: Guard) -> None:
    log_of(3)
    guard.write(Head(5, b"\x01" * 32))
    touch()
    with pytest.raises(Refused, match=r"3 entries, but 5 were signed before .*rolled back"):
        integrate(Guard(guard.path))
    assert Entry.objects.count() == 3
    assert Inbox.objects.count() == 1


def test_another_history_of_the_same_length_is_not_signed(guard: Guard) -> None:
    log_of(3)
    guard.write(Head(3, b"\x01" * 32))
    touch()
    with pytest.raises(Refused, match="was rewritten"):
        integrate(Guard(guard.path))
    assert Checkpoint.objects.count() == 1


def test_a_missing_guard_file_stops_a_log_but_not_a_new_one(tmp_path: Path) -> None:
    new = Guard(tmp_path / "new.json")
    touch()
    assert integrate(new) == 1
    touch()
    with pytest.raises(Refused, match="no guard file"):
        integrate(Guard(tmp_path / "gone.json"))
    assert integrate(Guard(tmp_path / "gone.json", adopt=True)) == 1


def test_a_damaged_guard_file_stops_the_sequencer(guard: Guard) -> None:
    guard.path.write_text('{"size": 1')
    touch()
    with pytest.raises(Refused, match="damaged"):
        integrate(guard)


@pytest.mark.parametrize("table", ["audit_entry", "audit_checkpoint"])
def test_a_stored_log_that_contradicts_itself_is_not_continued(guard: Guard, table: str) -> None:
    touch()
    integrate(guard)
    touch()
    integrate(guard)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(f"DELETE FROM {table} WHERE {'index = 1' if table == 'audit_entry' else 'size = 2'}")
    touch()
    with pytest.raises(Refused, match="last checkpoint is of"):
        integrate(Guard(guard.path))


@pytest.mark.django_db(transaction=True)
def test_a_second_sequencer_is_turned_away(guard: Guard, signed_in_as: Connect) -> None:
    touch()
    other = signed_in_as(roles.SEQUENCER)
    other.execute("SELECT pg_advisory_lock(%s)", [sequencer.LOCK])
    with pytest.raises(sequencer.Busy):
        integrate(guard)
    assert Inbox.objects.count() == 1
    other.close()
    until(lambda: _try(guard), what="the lock of the closed session to be free")


def _try(guard: Guard) -> int:
    try:
        return integrate(guard)
    except sequencer.Busy:
        return 0


@pytest.fixture
def process_environment(transactional_db: None, tmp_path: Path) -> dict[str, str]:
    """The environment of a sequencer process on this test's database."""
    name = connection.settings_dict["NAME"]
    url = os.environ["DATABASE_SEQUENCER_URL"].rsplit("/", 1)[0] + f"/{name}"
    keys.ensure_keys(tmp_path / "keys")
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.audit.process_settings",
        "SECRET_KEY": "x" * 40,
        "DATABASE_ROLE": "sequencer",
        "DATABASE_SEQUENCER_URL": url,
        "DATA_DIR": str(tmp_path),
        "KEYS_DIR": str(tmp_path / "keys"),
    }


@pytest.fixture
def start(process_environment: dict[str, str]) -> Iterator[Starter]:
    """Start sequencer processes; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start_one(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "django", "sequence", *arguments]
        started.append(
            subprocess.Popen(
                command, env=process_environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
        return started[-1]

    yield start_one
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.django_db(transaction=True)
def test_a_sequencer_process_works_as_its_role_and_stops_when_told(start: Starter) -> None:
    for _ in range(3):
        touch()
    process = start()
    until(lambda: Entry.objects.count() == 3, what="three entries")
    touch()
    until(lambda: Entry.objects.count() == 4, what="the fourth entry")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output


@pytest.mark.django_db(transaction=True)
def test_a_standby_takes_over_when_the_active_one_is_killed(start: Starter, tmp_path: Path) -> None:
    first = start()
    touch()
    until(lambda: Entry.objects.count() == 1, what="the first sequencer")
    second = start()
    assert second.stdout is not None
    assert any("Standing by" in line for line in second.stdout), "the second sequencer did not wait"
    first.kill()
    touch()
    until(lambda: Entry.objects.count() == 2, what="the standby to take over")
    second.terminate()
    assert second.wait(20) == 0
    key = notes_key(tmp_path)
    assert fsck(key=key, guard=Guard(tmp_path / "guard.json")).problems == []


def notes_key(tmp_path: Path) -> Ed25519PublicKey:
    key = load_pem_public_key((tmp_path / "keys" / "ledger.ed25519.pub.pem").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    return key


@pytest.mark.django_db(transaction=True)
def test_a_process_that_must_not_sign_says_why_and_exits_with_3(start: Starter) -> None:
    log_of(2)
    process = start()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    assert "Refusing to sign: the log has 2 entries but there is no guard file" in output
    adopted = start("--adopt", "--once")
    output, _ = adopted.communicate(timeout=60)
    assert adopted.returncode == 0, output


@pytest.mark.django_db(transaction=True)
def test_a_sequencer_does_not_go_on_without_its_followers(start: Starter, process_environment: dict[str, str]) -> None:
    process_environment["TEST_FOLLOWERS"] = "tests.audit.fatal_follower.Fatal"
    touch()
    output, _ = start().communicate(timeout=60)
    assert "the followers ended without being told to" in output
    assert Entry.objects.count() == 1


KILL_POINTS = ("_take", "_placed", "_insert_entries", "_insert_node", "Sequencer._sign", "Guard.write")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", KILL_POINTS)
def test_killed_between_any_two_steps_nothing_is_lost_or_doubled(
    process_environment: dict[str, str], tmp_path: Path, step: str, when: str
) -> None:
    ids = [touch(str(number % 3)) for number in range(260)]
    killed = subprocess.run(
        [sys.executable, "-m", "tests.audit.killed_sequencer", step, when],
        env=process_environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    until(_no_other_sequencer, what="PostgreSQL to notice the death")
    committed = step == "Guard.write"
    assert Entry.objects.count() == (260 if committed else 0)
    assert Inbox.objects.count() == (0 if committed else 260)
    ids.append(touch())
    done = subprocess.run(
        [sys.executable, "-m", "django", "sequence", "--once"],
        env=process_environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if committed and when == "before":
        # The very first guard file was never written, so a person has to say that the log is the right one.
        assert done.returncode == 3
        done = subprocess.run(
            [sys.executable, "-m", "django", "sequence", "--once", "--adopt"],
            env=process_environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(Entry.objects.order_by("index").values_list("entry_id", flat=True)) == ids
    assert fsck(key=notes_key(tmp_path), guard=Guard(tmp_path / "guard.json")).problems == []


def _progress(writers: list[threading.Thread], seen: int) -> bool:
    return Entry.objects.count() > seen or not any(writer.is_alive() for writer in writers)


def _no_other_sequencer() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = %s",
            [roles.SEQUENCER],
        )
        return int(cursor.fetchone()[0]) == 0


@pytest.mark.django_db(transaction=True)
def test_writers_and_a_sequencer_that_is_killed_again_and_again(start: Starter, tmp_path: Path) -> None:
    written: list[str] = []
    lock = threading.Lock()

    def write() -> None:
        try:
            for number in range(40):
                one = touch(str(number % 5))
                with lock:
                    written.append(one)
        finally:
            connection.close()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for _ in range(3):
        process = start("--adopt")
        seen = Entry.objects.count()
        until(partial(_progress, writers, seen), what="progress")
        process.kill()
        process.wait()
    for writer in writers:
        writer.join()
    until(_no_other_sequencer, what="the last session to end")
    last = start("--once", "--adopt")
    output, _ = last.communicate(timeout=60)
    assert last.returncode == 0, output
    logged = list(Entry.objects.order_by("index").values_list("entry_id", flat=True))
    assert sorted(logged) == sorted(written)
    assert fsck(key=notes_key(tmp_path), guard=Guard(tmp_path / "guard.json")).problems == []


@pytest.mark.usefixtures("keys_dir")
def test_once_integrates_and_lets_the_followers_run(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DATA_DIR, settings.FOLLOWERS = tmp_path, []
    call_command("ensure_keys")
    touch()
    call_command("sequence", "--once")
    assert "1 entries integrated" in capsys.readouterr().out
