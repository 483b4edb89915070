"""Taking the oldest entries out of the log, a whole partition at a time, once nothing asks for them any more.

The order is fixed: nothing is held, everything's time is up, others vouch for the log beyond it, the export is there and is
compared, hash for hash, with the tree that stays. Then the partition is dropped and the log says so (``log.pruned``). All
proofs, about what is left and about what is in the export, hold as before: the tree's nodes are not touched.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.db import connection, transaction
from django.db.utils import OperationalError
from django.utils import timezone

from audit import keys, partitions, retention
from audit.actors import Actor
from audit.canonical import canonical
from audit.log_actions import LOG
from audit.merkle import leaf_hash
from audit.models import Checkpoint, Cursor, Entry, Node, Verification
from audit.partitions import Partition
from audit.retention import LegalHold
from audit.services import append
from audit.tree import TILE_WIDTH
from audit.witnessing.selectors import cosigned_size

FORMAT: Final = "countersign-entries/1"
_CHUNK: Final = 2000
_MOST_REASONS: Final = 20


class NotExported(RuntimeError):
    """The export of a partition is missing, or is not what the tree says was in it. The message says where."""


class SequencerRuns(RuntimeError):
    """A sequencer holds the log; it must stand still while entries are taken out of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of one partition: ``against`` it are sentences; none, and it may go once it is exported."""

    partition: Partition
    entries: int
    first: datetime | None
    last: datetime | None
    against: tuple[str, ...]

    @property
    def prunable(self) -> bool:
        """Whether nothing stands against it."""
        return not self.against


@dataclass(frozen=True, slots=True)
class Export:
    """The file of a partition's entries and its SHA-256, as both the list beside it and the log say."""

    file: Path
    sha256: str
    entries: int


def verdicts(*, now: datetime | None = None) -> list[Verdict]:
    """Judge each partition, oldest first. Only the oldest can go, so one that must stay keeps all after it."""
    moment = now or timezone.now()
    known = partitions.listed()
    attested = cosigned_size() or 0
    verified = Verification.objects.filter(state=Verification.State.SOUND).order_by("-size").first()
    found: list[Verdict] = []
    for partition in known:
        against = [] if not found or found[-1].prunable else ["Entries before it stay."]
        first, last, entries = _extent(partition)
        if entries != partition.high - partition.low or partition == known[-1]:
            against.append("It is not full yet.")
            found.append(Verdict(partition, entries, first, last, tuple(against)))
            continue
        if attested < partition.high:
            against.append(f"Witnesses vouch for {attested} entries only.")
        if verified is None or verified.size < partition.high:
            against.append("No verification that found the log whole reaches to its end.")
        against += [
            f"Follower {cursor.name} has read to entry {cursor.next_index} only."
            for cursor in Cursor.objects.filter(next_index__lt=partition.high).order_by("name")
        ]
        against += _kept_by_rules(partition, moment)
        if first is not None and last is not None:
            against += _kept_by_holds(partition, first, last)
        found.append(Verdict(partition, entries, first, last, tuple(against[:_MOST_REASONS])))
    return found


def _extent(partition: Partition) -> tuple[datetime | None, datetime | None, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(at), max(at), count(*) FROM audit_entry WHERE index >= %s AND index < %s",
            [partition.low, partition.high],
        )
        first, last, entries = cursor.fetchone()
    return first, last, int(entries)


def _kept_by_rules(partition: Partition, now: datetime) -> Iterator[str]:
    rules = retention.rules()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT action, object_type, max(at) FROM audit_entry WHERE index >= %s AND index < %s"
            " GROUP BY action, object_type ORDER BY action, object_type",
            [partition.low, partition.high],
        )
        rows = cursor.fetchall()
    for action, kind, newest in rows:
        ends = rules.ends(action, kind, newest)
        if ends is None:
            yield f"{action} of {kind} is kept for ever."
        elif ends > now:
            yield f"{action} of {kind} is kept until {ends:%Y-%m-%d}."


def _kept_by_holds(partition: Partition, first: datetime, last: datetime) -> Iterator[str]:
    holds = retention.standing_holds()
    within = Entry.objects.filter(index__gte=partition.low, index__lt=partition.high)
    for hold in retention.holding(holds, first=first, last=last):
        yield f"Legal hold {hold.pk} is on {hold.about}."
    for hold in holds:
        if hold.of == LegalHold.Of.OBJECT:
            held = within.filter(object_type=hold.object_type, object_id=hold.object_id).exists()
        elif hold.of == LegalHold.Of.PERSON:
            # Wherever the person stands: as actor, as object, in facts, among the commitments.
            held = within.filter(canon__contains=json.dumps(hold.object_id)).exists() or _about_account(within, hold)
        else:
            continue
        if held:
            yield f"Legal hold {hold.pk} is on {hold.about}, of whom there are entries here."


def _about_account(within: Any, hold: LegalHold) -> bool:  # noqa: ANN401 - a query set
    number = hold.object_id.removeprefix("user:")
    return bool(within.filter(object_type="registry.user", object_id=number).exists())


def export(partition: Partition, directory: Path) -> Export:
    """Write the entries of a partition to ``directory``, whole or not at all, and compare what was written.

    One line ``{"index", "leaf"}`` each, as in a bundle; beside it a list with the digest, the tree's hashes over it and the
    signed checkpoint. No name is in it that is not in the log: disclosures stay where they can be erased.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = _file(partition, directory)
    draft, digest = file.with_suffix(".part"), hashlib.sha256()
    rows = Entry.objects.filter(index__gte=partition.low, index__lt=partition.high).order_by("index")
    with draft.open("wb") as out:
        for entry in rows.only("index", "canon", "stream_n", "stream_previous").iterator(_CHUNK):
            line = canonical({"index": entry.index, "leaf": entry.leaf_text}) + b"\n"
            digest.update(line)
            out.write(line)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
    checkpoint = Checkpoint.objects.filter(size__gte=partition.high).order_by("size").first()
    if checkpoint is None:
        raise NotExported(f"{partition.name}: no checkpoint covers it")
    about = {
        "format": FORMAT,
        "origin": keys.origin(keys.ledger_public_key()),
        "low": partition.low,
        "high": partition.high,
        "sha256": digest.hexdigest(),
        "tiles": [tile.hex() for tile in _tiles(partition)],
        "checkpoint": checkpoint.note,
    }
    _list(file).write_bytes(canonical(about) + b"\n")
    return check(partition, directory)


def check(partition: Partition, directory: Path) -> Export:
    """Read the export again: it has the digest it says, and gives every hash that the tree keeps. Raises ``NotExported``."""
    file = _file(partition, directory)
    try:
        about = json.loads(_list(file).read_bytes())
        stated, low, high = str(about["sha256"]), int(about["low"]), int(about["high"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotExported(f"{_list(file)} cannot be read: {error}") from error
    if (low, high) != (partition.low, partition.high):
        raise NotExported(f"{_list(file)} is about other entries")
    kept, digest, index, hashes = _tiles(partition), hashlib.sha256(), partition.low, b""
    try:
        with file.open("rb") as lines:
            for line in lines:
                digest.update(line)
                row = json.loads(line)
                if row["index"] != index:
                    raise NotExported(f"{file}: entry {index} is missing or out of place")
                hashes += leaf_hash(row["leaf"].encode())
                index += 1
                if index % TILE_WIDTH == 0:
                    tile = (index - 1 - partition.low) // TILE_WIDTH
                    if tile >= len(kept) or kept[tile] != hashes:
                        raise NotExported(f"{file}: entries up to {index - 1} are not those that the tree holds")
                    hashes = b""
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotExported(f"{file} cannot be read: {error}") from error
    if index != partition.high:
        raise NotExported(f"{file} ends before entry {index}; the partition goes to {partition.high - 1}")
    if digest.hexdigest() != stated:
        raise NotExported(f"{file} has another digest than {_list(file)} says")
    return Export(file, stated, index - partition.low)


def prune(verdict: Verdict, directory: Path, *, by: Actor, reason: str) -> Export:
    """Drop a partition, for good, right after its export was read again; log it. For the owner of the tables.

    Everything is judged once more, in the transaction of the drop. Raises ``NotExported``, ``SequencerRuns``,
    ``audit.partitions.NotDroppable``, and ``ValueError`` if something stands against it by now.
    """
    partition = verdict.partition
    found = check(partition, directory)
    with transaction.atomic():
        stand_still()
        again = verdicts()[0]
        if again.partition != partition or not again.prunable:
            raise ValueError(f"{partition.name} has to stay: {' '.join(again.against)}")
        kept = partitions.drop(partition)
        append(
            action="log.pruned",
            subject=replace(LOG, version=f"{partition.low} to {partition.high - 1}"),
            by=by,
            reason=reason,
            facts={
                "first_kept": kept,
                "heads": partitions.heads_digest(),
                "low": partition.low,
                "high": partition.high,
                "export": found.file.name,
                "export_sha256": found.sha256,
                "cosigned": cosigned_size() or 0,
            },
        )
    return found


def stand_still() -> None:
    """Keep every sequencer out until this transaction ends. Raises ``SequencerRuns`` if one is at work."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [partitions.LOCK])
    except OperationalError as error:
        if "lock timeout" not in str(error):
            raise
        raise SequencerRuns("a sequencer is at work: stop it, prune, and start it again") from error


def _tiles(partition: Partition) -> list[bytes]:
    """The leaf hashes of the partition as the tree keeps them, 256 in each."""
    first, end = partition.low // TILE_WIDTH, partition.high // TILE_WIDTH
    rows = Node.objects.filter(level=8, index__gte=first, index__lt=end).order_by("index")
    return [bytes(children) for children in rows.values_list("children", flat=True)]


def _file(partition: Partition, directory: Path) -> Path:
    return directory / f"entries-{partition.low}-{partition.high - 1}.jsonl"


def _list(file: Path) -> Path:
    return file.with_suffix(".json")
