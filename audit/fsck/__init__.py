"""Re-derive the ledger from the texts of its entries and compare it with all that is stored, signed and remembered.

Believes nothing but those texts, the public key and the guard file. In one snapshot, so it may run while the log grows;
in stretches (``segments``), so that several processes share the work and none needs memory for more than a stretch.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Final

import django
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connection, transaction

from audit import keys, notes, partitions, tree
from audit.fsck import relations, segments
from audit.fsck.processes import Job, Snapshot, enter, run
from audit.fsck.report import Problem, Report
from audit.fsck.segments import Expected, Stretch
from audit.guard import Guard, Head
from audit.merkle import Frontier
from audit.models import Checkpoint
from audit.tree import TILE_WIDTH

__all__ = ["Problem", "Report", "fsck"]

Progress = Callable[[int, int], None]
_MOST_PROCESSES: Final = 64


def fsck(
    *,
    key: Ed25519PublicKey | None = None,
    guard: Guard | None = None,
    since: Head | None = None,
    only: tuple[int, int] | None = None,
    processes: int = 1,
    progress: Progress = lambda _done, _all: None,
) -> Report:
    """Check the log and return what was found.

    Everything; or with ``since``, a size and root that an earlier look found whole, what came after and that the log still
    begins so; or ``only`` the entries from one index to another (a partition). ``progress`` is told how many entries are
    done, of how many. Several ``processes`` need a database that they can sign in to, and no open transaction.
    """
    report, guard = Report(), guard or Guard.default()
    # Before the snapshot: the file is written after the commit, so it may lag behind the database but never lead.
    remembered = relations.remembered(report, guard)
    public = key or keys.ledger_public_key()
    with _snapshot() as snapshot:
        relations.protection(report)
        kept, size = partitions.first_kept(), _entries()
        low, high = (only[0], min(only[1], size)) if only else (since.size if since else 0, size)
        low = min(low, high)
        if since:
            _still_begins(report, since, size)
        report.first, report.size = low, high
        report.root = _signed_root(high)
        expected = Expected(public, remembered, str(guard.path))
        stretches = [Stretch(begin, end, kept) for begin, end in _cut(low - low % TILE_WIDTH, high)]
        # What PostgreSQL does goes first, because it takes longest without a word; it is told last.
        asked = _asked(low, high, whole=not since and not only)
        found = list(
            _work([*asked, *stretches], expected, progress, snapshot=snapshot if processes > 1 else "",
                  processes=min(processes, _MOST_PROCESSES))
        )  # fmt: skip
        report.join([*found[len(asked) :], *found[: len(asked)]])
        if not only:
            _upper_nodes(report, size)
        relations.dropped(report, kept)
        if not only or only[1] >= size:
            relations.ends(report, size, remembered, guard)
    return report


@contextmanager
def _snapshot() -> Iterator[str]:
    """Read from one snapshot, for as long as it takes; its name lets other processes read the same."""
    with transaction.atomic():
        name = ""
        if not connection.savepoint_ids:
            enter()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_export_snapshot()")
                name = str(cursor.fetchone()[0])
        yield name


def _entries() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(index) + 1, 0) FROM audit_entry")
        return max(int(cursor.fetchone()[0]), partitions.first_kept())


def _signed_root(size: int) -> bytes:
    return bytes(Checkpoint.objects.filter(size=size).values_list("root", flat=True).first() or b"")


def _still_begins(report: Report, since: Head, size: int) -> None:
    where = f"entries 0 to {since.size - 1}"
    if since.size > size:
        report.add(where, f"verified before, but the log now ends at {size}")
        return
    try:
        root = Frontier.load(since.size, tree.stored).root()
    except tree.TreeDamaged as damage:
        report.add(where, f"cannot be compared with those verified before: {damage}")
        return
    if root != since.root:
        report.add(where, "not those that were verified before")


def _cut(low: int, high: int) -> Iterator[tuple[int, int]]:
    while low < high:
        end = min((low // segments.WIDTH + 1) * segments.WIDTH, high)
        yield low, end
        low = end


def _asked(low: int, high: int, *, whole: bool) -> list[Job]:
    return [
        functools.partial(relations.streams, low=low, high=high),
        functools.partial(relations.doubles, low=low, high=high, whole=whole),
    ]


def _work(
    jobs: Sequence[Job | Stretch], expected: Expected, progress: Progress, *, snapshot: str, processes: int
) -> Iterator[Report]:
    """Do the jobs, here or, of a snapshot with a name, in processes of their own; yield what each found, in their order."""
    total, done = sum(job.high - job.low for job in jobs if isinstance(job, Stretch)), 0

    def advance(entries: int) -> None:
        nonlocal done
        done += entries
        progress(min(done, total), total)

    if not snapshot:
        for job in jobs:
            yield _here(job, expected, advance)
        return
    database = Snapshot(snapshot, connection.settings_dict["NAME"])
    raw = notes.raw_key(expected.key)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=django.setup) as pool:
        futures = [pool.submit(run, job, raw, expected.remembered, expected.guard, database) for job in jobs]
        for job, future in zip(jobs, futures, strict=True):
            yield future.result()
            if isinstance(job, Stretch):
                advance(job.high - job.low)


def _here(job: Job | Stretch, expected: Expected, advance: Callable[[int], None]) -> Report:
    if isinstance(job, Stretch):
        return segments.check(job, expected, advance)
    report = Report()
    job(report)
    return report


def _upper_nodes(report: Report, size: int) -> None:
    """The nodes above level 16, each from the 256 below it as they are stored and were compared."""
    level = 24
    while size >> level:
        for index in range(size >> level):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT hash FROM audit_node WHERE level = %s AND index >= %s AND index < %s ORDER BY index",
                    [level - 8, index * TILE_WIDTH, (index + 1) * TILE_WIDTH],
                )
                below = [bytes(digest) for (digest,) in cursor.fetchall()]
            if len(below) == TILE_WIDTH:
                segments.compare_node(report, level, index, below)
        level += 8
