"""``drift.columns``, ``.live``, ``.predictions`` and ``.label``: how far a sample lies from a reference, column by column.

The cells are frozen by the reference alone (``cells``), so that a shard needs no other shard, and its bins are recorded: a
later run that is given them as ``edges`` counts in the same bins.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.data import cells
from governance.checks.data.drift_columns import Column, given_edges, measured
from governance.checks.manifests.data import DRIFT, LABEL_DRIFT, LIVE_DRIFT, PREDICTION_DRIFT
from governance.checks.results import CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns
from governance.checks.statistics import distances

_MOST_PICTURED = 20


@dataclass(frozen=True, slots=True)
class DriftParams(Params):
    """``bins`` of the PSI; whole numbers with at most ``categories`` values are categories.

    A column counts as drifted when its corrected PSI is above ``psi_line`` *and* its test, adjusted over all columns, says
    so at ``alpha``. ``edges`` (``column: 1.5, 2.5``) are bins that an earlier result recorded. ``live`` names the data set
    with live data (``name``, or ``name@3`` for one version), where the check compares with live data.
    """

    bins: int = 10
    psi_line: float = 0.1
    alpha: float = 0.05
    categories: int = 20
    resolution: int = 2048
    edges: tuple[str, ...] = ()
    live: str = ""

    def check(self) -> None:
        if not 2 <= self.bins <= 100 or not 0 <= self.categories <= 1000:
            raise CheckError("params.value", "“bins” must be from 2 to 100 and “categories” from 0 to 1000.")
        if not 0 <= self.psi_line < 10 or not 0 < self.alpha < 1:
            raise CheckError("params.value", "“psi_line” must lie in [0, 10) and “alpha” between 0 and 1.")
        if not self.bins <= self.resolution <= 65_536:
            raise CheckError("params.value", "“resolution” must be from “bins” to 65536.")
        given_edges(self.edges)


class Drift(Check):
    """State: the reference's cells, which are the same in every shard, and the counts of the sample in them."""

    params = DriftParams
    sides: ClassVar[tuple[str, str]] = ("training data", "test data")
    absent: ClassVar[str] = (
        "The training data is not registered with this version, so there is nothing to compare with."
    )

    @abstractmethod
    def reference(self, inputs: CheckInputs) -> pa.Table | None:
        """What the sample is compared with; None if there is none."""

    def sample(self, inputs: CheckInputs) -> pa.Table:
        """The rows of which a shard has a part."""
        return columns.rows_of(inputs)

    @abstractmethod
    def names(self, inputs: CheckInputs) -> list[str]:
        """The columns that are compared."""

    def plan(self, inputs: CheckInputs, params: DriftParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        sample, reference = self.sample(inputs), self.reference(inputs)
        if reference is None:
            return (inputs,)
        if reference.num_rows == 0:
            raise CheckError("data.empty", f"The {self.sides[0]} has no rows.")
        shared = self.names(inputs)
        if not shared:
            sentence = f"The {self.sides[1]} and the {self.sides[0]} have no column in common."
            raise CheckError("data.columns_differ", sentence)
        for name in shared:
            self._check_types(name, reference.schema.field(name).type, sample.schema.field(name).type)
        given = given_edges(params.edges)
        for name in given:
            if name not in shared or not cells.is_number(reference.schema.field(name).type):
                raise CheckError("params.value", f"“edges” names “{name}”, which is no column of numbers here.", name)
        made = cells.of_reference(
            reference, shared, categories=params.categories, resolution=params.resolution, given=given
        )
        return columns.split(replace(inputs, prepared={"reference": made}), shards)

    def _check_types(self, name: str, before: pa.DataType, now: pa.DataType) -> None:
        if any(pa.types.is_nested(one) or pa.types.is_binary(one) for one in (before, now)):
            raise CheckError("data.type", f"The column “{name}” holds no plain cells, so it has no distribution.", name)
        if cells.is_number(before) != cells.is_number(now) and pa.null() not in (before, now):
            sentence = f"The column “{name}” is {before} in the {self.sides[0]} and {now} in the {self.sides[1]}."
            raise CheckError("data.type", sentence, name)

    def map(self, shard: CheckInputs, params: DriftParams) -> pa.Table:
        if shard.prepared is None:
            return cells.SCHEMA.empty_table()
        reference = shard.prepared["reference"]
        return pa.concat_tables([reference, cells.of_sample(self.sample(shard), reference)]).combine_chunks()

    def merge(self, states: Iterable[pa.Table]) -> pa.Table:
        """Counts of the sample add up; the reference's are the same everywhere and are kept once."""
        tables = list(states)
        if len(tables) == 1:
            return tables[0].combine_chunks()
        is_sample = [pc.equal(table.column("side"), cells.SAMPLE) for table in tables]
        rows = pa.concat_tables(table.filter(mine) for table, mine in zip(tables, is_sample, strict=True))
        reference = tables[0].filter(pc.invert(is_sample[0]))
        return pa.concat_tables([reference, cells.added([rows])]).combine_chunks()

    def finish(self, state: pa.Table, inputs: CheckInputs, params: DriftParams) -> CheckResult:
        about = self.manifest
        if state.num_rows == 0:
            return CheckResult(about.key, about.version, params.as_dict(), 0, not_applicable=self.absent)
        found = measured(state, params.bins, given_edges(params.edges))
        adjusted = distances.benjamini_hochberg([one.p for one in found])
        drifted = [
            one for one, p in zip(found, adjusted, strict=True)
            if p is not None and p <= params.alpha and one.psi_corrected > params.psi_line
        ]  # fmt: skip
        n = max(one.sample for one in found)
        specs = {spec.key: spec for spec in about.figures}
        spec = specs["drifted_columns"]
        count = float(len(drifted))
        figures = [Figure(spec.key, spec.label, count, n, spec.better, ci_low=count, ci_high=count)]
        for one in found:
            figures += one.figures(specs)
        ranked = sorted(zip(found, adjusted, strict=True), key=lambda pair: (-pair[0].psi_corrected, pair[0].name))
        return CheckResult(
            about.key, about.version, params.as_dict(), n, tuple(figures),
            tables=self._tables(ranked, {one.name for one in drifted}),
            pictures=self._pictures([one for one, _ in ranked], params),
            findings=tuple(_findings(drifted, found)),
            limits=(
                "A column that moved need not hurt the model, and columns can move together without moving alone.",
                "With many rows the tests see differences that do not matter; the PSI and the distances say how large they are.",
                _exactness(params.resolution, max(one.ks_short for one in found)),
            ),
            facts={"reference_rows": max(one.reference for one in found)},
        )  # fmt: skip

    def _tables(self, ranked: list[tuple[Column, float | None]], drifted: set[str]) -> tuple[Table, ...]:
        rows = [
            (one.name, one.psi, one.psi_corrected, *one.psi_interval, one.ks, one.wasserstein, one.cramers_v, one.js, p,
             one.name in drifted)
            for one, p in ranked
        ]  # fmt: skip
        bins = [(one.name, *cell) for one, _ in ranked for cell in one.bins]
        recorded = [(one.name, one.recorded) for one, _ in ranked if one.ends is not None]
        before, now = (side.capitalize() for side in self.sides)
        sides = ("column", "Column"), ("bin", "Bin"), ("reference", before), ("sample", now)
        made = [
            Table("drift", f"Columns, {self.sides[0]} against {self.sides[1]}", _COLUMNS, tuple(rows)),
            Table("bins", "Rows in each bin", sides, tuple(bins)),
        ]  # fmt: skip
        if recorded:
            title = "Frozen bins, in the form of the parameter “edges”"
            made.append(Table("edges", title, (("column", "Column"), ("edges", "Ends of its bins")), tuple(recorded)))
        return tuple(made)

    def _pictures(self, ranked: list[Column], params: DriftParams) -> tuple[Picture, ...]:
        shown = ranked[:_MOST_PICTURED]
        worst = ranked[0]
        rows: list[pictures.Row] = [
            {"name": one.name, "value": one.psi_corrected, "low": one.psi_interval[0], "high": one.psi_interval[1]}
            for one in shown
        ]
        sizes = worst.reference, worst.sample
        shares: list[pictures.Row] = [
            {"x": side.capitalize(), "y": name, "value": round(cell[index] / sizes[index], 4) if sizes[index] else 0.0}
            for name, *cell in worst.bins
            for index, side in enumerate(self.sides)
        ]
        alt = f"PSI beyond chance of {len(shown)} columns with intervals; {worst.name} moved most ({worst.psi_corrected:.3f})."
        return (
            pictures.ranges("psi", "How far each column moved", alt, rows, value="PSI beyond chance", line=params.psi_line),
            pictures.grid(
                "worst", f"Where {worst.name} moved", f"Share of the rows in each bin of {worst.name}, on both sides.",
                shares, x="", y=worst.name, value="Share",
            ),
        )  # fmt: skip


class ColumnDrift(Drift):
    """The test data against the training data."""

    manifest = DRIFT

    def reference(self, inputs: CheckInputs) -> pa.Table | None:
        return inputs.training

    def names(self, inputs: CheckInputs) -> list[str]:
        return cells.shared_columns(inputs, self.reference(inputs))


class LiveDrift(ColumnDrift):
    """The test data against what the live model was given."""

    manifest = LIVE_DRIFT
    sides = ("live data", "test data")
    absent = "There is no live data: seal a data set version of it, or name one by the parameter “live”."

    def reference(self, inputs: CheckInputs) -> pa.Table | None:
        return inputs.live_data


class PredictionDrift(Drift):
    """What the model says to the test data against what it says to the training data."""

    manifest = PREDICTION_DRIFT
    sides = ("predictions on the training data", "predictions on the test data")
    absent = "There are no predictions on training data of this version, so there is nothing to compare with."

    def reference(self, inputs: CheckInputs) -> pa.Table | None:
        return inputs.training_predictions

    def sample(self, inputs: CheckInputs) -> pa.Table:
        columns.check_predictions(inputs)
        found = inputs.predictions
        if found is None:
            raise CheckError("inputs.missing", "This check needs predictions, and none were given.")
        return found

    def names(self, inputs: CheckInputs) -> list[str]:
        there = [] if inputs.training_predictions is None else inputs.training_predictions.column_names
        return [name for name in ("score", "prediction") if name in there and name in self.sample(inputs).column_names]


class LabelDrift(ColumnDrift):
    """The label of the test data against that of the training data."""

    manifest = LABEL_DRIFT

    def names(self, inputs: CheckInputs) -> list[str]:
        label = inputs.roles.label
        columns.column(columns.rows_of(inputs), label, code="data.label_missing", what="label")
        there = [] if inputs.training is None else inputs.training.column_names
        return [label] if label is not None and label in there else []


_COLUMNS = (
    ("column", "Column"), ("psi", "PSI"), ("psi_corrected", "PSI beyond chance"), ("low", "Low"), ("high", "High"),
    ("ks", "KS"), ("wasserstein", "Wasserstein"), ("cramers_v", "Cramér's V"), ("js", "Jensen-Shannon"),
    ("p", "p, adjusted"), ("drifted", "Drifted"),
)  # fmt: skip


def _exactness(resolution: int, short: float) -> str:
    exact = "is exact here" if short == 0 else f"is short by at most {short:.2g} here"
    return (
        f"Numbers are compared at {resolution} values of the reference at most, and what lies between is counted: the KS "
        f"statistic {exact}. Of words, the {cells.MOST_WORDS} most frequent of the reference have cells of their own; what it "
        "never had is one cell. Weights are not used."
    )


def _findings(drifted: list[Column], found: list[Column]) -> list[str]:
    if not drifted:
        return [f"None of {len(found)} columns has drifted."]
    worst = sorted(drifted, key=lambda one: (-one.psi_corrected, one.name))
    return [f"{len(drifted)} of {len(found)} columns have drifted."] + [
        f"{one.name}: PSI {one.psi:.3f} (interval {one.psi_interval[0]:.3f} to {one.psi_interval[1]:.3f})."
        for one in worst[:5]
    ]
