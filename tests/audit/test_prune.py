"""Entries whose time is up go, a partition at a time, after their export; every proof holds, and the log says so."""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from audit import keeping, keys, partitions, proofs, pruning
from audit.actors import SYSTEM, Actor
from audit.fsck import fsck
from audit.guard import Guard
from audit.merkle import leaf_hash, verify_consistency, verify_inclusion
from audit.models import Checkpoint, Cursor, Entry, Verification
from audit.retention import DEFAULT_DAYS
from config.runtime import roles
from tests.audit.conftest import Connect
from tests.factories.audit import integrate, narrow_partitions, touch

pytestmark = pytest.mark.django_db
LATER = timedelta(days=DEFAULT_DAYS + 1)
ADA = Actor(id="user:7", name="ada", kind="user")


@pytest.fixture
def guard(keys_dir: Path, tmp_path: Path) -> Guard:
    """The guard of a log of 600 entries in partitions of 256, signed with this installation's key and found whole."""
    keys.ensure_keys(keys_dir)
    narrow_partitions(256, count=2)
    guard = Guard(tmp_path / "guard.json")
    for number in range(600):
        touch(str(number % 9), number=number, by=ADA if number == 300 else SYSTEM)
    integrate(guard, keys.ledger_key())
    found_whole(600)
    return guard


def found_whole(size: int) -> None:
    now = timezone.now()
    Verification.objects.create(
        kind="full", state="sound", asked_by="system", asked_at=now, finished_at=now, size=size, root="00"
    )


@pytest.fixture
def _ten_years_later(guard: Guard) -> Iterator[None]:
    with time_machine.travel(timezone.now() + LATER, tick=True):
        yield


def against(place: int) -> str:
    return " ".join(pruning.verdicts()[place].against)


def prune(directory: Path, place: int = 0) -> pruning.Export:
    verdict = pruning.verdicts()[place]
    pruning.export(verdict.partition, directory)
    return pruning.prune(verdict, directory, by=SYSTEM, reason="Its time is up.")


@pytest.mark.usefixtures("guard")
def test_nothing_goes_before_its_time() -> None:
    assert "test.touched of test.thing is kept until" in against(0)
    assert "Entries before it stay." in against(1)
    assert "It is not full yet." in against(2)


@pytest.mark.usefixtures("_ten_years_later")
def test_what_nothing_asks_for_can_go() -> None:
    assert [verdict.prunable for verdict in pruning.verdicts()] == [True, True, False]


@pytest.mark.usefixtures("_ten_years_later")
def test_after_it_every_proof_holds_and_a_verification_says_what_is_gone(guard: Guard, tmp_path: Path) -> None:
    head = Checkpoint.objects.get(size=600)
    leaf, gone = Entry.objects.get(index=400).leaf_text.encode(), Entry.objects.get(index=17).leaf_text.encode()
    done = prune(tmp_path / "kept")
    assert (done.entries, Entry.objects.order_by("index")[0].index) == (256, 256)
    touch("after")
    integrate(guard, keys.ledger_key())

    entry = Entry.objects.get(action="log.pruned")
    assert entry.facts["export_sha256"] == done.sha256
    assert entry.facts["first_kept"] == 256
    size = Checkpoint.objects.order_by("-size")[0].size
    proof = proofs.consistency(600, size)
    verify_consistency(600, size, proof.hashes, bytes(head.root), proof.new_root)
    for index, text in ((400, leaf), (17, gone)):
        included = proofs.inclusion(index, size)
        verify_inclusion(leaf_hash(text), index, size, included.hashes, included.root)
    lines = done.file.read_text().splitlines()
    assert json.loads(lines[17]) == {"index": 17, "leaf": gone.decode()}
    report = fsck(key=keys.ledger_public_key(), guard=guard)
    assert [str(problem) for problem in report.problems] == []
    assert report.entries == size - 256
    last = Entry.objects.filter(object_id="0", object_type="test.thing").order_by("index").first()
    assert last is not None
    assert last.stream_n > 1
    found_whole(size)
    prune(tmp_path / "kept")
    assert partitions.first_kept() == 512


@pytest.mark.usefixtures("_ten_years_later")
def test_a_hold_keeps_its_partition_until_it_is_released() -> None:
    now = timezone.now()
    for fields, place in (
        ({"of": "object", "object_type": "test.thing", "object_id": "3"}, 0),
        ({"of": "person", "object_id": "user:7"}, 1),
        ({"of": "period", "since": now - LATER - timedelta(hours=1), "until": now - LATER + timedelta(hours=1)}, 0),
    ):
        hold = keeping.set_hold(reason="Case", by=SYSTEM, **fields)
        assert f"Legal hold {hold.pk} is on" in against(place), fields
        keeping.release_hold(hold_id=hold.pk, reason="Settled", by=SYSTEM)
        assert against(place) == ""
    elsewhere = keeping.set_hold(of="person", object_id="user:8", reason="Case", by=SYSTEM)
    assert against(0) == "", elsewhere


@pytest.mark.usefixtures("_ten_years_later")
def test_a_longer_rule_a_follower_behind_and_no_verification_keep_it() -> None:
    keeping.set_rule(of="action", prefix="test.", days=0, basis="House rule", by=SYSTEM)
    assert "kept for ever" in against(0)
    keeping.set_rule(of="action", prefix="test.", days=1, basis="House rule", by=SYSTEM)
    assert against(0) == ""
    Cursor.objects.create(name="slow", next_index=255)
    assert "Follower slow has read to entry 255 only." in against(0)
    Cursor.objects.all().delete()
    Verification.objects.all().delete()
    found_whole(255)
    assert "No verification" in against(0)


@pytest.mark.usefixtures("_ten_years_later")
def test_an_export_that_is_not_what_the_tree_holds_drops_nothing(tmp_path: Path) -> None:
    verdict = pruning.verdicts()[0]
    whole = pruning.export(verdict.partition, tmp_path)
    good, about = whole.file.read_bytes(), whole.file.with_suffix(".json")
    lines = good.splitlines(keepends=True)
    for damage, complaint in (
        (
            good.replace(b'\\"number\\":17,', b'\\"number\\":18,').replace(b'\\"number\\":17}', b'\\"number\\":18}'),
            "tree",
        ),
        (b"".join(lines[:-1]), "ends before entry 255"),
        (b"".join(lines[1:]), "entry 0 is missing"),
        (b"".join([*lines, lines[0]]), "entry 256 is missing"),
        (good + b" ", "cannot be read"),
        (b"{}\n", "cannot be read"),
    ):
        assert damage != good
        whole.file.write_bytes(damage)
        with pytest.raises(pruning.NotExported, match=complaint):
            pruning.prune(verdict, tmp_path, by=SYSTEM, reason="r")
    whole.file.write_bytes(good)
    about.write_text(about.read_text().replace(whole.sha256, "0" * 64))
    with pytest.raises(pruning.NotExported, match="another digest"):
        pruning.check(verdict.partition, tmp_path)
    about.unlink()
    with pytest.raises(pruning.NotExported, match="cannot be read"):
        pruning.check(verdict.partition, tmp_path)
    assert Entry.objects.count() == 600


@pytest.mark.usefixtures("_ten_years_later")
def test_what_was_put_on_hold_meanwhile_stays(tmp_path: Path) -> None:
    verdict = pruning.verdicts()[0]
    pruning.export(verdict.partition, tmp_path)
    keeping.set_hold(of="object", object_type="test.thing", object_id="3", reason="Case", by=SYSTEM)
    with pytest.raises(ValueError, match="has to stay: Legal hold"):
        pruning.prune(verdict, tmp_path, by=SYSTEM, reason="r")
    assert Entry.objects.count() == 600


@pytest.mark.usefixtures("_ten_years_later")
def test_the_command_is_a_look_unless_told_otherwise(tmp_path: Path) -> None:
    out = io.StringIO()
    call_command("audit_prune", stdout=out)
    assert "audit_entry_from_0 (entries 0 to 255) can go" in out.getvalue()
    assert "Nothing was taken out" in out.getvalue()
    with pytest.raises(CommandError, match="needs --export"):
        call_command("audit_prune", apply=True, stdout=out)
    with pytest.raises(CommandError, match="no active account"):
        call_command("audit_prune", by="nobody", stdout=out)
    assert Entry.objects.count() == 600
    call_command("audit_prune", export=tmp_path / "kept", apply=True, reason="Ten years are over", stdout=out)
    assert (Entry.objects.count(), partitions.first_kept()) == (600 - 512, 512)
    assert len(list((tmp_path / "kept").glob("*.jsonl"))) == 2


@pytest.mark.django_db(transaction=True)
def test_while_a_sequencer_runs_nothing_goes(signed_in_as: Connect) -> None:
    session = signed_in_as(roles.SEQUENCER)
    session.execute("SELECT pg_advisory_lock(%s)", [partitions.LOCK])
    with pytest.raises(pruning.SequencerRuns), transaction.atomic():
        pruning.stand_still()
    session.execute("SELECT pg_advisory_unlock(%s)", [partitions.LOCK])
    with transaction.atomic():
        pruning.stand_still()


def test_the_settings_of_tests_ask_for_no_witness(settings: Settings) -> None:
    """So that what these tests show does not rest on one."""
    assert not Path(settings.WITNESS_POLICY).exists()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
