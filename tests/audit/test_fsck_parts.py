"""A verification in parts: what is new, one partition, several processes; and what is left of dropped partitions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django import Settings

from audit import actions, keys, partitions, sequencer, services
from audit.actors import SYSTEM
from audit.fsck import Report, fsck
from audit.guard import Guard, Head
from audit.models import Checkpoint, Entry
from audit.subjects import Subject
from tests.audit.test_fsck import tamper
from tests.factories.audit import KEY, integrate, narrow_partitions, touch, usual_partitions

PRUNED = actions.register("log.pruned", "{actor} dropped entries of {object} after their export").name


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    """The guard of a log of 700 entries: batches of 100, in partitions of 256."""
    narrow_partitions(256, count=2)
    guard = Guard(tmp_path / "guard.json")
    for batch in range(7):
        for number in range(100):
            touch(str(number % 9), batch=batch)
        integrate(guard)
    return guard


def words(report: Report) -> list[str]:
    return [str(problem) for problem in report.problems]


def signed(size: int) -> Head:
    return Head(size, bytes(Checkpoint.objects.get(size=size).root))


@pytest.mark.django_db
def test_what_came_after_a_verified_size_is_checked_alone(guard: Guard) -> None:
    told: list[tuple[int, int]] = []
    report = fsck(
        key=KEY.public_key(), guard=guard, since=signed(400), progress=lambda done, total: told.append((done, total))
    )
    # From the beginning of the tile on that entry 400 lies in.
    assert (words(report), report.entries, report.checkpoints) == ([], 700 - 256, 5)
    assert (report.first, report.size, report.root) == (400, 700, signed(700).root)
    assert told[-1] == (700 - 256, 700 - 256)


@pytest.mark.django_db
def test_a_change_before_the_verified_size_is_for_the_full_look_but_one_of_the_tree_is_not(guard: Guard) -> None:
    since = signed(600)
    tamper("UPDATE audit_entry SET canon = replace(canon, 'robot', 'human') WHERE index = 17")
    assert words(fsck(key=KEY.public_key(), guard=guard, since=since)) == []
    assert any(one.startswith("entry 17: changed since") for one in words(fsck(key=KEY.public_key(), guard=guard)))
    assert words(fsck(key=KEY.public_key(), guard=guard, since=Head(600, b"\x00" * 32))) == [
        "entries 0 to 599: not those that were verified before"
    ]
    assert words(fsck(key=KEY.public_key(), guard=guard, since=Head(701, b"\x00" * 32))) == [
        "entries 0 to 700: verified before, but the log now ends at 700"
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "where", "what"),
    [
        ("UPDATE audit_entry SET canon = replace(canon, 'robot', 'human') WHERE index = 650", "checkpoint 700", "signed root"),
        ("DELETE FROM audit_entry WHERE index = 650", "entry 650", "missing: the next stored index is 651"),
        ("DELETE FROM audit_entry WHERE index BETWEEN 520 AND 650", "entry 520", "missing: the next stored index is 651"),
        ("UPDATE audit_entry SET stream_n = 3 WHERE index = 650", "entry 650", "is number 3 after"),
        ("DELETE FROM audit_node WHERE index = 1", "entries 0 to 599", "cannot be compared"),
        ("DELETE FROM audit_checkpoint WHERE size = 700", "entry 600", "no checkpoint covers"),
    ],
)  # fmt: skip
def test_the_look_at_what_is_new_finds_what_a_full_one_finds_there(
    guard: Guard, statement: str, where: str, what: str
) -> None:
    since = signed(600)
    tamper(statement)
    for report in (fsck(key=KEY.public_key(), guard=guard, since=since), fsck(key=KEY.public_key(), guard=guard)):
        if statement.startswith("DELETE FROM audit_node") and report.first == 0:
            where, what = "tree node 8/1", "missing"
        assert any(one.where == where and what in one.what for one in report.problems), words(report)


@pytest.mark.django_db
def test_the_same_id_once_more_is_found_among_what_is_new(guard: Guard) -> None:
    since = signed(700)
    canon = Entry.objects.get(index=5).canon
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon])
    integrate(guard)
    assert words(fsck(key=KEY.public_key(), guard=guard, since=since)) == ["entry 700: has the id of entry 5"]


@pytest.mark.django_db
def test_one_partition_is_checked_alone(guard: Guard) -> None:
    tamper("UPDATE audit_entry SET canon = replace(canon, 'robot', 'human') WHERE index IN (17, 300)")
    for partition, index in zip(partitions.listed(), (17, 300), strict=False):
        report = fsck(key=KEY.public_key(), guard=guard, only=(partition.low, partition.high))
        changed = [one.where for one in report.problems if "changed since" in one.what]
        assert (changed, report.entries) == ([f"entry {index}"], 256)
    last = partitions.listed()[2]
    report = fsck(key=KEY.public_key(), guard=guard, only=(last.low, last.high))
    assert (words(report), report.entries) == ([], 700 - 512)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("canon", "replace(canon, 'v1', 'w1')"),
        ("canon", "overlay(canon placing '0' from position('\"salt\"' in canon) + 8)"),
        ("stream_n", "stream_n # 1024"),
        ("stream_previous", "stream_previous # 1"),
    ],
)
def test_one_changed_bit_of_a_written_column_is_found(guard: Guard, column: str, change: str) -> None:
    tamper(f"UPDATE audit_entry SET {column} = {change} WHERE index = 300")
    found = {one.where for one in fsck(key=KEY.public_key(), guard=guard).problems}
    changed = Entry.objects.filter(index=300).exclude(leaf_hash=b"").exists()
    assert changed
    if "v1" not in change:
        assert "entry 300" in found


GENERATED = (
    "leaf_hash", "at", "entry_id", "action", "actor_id", "actor_name", "actor_kind", "object_type", "object_id",
    "object_version", "object_digest", "request_id",
)  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("column", GENERATED)
def test_one_changed_bit_of_a_computed_column_is_found(guard: Guard, column: str) -> None:
    """Whoever can rewrite the heap, or change what a column is computed from, changes what pages are searched by."""
    flip = {
        "leaf_hash": "set_bit(leaf_hash, 9, 1 - get_bit(leaf_hash, 9))",
        "at": "at + interval '1 microsecond'",
    }.get(column, f"coalesce(nullif(overlay({column} placing '~' from 1), ''), '~')")
    with connection.cursor() as cursor:
        for table in ("audit_entry", "audit_entry_from_0", "audit_entry_from_256"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(f"ALTER TABLE audit_entry ALTER COLUMN {column} DROP EXPRESSION")
        cursor.execute(f"UPDATE audit_entry SET {column} = {flip} WHERE index = 300")
        assert cursor.rowcount == 1
    said = [one.what for one in fsck(key=KEY.public_key(), guard=guard).problems if one.where == "entry 300"]
    assert any(f"column {column} says" in one or "leaf_hash is not" in one for one in said), said


@pytest.mark.django_db
def test_what_a_dropped_partition_left_is_checked_and_its_drop_must_be_logged(guard: Guard) -> None:
    kept = partitions.drop(partitions.listed()[0])
    assert words(fsck(key=KEY.public_key(), guard=guard)) == [
        "entries 0 to 255: gone, and no entry says that they were dropped"
    ]
    with transaction.atomic():
        services.append(
            action=PRUNED, subject=Subject("audit.log", "log"), by=SYSTEM,
            facts={"first_kept": kept, "heads": partitions.heads_digest()},
        )  # fmt: skip
    integrate(guard)
    report = fsck(key=KEY.public_key(), guard=guard)
    assert (words(report), report.entries, report.checkpoints) == ([], 701 - 256, 8)
    tamper("UPDATE audit_node SET children = set_byte(children, 17 * 32, 0) WHERE index = 0")
    assert "tree node 8/0: is not the root of the entries below it" in words(fsck(key=KEY.public_key(), guard=guard))


@pytest.mark.django_db
def test_the_heads_that_were_kept_of_dropped_streams_cannot_be_changed_unnoticed(guard: Guard) -> None:
    kept = partitions.drop(partitions.listed()[0])
    with transaction.atomic():
        services.append(
            action=PRUNED, subject=Subject("audit.log", "log"), by=SYSTEM,
            facts={"first_kept": kept, "heads": partitions.heads_digest()},
        )  # fmt: skip
    integrate(guard)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_streamhead SET n = n + 1 WHERE object_id = '3'")
    said = words(fsck(key=KEY.public_key(), guard=guard))
    assert any("the kept heads of their streams are not those" in one for one in said)
    assert any(" of test.thing 3, but should be number" in one for one in said)


@pytest.fixture
def _partitions_of_its_own(transactional_db: None) -> Iterator[None]:
    yield
    usual_partitions()


@pytest.mark.usefixtures("_partitions_of_its_own")
def test_two_processes_find_what_one_finds(guard: Guard) -> None:
    assert words(fsck(key=KEY.public_key(), guard=guard, processes=2)) == []
    tamper("UPDATE audit_entry SET canon = replace(canon, 'robot', 'human') WHERE index IN (17, 690)")
    alone, together = (fsck(key=KEY.public_key(), guard=guard, processes=number) for number in (1, 2))
    assert words(alone) == words(together) != []
    assert (alone.entries, together.entries) == (700, 700)


@pytest.mark.django_db
def test_the_command_looks_at_a_part(
    keys_dir: Path, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DATA_DIR = tmp_path
    keys.ensure_keys(keys_dir)
    for batch in (3, 4):
        for number in range(batch):
            touch(str(number))
        sequencer.run_once()
    for options, said in (
        (("--since", "3"), "Sound: 7 entries, 2 checkpoints"),
        (("--incremental",), "Sound: 7 entries, 2 checkpoints"),
        (("--partition", "audit_entry_from_0"), "Sound: 7 entries, 2 checkpoints"),
        (("--partition", "list"), "audit_entry_from_0: entries 0 to"),
    ):
        call_command("audit_verify", *options)
        assert said in capsys.readouterr().out
    for wrong in (("--since", "4"), ("--partition", "audit_node"), ("--processes", "65")):
        with pytest.raises(CommandError) as refusal:
            call_command("audit_verify", *wrong)
        assert refusal.value.returncode == 2
