"""``fairness.groups``: every sensitive column, every group, every usual figure, with intervals and base rates."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from governance.checks import columns
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.counts import counted, merged
from governance.checks.groups import Compared, Group, Rate, compare
from governance.checks.manifests.fairness import FAIRNESS
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Table

_SPECS = {spec.key: spec for spec in FAIRNESS.figures}


@dataclass(frozen=True, slots=True)
class FairnessParams(Params):
    """``min_group``: rows a group needs for selection rates; ``min_class``: rows of a class for error rates.

    ``reference`` and ``expected`` are lists of ``column=group``: the group to compare with, and groups that must
    be looked for even if no row has them.
    """

    threshold: float = 0.5
    min_group: int = 20
    min_class: int = 10
    reference: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()

    def check(self) -> None:
        if not 0 < self.threshold < 1:
            raise CheckError("params.value", "The parameter “threshold” must lie between 0 and 1.")
        if self.min_group < 1 or self.min_class < 1:
            raise CheckError("params.value", "“min_group” and “min_class” must be at least 1.")
        for name in ("reference", "expected"):
            if not all("=" in item for item in getattr(self, name)):
                raise CheckError("params.value", f"Write “{name}” as a list of column=group, for example sex=female.")


class GroupFairness(Check):
    """State: counts of (attribute, group, y, decision)."""

    manifest = FAIRNESS
    params = FairnessParams

    def plan(self, inputs: CheckInputs, params: FairnessParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        data = columns.rows_of(inputs)
        if not inputs.roles.sensitive:
            raise CheckError("data.sensitive_missing", "No column has the role sensitive. Name one in the policy.")
        for name in inputs.roles.sensitive:
            columns.check_groups(data, name)
        columns.check_binary_label(inputs, both=False)
        columns.check_predictions(inputs)
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: FairnessParams) -> pa.Table:
        data = columns.rows_of(shard)
        y, decision = columns.binary_label(shard), columns.decisions(shard, params.threshold)
        states = []
        for name in shard.roles.sensitive:
            group = columns.groups(data, name)
            attribute = pa.array([name] * len(group), pa.string())
            states.append(counted(pa.table({"attribute": attribute, "group": group, "y": y, "decision": decision})))
            empty = [*columns.declared_groups(data, name), *_named(params.expected, name)]
            states.append(_empty(name, empty, states[0].schema))
        return merged(states)

    def finish(self, state: pa.Table, inputs: CheckInputs, params: FairnessParams) -> CheckResult:
        figures: list[Figure] = []
        tables: list[Table] = []
        findings: list[str] = []
        n = 0
        for name in inputs.roles.sensitive:
            everyone = _groups(state, name)
            known = [group for group in everyone if group.name != columns.UNKNOWN]
            n = sum(group.n for group in everyone)
            own = _figures(known, name, params)
            figures += own
            tables.append(_table(everyone, name, own))
            findings += _findings(everyone, own, name)
        return CheckResult(
            check=FAIRNESS.key,
            version=FAIRNESS.version,
            params=params.as_dict(),
            n=n,
            figures=tuple(figures),
            tables=tuple(tables),
            findings=tuple(findings),
            limits=(
                "These figures cannot all be equal unless base rates are; the policy says which one gates.",
                "The four-fifths line is a heuristic; the interval says how sure the ratio is.",
            ),
            facts={"threshold": params.threshold},
        )


def _named(items: tuple[str, ...], attribute: str) -> list[str]:
    return [group for column, _, group in (item.partition("=") for item in items) if column == attribute]


def _empty(attribute: str, names: list[str], schema: pa.Schema) -> pa.Table:
    rows = [{"attribute": attribute, "group": name, "y": 0, "decision": 0, "count": 0} for name in names]
    return pa.Table.from_pylist(rows, schema=schema)


def _groups(state: pa.Table, attribute: str) -> list[Group]:
    cells: dict[str, dict[tuple[int, int], int]] = {}
    for row in state.to_pylist():
        if row["attribute"] == attribute:
            cells.setdefault(row["group"], {})[row["y"], row["decision"]] = row["count"]
    return [
        Group(name, *(of.get(key, 0) for key in ((0, 0), (0, 1), (1, 0), (1, 1)))) for name, of in sorted(cells.items())
    ]


def _figures(groups: list[Group], attribute: str, params: FairnessParams) -> list[Figure]:
    named = _named(params.reference, attribute)
    reference = named[0] if named else None

    def all_of(rate_of: object, how: str, least: int) -> list[Compared]:
        return compare(groups, rate_of, how, least=least, reference=reference)  # type: ignore[arg-type]

    tpr = all_of(lambda g: g.tpr, "below", params.min_class)
    fpr = all_of(lambda g: g.fpr, "above", params.min_class)
    families = {
        "selection_rate_ratio": all_of(lambda g: g.selected, "ratio", params.min_group),
        "selection_rate_difference": all_of(lambda g: g.selected, "below", params.min_group),
        "equal_opportunity_difference": tpr,
        "false_positive_rate_difference": fpr,
        "equalised_odds_difference": _larger(groups, tpr, fpr),
        "predictive_parity_difference": all_of(lambda g: g.precision, "below", params.min_class),
    }
    return [
        _figure(key, attribute, one)
        for key, found in families.items()
        for one in (found or [Compared("", None, 0, None, note=f"“{attribute}” has fewer than two groups to compare.")])
    ]


def _larger(groups: list[Group], tpr: list[Compared], fpr: list[Compared]) -> list[Compared]:
    """Equalised odds: for each group the larger of its two differences; a missing one makes it missing."""
    made = []
    for group in groups:
        both = [one for found in (tpr, fpr) for one in found if one.group == group.name]
        lacking = next((one for one in both if one.value is None), None)
        if lacking is not None:
            made.append(lacking)
        elif both:
            made.append(max(both, key=lambda one: one.value if one.value is not None else 0.0))
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


_COLUMNS = (
    ("attribute", "Attribute"),
    ("group", "Group"),
    ("n", "Rows"),
    ("positives", "Positives"),
    ("selected", "Selected"),
    ("base_rate", "Base rate"),
    ("rate", "Selection rate"),
    ("rate_low", "Low"),
    ("rate_high", "High"),
    ("ratio", "Ratio"),
    ("ratio_low", "Ratio low"),
    ("ratio_high", "Ratio high"),
    ("tpr", "TPR"),
    ("tpr_low", "TPR low"),
    ("tpr_high", "TPR high"),
    ("fpr", "FPR"),
    ("fpr_low", "FPR low"),
    ("fpr_high", "FPR high"),
    ("precision", "Precision"),
    ("is_reference", "Reference"),
)


def _table(groups: list[Group], attribute: str, figures: list[Figure]) -> Table:
    ratios = {figure.group: figure for figure in figures if figure.key == "selection_rate_ratio"}
    reference = next((figure.reference for figure in ratios.values() if figure.reference), None)
    rows: list[tuple[Cell, ...]] = []
    for group in groups:
        ratio = ratios.get(group.name)
        is_reference = group.name == reference
        own: tuple[Cell, ...] = (ratio.value, ratio.ci_low, ratio.ci_high) if ratio else (None, None, None)
        rows.append(
            (
                attribute,
                group.name,
                group.n,
                group.base.hits,
                group.selected.hits,
                group.base.value,
                *_cells(group.selected),
                *((1.0, None, None) if is_reference else own),
                *_cells(group.tpr),
                *_cells(group.fpr),
                group.precision.value,
                is_reference,
            )
        )
    return Table(f"groups:{attribute}", f"Groups of {attribute}", _COLUMNS, tuple(rows))


def _cells(rate: Rate) -> tuple[Cell, Cell, Cell]:
    low, high = rate.interval or (None, None)
    return rate.value, low, high


def _findings(groups: list[Group], figures: list[Figure], attribute: str) -> list[str]:
    made = []
    measured = [f for f in figures if f.key == "selection_rate_ratio" and f.value is not None]
    if measured:
        worst = min(measured, key=lambda f: (f.value if f.value is not None else 1.0, f.group or ""))
        made.append(
            f"{attribute}: “{worst.group}” is selected {worst.value:.3f} times as often as “{worst.reference}” "
            f"(95 % interval {worst.ci_low:.3f} to {worst.ci_high:.3f}, n = {worst.n})."
        )
    made += [
        f"{attribute}: {f.note}" for f in figures if f.key == "selection_rate_ratio" and f.value is None and f.note
    ]
    unknown = sum(group.n for group in groups if group.name == columns.UNKNOWN)
    if unknown:
        made.append(f"{attribute}: {unknown} rows have no value; they are shown but not compared.")
    return made
