"""``python -m benchmarks.checks.drift [--quick]``: drift of 30 columns against Evidently.

Twenty columns of numbers, five of whole numbers with twelve values, five of words with eight; both sides have as many rows.
Evidently (its DataDriftPreset: one distance a column) runs in an environment of its own, which uv makes beside the
temporary files and keeps in ``--environment``, since its requirements do not go with ours. Where it cannot be had, the same
distances are computed with SciPy and pandas in their plain form, and the table says so.

Ours gives for each column PSI, raw and net of chance, with intervals, Kolmogorov-Smirnov or chi-square with p, Wasserstein,
Jensen-Shannon and Cramér's V, a correction over all columns, and the bins. Each run is a process of its own that has done the
same on a thousand rows before, so that no import counts; CPU seconds, the median of three (Evidently on a million rows: one).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.report import Report

TARGET: Final = 40
EVIDENTLY: Final = ("evidently==0.7.23", "pandas<3", "pyarrow")
_NUMBERS = [f"x{i}" for i in range(20)]
_CODES, _WORDS = [f"c{i}" for i in range(5)], [f"w{i}" for i in range(5)]

PEER = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
numbers, words, *paths = json.loads(sys.argv[1])
before, after = (pd.read_parquet(path) for path in paths)
about = DataDefinition(numerical_columns=numbers, categorical_columns=words)
def run(a, b):
    start = time.process_time()
    made = Report([DataDriftPreset()]).run(Dataset.from_pandas(b, about), Dataset.from_pandas(a, about)).dict()
    return time.process_time() - start, made
run(before.head(1000), after.head(1000))
spent, made = run(before, after)
print(json.dumps({"cpu": spent, "columns": len(made["metrics"]) - 1, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""  # noqa: E501 - a program


def write(path: Path, rows: int, seed: int) -> None:
    """One side; the second is shifted a little, column by column."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(seed)
    words = np.array([f"k{i}" for i in range(8)])
    table = pa.table({
        **{name: random.normal(size=rows) + 0.01 * i * seed for i, name in enumerate(_NUMBERS)},
        **{name: random.integers(0, 12, rows) for name in _CODES},
        **{name: pa.array(words[random.integers(0, 8, rows)]) for name in _WORDS},
    })  # fmt: skip
    pq.write_table(table, path, row_group_size=65_536)


def ours(before: Path, after: Path) -> dict[str, Any]:
    """The whole check by batches, as the engine runs it, from the tables in memory."""
    import pyarrow.parquet as pq

    from governance.checks import CheckInputs, Roles, get
    from governance.checks.batches import run_batches

    tables = [pq.read_table(path, use_threads=False) for path in (before, after)]

    def run(rows: int) -> tuple[float, int]:
        first, second = (table.slice(0, rows) for table in tables)
        start = time.process_time()
        result = run_batches(get("drift.columns"), CheckInputs(second, Roles(), training=first))
        return time.process_time() - start, len({one.attribute for one in result.figures if one.attribute})

    run(1000)
    spent, columns = run(tables[0].num_rows)
    return {"cpu": spent, "columns": columns, "peak": _peak()}


def plain(before: Path, after: Path) -> dict[str, Any]:
    """SciPy and pandas as one would write it: KS and Wasserstein of numbers, chi-square and Jensen-Shannon of the rest."""
    import numpy as np
    import pandas as pd
    from scipy import stats
    from scipy.spatial.distance import jensenshannon

    frames = [pd.read_parquet(path) for path in (before, after)]

    def run(rows: int) -> float:
        first, second = (frame.head(rows) for frame in frames)
        start = time.process_time()
        for name in first.columns:
            if name in _NUMBERS:
                stats.ks_2samp(first[name], second[name])
                stats.wasserstein_distance(first[name], second[name])
                edges = np.quantile(first[name], np.linspace(0, 1, 11))
                counts = np.array([np.histogram(one[name], edges)[0] for one in (first, second)]) + 0.5
            else:
                both = pd.concat([one[name].value_counts() for one in (first, second)], axis=1).fillna(0)
                stats.chi2_contingency(both.to_numpy().T)
                counts = both.to_numpy().T
            jensenshannon(*counts, base=2)
        return time.process_time() - start

    run(1000)
    return {"cpu": run(len(frames[0])), "columns": len(frames[0].columns), "peak": _peak()}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def environment(place: Path) -> Path | str:
    """The interpreter of an environment with Evidently; a sentence where it cannot be had."""
    python = place / "bin" / "python"
    uv = Path(sys.prefix) / "bin" / "uv"
    for command in (
        [] if python.exists() else [str(uv), "venv", "--quiet", "--python", sys.executable, str(place)],
        [str(uv), "pip", "install", "--quiet", "--python", str(python), *EVIDENTLY],
        [str(python), "-W", "ignore", "-c", "import evidently"],
    ):
        if command:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return (done.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
    return python


def measured(kind: str, paths: tuple[Path, Path], python: Path | None, runs: int) -> dict[str, float]:
    """Medians over processes of their own."""
    if python is not None:
        command = [str(python), "-c", PEER, json.dumps([_NUMBERS, [*_CODES, *_WORDS], *map(str, paths)])]
    else:
        command = [sys.executable, "-m", "benchmarks.checks.drift", "--child", kind, *map(str, paths)]
    found = []
    for _ in range(runs):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return {key: median(one[key] for one in found) for key in ("cpu", "columns", "peak")}


def main() -> None:
    """Compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100,000 rows only")
    parser.add_argument("--environment", type=Path, default=Path(tempfile.gettempdir()) / "countersign-evidently")
    parser.add_argument("--child", nargs=3, metavar=("KIND", "BEFORE", "AFTER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        kind, *paths = given.child
        sys.stdout.write(json.dumps({"ours": ours, "plain": plain}[kind](*map(Path, paths))) + "\n")
        return
    report = Report()
    found = environment(given.environment)
    python = found if isinstance(found, Path) else None
    peer = "Evidently" if python else "SciPy and pandas"
    if python is None:
        print(f"Evidently cannot be had here ({found}); compared with SciPy and pandas.", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for rows in (100_000,) if given.quick else (100_000, 1_000_000):
            report.heading(f"30 columns, {rows:,} rows on each side")
            paths = Path(folder, f"before-{rows}.parquet"), Path(folder, f"after-{rows}.parquet")
            for seed, path in enumerate(paths):
                write(path, rows, seed)
            mine = measured("ours", paths, None, 3)
            theirs = measured("plain", paths, python, 3 if rows <= 100_000 else 1)
            report.cheaper(f"drift, {rows:,} rows", mine["cpu"], theirs["cpu"], "s CPU", TARGET if python else None)
            report.told(f"peak memory of ours, {rows:,} rows", mine["peak"] / 2**20, "MiB")
            report.told(f"peak memory of {peer}, {rows:,} rows", theirs["peak"] / 2**20, "MiB")
    report.table(peer=peer)


if __name__ == "__main__":
    main()
