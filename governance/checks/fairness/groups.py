"""``fairness.groups``: every sensitive column, every group, every usual figure, with intervals and base rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.fairness import cells as fairness_cells
from governance.checks.fairness import tables as fairness_tables
from governance.checks.fairness.calibration import Calibration, calibration
from governance.checks.fairness.comparisons import (
    INSUFFICIENT,
    Compared,
    Group,
    How,
    RateOf,
    compare,
    no_reference,
    too_few,
)
from governance.checks.fairness.spread import Spread, spreads
from governance.checks.fairness.state import Cells, read
from governance.checks.manifests.fairness import FAIRNESS
from governance.checks.results import CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns, weighting
from governance.checks.statistics.intervals import gap_of, mover, of_the_larger

_SPECS = {spec.key: spec for spec in FAIRNESS.figures}
MOST_CROSSED = 4
MOST_SHOWN = 200
_CHOSEN = (
    "Without a given reference the group that does best in this sample is the reference, so that gaps are shown a little "
    "too large where groups are small; name the reference in the policy."
)
_PICKED = (
    "Intervals of the spread over all groups allow for the lowest and the highest having been picked: of many groups, or groups "
    "near each other, they are wider than they say."
)
_NO_SCORES = "The model gives no probabilities, only labels."


@dataclass(frozen=True, slots=True)
class FairnessParams(Params):
    """``min_group``: rows a group needs for selection rates; ``min_class``: rows of a class for error rates.

    ``reference`` and ``expected`` are lists of ``column=group``: the group to compare with, and groups that must
    be looked for even if no row has them. ``intersections``: how many sensitive columns are crossed at most; their
    groups are shown and become figures, which a policy's limits hold for, only with ``gate_intersections``.
    ``bins`` of the calibration error; ``draws`` of the bootstrap (0: none) and its ``seed``.
    """

    threshold: float = 0.5
    min_group: int = 20
    min_class: int = 10
    reference: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    intersections: int = 2
    gate_intersections: bool = False
    bins: int = 10
    draws: int = 500
    seed: int = 0

    def check(self) -> None:
        if not 0 < self.threshold < 1:
            raise CheckError("params.value", "The parameter “threshold” must lie between 0 and 1.")
        if self.min_group < 1 or self.min_class < 1:
            raise CheckError("params.value", "“min_group” and “min_class” must be at least 1.")
        if not 1 <= self.intersections <= MOST_CROSSED:
            raise CheckError("params.value", f"“intersections” must be from 1 (none) to {MOST_CROSSED}.")
        if not 2 <= self.bins <= 50:
            raise CheckError("params.value", "The parameter “bins” must be from 2 to 50.")
        if not (self.draws == 0 or 100 <= self.draws <= 10_000) or self.seed < 0:
            raise CheckError("params.value", "“draws” must be 0 or from 100 to 10000, and “seed” not negative.")
        for name in ("reference", "expected"):
            if not all("=" in item for item in getattr(self, name)):
                raise CheckError("params.value", f"Write “{name}” as a list of column=group, for example sex=female.")


class GroupFairness(Check):
    """State: the cell table of :mod:`governance.checks.fairness.cells` over groups, label, decision and score bin."""

    manifest = FAIRNESS
    params = FairnessParams

    def plan(self, inputs: CheckInputs, params: FairnessParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        check_sensitive(inputs)
        columns.check_binary_label(inputs, both=False)
        columns.check_predictions(inputs)
        weighting.checked(inputs)
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: FairnessParams) -> pa.Table:
        data = columns.rows_of(shard)
        y, decision, score = fairness_cells.label_and_decision(shard, params.threshold)
        groups = [(name, fairness_cells.coded(data.column(name))) for name in shard.roles.sensitive]
        keys = [("y", y, 2), ("decision", decision, 2)]
        keys.append(("bin", np.zeros(len(y), "int16") if score is None else fairness_cells.bins_of(score, params.bins),
                     1 if score is None else params.bins))  # fmt: skip
        expected = [
            (name, [*columns.declared_groups(data, name), *_named(params.expected, name)])
            for name in shard.roles.sensitive
        ]
        return fairness_cells.cells(
            groups,
            keys,
            score=score,
            weight=fairness_cells.weights(shard),
            crossed=params.intersections,
            expected=expected,
        )

    def finish(self, state: pa.Table, inputs: CheckInputs, params: FairnessParams) -> CheckResult:
        figures: list[Figure] = []
        tables: list[Table] = []
        pictures: list[Picture] = []
        findings: list[str] = []
        found = {cells.attribute: cells for cells in read(state, params.bins)}
        n = found[inputs.roles.sensitive[0]].n
        for name in sorted(found, key=lambda name: _order(name, inputs.roles.sensitive)):
            cells = found[name]
            alone = name in inputs.roles.sensitive
            if not alone and len(cells.names) > MOST_SHOWN:
                findings.append(f"{name}: {len(cells.names)} combinations; more than {MOST_SHOWN} are not shown.")
                continue
            judged = _Attribute(cells, params)
            own = judged.figures()
            figures += own if alone or params.gate_intersections else []
            tables += fairness_tables.tables(
                judged.everyone, judged.calibrations, own, judged.spreads(), name, alone=alone
            )
            pictures += fairness_tables.pictures(judged.everyone, own, name, alone=alone)
            findings += fairness_tables.findings(judged.everyone, own, name, alone=alone)
        if inputs.roles.weight is not None:
            findings.append(f"Rows count by their weight “{inputs.roles.weight}”; n is the number of rows.")
        return CheckResult(
            check=FAIRNESS.key,
            version=FAIRNESS.version,
            params=params.as_dict(),
            n=n,
            figures=tuple(figures),
            tables=tuple(tables),
            pictures=tuple(pictures),
            findings=tuple(findings),
            limits=(
                "These figures cannot all be equal unless base rates are; the policy says which one gates.",
                "The four-fifths line is a heuristic; the interval says how sure the ratio is.",
                _CHOSEN,
                _PICKED,
            ),
            facts={"threshold": params.threshold, "weight": inputs.roles.weight or ""},
        )


def check_sensitive(inputs: CheckInputs) -> None:
    """Whether there are sensitive columns, each with few enough values. Raises ``CheckError``."""
    data = columns.rows_of(inputs)
    if not inputs.roles.sensitive:
        raise CheckError("data.sensitive_missing", "No column has the role sensitive. Name one in the policy.")
    for name in inputs.roles.sensitive:
        columns.check_groups(data, name)
        if fairness_cells.BY in name:
            sentence = f"The sensitive column “{name}” has “{fairness_cells.BY}” in its name, which intersections use."
            raise CheckError("data.sensitive_name", sentence, name)


def _order(name: str, sensitive: Sequence[str]) -> tuple[int, int, str]:
    return (0, sensitive.index(name), name) if name in sensitive else (name.count(fairness_cells.BY), 0, name)


def _named(items: tuple[str, ...], attribute: str) -> list[str]:
    return [group for column, _, group in (item.partition("=") for item in items) if column == attribute]


class _Attribute:
    """One sensitive column or intersection: its groups and how they compare."""

    def __init__(self, cells: Cells, params: FairnessParams) -> None:
        self.cells = cells
        self.params = params
        self.everyone = [cells.group(place) for place in range(len(cells.names))]
        self.known = [self.everyone[place] for place in cells.known]
        self.calibrations = {} if cells.score is None else {name: c for name in cells.names if (c := self._of(name))}
        named = _named(params.reference, cells.attribute)
        self.reference = named[0] if named else None

    def _of(self, name: str) -> Calibration | None:
        cells, place = self.cells, self.cells.names.index(name)
        score = cells.score
        if score is None or cells.count[place].sum() < self.params.min_group:
            return None
        return calibration(
            cells.weight[place].sum(axis=(0, 1)), cells.weight[place, 1].sum(axis=0), score[place].sum(axis=(0, 1)),
            cells.square[place].sum(axis=(0, 1)), draws=self.params.draws or 500, seed=self.params.seed,
            about=f"{cells.attribute}={name}",
        )  # fmt: skip

    def figures(self) -> list[Figure]:
        """Every figure of every group against the reference; what cannot be said is said so."""
        least, own = self.params.min_group, self.params.min_class
        tpr = self._compared(lambda g: g.tpr, "below", own)
        fpr = self._compared(lambda g: g.fpr, "above", own)
        families = {
            "selection_rate_ratio": self._compared(lambda g: g.selected, "ratio", least),
            "selection_rate_difference": self._compared(lambda g: g.selected, "below", least),
            "equal_opportunity_difference": tpr,
            "false_positive_rate_difference": fpr,
            "false_negative_rate_difference": self._compared(lambda g: g.fnr, "above", own),
            "equalised_odds_difference": _larger(self.known, tpr, fpr),
            "predictive_parity_difference": self._compared(lambda g: g.precision, "below", own),
            "accuracy_difference": self._compared(lambda g: g.accuracy, "below", least),
            **self._calibrated(),
        }
        attribute = self.cells.attribute
        return [
            _figure(key, attribute, one)
            for key, found in families.items()
            for one in (found or [_alone(attribute)])
        ]  # fmt: skip

    def _compared(self, rate_of: RateOf, how: How, least: int) -> list[Compared]:
        return compare(self.known, rate_of, how, least=least, reference=self.reference)

    def _calibrated(self) -> dict[str, list[Compared]]:
        """ECE of every group, and how far it lies above that of the best calibrated (or named) group."""
        least = self.params.min_group
        able = [group for group in self.known if group.name in self.calibrations]
        best = min(able, key=lambda group: (self.calibrations[group.name].error, group.name), default=None)
        if self.reference is not None:
            best = next((group for group in able if group.name == self.reference), None)
        errors, gaps = [], []
        for group in self.known:
            found = self.calibrations.get(group.name)
            reference = best.name if best else None
            if found is None:
                note = _NO_SCORES if self.cells.score is None else too_few(group.name, group.n, least)
                errors.append(Compared(group.name, None, group.n, None, note=note))
                gaps.append(Compared(group.name, reference, group.n, None, note=note))
                continue
            errors.append(Compared(group.name, None, group.n, found.error, found.interval))
            if best is None:
                note = no_reference(least, others=len(able))
                gaps.append(Compared(group.name, None, group.n, None, note=note))
            elif best is not group:
                base = self.calibrations[best.name]
                interval = mover(found.error, found.interval, base.error, base.interval)
                gaps.append(
                    Compared(group.name, best.name, group.n, found.error - base.error, interval, gap_of(interval))
                )
        return {"calibration_error": errors, "calibration_difference": gaps}

    def spreads(self) -> list[Spread]:
        """Lowest and highest of every rate over the groups that are large enough."""
        cells, known = self.cells, self.cells.known
        least, own = self.params.min_group, self.params.min_class
        of_rows = {"selection_rate": least, "accuracy": least}
        return spreads(
            *(cells.confusion(array)[known] for array in (cells.count, cells.weight, cells.square)),
            least={name: of_rows.get(name, own) for name in fairness_tables.RATE_WORDS},
            draws=self.params.draws, seed=self.params.seed,
        )  # fmt: skip


def _alone(attribute: str) -> Compared:
    return Compared("", None, 0, None, note=f"{INSUFFICIENT}: “{attribute}” has fewer than two groups to compare.")


def _larger(groups: list[Group], tpr: list[Compared], fpr: list[Compared]) -> list[Compared]:
    """Equalised odds: for each group the larger of its two differences; a missing one makes it missing."""
    made = []
    for group in groups:
        both = [one for found in (tpr, fpr) for one in found if one.group == group.name]
        lacking = next((one for one in both if one.value is None), None)
        if lacking is not None:
            made.append(lacking)
        elif both:
            most = max(both, key=lambda one: one.value if one.value is not None else 0.0)
            ends = [one.interval for one in both if one.interval is not None]
            interval = of_the_larger(*ends) if len(ends) == 2 else most.interval
            made.append(Compared(most.group, most.reference, most.n, most.value, interval, most.gap))
    return made


def _figure(key: str, attribute: str, one: Compared) -> Figure:
    low, high = one.interval or (None, None)
    spec = _SPECS[key]
    return Figure(
        key,
        spec.label,
        one.value,
        one.n,
        spec.better,
        ci_low=low,
        ci_high=high,
        scale="log" if key == "selection_rate_ratio" else "identity",
        attribute=attribute,
        group=one.group or None,
        reference=one.reference,
        smallest_gap=one.gap,
        note=one.note,
    )
