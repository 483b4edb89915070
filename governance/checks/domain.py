"""``drift.classifier``: whether a classifier can tell the test data from the training data, all inputs together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from governance.checks import columns
from governance.checks.cells import shared_columns
from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.data import DOMAIN
from governance.checks.results import CheckError, CheckResult, Figure
from governance.checks.rowless import WholeCheck
from governance.checks.sampling import sample
from governance.checks.separable import told_apart


@dataclass(frozen=True, slots=True)
class DomainParams(Params):
    """``rows`` of either side are used."""

    rows: int = 10_000
    seed: int = 0

    def check(self) -> None:
        if not 100 <= self.rows <= 1_000_000 or self.seed < 0:
            raise CheckError("params.value", "“rows” must be from 100 to 1000000 and “seed” not negative.")


class DomainClassifier(WholeCheck):
    """Drift that shows in no single column shows here."""

    manifest = DOMAIN
    params = DomainParams

    def validate(self, inputs: CheckInputs) -> None:
        columns.rows_of(inputs)
        if inputs.training is not None and not shared_columns(inputs):
            raise CheckError("data.columns_differ", "The test data and the training data have no column in common.")

    def finish(self, state: pa.Table, inputs: CheckInputs, params: DomainParams) -> CheckResult:
        (spec,) = DOMAIN.figures
        if inputs.training is None:
            reason = "The training data is not registered with this version, so there is nothing to compare with."
            return CheckResult(DOMAIN.key, DOMAIN.version, params.as_dict(), 0, not_applicable=reason)
        data = columns.rows_of(inputs)
        names = shared_columns(inputs)
        sides = [
            sample(table.select(names), params.rows, params.seed + i) for i, table in enumerate((inputs.training, data))
        ]
        kind = np.concatenate([np.full(side.num_rows, i) for i, side in enumerate(sides)])
        found = told_apart(pa.concat_tables(sides, promote_options="permissive"), kind, seed=params.seed)
        n = sides[1].num_rows
        if found is None:
            figure = Figure(spec.key, spec.label, None, n, spec.better, note="There are too few rows on one side.")
            said = "There are too few rows to tell."
        else:
            low, high = found.interval() or (None, None)
            figure = Figure(spec.key, spec.label, found.value, n, spec.better, ci_low=low, ci_high=high, scale="logit")
            said = (
                f"A classifier tells test rows from training rows with an AUC of {found.value:.3f} (0.5: not at all)."
            )
        return CheckResult(
            DOMAIN.key, DOMAIN.version, params.as_dict(), n, (figure,), findings=(said,),
            limits=("It says that the data differ, not where: see drift.columns. A better classifier might tell more.",),
            facts={"columns": len(names), "training_rows": sides[0].num_rows},
        )  # fmt: skip
