"""The part of the packs about people and inputs: rates by group against their line, and what drives the score."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from governance.documents.packs.evidence import tables_of
from governance.documents.shape import Column, Section, Table
from governance.models import CheckRun
from governance.policy import Verdict

TOP: Final = 12
FOUR_FIFTHS: Final = 0.8

_GROUPS: Final = (
    Column("group", "Group", weight=1.3),
    Column("n", "Rows", "count"),
    Column("rate", "Selected", "share", optional=True),
    Column("low", "from", "share", optional=True),
    Column("high", "to", "share", optional=True),
    Column("ratio", "Impact ratio", "number", optional=True),
    Column("reading", "Reading", "verdict", optional=True),
    Column("plot", "rate against the line", "rate", weight=2.2),
)


def groups(runs: Iterable[CheckRun], verdict: Verdict) -> Section:
    """Selection rates by group with Wilson intervals, and the line of each attribute."""
    limits = {
        one.figure.attribute: one.limit.value
        for node in verdict.checks.walk()
        for one in node.judged
        if one.figure.key == "selection_rate_ratio"
    }
    blocks = []
    for run in runs:
        if not str(run.requirement.get("use", "")).startswith("fairness.groups"):
            continue
        for title, cells in tables_of(run, "groups:"):
            attribute = title.removeprefix("Groups of ")
            blocks.append(_group_table(run, attribute, cells, limits.get(attribute)))
    if not blocks:
        return Section("groups", "Groups of people", "The policy asked for no comparison of groups of people.")
    below = [block for block in blocks if any(row["reading"] in {"fail", "caution"} for row in block.rows)]
    said = "Every group lies above its line with its whole interval."
    if below:
        said = f"In {len(below)} of {len(blocks)} comparisons a rate or its interval reaches below the line."
    return Section("groups", "Groups of people", said, blocks)


def _group_table(run: CheckRun, attribute: str, cells: list[dict[str, Any]], limit: float | None) -> Table:
    share = FOUR_FIFTHS if limit is None else limit
    reference = next((cell for cell in cells if cell["is_reference"]), None)
    top = (
        reference["rate"]
        if reference and reference["rate"] is not None
        else max((c["rate"] or 0 for c in cells), default=0)
    )
    line = share * top
    ends = [end for cell in cells for end in (cell["rate_low"], cell["rate_high"], line) if end is not None]
    start, stop = (
        max(0.0, math.floor(min(ends, default=0) * 10) / 10),
        min(1.0, math.ceil(max(ends, default=1) * 10) / 10),
    )
    rows = [
        {
            "group": f"{cell['group']}{' (reference)' if cell['is_reference'] else ''}",
            "n": cell["n"],
            "rate": cell["rate"],
            "low": cell["rate_low"],
            "high": cell["rate_high"],
            "ratio": cell["ratio"],
            "reading": _reading(cell, line, limited=limit is not None),
            "plot": {
                "value": cell["rate"],
                "low": cell["rate_low"],
                "high": cell["rate_high"],
                "line": line,
                "start": start,
                "stop": stop,
            },
        }
        for cell in cells
    ]
    asked = (
        f"The policy's limit on the ratio is {share:g}."
        if limit is not None
        else (
            "The policy sets no limit on this ratio; the four-fifths line (29 CFR 1607.4(D)) is drawn for orientation."
        )
    )
    note = f"{asked} Line at {line:.1%} of the axis from {start:.0%} to {stop:.0%}. Wilson 95 % intervals."
    return Table(f"groups-{run.position}-{attribute}", _GROUPS, rows, f"By {attribute.replace('_', ' ')}", note)


def _reading(cell: Mapping[str, Any], line: float, *, limited: bool) -> str | None:
    if cell["is_reference"]:
        return None
    if cell["rate"] is None or cell["ratio"] is None:
        return "error"
    if cell["rate"] < line:
        return "fail" if limited else "caution"
    return "caution" if cell["rate_low"] is not None and cell["rate_low"] < line else "pass"


_DRIVERS: Final = (
    Column("rank", "Rank", "count"),
    Column("feature", "Input", "code", weight=2),
    Column("importance", "Importance", "number"),
    Column("before", "In the live version", "number", optional=True),
)


def drivers(runs: Iterable[CheckRun], live: Mapping[str, CheckRun]) -> Section:
    """The strongest inputs, beside the live version's."""
    for run in runs:
        if not str(run.requirement.get("use", "")).startswith("explainability.importance"):
            continue
        for title, cells in tables_of(run, "importance"):
            before = {
                one["feature"]: one["importance"]
                for _, old in tables_of(live.get(run.key), "importance")
                for one in old
            }
            rows = [
                {
                    "rank": rank,
                    "feature": cell["feature"],
                    "importance": cell["importance"],
                    "before": before.get(cell["feature"]),
                }
                for rank, cell in enumerate(cells[:TOP], 1)
            ]
            more = f"{len(cells) - TOP} further inputs are in the result." if len(cells) > TOP else ""
            result: Mapping[str, Any] = run.result or {}
            return Section(
                "drivers",
                "What drives the score",
                " ".join(result.get("findings", ())),
                [Table("drivers", _DRIVERS, rows, title, f"{more} {' '.join(result.get('limits', ()))}".strip())],
            )
    return Section("drivers", "What drives the score", "The policy asked for no explanation of this model.")
