"""``explainability.effects``: how the output follows each number: partial dependence, single rows, monotonicity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from governance.checks import columns
from governance.checks.contract import CheckInputs, Params
from governance.checks.intervals import mean_interval, wilson
from governance.checks.manifests.explainability import EFFECTS
from governance.checks.probing import ProbeCheck, answer_of
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Table
from governance.checks.sampling import features_of, is_number, numbers_of, outputs, sample, with_numbers

_SPECS = {spec.key: spec for spec in EFFECTS.figures}
_GRID = "grid"
_TINY = 1e-9
"""A step against the required direction counts when it is larger than this: rounding is no violation."""


@dataclass(frozen=True, slots=True)
class EffectsParams(Params):
    """``increasing``, ``decreasing``: inputs with which the output must never fall, or rise.

    ``rows`` are tried at ``points`` quantiles of each of at most ``features`` numbers (all that must be monotone, first).
    """

    increasing: tuple[str, ...] = ()
    decreasing: tuple[str, ...] = ()
    rows: int = 200
    points: int = 11
    features: int = 20
    seed: int = 0

    def check(self) -> None:
        if not 20 <= self.rows <= 5000 or not 3 <= self.points <= 101 or not 1 <= self.features <= 200 or self.seed < 0:
            raise CheckError(
                "params.value", "“rows” is 20 to 5000, “points” 3 to 101, “features” 1 to 200, “seed” not negative."
            )
        both = set(self.increasing) & set(self.decreasing)
        if both:
            raise CheckError("params.value", f"“{min(both)}” cannot be both increasing and decreasing.")


class Effects(ProbeCheck):
    """One table: for each number, each point of its grid, each row."""

    manifest = EFFECTS
    params = EffectsParams

    def probes(self, inputs: CheckInputs, params: EffectsParams) -> Mapping[str, pa.Table]:
        rows, grids = _grids(inputs, params)
        parts = [
            with_numbers(rows, name, np.full(rows.num_rows, point)) for name, grid in grids.items() for point in grid
        ]
        return {_GRID: pa.concat_tables(parts)} if parts else {}

    def finish(self, state: pa.Table, inputs: CheckInputs, params: EffectsParams) -> CheckResult:
        rows, grids = _grids(inputs, params)
        n = rows.num_rows
        if not grids:
            reason = "The model has no numeric input with at least two values."
            return CheckResult(EFFECTS.key, EFFECTS.version, params.as_dict(), n, not_applicable=reason)
        said = outputs(answer_of(inputs, _GRID))
        figures: list[Figure] = []
        dependence: list[tuple[Cell, ...]] = []
        summary: list[tuple[Cell, ...]] = []
        start = 0
        for name, grid in grids.items():
            curves = said[start : start + len(grid) * n].reshape(len(grid), n)
            start += len(grid) * n
            means = curves.mean(axis=1)
            for point, mean, row in zip(grid, means, curves, strict=True):
                ends = mean_interval(float(mean), float(row.var(ddof=1)), n) or (None, None)
                dependence.append((name, float(point), float(mean), *ends))
            spread = float(means.max() - means.min())
            spec = _SPECS["effect_range"]
            figures.append(Figure(spec.key, spec.label, spread, n, spec.better, attribute=name))
            steps = np.diff(curves, axis=0)
            falls, rises = int((steps.min(axis=0) < -_TINY).sum()), int((steps.max(axis=0) > _TINY).sum())
            summary.append(
                (name, spread, float((curves.max(axis=0) - curves.min(axis=0)).mean()), rises / n, falls / n)
            )
            if name in (*params.increasing, *params.decreasing):
                figures.append(_violation(name, falls if name in params.increasing else rises, n))
        if not params.increasing and not params.decreasing:
            spec = _SPECS["monotonicity_violations"]
            note = "No input was declared monotone (parameters “increasing” and “decreasing”)."
            figures.append(Figure(spec.key, spec.label, None, n, spec.better, note=note))
        strongest = max(summary, key=lambda row: (float(row[1] or 0.0), str(row[0])))
        return CheckResult(
            EFFECTS.key, EFFECTS.version, params.as_dict(), n, tuple(figures),
            tables=(
                Table("effects", "Inputs and how the output follows them", _EFFECTS, tuple(summary)),
                Table("dependence", "Partial dependence", _DEPENDENCE, tuple(dependence)),
            ),
            findings=(
                f"The output follows “{strongest[0]}” most: on average it moves by {float(strongest[1] or 0.0):.3g}.",
                *(
                    f"“{f.attribute}” must be monotone; for {f.value:.1%} of the rows it is not."
                    for f in figures if f.key == "monotonicity_violations" and f.value
                ),
            ),
            limits=(
                "One input is moved while the others stay: where inputs belong together, some of these rows could not exist.",
                "Between two points of the grid the output is not seen.",
            ),
            facts={"inputs": len(grids)},
        )  # fmt: skip


_EFFECTS = (
    ("feature", "Input"), ("range", "Average output moves by"), ("single", "Single rows move by"),
    ("rises", "Rows where it rises"), ("falls", "Rows where it falls"),
)  # fmt: skip
_DEPENDENCE = (("feature", "Input"), ("value", "Value"), ("mean", "Mean output"), ("low", "Low"), ("high", "High"))


def _grids(inputs: CheckInputs, params: EffectsParams) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """The sampled rows, and for each number its points: quantiles of all rows, without repeats."""
    names = features_of(inputs)
    for name in (*params.increasing, *params.decreasing):
        if name not in names:
            raise CheckError("params.value", f"“{name}” is to be monotone but is no input of the model.", name)
    data = columns.rows_of(inputs).select(names)
    numeric = [name for name in names if is_number(data.schema.field(name).type)]
    for name in (*params.increasing, *params.decreasing):
        if name not in numeric:
            raise CheckError("data.type", f"“{name}” is to be monotone but holds no numbers.", name)
    first = [name for name in numeric if name in (*params.increasing, *params.decreasing)]
    chosen = list(dict.fromkeys((*first, *numeric)))[: max(params.features, len(first))]
    grids = {}
    for name in chosen:
        values = numbers_of(data, name)
        values = values[np.isfinite(values)]
        if len(values):
            points = np.unique(np.quantile(values, np.linspace(0, 1, params.points), method="inverted_cdf"))
            if len(points) > 1:
                grids[name] = points
    return sample(data, params.rows, params.seed), grids


def _violation(name: str, rows: int, n: int) -> Figure:
    spec = _SPECS["monotonicity_violations"]
    low, high = wilson(rows, n)
    return Figure(
        spec.key, spec.label, rows / n, n, spec.better, ci_low=low, ci_high=high, scale="logit", attribute=name
    )
