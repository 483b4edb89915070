"""``fairness.regression``: how far a regression is off for each group, and how much farther than for the best served one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures as drawing
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.fairness import cells as fairness_cells
from governance.checks.fairness import skews
from governance.checks.fairness.comparisons import INSUFFICIENT, no_reference, too_few
from governance.checks.fairness.errors import Errors
from governance.checks.fairness.groups import check_sensitive
from governance.checks.fairness.state import MILLIONTH, limbed
from governance.checks.fairness.tables import is_unknown
from governance.checks.manifests.fairness import REGRESSION
from governance.checks.performance.errors_of import LOPSIDED
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns, weighting
from governance.checks.statistics.counts import COUNT, numbers
from governance.checks.statistics.intervals import Interval, gap_of, mover
from governance.checks.statistics.limbs import limbs

_SPECS = {spec.key: spec for spec in REGRESSION.figures}
_LIMBS: Final = {"sum_truth": 3, "sum_error": 3, "sum_absolute": 3, "sum_squared": 4, "sum_fourth": 4}
_TAILS = (
    "No interval can allow for large errors that are rare and none of whose rows is in the sample: where one error in twenty "
    "is three times larger, those of the root mean squared error hold 91 to 92 % instead of 95 %; those of the mean absolute "
    "error hold. Where a group's errors are so one-sided that an interval would be too short, it has none."
)
_LARGEST = 1e300
_LEAST_EXPONENT = -1022


@dataclass(frozen=True, slots=True)
class RegressionFairnessParams(Params):
    """``min_group``: rows a group needs. ``reference``: a list of ``column=group`` to compare with.

    ``intersections``: how many sensitive columns are crossed at most; their groups are shown, and become figures that a
    policy's limits hold for only with ``gate_intersections``.
    """

    min_group: int = 20
    reference: tuple[str, ...] = ()
    intersections: int = 2
    gate_intersections: bool = False

    def check(self) -> None:
        if self.min_group < 3:
            raise CheckError("params.value", "“min_group” must be at least 3.")
        if not 1 <= self.intersections <= 4:
            raise CheckError("params.value", "“intersections” must be from 1 (none) to 4.")
        if not all("=" in item for item in self.reference):
            raise CheckError("params.value", "Write “reference” as a list of column=group, for example sex=female.")


class RegressionFairness(Check):
    """State: for each group its rows and the exact sums of e, |e|, e² and e⁴, in units of a power of two.

    ``plan`` measures the L-skewness of each group's errors, which takes their order; it is part of the state's keys.
    """

    manifest = REGRESSION
    params = RegressionFairnessParams

    def plan(
        self, inputs: CheckInputs, params: RegressionFairnessParams, *, shards: int = 1
    ) -> tuple[CheckInputs, ...]:
        check_sensitive(inputs)
        label = columns.number_label(inputs)
        columns.check_predictions(inputs)
        table = inputs.predictions
        found = table.column("prediction") if table is not None and "prediction" in table.column_names else None
        if found is None or not (pa.types.is_floating(found.type) or pa.types.is_integer(found.type)):
            raise CheckError("data.predictions_invalid", "A regression must predict numbers.", "prediction")
        if not pc.all(pc.is_finite(found)).as_py():
            raise CheckError("data.predictions_invalid", "Some predictions are not finite numbers.", "prediction")
        weighting.checked(inputs)
        largest = max(abs(float(end)) for values in (label, found) for end in pc.min_max(values).as_py().values())
        if largest > _LARGEST:
            raise CheckError("data.label_not_number", f"Numbers beyond {_LARGEST:g} cannot be compared.")
        exponent = max(_LEAST_EXPONENT, math.frexp(largest)[1] + 1) if largest else 0
        data, (_, error) = columns.rows_of(inputs), _truth_and_error(inputs, exponent)
        groups = [(name, fairness_cells.coded(data.column(name))) for name in inputs.roles.sensitive]
        weight = fairness_cells.weights(inputs)
        found = skews.skews(groups, error, weight, crossed=params.intersections, least=params.min_group)
        prepared = {**(inputs.prepared or {}), "exponent": exponent, "skews": found}
        return columns.split(replace(inputs, prepared=prepared), shards)

    def map(self, shard: CheckInputs, params: RegressionFairnessParams) -> pa.Table:
        data = columns.rows_of(shard)
        given = shard.prepared or {}
        exponent = int(given["exponent"])
        truth, error = _truth_and_error(shard, exponent)
        weight = fairness_cells.weights(shard)
        own = 1.0 if weight is None else weight * 2.0**-fairness_cells.WEIGHT_BITS
        powers = {
            "sum_truth": truth,
            "sum_error": error,
            "sum_absolute": np.abs(error),
            "sum_squared": error**2,
            "sum_fourth": error**4,
        }
        extra: list[tuple[str, np.ndarray]] = []
        for stem, number in _LIMBS.items():
            more = number + (0 if weight is None else 2)
            extra += zip(fairness_cells.names_of(stem, more), limbs(powers[stem] * own, more), strict=True)
        groups = [(name, fairness_cells.coded(data.column(name))) for name in shard.roles.sensitive]
        state = fairness_cells.cells(groups, (), weight=weight, extra=extra, crossed=params.intersections)
        names = zip(state.column("attribute").to_pylist(), state.column("group").to_pylist(), strict=True)
        skewed = pa.array([given["skews"].get(skews.key(*one), 0) for one in names], pa.int32())
        state = state.add_column(2, "skew", skewed)
        return state.add_column(2, "exponent", pa.array([exponent] * state.num_rows, pa.int16()))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: RegressionFairnessParams) -> CheckResult:
        figures: list[Figure] = []
        tables: list[Table] = []
        pictures: list[Picture] = []
        findings: list[str] = []
        sensitive = inputs.roles.sensitive
        found = _read(state)
        for name in sorted(found, key=lambda one: (one.count(fairness_cells.BY), one)):
            alone = name in sensitive
            own = _Compared(name, found[name], params).figures()
            figures += own if alone or params.gate_intersections else []
            key = "groups" if alone else "intersection"
            tables.append(_table(f"{key}:{name}", name, found[name], params.min_group))
            if alone:
                pictures += _pictures(name, own)
                findings += _findings(name, found[name], own)
        if inputs.roles.weight is not None:
            findings.append(f"Rows count by their weight “{inputs.roles.weight}”; n is the number of rows.")
        return CheckResult(
            REGRESSION.key, REGRESSION.version, params.as_dict(), sum(one.n for one in found[sensitive[0]].values()),
            tuple(figures), tuple(tables), tuple(pictures), tuple(findings),
            limits=(
                "Groups whose outcomes vary more have larger errors even under the best of models.",
                _TAILS,
            ),
            facts={"weight": inputs.roles.weight or ""},
        )  # fmt: skip


def _truth_and_error(shard: CheckInputs, exponent: int) -> tuple[np.ndarray, np.ndarray]:
    """In units of a power of two; the error in [-1, 1]."""
    y = columns.number_label(shard).to_numpy(zero_copy_only=False)
    predicted = pa.table({"p": [] if shard.predictions is None else shard.predictions.column("prediction")})
    truth = np.ldexp(y, -exponent)
    return truth, np.ldexp(predicted.column("p").cast(pa.float64()).to_numpy(), -exponent) - truth


def _read(state: pa.Table) -> dict[str, dict[str, Errors]]:
    """Attribute → group → its sums."""
    weighted = "sum_weight" in state.column_names
    unit = 2.0**fairness_cells.WEIGHT_BITS * MILLIONTH if weighted else 1.0
    sums = [limbed(state, stem, 1.0) * unit for stem in _LIMBS]
    count = numbers(state, COUNT)
    weight = numbers(state, "sum_weight") * MILLIONTH if weighted else count.astype("float64")
    square = limbed(state, "sum_square") * (2.0**fairness_cells.WEIGHT_BITS * MILLIONTH) ** 2 if weighted else weight
    exponents, skewed = state.column("exponent").to_pylist(), numbers(state, "skew") / skews.UNIT
    made: dict[str, dict[str, Errors]] = {}
    names = zip(state.column("attribute").to_pylist(), state.column("group").to_pylist(), strict=True)
    for row, (attribute, group) in enumerate(names):
        truth, error, size, squared, fourth = (float(one[row]) for one in sums)
        made.setdefault(attribute, {})[group] = Errors(
            int(count[row]), float(weight[row]), float(square[row]), error, size, squared, fourth, exponents[row], truth,
            float(skewed[row]),
        )  # fmt: skip
    return made


_Found = tuple[float, Interval | None]
_Value = Callable[[Errors], _Found]
_MEASURES: Final[dict[str, _Value]] = {
    "mean_error": lambda one: one.mean_size(),
    "mean_absolute_error": lambda one: one.absolute(),
    "root_mean_squared_error": lambda one: one.root(),
}


@dataclass(frozen=True, slots=True)
class _Compared:
    """One attribute: every group's errors, and against the best served or named group."""

    attribute: str
    groups: dict[str, Errors]
    params: RegressionFairnessParams
    made: list[Figure] = field(default_factory=list)

    def figures(self) -> list[Figure]:
        known = {name: one for name, one in self.groups.items() if not is_unknown(name)}
        least = self.params.min_group
        able = [name for name, one in known.items() if one.enough(least)]
        wanted = [item.partition("=")[2] for item in self.params.reference if item.partition("=")[0] == self.attribute]
        for key, measure in _MEASURES.items():
            values = {name: measure(known[name]) for name in able}
            best = min(values, key=lambda name: (values[name][0], name), default=None)
            best = next((name for name in able if name == wanted[0]), None) if wanted else best
            for name, one in known.items():
                note = "" if name in values else too_few(name, one.n, least)
                self._add(key, name, one.n, values.get(name), note=note)
            others = [name for name in known if name != best]
            for name in others or [""]:
                if not others:
                    note = f"{INSUFFICIENT}: “{self.attribute}” has fewer than two groups to compare."
                    self._add(f"{key}_difference", None, 0, None, note=note)
                elif name not in values or best is None:
                    n = known[name].n
                    note = too_few(name, n, least) if name not in values else no_reference(least, others=len(able))
                    self._add(f"{key}_difference", name, n, None, reference=best, note=note)
                else:
                    found = _difference(key, known[name], known[best], values[name], values[best])
                    self._add(f"{key}_difference", name, known[name].n, found, reference=best)
        return self.made

    def _add(
        self, key: str, group: str | None, n: int, found: _Found | None, *, reference: str | None = None,
        note: str = "",
    ) -> None:  # fmt: skip
        spec = _SPECS[key]
        value, ends = found or (None, None)
        low, high = ends or (None, None)
        gap = gap_of(ends) if ends and reference is not None else None
        note = LOPSIDED if found and ends is None else note
        self.made.append(
            Figure(
                key, spec.label, value, n, spec.better, ci_low=low, ci_high=high, attribute=self.attribute, group=group,
                reference=reference, smallest_gap=gap, note=note,
            )
        )  # fmt: skip


def _difference(key: str, own: Errors, base: Errors, first: _Found, second: _Found) -> _Found:
    """Of sizes: group minus reference. Of mean errors, which have a sign: how far they lie apart."""
    if key != "mean_error":
        gap = first[0] - second[0]
        return gap, None if first[1] is None or second[1] is None else mover(first[0], first[1], second[0], second[1])
    (a, of_a), (b, of_b) = own.mean(), base.mean()
    low, high = mover(a, of_a, b, of_b)
    size = abs(a - b)
    return size, (0.0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high)))


def _table(key: str, attribute: str, groups: dict[str, Errors], least: int) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, one in sorted(groups.items()):
        if not one.enough(least):
            rows.append((attribute, name, one.n, *[None] * 10, one.effective, "insufficient data"))
            continue
        found: tuple[_Found, ...] = (one.mean(), one.absolute(), one.root())
        cells = [cell for value, ends in found for cell in (value, *(ends or (None, None)))]
        said = "shown, not compared" if is_unknown(name) else ""
        rows.append((attribute, name, one.n, one.mean_truth, *cells, one.effective, said))
    labels = (
        ("attribute", "Attribute"), ("group", "Group"), ("n", "Rows"), ("truth", "Mean outcome"),
        ("mean_error", "Mean error"), ("mean_low", "Low"),
        ("mean_high", "High"), ("mae", "Mean absolute error"), ("mae_low", "Low"), ("mae_high", "High"),
        ("rmse", "Root mean squared error"), ("rmse_low", "Low"), ("rmse_high", "High"), ("effective", "Rows worth"),
        ("said", "Note"),
    )  # fmt: skip
    return Table(key, f"Errors by {attribute}", labels, tuple(rows))


def _pictures(attribute: str, figures: list[Figure]) -> list[Picture]:
    shown = [f for f in figures if f.key == "mean_absolute_error" and f.value is not None]
    if not 0 < len(shown) <= drawing.MOST_MARKS:
        return []
    worst = max(shown, key=lambda f: (f.value or 0.0, f.group or ""))
    alt = (
        f"Mean absolute error of {len(shown)} groups of {attribute} with 95 % intervals; the largest is {worst.value:.4g} "
        f"({worst.group})."
    )
    rows = [{"name": f.group, "value": f.value, "low": f.ci_low, "high": f.ci_high} for f in shown]
    title = f"Mean absolute error by {attribute}"
    return [drawing.ranges(f"errors:{attribute}", title, alt, rows, value="Mean absolute error", by=attribute)]


def _findings(attribute: str, groups: dict[str, Errors], figures: list[Figure]) -> list[str]:
    made = []
    gaps = [f for f in figures if f.key == "mean_absolute_error_difference" and f.value is not None]
    if gaps:
        worst = max(gaps, key=lambda f: (f.value or 0.0, f.group or ""))
        ends = "" if worst.ci_low is None else f"95 % interval {worst.ci_low:.4g} to {worst.ci_high:.4g}, "
        made.append(
            f"{attribute}: for “{worst.group}” the mean absolute error is {worst.value:.4g} larger than for "
            f"“{worst.reference}” ({ends}n = {worst.n})."
        )
    made += [f"{attribute}: {f.note}" for f in figures if f.key == "mean_absolute_error_difference" and f.note]
    unknown = sum(one.n for name, one in groups.items() if is_unknown(name))
    if unknown:
        made.append(f"{attribute}: {unknown} rows have no value; they are shown but not compared.")
    return made
