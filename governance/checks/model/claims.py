"""``documentation.claims``: the figures that the model card states against those measured on the sealed data."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.model import CLAIMS
from governance.checks.model.measured import MeasuringCheck
from governance.checks.model.metric_names import Claim, claims
from governance.checks.results import CheckError, CheckResult, Figure, Table

_SPECS = {spec.key: spec for spec in CLAIMS.figures}


@dataclass(frozen=True, slots=True)
class ClaimsParams(Params):
    """``tolerance``: how far a measured figure may lie from a stated one, beyond half a unit of the last digit stated."""

    tolerance: float = 0.0

    def check(self) -> None:
        if not 0 <= self.tolerance < float("inf"):
            raise CheckError("params.value", "“tolerance” must not be negative.")


class Claims(MeasuringCheck):
    """Reads the card's text. What it says of training or validation data is not held against test data."""

    manifest = CLAIMS
    params = ClaimsParams

    def asks(self, inputs: CheckInputs) -> bool:
        if inputs.card is None:
            raise CheckError("inputs.missing", "This check needs the model card, and none was given.")
        return any(claims(inputs.card))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ClaimsParams) -> CheckResult:
        about = CLAIMS
        found = list(claims(inputs.card or {}))
        if not found:
            reason = "The model card states no figure of the model's performance, so there is none to hold it to."
            return CheckResult(about.key, about.version, params.as_dict(), 0, not_applicable=reason)
        n, measured = self.measure(state, inputs)
        held = [(one, measured[one.figure]) for one in found if one.figure in measured]
        stale = [(one, figure) for one, figure in held if not keeps(one, figure.value or 0.0, params.tolerance)]
        note = "" if held else "None of the stated figures is measured here on these rows."
        return CheckResult(
            about.key, about.version, params.as_dict(), n,
            figures=(
                _figure("stale_claims", len(stale), n, note), _figure("compared_claims", len(held), n, note),
                _figure("unmeasured_claims", len(found) - len(held), n, ""),
            ),
            tables=(_table(held, stale),) if held else (),
            findings=tuple(
                f"{one.field}: “{one.text}”, but {figure.label} is {figure.value:.4g}{_interval(figure)}."
                for one, figure in stale
            ) or (note or f"All {len(held)} stated figures agree with what is measured.",),
            limits=(
                "Statements are found by the names of measures and a number after them; what is said otherwise is not seen.",
                "A stated figure may be of other rows than these.",
            ),
        )  # fmt: skip


def keeps(claim: Claim, value: float, tolerance: float) -> bool:
    """Whether a measured value agrees with what is stated, within its last digit and the tolerance."""
    room = claim.slack + tolerance + 1e-12
    if claim.bound == "at least":
        return value >= claim.value - tolerance - 1e-12
    if claim.bound == "at most":
        return value <= claim.value + tolerance + 1e-12
    return abs(value - claim.value) <= room


def _interval(figure: Figure) -> str:
    if figure.ci_low is None or figure.ci_high is None:
        return ""
    return f" (interval {figure.ci_low:.4g} to {figure.ci_high:.4g})"


def _figure(key: str, count: int, n: int, note: str) -> Figure:
    spec = _SPECS[key]
    if note:
        return Figure(key, spec.label, None, n, spec.better, note=note)
    return Figure(key, spec.label, float(count), n, spec.better, ci_low=float(count), ci_high=float(count))


def _table(held: list[tuple[Claim, Figure]], stale: list[tuple[Claim, Figure]]) -> Table:
    heads = (
        ("field", "Field"), ("text", "Says"), ("stated", "Stated"), ("bound", "Meaning"), ("measured", "Measured"),
        ("low", "Low"), ("high", "High"), ("stale", "Stale"),
    )  # fmt: skip
    off = [id(one) for one, _ in stale]
    rows = tuple(
        (one.field, one.text, one.value, one.bound, figure.value, figure.ci_low, figure.ci_high, id(one) in off)
        for one, figure in held
    )
    return Table("claims", "Stated and measured", heads, rows)
