"""``reproducibility.metrics``: the metrics that the author recorded against the same figures, computed again on sealed data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from governance.checks import pictures
from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.model import REPRODUCED
from governance.checks.model.measured import MeasuringCheck
from governance.checks.model.metric_names import NAMES, figure_of, written_half_unit
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table

_SPECS = {spec.key: spec for spec in REPRODUCED.figures}
_UNKNOWN_ROWS = (
    "The registry knows what was recorded, not on which rows: a difference may mean other rows, another threshold or another "
    "average, and not an error."
)
_OTHER_ROWS = "recorded on other rows, by its name"
_NOT_OURS = "no figure of ours by this name"
_NOT_MEASURED = "this model has no such figure"


@dataclass(frozen=True, slots=True)
class ReproducedParams(Params):
    """``names`` adds to the table of names: ``what_they_call_it=auc``.

    A metric is reproduced within half a unit of the last digit that was recorded, or ``tolerance``, or ``relative`` times the
    figure, whichever is largest.
    """

    names: tuple[str, ...] = ()
    tolerance: float = 0.0
    relative: float = 1e-6

    def check(self) -> None:
        if not 0 <= self.tolerance < float("inf") or not 0 <= self.relative < 1:
            raise CheckError("params.value", "“tolerance” must not be negative and “relative” lie in [0, 1).")
        for one in self.names:
            figure = one.rpartition("=")[2].strip()
            if "=" not in one or figure not in NAMES:
                known = ", ".join(NAMES)
                raise CheckError("params.value", f"“names”: “{one}” is not “their_name=figure” with one of {known}.")

    @property
    def extra(self) -> dict[str, str]:
        """Their name → our figure."""
        parts = (one.rpartition("=") for one in self.names)
        return {name.strip(): figure.strip() for name, _, figure in parts}


class Reproduced(MeasuringCheck):
    """Reads the metrics of the version, as the registry keeps them from its run."""

    manifest = REPRODUCED
    params = ReproducedParams

    def asks(self, inputs: CheckInputs) -> bool:
        return bool(inputs.metrics)

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ReproducedParams) -> CheckResult:
        about = REPRODUCED
        recorded: Mapping[str, float] = inputs.metrics or {}
        if not recorded:
            reason = "No metrics were recorded with this version, so there is nothing to reproduce."
            return CheckResult(about.key, about.version, params.as_dict(), 0, not_applicable=reason)
        n, measured = self.measure(state, inputs)
        compared: list[_Compared] = []
        left: list[tuple[str, float, str]] = []
        for name, value in sorted(recorded.items()):
            meant = figure_of(name, params.extra)
            if meant.elsewhere:
                left.append((name, value, _OTHER_ROWS))
            elif not meant.figure:
                left.append((name, value, _NOT_OURS))
            elif meant.figure not in measured:
                left.append((name, value, _NOT_MEASURED))
            else:
                compared.append(_Compared(name, value, measured[meant.figure], params))
        return CheckResult(
            about.key, about.version, params.as_dict(), n, _figures(compared, n), _tables(compared, left),
            _pictures(compared), tuple(_findings(compared, left)),
            limits=(
                _UNKNOWN_ROWS,
                "Weights are not used.",
            ),
            facts={"recorded": len(recorded), "compared": len(compared)},
        )  # fmt: skip


class _Compared:
    """One metric on both sides."""

    def __init__(self, name: str, recorded: float, figure: Figure, params: ReproducedParams) -> None:
        self.name, self.recorded, self.figure = name, float(recorded), figure
        self.again = figure.value if figure.value is not None else 0.0
        self.difference = abs(self.recorded - self.again)
        self.relative = self.difference / abs(self.again) if self.again else None
        self.allowed = max(params.tolerance, params.relative * abs(self.again), written_half_unit(self.recorded))
        self.reproduced = self.difference <= self.allowed * (1 + 1e-9)
        low, high = figure.ci_low, figure.ci_high
        self.by_chance = None if low is None or high is None else low <= self.recorded <= high


def _figures(compared: list[_Compared], n: int) -> tuple[Figure, ...]:
    if not compared:
        note = "None of the recorded metrics is one that is measured here on these rows."
        return tuple(Figure(s.key, s.label, None, n, s.better, note=note) for s in REPRODUCED.figures)
    off = sum(not one.reproduced for one in compared)
    made = [_exact("unreproduced", float(off), n), _exact("compared", float(len(compared)), n)]
    for one in compared:
        made.append(_exact("difference", one.difference, n, one.name))
        if one.relative is not None:
            made.append(_exact("relative_difference", one.relative, n, one.name))
    return tuple(made)


def _exact(key: str, value: float, n: int, attribute: str | None = None) -> Figure:
    """The same data and the same model give the same number: there is no chance in it."""
    spec = _SPECS[key]
    return Figure(key, spec.label, value, n, spec.better, ci_low=value, ci_high=value, attribute=attribute)


def _tables(compared: list[_Compared], left: list[tuple[str, float, str]]) -> tuple[Table, ...]:
    heads = (
        ("metric", "Recorded as"), ("figure", "Figure"), ("recorded", "Recorded"), ("again", "Computed again"),
        ("low", "Low"), ("high", "High"), ("difference", "Difference"), ("allowed", "Allowed"), ("reproduced", "Reproduced"),
        ("by_chance", "Within the interval"),
    )  # fmt: skip
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (one.name, one.figure.label, one.recorded, one.again, one.figure.ci_low, one.figure.ci_high, one.difference, one.allowed,
         one.reproduced, one.by_chance)
        for one in compared
    )  # fmt: skip
    made = [Table("metrics", "Recorded and computed again", heads, rows)] if rows else []
    if left:
        names = (("metric", "Recorded as"), ("recorded", "Recorded"), ("why", "Why it is not compared"))
        made.append(Table("left", "Recorded, not compared", names, tuple(left)))
    return tuple(made)


def _pictures(compared: list[_Compared]) -> tuple[Picture, ...]:
    if not compared:
        return ()
    rows: list[pictures.Row] = []
    for one in compared[:10]:
        again = {"value": one.again, "low": one.figure.ci_low, "high": one.figure.ci_high}
        rows += [
            {"name": f"{one.name}, computed again", **again},
            {"name": f"{one.name}, recorded", "value": one.recorded, "low": None, "high": None},
        ]
    alt = f"{len(compared)} metrics as recorded and as computed again with intervals."
    return (pictures.ranges("metrics", "Recorded and computed again", alt, rows, value="Value"),)


def _findings(compared: list[_Compared], left: list[tuple[str, float, str]]) -> list[str]:
    made = []
    for one in compared:
        if not one.reproduced:
            chance = ", which is within its interval: perhaps other rows" if one.by_chance else ""
            made.append(f"{one.name}: recorded {one.recorded:.6g}, computed again {one.again:.6g}{chance}.")
    if compared and not made:
        made.append(f"All {len(compared)} compared metrics were reproduced.")
    if not compared:
        made.append("None of the recorded metrics is one that is measured here on these rows.")
    if left:
        made.append(f"{len(left)} recorded metrics were not compared.")
    return made
