"""``fairness.ll144``: the tables of New York City's bias audit of automated employment decision tools.

6 RCNY § 5-301: selection rates (or scoring rates: the share above the median score) and impact ratios by sex, by
race/ethnicity, and by both together; how many people are of unknown category; small categories are shown, not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pyarrow as pa

from governance.checks import pictures as drawing
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.fairness.comparisons import Rate
from governance.checks.manifests.fairness import LL144
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns
from governance.checks.statistics.counts import counted, numbers
from governance.checks.statistics.intervals import miettinen_nurminen, smallest_gap

_SPEC = {spec.key: spec for spec in LL144.figures}
_BY = " / "


@dataclass(frozen=True, slots=True)
class LocalLawParams(Params):
    """``rate``: of those selected, or of those who score above the median of all.

    ``least_share``: a category with a smaller share of the data is shown but not judged (§ 5-301(d) allows 2 %).
    """

    rate: Literal["selection", "scoring"] = "selection"
    threshold: float = 0.5
    least_share: float = 0.02

    def check(self) -> None:
        if not 0 < self.threshold < 1 or not 0 <= self.least_share < 0.5:
            raise CheckError("params.value", "“threshold” must lie between 0 and 1 and “least_share” in [0, 0.5).")


class LocalLaw144(Check):
    """State: counts of (category of each sensitive column …, score); for selection the score is the decision."""

    manifest = LL144
    params = LocalLawParams

    def plan(self, inputs: CheckInputs, params: LocalLawParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        data = columns.rows_of(inputs)
        if not inputs.roles.sensitive:
            raise CheckError("data.sensitive_missing", "No column has the role sensitive. Name sex and race/ethnicity.")
        for name in inputs.roles.sensitive:
            columns.check_groups(data, name)
        columns.check_predictions(inputs, scores=params.rate == "scoring")
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: LocalLawParams) -> pa.Table:
        data = columns.rows_of(shard)
        keys = {f"c{place}": columns.groups(data, name) for place, name in enumerate(shard.roles.sensitive)}
        given = columns.scores(shard) if params.rate == "scoring" else None
        score = columns.decisions(shard, params.threshold).cast(pa.float64()) if given is None else given
        return counted(pa.table({**keys, "score": score}))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: LocalLawParams) -> CheckResult:
        names = inputs.roles.sensitive
        count, score = numbers(state, "count"), numbers(state, "score")
        n = int(count.sum())
        hit = score > _median(score, count) if params.rate == "scoring" else score == 1.0
        of = [np.array(state.column(f"c{place}").to_pylist()) for place in range(len(names))]
        figures: list[Figure] = []
        tables: list[Table] = []
        findings: list[str] = []
        uncounted: list[tuple[Cell, ...]] = []
        for places in _tables(len(names)):
            title = _BY.join(names[place] for place in places)
            known = np.all([of[place] != columns.UNKNOWN for place in places], axis=0)
            unknown = int(count[~known].sum())
            categories: dict[str, Rate] = {}
            labels = [_BY.join(parts) for parts in zip(*(of[place].tolist() for place in places), strict=True)]
            for label in sorted({label for label, use in zip(labels, known.tolist(), strict=True) if use}):
                mine = np.array([one == label for one in labels]) & known
                categories[label] = Rate(int(count[mine & hit].sum()), int(count[mine].sum()))
            made, table = _judged(title, categories, n, params)
            figures += made
            tables.append(table)
            uncounted.append((title, n - unknown, unknown))
            if unknown:
                findings.append(f"{title}: the category of {unknown} people is unknown; they are not in the table.")
        tables.append(Table("unknown", "People of unknown category, who are in no table", _UNKNOWN, tuple(uncounted)))
        small = sorted({f"{one.attribute}: {one.group}" for one in figures if one.note.startswith("Only")})
        if small:
            findings.append(
                f"Shown but not judged, because they are under {params.least_share:.0%} of the data: {', '.join(small)}."
            )
        return CheckResult(
            LL144.key, LL144.version, params.as_dict(), n, tuple(figures), tuple(tables), _pictures(figures),
            findings=tuple(findings or (_ALL,)),
            limits=(
                "The law asks for these tables, not for a limit on them; the four-fifths line comes from 29 CFR 1607.4(D).",
                "A ratio below 0.80 for a small category happens often by chance: read it with its interval.",
                "The law counts people: rows count alike, whatever their weight.",
            ),
            facts={"rate": params.rate, "people": n},
        )  # fmt: skip


_UNKNOWN = (("table", "Table"), ("n", "In the table"), ("unknown", "Unknown"))
_ALL = "Every person's category is known, and every category is large enough to be judged."


def _pictures(figures: list[Figure]) -> tuple[Picture, ...]:
    """Impact ratios of every table with their intervals, beside the four-fifths line."""
    made = []
    for title in dict.fromkeys(figure.attribute or "" for figure in figures):
        shown = [figure for figure in figures if figure.attribute == title and figure.value is not None]
        if not 0 < len(shown) <= drawing.MOST_MARKS:
            continue
        low = min(shown, key=lambda figure: (figure.value or 0.0, figure.group or ""))
        alt = f"Impact ratios by {title} with 95 % intervals beside four fifths; the lowest is {low.value:.3f} ({low.group})."
        rows: list[dict[str, Cell]] = [
            {"name": figure.group, "value": figure.value, "low": figure.ci_low, "high": figure.ci_high}
            for figure in shown
        ]
        named = f"Impact ratio by {title}"
        made.append(drawing.ranges(f"ratios:{title}", named, alt, rows, value="Impact ratio", by=title, line=0.8))
    return tuple(made)


def _tables(columns_given: int) -> list[tuple[int, ...]]:
    """Each column alone, then every two together: § 5-301(b)(3) asks for sex with race/ethnicity."""
    return [*((place,) for place in range(columns_given)), *combinations(range(columns_given), 2)]


def _median(score: np.ndarray, count: np.ndarray) -> float:
    """Of the whole sample; the mean of the two middle scores where their number is even."""
    order = np.argsort(score, kind="stable")
    reached = np.cumsum(count[order])
    n = int(reached[-1])
    low, high = (score[order][np.searchsorted(reached, place, side="right")] for place in ((n - 1) // 2, n // 2))
    return float((low + high) / 2)


def _judged(title: str, categories: dict[str, Rate], n: int, params: LocalLawParams) -> tuple[list[Figure], Table]:
    large = [name for name, rate in categories.items() if rate.n / n >= params.least_share] or list(categories)
    best = min(large, key=lambda name: (-(categories[name].value or 0.0), name), default=None)
    figures: list[Figure] = []
    rows: list[tuple[Cell, ...]] = []
    for name, rate in categories.items():
        top = categories[str(best)]
        ratio = None if not top.hits or rate.value is None or top.value is None else rate.value / top.value
        interval = (
            miettinen_nurminen(rate.hits, rate.n, top.hits, top.n) if ratio is not None and name != best else None
        )
        share = rate.n / n
        judged = share >= params.least_share
        rows.append((name, rate.n, rate.hits, rate.value, ratio, *(interval or (None, None)), share, judged))
        if name == best:
            continue
        spec = _SPEC["impact_ratio"]
        note = "" if judged else f"Only {share:.1%} of the data ({rate.n} people), so it is shown but not judged."
        if judged and ratio is None:
            note = "Nobody was selected in any category."
        low, high = interval if judged and interval else (None, None)
        gap = smallest_gap((rate.hits + top.hits) / (rate.n + top.n), rate.n, top.n) if judged else None
        figures.append(
            Figure(
                spec.key, spec.label, ratio if judged else None, rate.n, spec.better, ci_low=low, ci_high=high,
                scale="log", attribute=title, group=name, reference=best, smallest_gap=gap, note=note,
            )
        )  # fmt: skip
    if not figures:
        spec = _SPEC["impact_ratio"]
        figures.append(
            Figure(spec.key, spec.label, None, n, spec.better, attribute=title, note="There are not two categories.")
        )
    word = "Scored above the median" if params.rate == "scoring" else "Selected"
    labels = (
        ("category", "Category"), ("n", "Applicants"), ("hits", word), ("rate", f"{params.rate.capitalize()} rate"),
        ("ratio", "Impact ratio"), ("low", "Low"), ("high", "High"), ("share", "Share of the data"), ("judged", "Judged"),
    )  # fmt: skip
    return figures, Table(f"ll144:{title}", f"Impact ratio by {title}", labels, tuple(rows))
