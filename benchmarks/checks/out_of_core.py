"""``python -m benchmarks.checks.out_of_core [--rows 100000000]``: figures of far more rows than the memory could hold.

A sealed Parquet file with a label, two sensitive columns of words and a column that nobody asks for, and a file of predictions
with full-precision scores, as a scoring job leaves it. Each check runs as in a worker: the columns that it reads are decoded
once by row groups into uncompressed Arrow on disk and mapped; batches of rows are counted, and the counts merged. Each runs in
a process of its own, which the system holds to ``--mebibytes`` of private memory (RLIMIT_DATA) beyond what it had before; pages
of mapped files are no part of that: the system takes them back when it wants. All files are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.report import Report

ROWS: Final = 100_000_000
CHECKS: Final = ("performance.binary", "fairness.groups")
AT_ONCE: Final = 1_000_000
BYTES_A_ROW: Final = 60
"""Of disk, about: Parquet, twice while it is stored, and the copies of the columns."""


def main() -> int:
    """Make the rows, run each check, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--mebibytes", type=int, default=1024, help="private memory beyond that of an idle worker")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where the files are made")
    parser.add_argument("--check", action="append", help="only this check; may be given several times")
    parser.add_argument(
        "--child", nargs=4, metavar=("CHECK", "MEBIBYTES", "DATA", "PREDICTIONS"), help=argparse.SUPPRESS
    )
    given = parser.parse_args()
    if given.child:
        use, mebibytes, data, predictions = given.child
        print(json.dumps(_checked(use, int(mebibytes), data, predictions)))
        return 0
    free = shutil.disk_usage(given.directory).free
    if free < given.rows * BYTES_A_ROW:
        sys.exit(
            f"{given.rows:,} rows take about {given.rows * BYTES_A_ROW >> 30} GiB; {free >> 30} GiB are free there."
        )
    report = Report()
    with tempfile.TemporaryDirectory(prefix="countersign-out-of-core-", dir=given.directory) as place:
        root = Path(place)
        os.environ.update(
            ARTIFACT_ROOT=str(root / "artifacts"),
            DATA_DIR=str(root / "data"),
            DJANGO_SETTINGS_MODULE="config.settings.test",
        )
        report.heading(f"{given.rows:,} rows")
        sealed = _made(root, given.rows)
        stored = [path for path in (root / "artifacts").rglob("*") if path.is_file()]
        report.told("sealed Parquet, data and predictions", sum(path.stat().st_size for path in stored) / 2**20, "MiB")
        for use in given.check or CHECKS:
            _report(report, use, given.mebibytes, sealed, given.rows)
        copies = [path for path in (root / "data").rglob("*.arrow") if path.is_file()]
        report.told("copies of the columns on disk", sum(path.stat().st_size for path in copies) / 2**20, "MiB")
    report.table(peer="")
    return 0 if all(figure.reached is not False for figure in report.figures) else 1


def _report(report: Report, use: str, mebibytes: int, sealed: tuple[str, str], rows: int) -> None:
    command = [sys.executable, "-m", "benchmarks.checks.out_of_core", "--child", use, str(mebibytes), *sealed]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"{use} did not end within {mebibytes} MiB:\n{ended.stderr[-2000:]}")
    told = json.loads(ended.stdout.splitlines()[-1])
    if told["n"] != rows:
        sys.exit(f"{use} judged {told['n']:,} rows of {rows:,}.")
    for what, key in (("taking the columns from Parquet", "copying"), ("the check", "checking")):
        report.told(f"{use}: {what}, CPU", told[key]["cpu"], "s")
        report.told(f"{use}: {what}, wall clock", told[key]["wall"], "s")
    report.limit(f"{use}: private memory beyond an idle worker, at most", told["peak_mib"], "MiB", mebibytes)


def _made(root: Path, rows: int) -> tuple[str, str]:
    """Both files in the store, written part by part: their digests."""
    import django

    django.setup()
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from registry.storage import blobs

    random = np.random.default_rng(1)
    files = root / "data.parquet", root / "predictions.parquet"
    writers: list[Any] = []
    for start in range(0, rows, AT_ONCE):
        size = min(AT_ONCE, rows - start)
        score = random.random(size)
        sex = random.integers(0, 2, size, dtype="int8")
        words = [("female", "male"), ("18-29", "30-44", "45-59", "60+", "unknown")]
        codes = [sex, random.integers(0, 5, size, dtype="int8")]
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(code), pa.array(word)).cast(pa.string())
            for code, word in zip(codes, words, strict=True)
        ]
        label = (random.random(size) < 0.9 * score + 0.05 * sex).astype("int8")
        noise = random.integers(0, 1000, size, dtype="int16")
        data = pa.table({"label": label, "sex": columns[0], "age_band": columns[1], "income": noise})
        said = pa.table({"prediction": (score > 0.5).astype("int64"), "score": score})
        writers = writers or [pq.ParquetWriter(path, t.schema) for path, t in zip(files, (data, said), strict=True)]
        for writer, table in zip(writers, (data, said), strict=True):
            writer.write_table(table)
    digests = []
    for writer, path in zip(writers, files, strict=True):
        writer.close()
        with path.open("rb") as stream:
            digests.append(blobs().put(stream)[0])
        path.unlink()
    return digests[0], digests[1]


def _checked(use: str, mebibytes: int, data: str, predictions: str) -> dict[str, Any]:
    """One check over sealed files, as a worker runs it. Raises ``MemoryError`` and its kin above the limit."""
    import django

    django.setup()
    import pyarrow as pa

    from governance import checks
    from governance.checks import CheckInputs, Roles
    from governance.checks.batches import run_batches
    from governance.engine.inputs import columns_read
    from governance.engine.rows import table_of

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    check, roles = checks.get(use), Roles(label="label", sensitive=("sex", "age_band"))
    before = _private("VmData")
    limit = (before + (mebibytes << 10)) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with _Peak() as peak:
        clocks = [_clocks()]
        table = table_of(data, columns_read(check.manifest, roles, {}))
        said = table_of(predictions)
        clocks.append(_clocks())
        result = run_batches(check, CheckInputs(data=table, roles=roles, predictions=said))
        clocks.append(_clocks())
    copying, checking = ({"cpu": after[0] - first[0], "wall": after[1] - first[1]} for first, after in pairwise(clocks))
    return {
        "n": result.n, "digest": result.digest, "copying": copying, "checking": checking, "peak_mib": peak.mebibytes,
    }  # fmt: skip


def _clocks() -> tuple[float, float]:
    return time.process_time(), time.monotonic()


def _private(name: str) -> int:
    """KiB of a line of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


class _Peak:
    """The most private memory that was in use beyond that at the beginning, looked at twenty times a second."""

    def __enter__(self) -> Self:
        self._first = self._most = _private("RssAnon")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def mebibytes(self) -> float:
        return (self._most - self._first) / 1024

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self._most = max(self._most, _private("RssAnon"))


if __name__ == "__main__":
    sys.exit(main())
