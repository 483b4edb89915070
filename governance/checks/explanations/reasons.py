"""Reason codes of adverse action: the inputs that pushed a decision to the refusal, and whether they may be given.

12 CFR 1002.9(b)(2): the reasons must be specific and name the principal ones; that the creditor's internal standards or
policies, or a score that did not qualify, were the reason is not enough. Its official interpretation: more than four are
likely of no help (comment 1); they must be what was in fact scored, and no principal one may be left out, even one that is
hard to understand (comments 2 and 4); a method may compare each factor with the average of all applicants (comment 5), as
Shapley values against the data's rows do. Wordings for a notice: the sample forms of Appendix C to part 1002. The same holds
for models that are hard to explain: CFPB Circulars 2022-03 and 2023-03. A prohibited basis can be no reason: 12 CFR 1002.4(a).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from governance.checks.contract import FigureSpec
from governance.checks.results import Cell, CheckError, Figure, Table
from governance.checks.statistics.intervals import mean_interval, wilson

MOST_CODES = 4
HALF = 0.5
"""Reasons are complete when they make up this part of all that pushed towards the refusal."""
SOURCE = "12 CFR 1002.9(b)(2)"
_NOT_SPECIFIC = ("internal standard", "internal polic", "qualifying score", "credit score too low", "score too low")


@dataclass(frozen=True, slots=True)
class Refusals:
    """Refused rows: what pushed each input of theirs to the refusal (positive) or away from it, shape (refused, inputs)."""

    pushed: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    names: Sequence[str]
    sensitive: frozenset[str]
    wording: Mapping[str, str]
    codes: int

    def given(self, values: np.ndarray | None = None) -> list[list[int]]:
        """For each refused row the inputs that pushed it there most, the strongest first; only those that pushed at all."""
        rows = self.pushed if values is None else values
        order = np.argsort(-rows, axis=1, kind="stable")[:, : self.codes]
        return [[int(i) for i in first if row[i] > 0] for row, first in zip(rows, order, strict=True)]


def worded(given: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The parameter “wording”, a list of ``input=reason``, as a mapping. Raises ``CheckError`` for what no notice may say."""
    made: dict[str, str] = {}
    for one in given:
        name, _, reason = (part.strip() for part in one.partition("="))
        if name not in names or not reason:
            raise CheckError("params.value", f"“{one}” in “wording” is not of the form input=reason with an input.")
        if any(words in reason.lower() for words in _NOT_SPECIFIC):
            sentence = f"“{reason}” is no specific reason: internal standards and scores are none ({SOURCE})."
            raise CheckError("params.value", sentence, name)
        made[name] = reason
    return made


def figures(refused: Refusals, specs: Mapping[str, FigureSpec]) -> list[Figure]:
    """Completeness, stability, reasons that are sensitive, and reasons that can be put into words."""
    keys = ("reasons_complete", "reasons_stable", "reasons_sensitive", "reasons_worded")
    n, given = len(refused.pushed), refused.given()
    if not n:
        return [_figure(specs[key], None, 0, note="None of the explained rows is refused.") for key in keys]
    complete = sum(_explains(row, top) for row, top in zip(refused.pushed, given, strict=True))
    first, second = (refused.given(half) for half in refused.halves)
    same = [_overlap(set(a), set(b)) for a, b in zip(first, second, strict=True)]
    sensitive = sum(any(refused.names[i] in refused.sensitive for i in top) for top in given)
    wordless = "No wordings were given (parameter “wording”: input=reason)."
    whole = sum(bool(top) and all(refused.names[i] in refused.wording for i in top) for top in given)
    return [
        _share(specs["reasons_complete"], complete, n),
        _figure(specs["reasons_stable"], float(np.mean(same)), n, _mean(same)),
        _share(specs["reasons_sensitive"], sensitive, n),
        _share(specs["reasons_worded"], whole, n)
        if refused.wording
        else _figure(specs["reasons_worded"], None, n, note=wordless),
    ]


def findings(refused: Refusals) -> list[str]:
    """What a person must know before any of these reasons is given to anybody."""
    said = []
    given = refused.given()
    for name in sorted(refused.sensitive & set(refused.names)):
        count = sum(refused.names.index(name) in top for top in given)
        if count:
            said.append(
                f"“{name}” is sensitive and is among the reasons of {count} of {len(given)} refusals: a prohibited basis "
                "can be no reason for a refusal (12 CFR 1002.4(a))."
            )
    used = {refused.names[i] for top in given for i in top}
    missing = sorted(used - set(refused.wording)) if refused.wording else []
    if missing:
        said.append(f"No wording is given for {', '.join(f'“{name}”' for name in missing)}, which is a reason.")
    nothing = sum(not top for top in given)
    if nothing:
        said.append(f"{nothing} of {len(given)} refusals have no input that pushed towards the refusal.")
    return said


def table(refused: Refusals) -> Table:
    """The reasons by how many refusals name them."""
    given = refused.given()
    counts = [
        (sum(i in top for top in given), sum(top[:1] == [i] for top in given), i) for i in range(len(refused.names))
    ]
    rows: list[tuple[Cell, ...]] = []
    for count, first, i in sorted(counts, key=lambda one: (-one[0], -one[1], refused.names[one[2]])):
        if count:
            low, high = wilson(count, len(given))
            name = refused.names[i]
            rows.append(
                (
                    name,
                    count,
                    count / len(given),
                    low,
                    high,
                    first,
                    refused.wording.get(name, ""),
                    name in refused.sensitive,
                )
            )
    labels = (
        ("feature", "Reason"), ("refused", "Refusals that name it"), ("share", "Share of refusals"), ("low", "Low"),
        ("high", "High"), ("first", "As the first reason"), ("wording", "Wording"), ("sensitive", "Sensitive"),
    )  # fmt: skip
    return Table("reasons", f"Reason codes ({SOURCE}), at most {refused.codes} each", labels, tuple(rows))


def _explains(row: np.ndarray, top: list[int]) -> bool:
    """Whether the reasons given make up at least half of everything that pushed towards the refusal."""
    pushed = float(np.maximum(row, 0.0).sum())
    return bool(top) and sum(float(row[i]) for i in top) >= pushed * HALF


def _overlap(first: set[int], second: set[int]) -> float:
    return len(first & second) / len(first | second) if first | second else 0.0


def _mean(values: list[float]) -> tuple[float, float] | None:
    found = mean_interval(
        float(np.mean(values)), float(np.var(values, ddof=1)) if len(values) > 1 else 0.0, len(values)
    )
    return None if found is None else (max(0.0, found[0]), min(1.0, found[1]))


def _share(spec: FigureSpec, hits: int, n: int) -> Figure:
    low, high = wilson(hits, n)
    return Figure(spec.key, spec.label, hits / n, n, spec.better, ci_low=low, ci_high=high, scale="logit")


def _figure(
    spec: FigureSpec, value: float | None, n: int, ends: tuple[float, float] | None = None, note: str = ""
) -> Figure:
    low, high = ends or (None, None)
    return Figure(spec.key, spec.label, value, n, spec.better, ci_low=low, ci_high=high, note=note)
