"""Mode ``resources``: how long the loaded model takes for one row and for a batch, how long it took to load, and its memory.

The clock is taken before the model is loaded, so that a model cannot put another in its place; a model that wants to can still
make itself look faster than it is elsewhere. Nothing here is a promise about another machine.
"""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

import resource
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final

import pandas as pd

from governance.sandbox.child.scoring import frames
from governance.sandbox.modes import Output, Progress
from governance.sandbox.output import InvalidOutputError, is_number

MOST_CALLS: Final = 20_000
MOST_ROWS: Final = 50_000
"""Of a larger table the first ones are gone round."""
WARM_UP: Final = 3
_LONGEST: Final = 10**15
"""Eleven days, in nanoseconds."""


def work(model: Any, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Time the calls; each kind has half of the ``seconds``. Raises what the model raises."""
    clock = perf_counter_ns
    options = job["options"]
    frame = next(frames(job, job["features"], rows=MOST_ROWS))
    size = min(int(options["batch_rows"]), len(frame))
    total = int(options["calls"]) + int(options["batches"])
    started = clock()
    model.predict(frame.iloc[:1])
    first = clock() - started
    seconds = float(options["seconds"]) / 2
    single = _timed(model, frame, (1, int(options["calls"])), seconds, lambda done: progress(done, total))
    batch = _timed(
        model, frame, (size, int(options["batches"])), seconds, lambda done: progress(len(single) + done, total)
    )
    progress(total, total)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "load_seconds": job["load_seconds"], "first": first, "single": single, "batch": batch, "batch_rows": size,
        "peak_bytes": peak,
    }  # fmt: skip


def _timed(
    model: Any, frame: pd.DataFrame, what: tuple[int, int], seconds: float, done: Callable[[int], None]
) -> list[int]:
    """Nanoseconds of each call after the warm-up: ``what`` is rows and calls; rows go round."""
    rows, calls = what
    made: list[int] = []
    deadline = perf_counter_ns() + int(seconds * 1e9)
    starts = max(1, len(frame) - rows + 1)
    for call in range(min(calls, MOST_CALLS) + WARM_UP):
        part = frame.iloc[(call * rows) % starts :][:rows]
        before = perf_counter_ns()
        model.predict(part)
        after = perf_counter_ns()
        if call >= WARM_UP:
            made.append(after - before)
        if after > deadline and made:
            break
        if call % 50 == 0:
            done(len(made))
    return made


def read(report: Mapping[str, Any], asked: Mapping[str, Any], scratch: Path) -> Output:
    """The report, checked. Raises ``InvalidOutputError``."""
    for name in ("single", "batch"):
        if not _times(report.get(name)):
            raise InvalidOutputError("The resources report holds no times.")
    whole = ("first", "batch_rows", "peak_bytes")
    if not all(isinstance(report.get(name), int) and 0 <= report[name] < _LONGEST for name in whole):
        raise InvalidOutputError("The resources report lacks a number.")
    if not is_number(report.get("load_seconds")) or not 0 <= report["load_seconds"] < 1e6 or report["batch_rows"] < 1:
        raise InvalidOutputError("The resources report does not say how long loading took.")
    kept = {name: report[name] for name in ("single", "batch", "load_seconds", *whole)}
    return Output(f"{len(report['single'])} single rows and {len(report['batch'])} batches were timed.", report=kept)


def _times(given: Any) -> bool:
    if not isinstance(given, Sequence) or not 0 < len(given) <= MOST_CALLS:
        return False
    return all(isinstance(one, int) and not isinstance(one, bool) and 0 < one < _LONGEST for one in given)
