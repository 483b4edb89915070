"""``drift.classifier`` and ``drift.live_classifier``: whether the test data can be told from training or from live data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from governance.checks import pictures
from governance.checks.contract import CheckInputs, Params
from governance.checks.data.cells import shared_columns
from governance.checks.manifests.data import DOMAIN, LIVE_DOMAIN
from governance.checks.results import CheckError, CheckResult, Figure, Picture
from governance.checks.rowless import WholeCheck
from governance.checks.rows import columns
from governance.checks.rows.sampling import said, sample
from governance.checks.statistics.separable import HALVES, LEAST, told_apart


@dataclass(frozen=True, slots=True)
class DomainParams(Params):
    """``rows`` of either side are used. ``live`` names the data set with live data, where that is compared with."""

    rows: int = 10_000
    seed: int = 0
    live: str = ""

    def check(self) -> None:
        if not 100 <= self.rows <= 1_000_000 or self.seed < 0:
            raise CheckError("params.value", "“rows” must be from 100 to 1000000 and “seed” not negative.")


class DomainClassifier(WholeCheck):
    """Drift that shows in no single column shows here."""

    manifest = DOMAIN
    params = DomainParams
    against: ClassVar[str] = "training"
    absent: ClassVar[str] = (
        "The training data is not registered with this version, so there is nothing to compare with."
    )

    def reference(self, inputs: CheckInputs) -> pa.Table | None:
        """What the test data is compared with."""
        return inputs.training

    def validate(self, inputs: CheckInputs) -> None:
        columns.rows_of(inputs)
        reference = self.reference(inputs)
        if reference is not None and not shared_columns(inputs, reference):
            sentence = f"The test data and the {self.against} data have no column in common."
            raise CheckError("data.columns_differ", sentence)

    def finish(self, state: pa.Table, inputs: CheckInputs, params: DomainParams) -> CheckResult:
        about, reference = self.manifest, self.reference(inputs)
        (spec,) = about.figures
        if reference is None:
            return CheckResult(about.key, about.version, params.as_dict(), 0, not_applicable=self.absent)
        data = columns.rows_of(inputs)
        names = shared_columns(inputs, reference)
        sides = [sample(table.select(names), params.rows, params.seed + i) for i, table in enumerate((reference, data))]
        kind = np.concatenate([np.full(side.num_rows, i) for i, side in enumerate(sides)])
        found = told_apart(pa.concat_tables(sides, promote_options="permissive"), kind, seed=params.seed)
        n = sides[1].num_rows
        if found is None:
            figure = Figure(
                spec.key, spec.label, None, n, spec.better, note=f"There are fewer than {LEAST} rows on one side."
            )
            finding = "There are too few rows to tell."
        else:
            low, high = found.interval() or (None, None)
            figure = Figure(spec.key, spec.label, found.value, n, spec.better, ci_low=low, ci_high=high, scale="logit")
            finding = f"A classifier tells test rows from {self.against} rows with an AUC of {found.value:.3f} (0.5: not at all)."
        return CheckResult(
            about.key, about.version, params.as_dict(), n, (figure,), pictures=_picture(figure, self.against),
            findings=(finding,),
            limits=(
                "It says that the data differ, not where: see each column's drift.", HALVES,
                *said(n, data.num_rows, params.seed + 1), *_of_reference(sides[0].num_rows, reference.num_rows, self.against),
                *(("Rows count alike: their weights are not used.",) if inputs.roles.weight else ()),
            ),
            facts={"columns": len(names), "reference_rows": sides[0].num_rows},
        )  # fmt: skip


class LiveDomainClassifier(DomainClassifier):
    """The same against what the live model was given."""

    manifest = LIVE_DOMAIN
    against = "live"
    absent = "There is no live data: seal a data set version of it, or name one by the parameter “live”."

    def reference(self, inputs: CheckInputs) -> pa.Table | None:
        return inputs.live_data


def _of_reference(rows: int, of: int, against: str) -> tuple[str, ...]:
    return () if rows >= of else (f"They are told from {rows:,} of the {of:,} rows of {against} data.",)


def _picture(figure: Figure, against: str) -> tuple[Picture, ...]:
    if figure.value is None:
        return ()
    row: pictures.Row = {
        "name": f"test against {against}",
        "value": figure.value,
        "low": figure.ci_low,
        "high": figure.ci_high,
    }
    alt = f"AUC {figure.value:.3f} with its interval; at 0.5 the rows cannot be told apart."
    return (pictures.ranges("auc", "Telling the rows apart", alt, [row], value="AUC", line=0.5),)
