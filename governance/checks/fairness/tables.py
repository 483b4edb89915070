"""Tables, pictures and sentences of ``fairness.groups``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from governance.checks import pictures as drawing
from governance.checks.fairness.calibration import Calibration
from governance.checks.fairness.cells import BY
from governance.checks.fairness.comparisons import INSUFFICIENT, Group, Rate
from governance.checks.fairness.spread import Spread
from governance.checks.results import Cell, Figure, Picture, Table
from governance.checks.rows import columns
from governance.checks.statistics.intervals import Interval

RATE_WORDS: Final[Mapping[str, str]] = {
    "selection_rate": "Selection rate",
    "true_positive_rate": "True positive rate",
    "false_positive_rate": "False positive rate",
    "false_negative_rate": "False negative rate",
    "precision": "Precision",
    "accuracy": "Accuracy",
}
_COLUMNS: Final = (
    ("attribute", "Attribute"), ("group", "Group"), ("n", "Rows"), ("positives", "Positives"), ("selected", "Selected"),
    ("base_rate", "Base rate"), ("rate", "Selection rate"), ("rate_low", "Low"), ("rate_high", "High"), ("ratio", "Ratio"),
    ("ratio_low", "Ratio low"), ("ratio_high", "Ratio high"), ("tpr", "TPR"), ("tpr_low", "TPR low"), ("tpr_high", "TPR high"),
    ("fpr", "FPR"), ("fpr_low", "FPR low"), ("fpr_high", "FPR high"), ("precision", "Precision"), ("is_reference", "Reference"),
    ("precision_low", "Precision low"), ("precision_high", "Precision high"), ("accuracy", "Accuracy"),
    ("accuracy_low", "Accuracy low"), ("accuracy_high", "Accuracy high"), ("mean_score", "Mean score"),
    ("calibration_error", "Calibration error"), ("calibration_low", "Calibration low"), ("calibration_high", "Calibration high"),
    ("effective", "Rows worth"), ("said", "Note"),
)  # fmt: skip
_SPREAD_COLUMNS: Final = (
    ("rate", "Rate"), ("overall", "All rows"), ("lowest", "Lowest"), ("highest", "Highest"), ("difference", "Difference"),
    ("difference_low", "Low"), ("difference_high", "High"), ("ratio", "Ratio"), ("ratio_low", "Ratio low"),
    ("ratio_high", "Ratio high"), ("to_overall", "Farthest from all rows"), ("ratio_to_overall", "Worst ratio to all rows"),
)  # fmt: skip
_RATIO = "selection_rate_ratio"


def is_unknown(group: str) -> bool:
    """Whether a group is of people whose value is missing."""
    return columns.UNKNOWN in group.split(BY)


def tables(
    groups: Sequence[Group], calibrations: Mapping[str, Calibration], figures: Sequence[Figure],
    spread: Sequence[Spread], attribute: str, *, alone: bool,
) -> list[Table]:  # fmt: skip
    """The groups with all their rates, and the spread over them."""
    key = "groups" if alone else "intersection"
    made = [_groups(f"{key}:{attribute}", groups, calibrations, figures, attribute)]
    if spread:
        rows = tuple(_spread(one) for one in spread)
        title = f"Spread over the groups of {attribute}"
        made.append(Table(f"spread:{attribute}", title, _SPREAD_COLUMNS, rows))
    return made


def _groups(
    key: str,
    groups: Sequence[Group],
    calibrations: Mapping[str, Calibration],
    figures: Sequence[Figure],
    attribute: str,
) -> Table:
    ratios = {figure.group: figure for figure in figures if figure.key == _RATIO}
    reference = next((figure.reference for figure in ratios.values() if figure.reference), None)
    rows: list[tuple[Cell, ...]] = []
    for group in groups:
        ratio = ratios.get(group.name)
        is_reference = group.name == reference
        own: tuple[Cell, ...] = (ratio.value, ratio.ci_low, ratio.ci_high) if ratio else (None, None, None)
        scored = calibrations.get(group.name)
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
                *_ends(group.precision.interval),
                *_cells(group.accuracy),
                *((scored.mean_score, scored.error, *scored.interval) if scored else (None, None, None, None)),
                group.selected.sample[1],
                _said(group.name, ratio),
            )
        )
    return Table(key, f"Groups of {attribute}", _COLUMNS, tuple(rows))


def _said(group: str, ratio: Figure | None) -> str:
    if is_unknown(group):
        return "shown, not compared"
    return "insufficient data" if ratio is not None and ratio.note.startswith(INSUFFICIENT) else ""


def _cells(rate: Rate) -> tuple[Cell, Cell, Cell]:
    return rate.value, *_ends(rate.interval)


def _ends(interval: Interval | None) -> tuple[Cell, Cell]:
    return interval or (None, None)


def _spread(one: Spread) -> tuple[Cell, ...]:
    return (
        RATE_WORDS[one.rate], one.overall, one.lowest, one.highest, one.difference, *_ends(one.difference_interval),
        one.ratio, *_ends(one.ratio_interval), one.to_overall, one.ratio_to_overall,
    )  # fmt: skip


def pictures(groups: Sequence[Group], figures: Sequence[Figure], attribute: str, *, alone: bool) -> list[Picture]:
    """Selection rates, and the gaps of every kind, each group with its interval."""
    shown = [group for group in groups if group.selected.interval is not None]
    if not shown or len(shown) > drawing.MOST_MARKS:
        return []
    rows = [_range(group.name, *_cells(group.selected)) for group in shown]
    low = min(shown, key=lambda group: group.selected.value or 0.0)
    high = max(shown, key=lambda group: group.selected.value or 0.0)
    alt = (
        f"Selection rates of {len(shown)} groups of {attribute} with their 95 % intervals: from {low.selected.value:.1%} "
        f"({low.name}) to {high.selected.value:.1%} ({high.name})."
    )
    made = [
        drawing.ranges(
            f"rates:{attribute}", f"Selection rate by {attribute}", alt, rows, value="Selection rate", by=attribute
        )
    ]
    gaps = [f for f in figures if f.value is not None and f.key not in {_RATIO, "calibration_error"}]
    if alone and 0 < len(gaps) <= drawing.MOST_MARKS:
        worst = max(gaps, key=lambda f: (f.value or 0.0, f.label, f.group or ""))
        alt = (
            f"Differences between groups of {attribute} with their 95 % intervals. The largest is "
            f"{worst.label.lower()} of {worst.group}: {worst.value:.3f}."
        )
        rows = [_range(f"{f.label}: {f.group}", f.value, f.ci_low, f.ci_high) for f in gaps]
        title = f"Differences by {attribute}"
        made.append(drawing.ranges(f"gaps:{attribute}", title, alt, rows, value="Difference", by="", line=0.0))
    return made


def _range(name: str, value: Cell, low: Cell, high: Cell) -> dict[str, Cell]:
    return {"name": name, "value": value, "low": low, "high": high}


def findings(groups: Sequence[Group], figures: Sequence[Figure], attribute: str, *, alone: bool) -> list[str]:
    """The lowest ratio, what is too small, and who is unknown, in sentences."""
    made = []
    measured = [f for f in figures if f.key == _RATIO and f.value is not None]
    if measured:
        worst = min(measured, key=lambda f: (f.value if f.value is not None else 1.0, f.group or ""))
        made.append(
            f"{attribute}: “{worst.group}” is selected {worst.value:.3f} times as often as “{worst.reference}” "
            f"(95 % interval {worst.ci_low:.3f} to {worst.ci_high:.3f}, n = {worst.n})."
        )
    lacking = [f for f in figures if f.key == _RATIO and f.value is None and f.note]
    if alone:
        made += [f"{attribute}: {f.note}" for f in lacking]
    elif lacking:
        made.append(f"{attribute}: {INSUFFICIENT.lower()} for {len(lacking)} of {len(groups)} combinations.")
    unknown = sum(group.n for group in groups if is_unknown(group.name))
    if unknown and alone:
        made.append(f"{attribute}: {unknown} rows have no value; they are shown but not compared.")
    return made
