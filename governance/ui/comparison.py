"""Challenger against champion: the metrics of both versions, the groups, and what drives the score."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from config.figures import figure, percent, signed
from governance.models import CheckRun
from governance.screens import CheckRow
from governance.ui.evidence import figures_of, interval, table_of

MARGIN: Final = 0.01
"""A difference of a metric that does not matter: the default of ``compare.champion``."""
TWO_SIDED: Final = frozenset({"calibration_slope", "calibration_intercept"})
"""Figures with an ideal in the middle: neither more nor less of them is better."""
OF_OTHER_ROWS: Final = ("performance.slices", "performance.overfitting")
"""Checks whose figures are of parts of the rows or of other rows, too: their place is among the checks."""
FOUR_FIFTHS: Final = 0.8
TOP: Final = 10
BELOW: Final = "Below the line"


@dataclass(frozen=True, slots=True)
class Metrics:
    """Part 2. ``rows`` for two versions, or ``alone`` for a version that replaces nothing that was measured."""

    summary: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    alone: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""


def metrics(checks: Iterable[CheckRow], live: Mapping[str, CheckRun], *, live_name: str) -> Metrics:
    """Every figure of performance, beside the live version's where both were measured on the same data."""
    runs = [row.run for row in checks if row.run.category == "performance" and row.run.result]
    runs = [run for run in runs if not any(_uses(run, key) for key in OF_OTHER_ROWS)]
    paired = {one["key"]: one for run in runs if run.key.startswith("compare.") for one in figures_of(run)}
    own = [run for run in runs if not run.key.startswith("compare.")]
    rows, alone, n = [], [], 0
    for run in own:
        before = {one["key"]: one for one in figures_of(live.get(run.key)) if not one.get("group")}
        for one in figures_of(run):
            n = max(n, one["n"])
            if one["value"] is None or one.get("group"):
                continue
            known = before.get(one["key"])
            if known and known["value"] is not None and one["key"] not in TWO_SIDED:
                rows.append(_difference(one, known, paired.get(f"{one['key']}_difference")))
            alone.append(
                {"name": one["label"], "value": figure(one["value"]), "interval": _interval(one), "n": one["n"]}
            )
    if rows:
        note = (
            f"Both versions scored the same {figure(n)} rows. AUC difference: paired DeLong interval where the policy asks "
            "for the comparison; else the two intervals combined (Zou and Donner 2008), which is wider than a paired one. "
            f"The band is ±{MARGIN:g}: a difference that does not matter."
        )
        return Metrics(_summary(rows), rows, [], note)
    if alone:
        missing = (
            f"{live_name} has no result on the same data to compare with."
            if live_name
            else "Nothing is live yet, so there is nothing to compare with."
        )
        return Metrics(missing, [], alone, f"Measured on {figure(n)} rows.")
    return Metrics("Not known yet: the figures appear here when the performance checks are done.")


def _uses(run: CheckRun, key: str) -> bool:
    """Whether the run is of that check of the catalogue, in any version."""
    return str(run.requirement.get("use", "")).partition("@")[0] == key


def _difference(new: Mapping[str, Any], old: Mapping[str, Any], paired: Mapping[str, Any] | None) -> dict[str, Any]:
    change = new["value"] - old["value"]
    low, high = _combined(new, old)
    if paired and paired["value"] is not None:
        change, low, high = paired["value"], paired["ci_low"], paired["ci_high"]
    up = new["better"] == "higher"
    verdict, word = _reading(change if up else -change, *sorted_ends(low, high, up=up))
    return {
        "name": new["label"],
        "better": "up" if up else "down",
        "verdict": verdict,
        "live_words": figure(old["value"]),
        "measured": figure(new["value"]),
        "change_words": signed(change, 3),
        "interval": "" if low is None or high is None else f"{signed(low, 3)} to {signed(high, 3)}",
        "change": change,
        "lo": low,
        "hi": high,
        "margin": MARGIN,
        "word": word,
        "label": f"{new['label']}: difference {signed(change, 3)}, {word.lower()}",
    }


def sorted_ends(low: float | None, high: float | None, *, up: bool) -> tuple[float | None, float | None]:
    """The interval turned so that more is better."""
    if low is None or high is None or up:
        return low, high
    return -high, -low


def _combined(new: Mapping[str, Any], old: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The interval of a difference from two intervals (MOVER: Zou and Donner, Stat. Med. 27, 2008)."""
    ends = [new["ci_low"], new["ci_high"], old["ci_low"], old["ci_high"]]
    if any(end is None for end in ends):
        return None, None
    change = new["value"] - old["value"]
    low = math.hypot(new["value"] - new["ci_low"], old["ci_high"] - old["value"])
    high = math.hypot(new["ci_high"] - new["value"], old["value"] - old["ci_low"])
    return change - low, change + high


def _reading(change: float, low: float | None, high: float | None) -> tuple[str, str]:
    if low is None or high is None:
        return "queued", "No interval"
    if low > MARGIN:
        return "pass", "Better, beyond the margin"
    if high < -MARGIN:
        return "caution", "Worse, beyond the margin"
    if low >= -MARGIN and high <= MARGIN:
        return "queued", "Within the margin"
    if low > 0 or high < 0:
        return ("pass", "Better") if change > 0 else ("caution", "Worse")
    return "queued", "No clear difference"


def _summary(rows: Sequence[Mapping[str, Any]]) -> str:
    better = [row["name"] for row in rows if row["verdict"] == "pass"]
    worse = [row["name"] for row in rows if row["verdict"] == "caution"]
    unknown = sum(row["lo"] is None for row in rows)
    rest = len(rows) - len(better) - len(worse) - unknown
    said = [
        f"better in {_listed(better)}" if better else "",
        f"worse in {_listed(worse)}" if worse else "",
        f"no clear difference in {rest} figure{'s' if rest > 1 else ''}" if rest else "",
        f"{unknown} without an interval" if unknown else "",
    ]
    text = "; ".join(one for one in said if one)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _interval(one: Mapping[str, Any]) -> str:
    return interval(one["ci_low"], one["ci_high"])


# groups


@dataclass(frozen=True, slots=True)
class Fairness:
    """Part 4: one table per sensitive attribute."""

    summary: str
    tables: list[dict[str, Any]] = field(default_factory=list)
    pending: bool = False
    required: bool = True


def fairness(checks: Iterable[CheckRow], live: Mapping[str, CheckRun]) -> Fairness:
    """Selection rates by group with Wilson intervals, and four fifths of the reference group as the line."""
    rows = [row for row in checks if _uses(row.run, "fairness.groups")]
    if not rows:
        return Fairness("The policy asks for no comparison of groups for this model.", required=False)
    tables = [
        _groups(row, table["key"], live.get(row.run.key))
        for row in rows
        for table in (row.run.result or {}).get("tables", ())
        if table["key"].startswith("groups:")
    ]
    if not tables:
        return Fairness("Not known yet: the groups appear here when the fairness checks are done.", pending=True)
    short = [t["title"].lower() for t in tables if t["verdict"] == "fail"]
    close = [t["title"].lower() for t in tables if t["verdict"] == "caution"]
    below = [t["title"].lower() for t in tables if t["below"] and t["verdict"] != "fail"]
    close = [title for title in close if title not in below]
    said = [f"By {_listed(short)} a group is below the line."] if short else []
    if below:
        said.append(
            f"By {_listed(below)} a group is below four fifths of the highest, which the policy does not limit."
        )
    if close:
        rest = "The others are above it" if said else "All groups are above their line"
        said.append(f"{rest} on the estimate; by {_listed(close)} an interval crosses it.")
    return Fairness(" ".join(said) or "All groups are above their line, with their whole interval.", tables)


def _groups(row: CheckRow, key: str, live: CheckRun | None) -> dict[str, Any]:
    attribute = key.removeprefix("groups:")
    limits = [one.limit.value for one in row.judged if one.figure.key == "selection_rate_ratio"]
    share = limits[0] if limits else FOUR_FIFTHS
    cells = table_of(row.run, key)
    before = {cell["group"]: cell["rate"] for cell in table_of(live, key)}
    reference = next((cell for cell in cells if cell["is_reference"]), None)
    top = reference["rate"] if reference else max((cell["rate"] or 0.0 for cell in cells), default=0.0)
    line = share * top
    shown = [_group(cell, line, before.get(cell["group"]), limited=bool(limits)) for cell in cells]
    judged = [one for one in shown if not one["reference"]]
    verdict = next((mark for mark in ("fail", "caution") if mark in {one["verdict"] for one in judged}), "pass")
    ends = [end for cell in cells for end in (cell["rate_low"], cell["rate_high"]) if end is not None] + [line]
    lowest = min((cell for cell in cells if cell["ratio"] is not None), key=lambda cell: cell["ratio"], default=None)
    words = f"line at {percent(line)}, {share:g} of the highest group"
    if lowest is not None and not lowest["is_reference"]:
        words = f"lowest ratio {figure(lowest['ratio'])}, of group {lowest['group']}; {words}"
    return {
        "verdict": verdict,
        "below": any(one["word"] == BELOW for one in judged),
        "title": attribute.replace("_", " ").capitalize(),
        "words": words,
        "line": line,
        "start": max(0.0, math.floor(min(ends) * 10) / 10),
        "stop": min(1.0, math.ceil(max(ends) * 10) / 10) or 1.0,
        "rows": shown,
        "note": ""
        if limits
        else "The policy sets no limit on this ratio; the four-fifths line is drawn for orientation.",
    }


def _group(cell: Mapping[str, Any], line: float, live: float | None, *, limited: bool) -> dict[str, Any]:
    rate, low, high = cell["rate"], cell["rate_low"], cell["rate_high"]
    if rate is None or (cell["ratio"] is None and not cell["is_reference"]):
        verdict, word = "caution", "Too few rows to judge"
    elif rate < line:
        verdict, word = "fail" if limited else "caution", BELOW
    elif low is not None and low < line:
        verdict, word = "caution", "Interval crosses the line"
    else:
        verdict, word = "pass", "Above the line"
    return {
        "name": cell["group"],
        "count": cell["n"],
        "rate": rate,
        "interval": "" if low is None or high is None else f"{percent(low)[:-2]} to {percent(high)[:-2]}",
        "lo": low,
        "hi": high,
        "live": live,
        "ratio": figure(cell["ratio"]),
        "reference": cell["is_reference"],
        "verdict": verdict,
        "word": word,
        "label": f"{cell['group']}: rate {percent(rate)}, {word.lower()}",
    }


# what drives the score


@dataclass(frozen=True, slots=True)
class Drivers:
    """Part 5: the strongest inputs."""

    summary: str
    unit: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    largest: float = 0.0
    digits: int = 3
    live: bool = False
    note: str = ""
    pending: bool = False
    required: bool = True


def drivers(checks: Iterable[CheckRow], live: Mapping[str, CheckRun]) -> Drivers:
    """The inputs by importance, beside their rank in the live version."""
    row = next((one for one in checks if _uses(one.run, "explainability.importance")), None)
    if row is None:
        return Drivers("The policy asks for no explanation of this model.", required=False)
    cells = table_of(row.run, "importance")
    if not cells:
        return Drivers("Not known yet: the inputs appear here when they have been explained.", pending=True)
    old = table_of(live.get(row.run.key), "importance")
    before = {cell["feature"]: (position, cell["importance"]) for position, cell in enumerate(old, 1)}
    shown = [
        {
            "rank": position,
            "name": cell["feature"],
            "value": max(0.0, cell["importance"]),
            "live": before.get(cell["feature"], (None, None))[1],
            "live_rank": before.get(cell["feature"], (None, None))[0],
        }
        for position, cell in enumerate(cells[:TOP], 1)
    ]
    result: Mapping[str, Any] = row.run.result or {}
    title = next((one["title"] for one in result["tables"] if one["key"] == "importance"), "Importance")
    rest = cells[TOP:]
    note = (
        f"{len(rest)} more inputs sum to {figure(sum(max(0.0, one['importance']) for one in rest))}. " if rest else ""
    )
    values = [one["value"] for one in shown] + [one["live"] or 0.0 for one in shown]
    largest = max(values) or 1.0
    return Drivers(
        summary=" ".join(result.get("findings", ())),
        unit=title,
        rows=shown,
        largest=largest,
        digits=max(0, 2 - math.floor(math.log10(largest))),
        live=bool(old),
        note=note + " ".join(result.get("limits", ())),
    )
