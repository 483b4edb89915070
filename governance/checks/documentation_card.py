"""``documentation.card``: whether the model card says what the policy asks for."""

from __future__ import annotations

import pyarrow as pa

from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.model import CARD
from governance.checks.results import CheckError, CheckResult, Figure, Table
from governance.checks.rowless import RowlessCheck


class DocumentationCard(RowlessCheck):
    """Reads the card's text and the names of the fields that are required."""

    manifest = CARD
    params = Params

    def validate(self, inputs: CheckInputs) -> None:
        if inputs.card is None:
            raise CheckError("inputs.missing", "This check needs the model card, and none was given.")

    def finish(self, state: pa.Table, inputs: CheckInputs, params: Params) -> CheckResult:
        card, required = inputs.card or {}, inputs.required_card
        missing = [name for name in required if not card.get(name, "").strip()]
        n = len(required)
        share = (n - len(missing)) / n if n else 1.0
        rows = tuple((name, name not in missing) for name in required)
        lacking = float(len(missing))
        return CheckResult(
            CARD.key, CARD.version, params.as_dict(), n,
            figures=(
                Figure("filled_share", "Fields filled in", share, n, "higher", ci_low=share, ci_high=share),
                Figure("missing_fields", "Fields missing", lacking, n, "lower", ci_low=lacking, ci_high=lacking),
            ),
            tables=(Table("fields", "Fields", (("field", "Field"), ("filled", "Filled in")), rows),) if rows else (),
            findings=(f"Empty: {', '.join(missing)}.",) if missing else ("Every required field is filled in.",),
            limits=("That a field is filled in does not make it true.",),
        )  # fmt: skip
