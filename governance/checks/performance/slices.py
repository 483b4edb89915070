"""``performance.slices``: where the model errs more than elsewhere, over single columns and pairs of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.figures import Maker
from governance.checks.manifests.performance import SLICES
from governance.checks.performance import errors_of, slicing
from governance.checks.performance.slice_tests import FINE, Decided, Measured, Slice, level, ps, read
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns
from governance.checks.rows.kinds import kind_of
from governance.checks.statistics import estimates
from governance.checks.statistics.distances import benjamini_hochberg
from governance.checks.statistics.intervals import Z, wilson

_made = Maker(SLICES)
_DRAWN = 10
_SELECTED = (
    "The worst of many slices looks worse than it is: its gap is too large on average, though the test is adjusted and the "
    "intervals of flagged slices are widened for their selection."
)


@dataclass(frozen=True, slots=True)
class SlicesParams(Params):
    """Numbers are cut into ``bins`` of equal size; a slice needs ``min_rows``.

    ``pairs``: also slice by every two columns. A slice is flagged when its error exceeds that of all other rows by more
    than ``margin`` (of a regression: as a share of the mean error) and the test says so at ``alpha``, adjusted over all
    slices tried.
    """

    threshold: float = 0.5
    bins: int = 4
    min_rows: int = 50
    pairs: bool = True
    margin: float = 0.0
    alpha: float = 0.05

    def check(self) -> None:
        if not 0 < self.threshold < 1 or not 0 < self.alpha < 1 or not 0 <= self.margin < 1:
            raise CheckError("params.value", "“threshold” and “alpha” must lie between 0 and 1, “margin” in [0, 1).")
        if not 2 <= self.bins <= 20 or self.min_rows < 10:
            raise CheckError("params.value", "“bins” must be from 2 to 20 and “min_rows” at least 10.")


class WorstSlices(Check):
    """State: of every slice the rows and the sum of wrong decisions, or of absolute errors and their squares.

    The edges of the bins are set by ``plan`` over all rows.
    """

    manifest = SLICES
    params = SlicesParams

    def plan(self, inputs: CheckInputs, params: SlicesParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        kind = kind_of(inputs, ("predictions",))
        columns.check_predictions(inputs if kind != "regression" else _without_scores(inputs))
        power = 0
        if kind == "binary":
            columns.check_binary_label(inputs, both=False)
        elif (
            kind == "multiclass"
            and inputs.predictions is not None
            and "prediction" not in inputs.predictions.column_names
        ):
            raise CheckError("data.predictions_invalid", "The model must name a class for every row.", "prediction")
        elif kind == "regression":
            label, said = (
                errors_of.doubles(columns.number_label(inputs)),
                errors_of.doubles(errors_of.predicted(inputs)),
            )
            errors_of.exponent_of(label, said, name=str(inputs.roles.label))
            power = math.frexp(float(np.abs(label - said).max()))[1]
        prepared = {"edges": slicing.edges_of(inputs, params.bins), "kind": kind, "power": power}
        return columns.split(replace(inputs, prepared=prepared), shards)

    def map(self, shard: CheckInputs, params: SlicesParams) -> pa.Table:
        given = shard.prepared or {}
        if given["kind"] == "regression":
            label, said = errors_of.doubles(columns.number_label(shard)), errors_of.doubles(errors_of.predicted(shard))
            loss = np.ldexp(np.abs(label - said), -given["power"])
            measured = {
                "loss": np.rint(loss * FINE).astype("int64"),
                "square": np.rint(loss**2 * FINE).astype("int64"),
            }
        else:
            measured = {"wrong": _wrong(shard, given["kind"], params.threshold).to_numpy().astype("int64")}
        made = slicing.counted(shard, given["edges"], measured, pairs=params.pairs)
        power = pa.repeat(pa.scalar(given["power"], pa.int64()), made.num_rows)
        return made.add_column(made.column_names.index("count"), "power", power)  # where merging leaves it

    def finish(self, state: pa.Table, inputs: CheckInputs, params: SlicesParams) -> CheckResult:
        regression = "sum_loss" in state.column_names
        kind, total, tried = read(state, params.min_rows)
        adjusted = benjamini_hochberg(ps(tried))
        worst_first = sorted(
            (
                one
                for one, p in zip(tried, adjusted, strict=True)
                if p is not None and p <= params.alpha and one.relative(total) > params.margin
            ),
            key=lambda one: (-one.gap, one.label),
        )
        z = level(len(worst_first), len(tried), params.alpha)
        shown = worst_first[:20] or sorted(tried, key=lambda one: (-one.gap, one.label))[:5]
        table = _table(shown, worst_first, dict(zip(tried, adjusted, strict=True)), z, kind)
        return CheckResult(
            SLICES.key, SLICES.version, params.as_dict(), total.n,
            tuple(_figures(total, tried, worst_first, z, params)), (table,), _picture(shown[:_DRAWN], worst_first, z, total),
            findings=_findings(worst_first, tried, kind),
            limits=(
                _SELECTED,
                "Slices overlap, so several flags may have one cause.", "Weights are not used: every row counts the same.",
            ),
            facts={"tried": len(tried), "task": "regression" if regression else "classes"},
        )  # fmt: skip


def _without_scores(inputs: CheckInputs) -> CheckInputs:
    table = inputs.predictions
    if table is None or "prediction" not in table.column_names:
        return inputs
    return replace(inputs, predictions=table.select(["prediction"]))


def _wrong(shard: CheckInputs, kind: str, threshold: float) -> pa.Array:
    """1 where the decision differs from the label."""
    if kind == "binary":
        return pc.not_equal(columns.binary_label(shard), columns.decisions(shard, threshold)).cast(pa.int8())
    label = columns.words(columns.rows_of(shard).column(str(shard.roles.label)))
    said = pa.chunked_array([]) if shard.predictions is None else shard.predictions.column("prediction")
    return pc.not_equal(label, columns.words(said)).cast(pa.int8())


def _figures(total: Slice, tried: list[Slice], flagged: list[Slice], z: float, params: SlicesParams) -> list[Figure]:
    n, flags = total.n, float(len(flagged))
    if isinstance(total, Decided):
        ends = wilson(total.wrong, n)
        own = [
            _made("error_rate", total.here, n, ends, scale="logit"),
            _made.none("mean_error", n, "Decisions have an error rate instead."),
        ]
    else:
        error = total.error if isinstance(total, Measured) else 0.0
        own = [
            _made.none("error_rate", n, "A regression has a mean error instead."),
            _made("mean_error", total.here, n, estimates.positive(total.here, error, n - 1)),
        ]
    figures = [*own, _made("flagged_slices", flags, n, (flags, flags))]
    if flagged:
        worst = flagged[0]
        unit = worst.relative(total) / worst.gap
        low, high = (end * unit for end in worst.interval(z))
        figures.append(
            _made(
                "worst_gap", worst.relative(total), worst.n, (low, high), group=worst.label, reference="all other rows"
            )
        )
    elif tried:
        figures.append(_made("worst_gap", 0.0, n, (0.0, 0.0), note="No slice is flagged."))
    else:
        note = f"No slice has {params.min_rows} rows in it and outside of it."
        figures.append(_made.none("worst_gap", n, note))
    return figures


def _table(shown: list[Slice], flagged: list[Slice], p_of: dict[Slice, float | None], z: float, kind: str) -> Table:
    chosen = set(flagged)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            one.label, one.n, one.wrong if isinstance(one, Decided) else None, one.here, one.elsewhere, one.gap,
            *one.interval(z if one in chosen else Z), p_of[one], one in chosen,
        )
        for one in shown
    )  # fmt: skip
    labels = (
        ("slice", "Slice"), ("n", "Rows"), ("wrong", "Wrong"), ("rate", kind), ("others", "Elsewhere"), ("gap", "Gap"),
        ("low", "Low"), ("high", "High"), ("p", "p, adjusted"), ("flagged", "Flagged"),
    )  # fmt: skip
    return Table("slices", "Slices that err most", labels, rows)


def _picture(shown: list[Slice], flagged: list[Slice], z: float, total: Slice) -> tuple[Picture, ...]:
    if not shown:
        return ()
    chosen = set(flagged)
    rows: list[dict[str, Cell]] = []
    for one in shown:
        low, high = one.interval(z if one in chosen else Z)
        rows.append({"name": one.label, "value": one.gap, "low": low, "high": high})
    alt = (
        f"How much more the model errs in the {len(rows)} worst slices than elsewhere, with intervals; {len(flagged)} slices are "
        "flagged in all."
    )
    value = "Error rate here minus elsewhere" if isinstance(total, Decided) else "Mean error here minus elsewhere"
    return (pictures.ranges("slices", "Slices that err most", alt, rows, value=value, by="Slice", line=0.0),)


def _findings(flagged: list[Slice], tried: list[Slice], kind: str) -> tuple[str, ...]:
    if not tried:
        return ("No slice is large enough to be judged.",)
    if not flagged:
        return (f"None of {len(tried)} slices errs more than all other rows.",)
    worst = flagged[0]
    here, elsewhere = (
        f"{one:.1%}" if isinstance(worst, Decided) else f"{one:.4g}" for one in (worst.here, worst.elsewhere)
    )
    said = f"{here} wrong" if isinstance(worst, Decided) else f"a {kind.lower()} of {here}"
    return (
        f"{len(flagged)} of {len(tried)} slices err more than all other rows.",
        f"Worst: {worst.label}: {said} against {elsewhere} elsewhere.",
    )
