"""``python -m benchmarks.ledger``: drain, time to integrate, proofs, verification and publication, beside their targets."""

import argparse
import os
import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import stack
from benchmarks.processes import cpu_seconds
from benchmarks.report import Report
from benchmarks.stack import Machine

if TYPE_CHECKING:
    from audit.sequencer import Sequencer

CHUNK: Final = 100_000
PROOFS: Final = 500
WRITERS: Final = 8
PER_SECOND: Final = 25
"""Transactions of each writer: two hundred a second in all."""


def main() -> None:
    """Every part, on a log of the given size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="for how long the time to integrate is watched")
    parser.add_argument("--quick", action="store_true", help="20,000 entries and 5 seconds, to see that it runs")
    given = parser.parse_args()
    entries, seconds = (20_000, 5.0) if given.quick else (given.entries, given.seconds)
    report = Report()
    with stack.database() as machine:
        _drain(machine, report, entries)
        with machine.owner() as owner:
            owner.execute("VACUUM (ANALYZE) audit_entry, audit_node, audit_checkpoint, audit_inbox")
        _integrate(machine, report, seconds)
        _prove(report)
        _verify(machine, report)
        _publish(machine, report)
        report.table(peer="")


def _drain(machine: Machine, report: Report, entries: int) -> None:
    from audit import keys
    from audit.guard import Guard
    from audit.sequencer import Sequencer
    from benchmarks.ledger.filling import fill_inbox

    report.heading(f"The sequencer takes {entries:,} entries that wait")
    sequencer = Sequencer(keys.ledger_key(), Guard.default())
    rates = []
    for first in range(0, entries, CHUNK):
        last = min(first + CHUNK, entries)
        fill_inbox(machine, first, last)
        with _spent(machine, report, f"drain to {last:,}", last - first) if last == entries else nullcontext():
            rates.append((last - first) / _timed_drain(sequencer))
        print(f"  {last:,}: {rates[-1]:,.0f}/s", flush=True)
    report.at_least("drain, median of 100,000 at a time", statistics.median(rates), "/s", 5_000)
    report.at_least("drain, the last of them", rates[-1], "/s", 5_000)


@contextmanager
def _spent(machine: Machine, report: Report, title: str, entries: int) -> Iterator[None]:
    """Tell what a part costs in CPU, which a busy machine falsifies less than time."""
    heads = (os.getpid(), machine.postmaster)
    before = cpu_seconds(heads)
    yield
    after = cpu_seconds(heads)
    for name, head in zip(("ours", "PostgreSQL's"), heads, strict=True):
        report.told(f"{title}, CPU of an entry, {name}", (after[head] - before[head]) * 1e6 / entries, "µs")


def _timed_drain(sequencer: "Sequencer") -> float:
    began = time.perf_counter()
    while sequencer.run_once():
        pass
    return time.perf_counter() - began


def _integrate(machine: Machine, report: Report, seconds: float) -> None:
    """From the moment an entry is written, before its commit, to the checkpoint over it."""
    from django.db import connection

    from audit import followers, selectors
    from audit.models import Cursor, Inbox
    from config.waiting import until

    head = selectors.head()
    assert head is not None
    Cursor.objects.bulk_create(Cursor(name=one.name, next_index=head.size) for one in followers.configured())
    report.heading(f"{WRITERS} writers, {WRITERS * PER_SECOND} transactions a second, beside the sequencer's process")
    connection.close()
    with machine.cluster.connect() as server:  # what the filling left to be written to disk is not the writers' doing
        server.execute("CHECKPOINT")
    with stack.sequencer(machine):
        _write(0, time.monotonic() + 2 / PER_SECOND)
        until(lambda: not Inbox.objects.exists(), seconds=60)  # its process has begun
        connection.close()
        began = datetime.now(UTC)
        stop = time.monotonic() + seconds
        writers = [threading.Thread(target=_write, args=(number, stop)) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        until(lambda: not Inbox.objects.exists(), seconds=60)
        connection.close()
    with machine.owner() as owner:
        found = owner.execute(
            """
            SELECT extract(epoch FROM (
                SELECT at FROM audit_checkpoint WHERE size > entry.index ORDER BY size LIMIT 1) - entry.at) * 1000
            FROM audit_entry AS entry WHERE index >= %s AND at >= %s
            """,
            [head.size, began],
        ).fetchall()
    waited = sorted(float(str(row[0])) for row in found)
    print(f"  {len(waited):,} entries, median {statistics.median(waited):.0f} ms", flush=True)
    report.limit("time to integrate, p99", waited[int(len(waited) * 0.99)], "ms", 500)


def _write(number: int, stop: float) -> None:
    from django.db import connection, transaction

    from audit import services
    from audit.actors import Actor
    from audit.subjects import Subject

    by, due = Actor.service("bench"), time.monotonic()
    while (due := due + 1 / PER_SECOND) < stop:
        time.sleep(max(0.0, due - time.monotonic()))
        with transaction.atomic():
            subject = Subject("registry.user", f"bench-{number}")
            services.append(action="user.signed_in", subject=subject, by=by, facts={"files": 3})
    connection.close()


def _prove(report: Report) -> None:
    from audit import proofs, selectors

    head = selectors.head()
    assert head is not None
    report.heading(f"Inclusion proofs in a log of {head.size:,}")
    chosen = random.Random(1).sample(range(head.size), PROOFS)
    times = []
    for index in chosen:
        began = time.perf_counter()
        proofs.inclusion(index, head.size)
        times.append((time.perf_counter() - began) * 1000)
    report.limit("inclusion proof, median", statistics.median(times), "ms", 5)
    report.limit("inclusion proof, p99", sorted(times)[int(PROOFS * 0.99)], "ms", 5)


def _verify(machine: Machine, report: Report) -> None:
    """By one process and by two; and by one with PostgreSQL on a single core, which is what a second core doubles."""
    cores = sorted(os.sched_getaffinity(0))
    report.heading("Every entry verified")
    one = _verified(machine, report, 1)
    report.at_least("full verification, one process", one, "/s", 50_000)
    two = _verified(machine, report, 2)
    report.at_least("full verification, two processes against one", two / one, "×", 1.7)  # noqa: RUF001
    with _on(machine, cores[:1]):
        alone = _verified(machine, report, 1)
    title = "full verification, two processes and two cores against one and one, PostgreSQL's work included"
    report.at_least(title, two / alone, "×", 1.7)  # noqa: RUF001


def _verified(machine: Machine, report: Report, processes: int) -> float:
    """Entries a second."""
    from audit import selectors
    from audit.fsck import fsck

    head = selectors.head()
    assert head is not None
    cores = len(os.sched_getaffinity(0))
    with _spent(machine, report, f"verification by {processes}, cores: {cores}", head.size):
        began = time.perf_counter()
        found = fsck(processes=processes)
        rate = found.entries / (time.perf_counter() - began)
    assert found.sound, found.problems[:3]
    print(f"  {found.entries:,} entries, {found.checkpoints:,} checkpoints, {rate:,.0f}/s", flush=True)
    return rate


@contextmanager
def _on(machine: Machine, cores: list[int]) -> Iterator[None]:
    """Keep our process, and the sessions that it opens meanwhile, on these cores alone."""
    from django.db import connections

    before = os.sched_getaffinity(0)
    connections.close_all()
    for process in (0, machine.postmaster):
        os.sched_setaffinity(process, cores)
    try:
        yield
    finally:
        connections.close_all()
        for process in (0, machine.postmaster):
            os.sched_setaffinity(process, before)


def _publish(machine: Machine, report: Report) -> None:
    from audit import keys
    from audit.guard import Guard
    from audit.sequencer import Sequencer
    from audit.tiles.publish import publish
    from benchmarks.ledger.filling import fill_inbox

    report.heading("The log published as static files")
    out = Path(machine.directory) / "tiles"
    began = time.perf_counter()
    done = publish(out)
    report.told("audit_publish, whole log", time.perf_counter() - began, "s")
    print(f"  {done.files:,} files of {done.size:,} entries", flush=True)
    fill_inbox(machine, 2**31, 2**31 + 1000)
    _timed_drain(Sequencer(keys.ledger_key(), Guard.default()))
    began = time.perf_counter()
    publish(out)
    report.told("audit_publish, a thousand more", time.perf_counter() - began, "s")


if __name__ == "__main__":
    main()
