"""``python -m benchmarks.bundles``: a period of the whole log, its verification, and a typical request, beside their targets."""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import stack
from benchmarks.report import Report
from benchmarks.stack import Machine

CHUNK: Final = 100_000
REQUESTS: Final = 5
FLAT: Final = 1.25
"""How much more memory ten times as many entries may take: none, but for what an allocator keeps."""


def main() -> None:
    """Every part, on a log of the given size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="40,000 entries, to see that it runs")
    given = parser.parse_args()
    entries = 40_000 if given.quick else given.entries
    report = Report()
    with stack.database() as machine, tempfile.TemporaryDirectory() as scratch:
        _fill(machine, entries)
        _request(report, entries)
        with machine.owner() as owner:
            owner.execute("VACUUM (ANALYZE) audit_entry, audit_node, audit_checkpoint")
        _period(report, Path(scratch), entries)
        report.table(peer="")


def _fill(machine: Machine, entries: int) -> None:
    from audit import keys
    from audit.guard import Guard
    from audit.sequencer import Sequencer
    from benchmarks.ledger.filling import fill_inbox

    sequencer = Sequencer(keys.ledger_key(), Guard.default())
    for first in range(0, entries, CHUNK):
        fill_inbox(machine, first, min(first + CHUNK, entries))
        while sequencer.run_once():
            pass


def _request(report: Report, entries: int) -> None:
    """A request with its checks, two signatures and a permit, somewhere in the long log, as its page gives it out."""
    from governance.services import evidence
    from registry.roles import Role
    from tests.factories import governance as make

    report.heading(f"The bundle of a typical request, in a log of {entries:,}")
    make.policy()
    scientist = make.person("scientist", Role.CONTRIBUTOR)
    officers = [make.person("officer", Role.APPROVER), make.person("officer", Role.APPROVER)]
    version = make.sealed_version(make.registered_model(scientist), scientist)
    approved = make.approve(make.finish_all(make.request(version, scientist)), officers)
    make.integrate()
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        evidence.export_bundle(request=approved, by=make.actor(scientist), out=io.BytesIO())
        times.append(time.perf_counter() - began)
    report.limit("bundle of a request, the slowest of five", max(times), "s", 3.0)


def _period(report: Report, scratch: Path, entries: int) -> None:
    """The whole log as one bundle, and a tenth of it, each in a process of its own."""
    report.heading(f"A period of {entries:,} entries")
    raw = statistics.median(_copy(entries) for _ in range(3))
    small, large = scratch / "small.zip", scratch / "large.zip"
    few = _alone("export", small, entries // 10)
    many = _alone("export", large, entries)
    print(
        f"  raw COPY {entries / raw:,.0f}/s; export {entries / many['seconds']:,.0f}/s, {large.stat().st_size:,} bytes"
    )
    report.at_least("export, of the rate of a raw COPY", raw / many["seconds"], "", 0.5)
    report.flat("export: memory for ten times as many entries", [few["peak"] / 1024, many["peak"] / 1024], "MiB", FLAT)
    checked_few, checked = _alone("verify", small, 0), _alone("verify", large, 0)
    report.told("verify.py, of the whole log", entries / checked["seconds"], "entries/s")
    memory = [checked_few["peak"] / 1024, checked["peak"] / 1024]
    report.flat("verify.py: memory for ten times as many entries", memory, "MiB", FLAT)


def _copy(entries: int) -> float:
    """Seconds for PostgreSQL to send the same rows to a client that throws them away."""
    from django.db import connection

    columns = "index, canon, stream_n, stream_previous, leaf_hash"
    statement = f"COPY (SELECT {columns} FROM audit_entry WHERE index < {entries:d} ORDER BY index) TO STDOUT"  # noqa: S608
    began = time.perf_counter()
    with connection.cursor() as cursor, cursor.copy(statement) as rows:
        for _ in rows:
            pass
    return time.perf_counter() - began


def _alone(what: str, file: Path, entries: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bundles.alone", what, str(file), str(entries)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    main()
