"""``fairness.classes``: a classifier of several classes, each class against the rest, group by group."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures as drawing
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.fairness import cells as fairness_cells
from governance.checks.fairness.comparisons import INSUFFICIENT, Compared, Group, How, RateOf, Weights, compare
from governance.checks.fairness.groups import check_sensitive
from governance.checks.fairness.state import limbed
from governance.checks.fairness.tables import is_unknown
from governance.checks.manifests.fairness import CLASSES
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns, weighting
from governance.checks.statistics.counts import COUNT

_SPECS = {spec.key: spec for spec in CLASSES.figures}
MOST_CLASSES = 20
OTHER = "(no class of the label)"


@dataclass(frozen=True, slots=True)
class ClassFairnessParams(Params):
    """``min_group``: rows a group needs; ``min_class``: rows of a class within it. ``reference``: a list of ``column=group``."""

    min_group: int = 20
    min_class: int = 10
    reference: tuple[str, ...] = ()

    def check(self) -> None:
        if self.min_group < 1 or self.min_class < 1:
            raise CheckError("params.value", "“min_group” and “min_class” must be at least 1.")
        if not all("=" in item for item in self.reference):
            raise CheckError("params.value", "Write “reference” as a list of column=group, for example sex=female.")


class ClassFairness(Check):
    """State: counts of (attribute, group, label, prediction), with weights if rows have any."""

    manifest = CLASSES
    params = ClassFairnessParams

    def plan(self, inputs: CheckInputs, params: ClassFairnessParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        check_sensitive(inputs)
        data = columns.rows_of(inputs)
        name = inputs.roles.label
        label = columns.column(data, name, code="data.label_missing", what="label")
        columns.check_whole(label, name)
        table = inputs.predictions
        if table is None:
            raise CheckError("inputs.missing", "This check needs predictions, and none were given.")
        if table.num_rows != data.num_rows:
            sentence = f"There are {table.num_rows} predictions for {data.num_rows} rows of data."
            raise CheckError("data.rows_differ", sentence)
        if "prediction" not in table.column_names or table.column("prediction").null_count:
            raise CheckError("data.predictions_invalid", "The model must name a class for every row.", "prediction")
        found = set(_words(pc.unique(label)))
        if len(found) > MOST_CLASSES:
            sentence = f"The label “{name}” has {len(found)} values; more than {MOST_CLASSES} classes are not compared."
            raise CheckError("data.label_many", sentence, name)
        inputs = weighting.checked(inputs)
        return columns.split(replace(inputs, prepared={**(inputs.prepared or {}), "classes": sorted(found)}), shards)

    def map(self, shard: CheckInputs, params: ClassFairnessParams) -> pa.Table:
        data = columns.rows_of(shard)
        known = (shard.prepared or {})["classes"]
        classes = pa.array([*known, OTHER], pa.string())
        predicted = pa.chunked_array([]) if shard.predictions is None else shard.predictions.column("prediction")
        keys = []
        for name, values in (("label", data.column(str(shard.roles.label))), ("said", predicted)):
            words = columns.words(values)
            codes = pc.fill_null(pc.index_in(words, classes.slice(0, len(known))), len(known))
            keys.append((name, codes.to_numpy(zero_copy_only=False), len(classes)))
        groups = [(name, fairness_cells.coded(data.column(name))) for name in shard.roles.sensitive]
        state = fairness_cells.cells(groups, keys, weight=fairness_cells.weights(shard))
        for name in ("label", "said"):
            at = state.column_names.index(name)
            state = state.set_column(at, name, classes.take(state.column(name).combine_chunks()))
        return state

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ClassFairnessParams) -> CheckResult:
        cells = _read(state)
        classes = sorted({label for of in cells.values() for one in of.values() for label, _ in one})
        figures: list[Figure] = []
        tables: list[Table] = []
        pictures: list[Picture] = []
        findings: list[str] = []
        for attribute in inputs.roles.sensitive:
            own, rows = _attribute(attribute, cells[attribute], classes, params)
            figures += own
            tables.append(Table(f"classes:{attribute}", f"Classes by groups of {attribute}", _COLUMNS, tuple(rows)))
            pictures += _pictures(attribute, own)
            findings += _findings(attribute, own)
        n = sum(cell[0] for of in cells[inputs.roles.sensitive[0]].values() for cell in of.values())
        if inputs.roles.weight is not None:
            findings.append(f"Rows count by their weight “{inputs.roles.weight}”; n is the number of rows.")
        return CheckResult(
            CLASSES.key, CLASSES.version, params.as_dict(), n, tuple(figures), tuple(tables), tuple(pictures), tuple(findings),
            limits=(
                "Which class is the favourable one the data do not say: every class is compared.",
                "Only the class that the model names is compared, not the probabilities it gives.",
            ),
            facts={"classes": len(classes), "weight": inputs.roles.weight or ""},
        )  # fmt: skip


def _words(values: pa.Array) -> list[str]:
    made: list[str] = columns.words(values).to_pylist()
    return made


_Cell = tuple[int, float, float]
_Of = dict[tuple[str, str], _Cell]


def _read(state: pa.Table) -> dict[str, dict[str, _Of]]:
    """Attribute → group → (label, prediction) → rows, weight and added squares."""
    count = state.column(COUNT).to_pylist()
    weighted = "sum_weight" in state.column_names
    weight = state.column("sum_weight").to_pylist() if weighted else count
    square = (limbed(state, "sum_square", 2.0 ** (2 * fairness_cells.WEIGHT_BITS))).tolist() if weighted else count
    made: dict[str, dict[str, _Of]] = defaultdict(lambda: defaultdict(dict))
    keys = zip(*(state.column(name).to_pylist() for name in ("attribute", "group", "label", "said")), strict=True)
    for (attribute, group, label, said), *values in zip(keys, count, weight, square, strict=True):
        made[attribute][group][label, said] = (values[0], float(values[1]), float(values[2]))
    return made


def _group(name: str, cells: _Of, chosen: str | None) -> Group:
    """One class against the rest as a confusion table; without a class right against wrong, in the cells tp and fn."""
    sums = [[0, 0.0, 0.0] for _ in range(4)]
    for (label, said), values in cells.items():
        at = 2 + (label == said) if chosen is None else 2 * (label == chosen) + (said == chosen)
        sums[at] = [a + b for a, b in zip(sums[at], values, strict=True)]
    tn, fp, fn, tp = (int(one[0]) for one in sums)
    total, squares = ((sums[0][k], sums[1][k], sums[2][k], sums[3][k]) for k in (1, 2))
    weighted = any(one[0] != one[1] for one in sums)
    return Group(name, tn, fp, fn, tp, Weights(total, squares) if weighted else None)


_RATES: Final[dict[str, tuple[RateOf, How, str]]] = {
    "class_rate_difference": (lambda g: g.selected, "below", "min_group"),
    "class_recall_difference": (lambda g: g.tpr, "below", "min_class"),
    "class_false_positive_difference": (lambda g: g.fpr, "above", "min_class"),
    "class_precision_difference": (lambda g: g.precision, "below", "min_class"),
}
_COLUMNS: Final = (
    ("attribute", "Attribute"), ("class", "Class"), ("group", "Group"), ("n", "Rows"), ("base_rate", "Base rate"),
    ("rate", "Given"), ("rate_low", "Low"), ("rate_high", "High"), ("recall", "Recall"), ("recall_low", "Low"),
    ("recall_high", "High"), ("fpr", "FPR"), ("precision", "Precision"), ("note", "Note"),
)  # fmt: skip


def _attribute(
    attribute: str, groups: dict[str, _Of], classes: list[str], params: ClassFairnessParams
) -> tuple[list[Figure], list[tuple[Cell, ...]]]:
    named = [item.partition("=")[2] for item in params.reference if item.partition("=")[0] == attribute]
    reference = named[0] if named else None
    figures: list[Figure] = []
    rows: list[tuple[Cell, ...]] = []
    for chosen in classes:
        everyone = [_group(name, cells, chosen) for name, cells in sorted(groups.items())]
        known = [group for group in everyone if not is_unknown(group.name)]
        rows += [_row(attribute, chosen, group, params.min_group) for group in everyone]
        for key, (rate_of, how, least) in _RATES.items():
            found = compare(known, rate_of, how, least=getattr(params, least), reference=reference)
            figures += _made(key, f"{attribute} (class {chosen})", found, attribute)
    whole = [_group(name, cells, None) for name, cells in sorted(groups.items()) if not is_unknown(name)]
    found = compare(whole, lambda group: group.tpr, "below", least=params.min_group, reference=reference)
    return figures + _made("accuracy_difference", attribute, found, attribute), rows


def _made(key: str, about: str, found: list[Compared], attribute: str) -> list[Figure]:
    spec = _SPECS[key]
    if not found:
        note = f"{INSUFFICIENT}: “{attribute}” has fewer than two groups to compare."
        return [Figure(key, spec.label, None, 0, spec.better, attribute=about, note=note)]
    figures = []
    for one in found:
        low, high = one.interval or (None, None)
        figures.append(
            Figure(
                key, spec.label, one.value, one.n, spec.better, ci_low=low, ci_high=high, attribute=about,
                group=one.group, reference=one.reference, smallest_gap=one.gap, note=one.note,
            )
        )  # fmt: skip
    return figures


def _row(attribute: str, chosen: str, group: Group, least: int) -> tuple[Cell, ...]:
    said = "shown, not compared" if is_unknown(group.name) else "insufficient data" if group.n < least else ""
    ends = [rate.interval or (None, None) for rate in (group.selected, group.tpr)]
    return (
        attribute, chosen, group.name, group.n, group.base.value, group.selected.value, *ends[0], group.tpr.value, *ends[1],
        group.fpr.value, group.precision.value, said,
    )  # fmt: skip


def _pictures(attribute: str, figures: list[Figure]) -> list[Picture]:
    shown = [f for f in figures if f.key == "class_recall_difference" and f.value is not None]
    if not 0 < len(shown) <= drawing.MOST_MARKS:
        return []
    worst = max(shown, key=lambda f: (f.value or 0.0, f.attribute or "", f.group or ""))
    alt = (
        f"Recall of each class below that of the best group, by {attribute}, with 95 % intervals; the largest difference is "
        f"{worst.value:.3f} ({worst.attribute}, {worst.group})."
    )
    rows: list[dict[str, Cell]] = [
        {"name": f"{f.attribute}: {f.group}", "value": f.value, "low": f.ci_low, "high": f.ci_high} for f in shown
    ]
    title = f"Recall differences by {attribute}"
    return [drawing.ranges(f"recall:{attribute}", title, alt, rows, value="Recall difference", line=0.0)]


def _findings(attribute: str, figures: list[Figure]) -> list[str]:
    shown = [f for f in figures if f.key == "class_recall_difference" and f.value is not None]
    if not shown:
        return [f"{attribute}: {INSUFFICIENT.lower()} to compare any class between groups."]
    worst = max(shown, key=lambda f: (f.value or 0.0, f.attribute or "", f.group or ""))
    ends = f"95 % interval {worst.ci_low:.3f} to {worst.ci_high:.3f}, n = {worst.n}"
    what = f"the recall of “{worst.group}” is {worst.value:.3f} below that of “{worst.reference}”"
    return [f"{worst.attribute}: {what} ({ends})."]
