"""``python -m benchmarks.checks.fairness``: group figures against fairlearn's MetricFrame and scikit-learn, group by group.

Six rates, two attributes crossed to twelve groups: by group, over all rows, largest difference and smallest ratio. Every
kind runs in a process of its own that has done the same on a thousand rows before, so that no import counts; then the median
of its CPU seconds is taken. Peers get their data in memory; ours opens a Parquet file, or maps an Arrow file into memory as
the engine does.

What must be equal is compared: every figure of every group, bit by bit.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.report import Report

RATES: Final = (
    "selection_rate", "true_positive_rate", "false_positive_rate", "false_negative_rate", "precision", "accuracy",
)  # fmt: skip
TARGET, BOOTSTRAP_TARGET, PLAIN_TARGET = 500, 5000, 10
REPLICATES = 100


def write(path: Path, rows: int) -> None:
    """A data set with its predictions: ``<path>.parquet`` and ``<path>.arrow``, sensitive columns dictionary-encoded."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(rows)
    score = random.random(rows)
    columns = {
        "y": pa.array((random.random(rows) < score).astype("int8")),
        "score": pa.array(score),
        "sex": pa.DictionaryArray.from_arrays(random.integers(0, 3, rows).astype("int8"), pa.array(["f", "m", "x"])),
        "race": pa.DictionaryArray.from_arrays(random.integers(0, 4, rows).astype("int8"), pa.array(list("abcd"))),
    }
    table = pa.table(columns)
    pq.write_table(table, path.with_suffix(".parquet"), row_group_size=65_536)
    with pa.OSFile(str(path.with_suffix(".arrow")), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=65_536)


def _table(path: Path, kind: str) -> Any:  # noqa: ANN401 - a pyarrow table
    import pyarrow as pa
    import pyarrow.parquet as pq

    if kind == "parquet":
        return pq.read_table(path.with_suffix(".parquet"), use_threads=False)
    return pa.ipc.open_file(pa.memory_map(str(path.with_suffix(".arrow")))).read_all()


def ours(path: Path, kind: str, *, draws: int = 0, whole: bool = False) -> dict[str, Any]:
    """The check's own path: plan, map of batches, merge, and the figures from the cells; ``whole``: its whole result."""
    from governance.checks import CheckInputs, Roles, get
    from governance.checks.batches import BATCH_ROWS
    from governance.checks.fairness.spread import rates, spreads
    from governance.checks.fairness.state import read_one

    check = get("fairness.groups")
    params: Any = check.params.from_mapping({"draws": draws, "min_group": 1, "min_class": 1} if not whole else {})
    start = time.process_time()
    table = _table(path, kind)
    inputs = CheckInputs(table.drop(["score"]), Roles("y", ("sex", "race")), table.select(["score"]))
    shards = check.plan(inputs, params, shards=-(-table.num_rows // BATCH_ROWS))
    state = check.merge([check.map(shard, params) for shard in shards])
    figures: dict[str, Any] = {}
    if whole:
        check.finish(state, inputs, params)
    else:
        crossed = read_one(state, "sex / race", params.bins)
        counts = [crossed.confusion(one) for one in (crossed.count, crossed.weight, crossed.square)]
        own = rates(counts[0])
        figures = {name: dict(zip(crossed.names, own[name].tolist(), strict=True)) for name in RATES}
        least = dict.fromkeys(RATES, 1)
        for one in spreads(*counts, least=least, draws=draws, seed=0):
            figures[one.rate] |= {"difference": one.difference, "ratio": one.ratio, "overall": one.overall}
    return {"seconds": time.process_time() - start, "figures": figures}


def _frame(path: Path) -> tuple[Any, Any, Any]:
    table = _table(path, "parquet")
    frame = table.select(["sex", "race"]).to_pandas()
    decision = (table.column("score").to_numpy() >= 0.5).astype("int64")
    return frame, table.column("y").to_numpy().astype("int64"), decision


def fairlearns(path: Path, *, draws: int = 0) -> dict[str, Any]:
    """MetricFrame with its own rates; precision and accuracy are scikit-learn's, as its guide has them."""
    import fairlearn.metrics as fl
    from sklearn import metrics as sk

    named = {
        "selection_rate": fl.selection_rate, "true_positive_rate": fl.true_positive_rate,
        "false_positive_rate": fl.false_positive_rate, "false_negative_rate": fl.false_negative_rate,
        "precision": sk.precision_score, "accuracy": sk.accuracy_score,
    }  # fmt: skip
    frame, y, decision = _frame(path)
    more = {"n_boot": draws, "ci_quantiles": [0.025, 0.975], "random_state": 0} if draws else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        made = fl.MetricFrame(metrics=named, y_true=y, y_pred=decision, sensitive_features=frame, **more)
        figures: dict[str, Any] = {}
        difference, ratio = made.difference(), made.ratio()
        for name in RATES:
            figures[name] = {" / ".join(key): float(value) for key, value in made.by_group[name].items()}
            figures[name] |= {
                "difference": float(difference[name]), "ratio": float(ratio[name]), "overall": float(made.overall[name]),
            }  # fmt: skip
        if draws:
            made.by_group_ci, made.difference_ci(), made.ratio_ci()
        seconds = time.process_time() - start
    return {"seconds": seconds, "figures": figures}


def plain(path: Path) -> dict[str, Any]:
    """scikit-learn's functions on the rows of each group, as one would write it without a library of fairness."""
    import numpy as np
    from sklearn import metrics as sk

    frame, y, decision = _frame(path)
    start = time.process_time()
    figures: dict[str, Any] = {name: {} for name in RATES}
    sex, race = frame["sex"].to_numpy(), frame["race"].to_numpy()
    for one in np.unique(sex.astype(str)):
        for other in np.unique(race.astype(str)):
            here = (sex == one) & (race == other)
            truth, said = y[here], decision[here]
            own = (
                said.mean(), sk.recall_score(truth, said), 1 - sk.recall_score(1 - truth, 1 - said),
                1 - sk.recall_score(truth, said), sk.precision_score(truth, said), sk.accuracy_score(truth, said),
            )  # fmt: skip
            for name, value in zip(RATES, own, strict=True):
                figures[name][f"{one} / {other}"] = float(value)
    return {"seconds": time.process_time() - start, "figures": figures}


KINDS: Final[dict[str, Callable[[Path], dict[str, Any]]]] = {
    "parquet": lambda path: ours(path, "parquet"),
    "arrow": lambda path: ours(path, "arrow"),
    "bootstrap": lambda path: ours(path, "arrow", draws=REPLICATES),
    "whole": lambda path: ours(path, "arrow", whole=True),
    "fairlearn": fairlearns,
    "fairlearn-bootstrap": lambda path: fairlearns(path, draws=REPLICATES),
    "plain": plain,
}


def run(kind: str, path: Path, rounds: int) -> dict[str, Any]:
    """The median CPU seconds of ``rounds`` in a process of their own, and its peak memory."""
    command = [sys.executable, "-m", "benchmarks.checks.fairness", "--one", kind, str(path), str(rounds)]
    made: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return made


def compare(first: dict[str, Any], second: dict[str, Any]) -> float:
    """The largest difference of a figure of the one from the other's."""
    return max(
        abs(float(value) - float(first[name].get(key, "inf"))) for name in RATES for key, value in second[name].items()
    )  # fmt: skip


def measure(report: Report, folder: Path, rows: int, options: argparse.Namespace) -> None:
    """All comparisons at one size."""
    report.heading(f"{rows:,} rows, 2 attributes crossed to 12 groups, 6 rates")
    path = folder / f"people-{rows}"
    write(path, rows)
    many = rows > 200_000
    rounds = 1 if options.quick else 9
    own = {kind: run(kind, path, rounds) for kind in ("parquet", "arrow", "whole")}
    peers = {"plain": run("plain", path, 1 if many or options.quick else 3)}
    if not options.without_fairlearn:
        peers["fairlearn"] = run("fairlearn", path, 1 if many or options.quick else 3)
        theirs = peers["fairlearn"]
        for kind, word in (("arrow", "Arrow in"), ("parquet", "Parquet in")):
            title = f"{rows:,} rows: group figures, {word}, against MetricFrame"
            # The target is for what the engine does: it lays data out as Arrow once, for all checks.
            report.cheaper(title, own[kind]["seconds"], theirs["seconds"], "CPU s", TARGET if kind == "arrow" else None)
        title = f"{rows:,} rows: the whole check with intervals and calibration, against MetricFrame without"
        report.cheaper(title, own["whole"]["seconds"], theirs["seconds"], "CPU s")
        off = compare(own["arrow"]["figures"], theirs["figures"])
        report.limit(f"{rows:,} rows: largest difference of any figure", off, "", 0)
        report.cheaper(f"{rows:,} rows: peak memory", own["arrow"]["mib"], theirs["mib"], "MiB")
    title = f"{rows:,} rows: group figures, Arrow in, against scikit-learn per group"
    report.cheaper(title, own["arrow"]["seconds"], peers["plain"]["seconds"], "CPU s", PLAIN_TARGET)
    report.told(f"{rows:,} rows: peak memory, Parquet in", own["parquet"]["mib"], "MiB")
    if rows == options.bootstrap and not options.without_fairlearn:
        drawn = run("bootstrap", path, rounds)
        theirs = run("fairlearn-bootstrap", path, 1)
        title = f"{rows:,} rows: with {REPLICATES} bootstrap replicates"
        report.cheaper(title, drawn["seconds"], theirs["seconds"], "CPU s", BOOTSTRAP_TARGET)


def main() -> int:
    """Print the table; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="100000,1000000,10000000")
    parser.add_argument("--bootstrap", type=int, default=100_000, help="the size that the bootstrap is compared at")
    parser.add_argument(
        "--without-fairlearn", action="store_true", help="ours and scikit-learn alone: it takes minutes"
    )
    parser.add_argument("--quick", action="store_true", help="20,000 rows, one round: no ratio in it is to be believed")
    parser.add_argument("--one", nargs=3, metavar=("KIND", "PATH", "ROUNDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        path, one = Path(options.one[1]), KINDS[options.one[0]]
        one(path.with_name("warm"))
        rounds = [one(path) for _ in range(int(options.one[2]))]
        made = {"seconds": median(one["seconds"] for one in rounds), "figures": rounds[-1]["figures"]}
        made["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(made))
        return 0
    if options.quick:
        options.sizes, options.bootstrap = "20000", 0
    report = Report()
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        write(Path(folder) / "warm", 1000)
        for rows in map(int, options.sizes.split(",")):
            measure(report, Path(folder), rows, options)
    report.table(peer="Peer")
    return 0 if options.quick else int(any(one.reached is False for one in report.figures))


if __name__ == "__main__":
    sys.exit(main())
