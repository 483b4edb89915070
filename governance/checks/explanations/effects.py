"""``explainability.effects``: how the output follows each input: partial dependence, single rows, monotonicity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from governance.checks import pictures
from governance.checks.contract import CheckInputs, Params
from governance.checks.explanations import grids, stability
from governance.checks.explanations.grids import Grid
from governance.checks.manifests.explainability import EFFECTS
from governance.checks.probing import ProbeCheck, answer_of
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns
from governance.checks.rows.sampling import features_of, outputs, sample
from governance.checks.statistics.intervals import mean_interval, wilson

_SPECS = {spec.key: spec for spec in EFFECTS.figures}
_GRID = "grid"
_TINY = 1e-9
"""A step against the required direction counts when it is larger than this: rounding is no violation."""
MOST_CELLS: Final = 40_000_000
FEWEST_ROWS: Final = 20
MOST_GRID_ROWS: Final = 200_000
"""Quantiles and frequent categories are those of at most so many rows."""
_PICTURES: Final = 4


@dataclass(frozen=True, slots=True)
class EffectsParams(Params):
    """``increasing``, ``decreasing``: inputs with which the output must never fall, or rise.

    ``rows`` are tried at ``points`` quantiles of each number and the ``categories`` most frequent values of each word, of at
    most ``features`` inputs (all that must be monotone, first).
    """

    increasing: tuple[str, ...] = ()
    decreasing: tuple[str, ...] = ()
    rows: int = 200
    points: int = 11
    categories: int = 10
    features: int = 20
    seed: int = 0

    def check(self) -> None:
        if not FEWEST_ROWS <= self.rows <= 5000 or not 3 <= self.points <= 101 or not 1 <= self.features <= 200:
            raise CheckError("params.value", "“rows” is 20 to 5000, “points” 3 to 101, “features” 1 to 200.")
        if not 2 <= self.categories <= 50 or self.seed < 0:
            raise CheckError("params.value", "“categories” is 2 to 50, “seed” not negative.")
        both = set(self.increasing) & set(self.decreasing)
        if both:
            raise CheckError("params.value", f"“{min(both)}” cannot be both increasing and decreasing.")

    @property
    def monotone(self) -> tuple[str, ...]:
        """Inputs with a direction."""
        return (*self.increasing, *self.decreasing)


@dataclass(frozen=True, slots=True)
class _Followed:
    """One input's curves, shape (points, rows)."""

    grid: Grid
    curves: np.ndarray

    @property
    def means(self) -> np.ndarray:
        made: np.ndarray = self.curves.mean(axis=1)
        return made

    @property
    def range(self) -> float:
        """By how much the average output moves."""
        return float(self.means.max() - self.means.min())

    def against(self, *, rising: bool) -> int:
        """Rows whose output takes a step against the direction."""
        steps = np.diff(self.curves, axis=0) * (1.0 if rising else -1.0)
        return int((steps.min(axis=0) < -_TINY).sum())


class Effects(ProbeCheck):
    """One table: for each input, each point of its grid, each row."""

    manifest = EFFECTS
    params = EffectsParams

    def probes(self, inputs: CheckInputs, params: EffectsParams) -> Mapping[str, pa.Table]:
        rows, made = _designed(inputs, params)
        parts = [grids.at(rows, grid, place) for grid in made for place in range(len(grid.points))]
        return {_GRID: pa.concat_tables(parts)} if parts else {}

    def finish(self, state: pa.Table, inputs: CheckInputs, params: EffectsParams) -> CheckResult:
        rows, made = _designed(inputs, params)
        n = rows.num_rows
        if not made:
            reason = "The model has no input with two values that enough rows have."
            return CheckResult(EFFECTS.key, EFFECTS.version, params.as_dict(), n, not_applicable=reason)
        said = outputs(answer_of(inputs, _GRID))
        followed, start = [], 0
        for grid in made:
            size = len(grid.points) * n
            followed.append(_Followed(grid, said[start : start + size].reshape(len(grid.points), n)))
            start += size
        ranked = sorted(followed, key=lambda one: (-one.range, one.grid.name))
        figures = [*(_range(one, n, params.seed) for one in followed), *_violations(followed, n, params)]
        return CheckResult(
            EFFECTS.key, EFFECTS.version, params.as_dict(), n, tuple(figures),
            tables=(
                Table("effects", "Inputs and how the output follows them", _EFFECTS, tuple(_summary(one, n) for one in ranked)),
                Table("dependence", "Partial dependence", _DEPENDENCE, _dependence(followed, n, words=False)),
                Table("categories", "Partial dependence on categories", _DEPENDENCE, _dependence(followed, n, words=True)),
            ),
            pictures=tuple(_picture(one, place) for place, one in enumerate(ranked[:_PICTURES], 1)),
            findings=(
                f"The output follows “{ranked[0].grid.name}” most: on average it moves by {ranked[0].range:.3g}.",
                *(
                    f"“{f.attribute}” must be monotone; for {f.value:.1%} of the rows it is not."
                    for f in figures if f.key == "monotonicity_violations" and f.value
                ),
            ),
            limits=_limits(inputs, params, n, len(made)),
            facts={"inputs": len(made)},
        )  # fmt: skip


_EFFECTS = (
    ("feature", "Input"), ("range", "Average output moves by"), ("single", "Single rows move by"),
    ("rises", "Rows where it rises"), ("falls", "Rows where it falls"),
)  # fmt: skip
_DEPENDENCE = (
    ("feature", "Input"), ("value", "Value"), ("mean", "Mean output"), ("low", "Low"), ("high", "High"),
    ("tenth", "A tenth of rows below"), ("ninetieth", "A tenth of rows above"),
)  # fmt: skip


def _designed(inputs: CheckInputs, params: EffectsParams) -> tuple[pa.Table, list[Grid]]:
    """The sampled rows, and the grids of the inputs; fewer rows where the question would be too long."""
    names = features_of(inputs)
    for name in params.monotone:
        if name not in names:
            raise CheckError("params.value", f"“{name}” is to be monotone but is no input of the model.", name)
    data = sample(columns.rows_of(inputs).select(names), MOST_GRID_ROWS, params.seed)
    for name in params.monotone:
        if not grids.is_ordered(data, name):
            raise CheckError("data.type", f"“{name}” is to be monotone but holds no numbers.", name)
    first = [name for name in names if name in params.monotone]
    wanted = list(dict.fromkeys((*first, *names)))
    made: list[Grid] = []
    for name in wanted:
        if len(made) >= max(params.features, len(first)):
            break
        grid = grids.of(data, name, points=params.points, categories=params.categories)
        if grid is not None:
            made.append(grid)
    asked = sum(len(grid.points) for grid in made) * len(names)
    fit = min(params.rows, MOST_CELLS // max(asked, 1))
    if fit < FEWEST_ROWS:
        raise CheckError("params.value", "This would ask the model too much at once; lower “points” or “features”.")
    return sample(data, fit, params.seed), made


def _range(one: _Followed, n: int, seed: int) -> Figure:
    """With an interval from resampled rows."""
    spec = _SPECS["effect_range"]
    drawn = stability.resampled(one.curves.T, seed)
    low, high = np.quantile(drawn.max(axis=1) - drawn.min(axis=1), [0.025, 0.975])
    value = one.range
    return Figure(
        spec.key, spec.label, value, n, spec.better,
        ci_low=float(min(low, value)), ci_high=float(max(high, value)), attribute=one.grid.name,
    )  # fmt: skip


def _violations(followed: list[_Followed], n: int, params: EffectsParams) -> list[Figure]:
    spec = _SPECS["monotonicity_violations"]
    if not params.monotone:
        note = "No input was declared monotone (parameters “increasing” and “decreasing”)."
        return [Figure(spec.key, spec.label, None, n, spec.better, note=note)]
    found = {one.grid.name: one for one in followed}
    made = []
    for name in params.monotone:
        if name not in found:
            note = f"“{name}” has no two values that enough rows have."
            made.append(Figure(spec.key, spec.label, None, n, spec.better, attribute=name, note=note))
            continue
        rows = found[name].against(rising=name in params.increasing)
        low, high = wilson(rows, n)
        made.append(
            Figure(
                spec.key, spec.label, rows / n, n, spec.better, ci_low=low, ci_high=high, scale="logit", attribute=name
            )
        )
    return made


def _summary(one: _Followed, n: int) -> tuple[Cell, ...]:
    single = float((one.curves.max(axis=0) - one.curves.min(axis=0)).mean())
    if one.grid.words:
        return one.grid.name, one.range, single, None, None
    return one.grid.name, one.range, single, one.against(rising=False) / n, one.against(rising=True) / n


def _dependence(followed: list[_Followed], n: int, *, words: bool) -> tuple[tuple[Cell, ...], ...]:
    """Means with their intervals, and between which outputs four fifths of the rows lie: never a row's own curve."""
    made: list[tuple[Cell, ...]] = []
    for one in followed:
        if one.grid.words is not words:
            continue
        for point, row in zip(one.grid.points, one.curves, strict=True):
            mean = float(row.mean())
            ends = mean_interval(mean, float(row.var(ddof=1)) if n > 1 else 0.0, n) or (None, None)
            tenth, ninetieth = np.quantile(row, [0.1, 0.9])
            made.append((one.grid.name, point, mean, *ends, float(tenth), float(ninetieth)))
    return tuple(made)


def _picture(one: _Followed, place: int) -> Picture:
    band = np.quantile(one.curves, [0.1, 0.9], axis=1)
    title = f"How the output follows {one.grid.name}"
    alt = f"The mean output at {len(one.grid.points)} values of {one.grid.name}, with a band that holds four fifths of the rows."
    if one.grid.words:
        rows: list[dict[str, Cell]] = [
            {"name": str(point), "value": float(mean), "low": float(low), "high": float(high)}
            for point, mean, low, high in zip(one.grid.points, one.means, *band, strict=True)
        ]
        return pictures.ranges(f"effect-{place}", title, alt, rows, value="Output", by=one.grid.name)
    rows = [
        {"x": float(point), "y": float(mean), "low": float(low), "high": float(high)}
        for point, mean, low, high in zip(one.grid.points, one.means, *band, strict=True)
    ]
    return pictures.curve(f"effect-{place}", title, alt, rows, x=one.grid.name, y="Output")


def _limits(inputs: CheckInputs, params: EffectsParams, n: int, followed: int) -> tuple[str, ...]:
    whole, names = columns.rows_of(inputs).num_rows, len(features_of(inputs))
    said = [
        "One input is moved while the others stay: where inputs belong together, some of these rows could not exist.",
        f"Outside the {grids.FEWEST} smallest and largest values, and between two points of the grid, the output is not seen.",
    ]
    if n < whole:
        said.append(
            f"{n} of {whole} rows were moved, drawn with the seed {params.seed}; the intervals are for so many."
        )
    if followed < names:
        said.append(
            f"{followed} of {names} inputs were moved: the others are beyond “features”, constant, too rare or neither "
            "numbers nor words."
        )
    if inputs.roles.weight:
        said.append("Rows count alike here: the weights of the rows are not used.")
    return tuple(said)
