"""``resources.latency``: how fast the model answers on this machine, its memory, its size, and how long it takes to load."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import stats

from governance.checks import pictures
from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.model import RESOURCES
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Table
from governance.checks.rowless import RowlessCheck

_SPECS = {spec.key: spec for spec in RESOURCES.figures}
QUANTILES = (("latency_p50", 0.5), ("latency_p95", 0.95), ("latency_p99", 0.99))
_MEASURED_HERE = (
    "Measured on this machine at this moment: the result is never used again for another request, and says nothing of other "
    "machines. What else runs there makes the times longer."
)
_MS = 1e6
_MIB = 2.0**20


@dataclass(frozen=True, slots=True)
class ResourcesParams(Params):
    """``calls`` with one row and ``batches`` of ``batch_rows`` are timed, as many as go into ``seconds``."""

    calls: int = 1000
    batches: int = 200
    batch_rows: int = 1000
    seconds: float = 30.0

    def check(self) -> None:
        if not 20 <= self.calls <= 20_000 or not 20 <= self.batches <= 20_000:
            raise CheckError("params.value", "“calls” and “batches” must be from 20 to 20000.")
        if not 1 <= self.batch_rows <= 10_000:
            raise CheckError("params.value", "“batch_rows” must be from 1 to 10000.")
        if not 1 <= self.seconds <= 600:
            raise CheckError("params.value", "“seconds” must be from 1 to 600.")


class Resources(RowlessCheck):
    """Reads the report of the sandbox's mode ``resources``, with ``size_bytes``, ``outer_peak_bytes`` and ``machine``."""

    manifest = RESOURCES
    params = ResourcesParams

    def validate(self, inputs: CheckInputs) -> None:
        if inputs.latency is None:
            raise CheckError(
                "inputs.missing", "This check needs the times that the sandbox takes, and none were given."
            )

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ResourcesParams) -> CheckResult:
        report: Mapping[str, Any] = inputs.latency or {}
        kinds = {"one row": report["single"], f"batch of {report['batch_rows']} rows": report["batch"]}
        figures: list[Figure] = []
        rows: list[pictures.Row] = []
        for kind, times in kinds.items():
            found = np.sort(np.asarray(times, dtype="float64")) / _MS
            for key, share in QUANTILES:
                value, low, high = quantile(found, share)
                note = "" if high is not None else f"{len(found)} calls are too few for an upper end of the interval."
                figures.append(_figure(key, value, len(found), low, high, attribute=kind, unit="ms", note=note))
                rows.append(
                    {
                        "name": f"{kind}, {key[-3:]}",
                        "value": value,
                        "low": low,
                        "high": high if high is not None else value,
                    }
                )
        batch = np.sort(np.asarray(report["batch"], dtype="float64")) / 1e9
        middle, low, high = quantile(batch, 0.5)
        size = int(report["batch_rows"])
        peak = max(int(report["peak_bytes"]), int(report.get("outer_peak_bytes", 0))) / _MIB
        disk, load = int(report.get("size_bytes", 0)) / _MIB, float(report["load_seconds"])
        upper = size / low if low else None
        figures += [
            _figure("throughput", size / middle, len(batch), size / high if high else None, upper, unit="rows/s"),
            _figure("load_seconds", load, 1, load, load, unit="s"), _figure("peak_memory", peak, 1, peak, peak, unit="MiB"),
            _figure("size", disk, 1, disk, disk, unit="MiB"),
        ]  # fmt: skip
        machine: Mapping[str, Cell] = report.get("machine", {})
        return CheckResult(
            RESOURCES.key, RESOURCES.version, params.as_dict(), len(report["single"]), tuple(figures),
            tables=(Table("machine", "Where it was measured", (("what", "What"), ("value", "Value")), tuple(machine.items())),),
            pictures=(pictures.ranges("latency", "Time of a call", _alt(figures), rows, value="Milliseconds"),),
            findings=tuple(_findings(report, figures, machine)),
            limits=(
                _MEASURED_HERE,
                "The model shares the process that takes the times, so that one that means to can look faster than it is.",
            ),
            facts={**machine, "first_call_ms": report["first"] / _MS},
        )  # fmt: skip


def quantile(ordered: np.ndarray, share: float) -> tuple[float, float, float | None]:
    """A quantile of sorted values with a 95 % interval between two of them, whatever the distribution.

    The number of values below the true quantile is binomial (H. A. David, H. N. Nagaraja, Order Statistics, 2003, §7.1). The
    lower end is 0 and the upper None where there are too few values for one.
    """
    n = len(ordered)
    value = float(ordered[max(math.ceil(n * share), 1) - 1])
    below, above = (int(one) for one in stats.binom.ppf([0.025, 0.975], n, share))
    low = float(ordered[below - 1]) if below >= 1 else 0.0
    return value, low, float(ordered[above]) if above < n else None


def _figure(
    key: str,
    value: float,
    n: int,
    low: float | None,
    high: float | None,
    *,
    unit: str,
    attribute: str | None = None,
    note: str = "",
) -> Figure:
    spec = _SPECS[key]
    return Figure(
        key, spec.label, value, n, spec.better, ci_low=low, ci_high=high, unit=unit, attribute=attribute, note=note
    )  # fmt: skip


def _alt(figures: Sequence[Figure]) -> str:
    said = ", ".join(f"{one.attribute} {one.key[-3:]} {one.value:.3g} ms" for one in figures if one.attribute)
    return f"Quantiles of the time of a call with intervals: {said}."


def _findings(report: Mapping[str, Any], figures: Sequence[Figure], machine: Mapping[str, Cell]) -> list[str]:
    one = {figure.key: figure.value for figure in figures if figure.attribute == "one row"}
    took = [f"{one[key]:.3g} ms at {key[-3:]}" for key, _ in QUANTILES]
    made = [f"One row takes {', '.join(took)}; the first call took {report['first'] / _MS:.3g} ms."]
    load, cores = machine.get("load_average"), machine.get("cores")
    if isinstance(load, int | float) and isinstance(cores, int) and load > cores:
        made.append(f"The machine was busy: a load of {load:.1f} on {cores} cores.")
    return made
