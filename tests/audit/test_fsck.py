"""Somebody with every right on the database still leaves traces, and the check names where."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from audit import keys, notes
from audit.fsck import Report, fsck
from audit.guard import Guard, Head
from audit.models import Checkpoint, Entry
from audit.sequencer import run_once
from tests.factories.audit import KEY, integrate, touch

pytestmark = pytest.mark.django_db


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    """The guard of a log of 300 entries: a full tile of 256, then one batch of 20, then single entries."""
    guard = Guard(tmp_path / "guard.json")
    for batch in (256, 20, *[1] * 24):
        for number in range(batch):
            touch(str(number % 7))
        integrate(guard)
    return guard


def check(guard: Guard) -> Report:
    return fsck(key=KEY.public_key(), guard=guard)


def complaints(guard: Guard) -> list[str]:
    return [str(problem) for problem in check(guard).problems]


TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND relname ~ '^audit_(entry|node|checkpoint)'"


def tamper(*statements: str) -> None:
    """Do it as a superuser would: triggers off, and on again."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        tables = [table for (table,) in cursor.fetchall()]
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            cursor.execute(statement)
        for table in tables:
            cursor.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", [table])
            for (trigger,) in cursor.fetchall():
                cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")


def test_a_log_nobody_touched_is_sound(guard: Guard) -> None:
    report = check(guard)
    assert (report.problems, report.entries, report.checkpoints) == ([], 300, 26)


FORGE = "UPDATE audit_entry SET canon = replace(canon, 'robot', 'human') WHERE index = "
OVER = "UPDATE audit_checkpoint SET "


@pytest.mark.parametrize(
    ("statement", "where", "what"),
    [
        (f"{FORGE}17", "entry 17", "changed since"),
        ("UPDATE audit_entry SET stream_n = 9, stream_previous = 3 WHERE index = 17", "entry 17", "changed since"),
        (f"{FORGE}280", "checkpoint 281", "entry 280, or"),
        (f"{FORGE}260", "checkpoint 276", "256 to 275"),
        ("DELETE FROM audit_entry WHERE index = 17", "entry 17", "missing: the next stored index is 18"),
        ("DELETE FROM audit_entry WHERE index >= 290", "checkpoint 291", "its tail was cut"),
        ("DELETE FROM audit_entry WHERE index >= 290", "entry 290", "remembers 300 signed entries, the log has 290"),
        ("DELETE FROM audit_checkpoint WHERE size = 300", "entry 299", "no checkpoint covers"),
        (f"{OVER}root = sha256(root) WHERE size = 290", "checkpoint 290", "columns differ"),
        (f"{OVER}note = replace(note, '290', '291') WHERE size = 290", "checkpoint 290", "signature"),
        ("UPDATE audit_node SET hash = sha256(hash)", "tree node 8/0", "is not the root"),
        ("UPDATE audit_node SET children = set_byte(children, 17 * 32, 0)", "entry 17", "changed since"),
        ("DELETE FROM audit_node", "tree node 8/0", "missing"),
        ("INSERT INTO audit_node VALUES (8, 1, '', '')", "tree", "2 nodes are stored, a log of 300 entries has 1"),
    ],
)  # fmt: skip
def test_tampering_is_found_and_named(guard: Guard, statement: str, where: str, what: str) -> None:
    tamper(statement)
    found = [problem for problem in check(guard).problems if problem.where == where]
    assert any(what in problem.what for problem in found), complaints(guard)


def test_a_rewrite_that_swaps_two_entries_is_found(guard: Guard) -> None:
    tamper(
        "UPDATE audit_entry SET index = 1000 WHERE index = 3",
        "UPDATE audit_entry SET index = 3 WHERE index = 4",
        "UPDATE audit_entry SET index = 4 WHERE index = 1000",
    )
    assert {"entry 3", "entry 4"} <= {problem.where for problem in check(guard).problems}


def test_a_new_history_signed_with_the_real_key_is_betrayed_by_the_guard_file(guard: Guard, tmp_path: Path) -> None:
    bodies = list(Entry.objects.order_by("index").values_list("canon", flat=True))
    tamper("TRUNCATE audit_entry", "TRUNCATE audit_node", "TRUNCATE audit_checkpoint")
    with connection.cursor() as cursor:
        for body in bodies:
            cursor.execute(
                "INSERT INTO audit_inbox (canon) VALUES (%s)",
                [body.replace('"id":"service:robot"', '"id":"service:human"')],
            )
    run_once(key=KEY, guard=Guard(tmp_path / "attackers.json"))
    assert complaints(Guard(tmp_path / "attackers.json")) == []
    assert any("not those that" in one and "remembers as signed" in one for one in complaints(guard))


def test_an_older_backup_is_betrayed_by_the_guard_file(guard: Guard) -> None:
    tamper("DELETE FROM audit_entry WHERE index >= 290", "DELETE FROM audit_checkpoint WHERE size > 290")
    assert [problem.where for problem in check(guard).problems] == ["entry 290"]


def test_a_missing_or_damaged_guard_file_is_a_finding(guard: Guard, tmp_path: Path) -> None:
    assert "is missing: a roll-back" in complaints(Guard(tmp_path / "gone.json"))[0]
    guard.path.write_text("{}")
    assert "damaged" in complaints(guard)[0]


def test_the_same_change_logged_twice_is_found(guard: Guard) -> None:
    canon = Entry.objects.get(index=5).canon
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon])
    integrate(guard)
    assert complaints(guard) == ["entry 300: has the id of entry 5"]


def test_a_body_that_is_not_canonical_is_logged_but_found(guard: Guard) -> None:
    canon = Entry.objects.get(index=5).canon.replace('{"action"', '{ "action"')
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon])
    integrate(guard)
    assert "entry 300: canon cannot be read" in complaints(guard)[0]


@pytest.mark.parametrize("how", ["DISABLE TRIGGER USER", "ENABLE TRIGGER USER"])
def test_a_trigger_that_is_not_always_on_is_a_finding(guard: Guard, how: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE audit_entry {how}")
    assert complaints(guard) == [
        "table audit_entry: its trigger against changes is missing or switched off",
        "table audit_entry: its trigger against TRUNCATE is missing or switched off",
        # Since PostgreSQL 15 the partitions follow, but for triggers that are theirs alone.
        "table audit_entry_from_0: its trigger against changes is missing or switched off",
    ]


def test_a_trigger_of_one_partition_is_looked_at_too(guard: Guard) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_checkpoint_from_1 DISABLE TRIGGER append_only_truncate")
    assert complaints(guard) == [
        "table audit_checkpoint_from_1: its trigger against TRUNCATE is missing or switched off"
    ]


def test_a_checkpoint_by_another_key_is_found(guard: Guard) -> None:
    other = Ed25519PrivateKey.generate()
    origin = keys.origin(other.public_key())
    root = bytes(Checkpoint.objects.get(size=300).root)
    note = notes.sign(str(notes.CheckpointText(origin, 300, root)), origin, other)
    tamper(f"{OVER}note = $note${note}$note$ WHERE size = 300")
    assert any("checkpoint 300: signature: not signed by" in one for one in complaints(guard))


def test_the_command_answers_with_words_and_an_exit_code(
    keys_dir: Path, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DATA_DIR = tmp_path
    with pytest.raises(CommandError, match="ensure_keys") as refusal:
        call_command("audit_verify")
    assert refusal.value.returncode == 2
    call_command("ensure_keys")
    touch()
    run_once()
    call_command("audit_verify")
    assert "Sound: 1 entries, 1 checkpoints" in capsys.readouterr().out
    call_command("audit_verify", "--key", str(keys_dir / "ledger.ed25519.pub.pem"))
    Guard(tmp_path / "guard.json").write(Head(2, b"\x00" * 32))
    with pytest.raises(SystemExit) as end:
        call_command("audit_verify")
    assert end.value.code == 1
    assert "BROKEN: 1 problems" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"no key", b"p256"])
def test_a_key_file_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key.pem"
    if content == b"p256":
        keys.ensure_keys(tmp_path)
        path = tmp_path / "permit.p256.pub.pem"
    elif content:
        path.write_bytes(content)
    with pytest.raises(CommandError) as refusal:
        call_command("audit_verify", "--key", str(path))
    assert refusal.value.returncode == 2
