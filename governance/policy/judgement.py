"""Judging figures against a limit (DESIGN §12): pass, caution, fail, inconclusive or insufficient.

A limit is *breached* when the figure's value (or the named end of its interval) lies beyond it. A breach is a
``fail`` only if the interval says so too: the limit lies outside the 95 % interval, after Holm's correction over
the confirmatory family: all measured figures that any limit of the check is held against (every group of every
attribute, for every gated figure; what is shown without a limit does not count). Otherwise the sample cannot tell
and the result is ``inconclusive``: not met, and for a person to decide through a waiver. A figure whose check withheld
the interval (its note begins with "Insufficient data") neither keeps nor breaches a limit: it is ``insufficient``.

Holm's step-down: S. Holm, Scand. J. Statist. 6 (1979) 65-70.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

from governance.policy.document import InsufficientData, Limit
from governance.policy.facts import FigureFact

ALPHA = 0.05
_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf(1 - ALPHA / 2)


class Judgement(StrEnum):
    """What a figure is worth against a limit. Only ``PASS`` and ``CAUTION`` let a request go on."""

    PASS = "pass"  # noqa: S105
    CAUTION = "caution"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True)
class Judged:
    """One figure judged. ``compared`` is the number held against the limit; ``p_adjusted`` exists for breaches.

    ``headroom``: the share of the way from the limit to the ideal that is left; negative when breached.
    """

    figure: FigureFact
    limit: Limit
    judgement: Judgement
    reason: str
    compared: float | None = None
    headroom: float | None = None
    p_adjusted: float | None = None


def judge(figure: FigureFact, limit: Limit, *, insufficient_data: InsufficientData = "fail") -> Judged:
    """Judge one figure alone."""
    return judge_family((figure,), limit, insufficient_data=insufficient_data)[0]


def judge_family(
    figures: Sequence[FigureFact], limit: Limit, *, insufficient_data: InsufficientData = "fail"
) -> tuple[Judged, ...]:
    """Judge all figures that one limit is held against, in their order.

    Guarantee: a figure without a value, or whose interval was withheld, passes with caution only if the policy says
    ``warn`` *and* some other figure of the family was measured; nothing at all measured is never a pass.
    """
    return judge_limits(((limit, figures),), insufficient_data=insufficient_data)[0]


def judge_limits(
    limits: Sequence[tuple[Limit, Sequence[FigureFact]]], *, insufficient_data: InsufficientData = "fail"
) -> tuple[tuple[Judged, ...], ...]:
    """Judge all figures of all limits of one check, in their order: together they are the family that Holm corrects over.

    Guarantee: that of :func:`judge_family`, for each limit.
    """
    ps: list[float | None] = []
    size = 0
    for limit, figures in limits:
        for figure in figures:
            value = _compared(figure, limit)
            ps.append(_p(figure, limit) if value is not None and _breach(value, limit) else None)
            size += value is not None
    adjusted = iter(_holm(ps, size))
    made = []
    for limit, figures in limits:
        warn = insufficient_data == "warn" and any(
            figure.value is not None and not figure.withheld for figure in figures
        )
        made.append(tuple(_judged(figure, limit, p=next(adjusted), warn=warn) for figure in figures))
    return tuple(made)


def _judged(figure: FigureFact, limit: Limit, *, p: float | None, warn: bool) -> Judged:
    value = _compared(figure, limit)
    if figure.value is None or value is None:
        kind = Judgement.CAUTION if warn else Judgement.INSUFFICIENT
        why = figure.note or ("It has no value." if figure.value is None else f"It has no {limit.bound}.")
        if figure.withheld:
            reason = f"{_name(figure)} is {_number(figure.value or 0.0)}, n = {figure.n}, without an interval. {why}"
            return Judged(figure, limit, kind, reason)
        return Judged(figure, limit, kind, f"{_name(figure)}: too little data. {why}")
    room = _headroom(value, limit)
    said = f"{_name(figure)} is {_number(figure.value)}{_interval(figure)}, n = {figure.n}"
    asked = f"{'at least' if limit.op == 'ge' else 'at most'} {_number(limit.value)}"
    if limit.bound != "value":
        asked = f"{'lower' if limit.bound == 'ci_low' else 'upper'} end {asked}"
    if not _breach(value, limit):
        return Judged(figure, limit, Judgement.PASS, f"{said}; asked: {asked}.", value, room)
    if p is not None and p <= ALPHA:
        return Judged(figure, limit, Judgement.FAIL, f"{said}; asked: {asked}.", value, room, p)
    tail = "the sample is too small to tell a real breach from chance" if p is not None else "it has no interval"
    return Judged(figure, limit, Judgement.INCONCLUSIVE, f"{said}; asked: {asked}; {tail}.", value, room, p)


def _compared(figure: FigureFact, limit: Limit) -> float | None:
    """The number held against the limit; None where there is too little data."""
    if figure.withheld:
        return None
    if limit.bound == "ci_low":
        return figure.ci_low
    return figure.ci_high if limit.bound == "ci_high" else figure.value


def _breach(value: float, limit: Limit) -> bool:
    return value < limit.value if limit.op == "ge" else value > limit.value


def _headroom(value: float, limit: Limit) -> float | None:
    span = limit.ideal - limit.value
    return (value - limit.value) / span if span else None


def _p(figure: FigureFact, limit: Limit) -> float | None:
    """Two-sided p-value of "the true figure is exactly at the limit", read off the figure's own interval.

    The half of the interval that points towards the limit is 1.96 standard errors on the figure's scale, so for
    a single figure p <= 0.05 exactly when the limit lies outside the interval. None without an interval.
    """
    end = figure.ci_high if limit.op == "ge" else figure.ci_low
    if figure.value is None or end is None:
        return None
    # Exact counts have no error: an interval of zero width that lies beyond the limit excludes it.
    value, limit_at, end_at = (_on_scale(x, figure.scale) for x in (figure.value, limit.value, end))
    if value == limit_at:
        return 1.0
    if math.isinf(value) and not math.isinf(end_at):
        # A ratio of zero (nobody selected) lies infinitely far on the log scale: the interval's end decides.
        return 0.0 if _breach(end, limit) else 1.0
    half = abs(end_at - value)
    if half == 0:
        return 0.0
    distance = abs(limit_at - value)
    if math.isinf(distance) or math.isinf(half):
        return 1.0 if math.isinf(half) else 0.0
    return 2 * (1 - _NORMAL.cdf(_Z * distance / half)) if distance / half < 4 else 0.0


def _on_scale(number: float, scale: str) -> float:
    if scale == "log":
        return math.log(number) if number > 0 else -math.inf
    if scale == "logit":
        if not 0 < number < 1:
            return -math.inf if number <= 0 else math.inf
        return math.log(number / (1 - number))
    return number


def _holm(ps: Sequence[float | None], size: int) -> list[float | None]:
    """Step-down over a family of ``size`` measured figures: those that keep their limit count as p = 1."""
    order = sorted((p, index) for index, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (size - rank) * p))
        adjusted[index] = highest
    return adjusted


def _name(figure: FigureFact) -> str:
    return f"{figure.label} ({figure.about})" if figure.about else figure.label


def _number(number: float) -> str:
    return f"{number:.3f}"


def _interval(figure: FigureFact) -> str:
    if figure.ci_low is None or figure.ci_high is None or figure.ci_low == figure.ci_high:
        return ""
    return f" (95 % interval {_number(figure.ci_low)} to {_number(figure.ci_high)})"
