"""Counts of one group and how two groups compare; integers in, intervals out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from governance.checks.statistics.intervals import Interval, miettinen_nurminen, newcombe, smallest_gap, wilson

INSUFFICIENT = "Insufficient data"
How = Literal["ratio", "below", "above"]


@dataclass(frozen=True, slots=True)
class Rate:
    """``hits`` of ``n``; of weighted rows also their ``share`` and how many equal rows they are worth (``effective``)."""

    hits: int
    n: int
    share: float | None = None
    effective: float | None = None

    @property
    def value(self) -> float | None:
        """None for an empty group: there is no such number."""
        if self.share is not None:
            return self.share
        return self.hits / self.n if self.n else None

    @property
    def sample(self) -> tuple[float, float]:
        """Hits and rows for intervals; effective ones where rows have weights."""
        if self.share is None or self.effective is None:
            return self.hits, self.n
        return self.share * self.effective, self.effective

    @property
    def interval(self) -> Interval | None:
        """Wilson's, or None for an empty group."""
        return wilson(*self.sample) if self.sample[1] else None


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the four cells tn, fp, fn, tp: the added weights and the added squares, in any one unit."""

    total: tuple[float, float, float, float]
    squares: tuple[float, float, float, float]


_TN, _FP, _FN, _TP = range(4)


@dataclass(frozen=True, slots=True)
class Group:
    """The confusion counts of one group, with their weights if rows have any."""

    name: str
    tn: int
    fp: int
    fn: int
    tp: int
    weights: Weights | None = None

    @property
    def n(self) -> int:
        """Rows."""
        return self.tn + self.fp + self.fn + self.tp

    @property
    def selected(self) -> Rate:
        """Selection rate."""
        return self.rate((_FP, _TP), (_TN, _FP, _FN, _TP))

    @property
    def base(self) -> Rate:
        """Base rate."""
        return self.rate((_FN, _TP), (_TN, _FP, _FN, _TP))

    @property
    def accuracy(self) -> Rate:
        """Share of right decisions."""
        return self.rate((_TN, _TP), (_TN, _FP, _FN, _TP))

    @property
    def tpr(self) -> Rate:
        """True positive rate."""
        return self.rate((_TP,), (_FN, _TP))

    @property
    def fnr(self) -> Rate:
        """False negative rate."""
        return self.rate((_FN,), (_FN, _TP))

    @property
    def fpr(self) -> Rate:
        """False positive rate."""
        return self.rate((_FP,), (_TN, _FP))

    @property
    def precision(self) -> Rate:
        """Positive predictive value."""
        return self.rate((_TP,), (_FP, _TP))

    def rate(self, hits: Sequence[int], of: Sequence[int]) -> Rate:
        """The share of some cells in others (0 tn, 1 fp, 2 fn, 3 tp)."""
        counts = self.tn, self.fp, self.fn, self.tp
        rows, all_rows = sum(counts[k] for k in hits), sum(counts[k] for k in of)
        if self.weights is None:
            return Rate(rows, all_rows)
        total, squares = self.weights.total, self.weights.squares
        weight = sum(total[k] for k in of)
        if not weight:
            return Rate(0, 0)
        share = sum(total[k] for k in hits) / weight
        spread = sum(squares[k] for k in of)
        return Rate(rows, all_rows, share, weight * weight / spread if spread else 0.0)


RateOf = Callable[[Group], Rate]


@dataclass(frozen=True, slots=True)
class Compared:
    """One group against the reference: value with interval, or None with the reason."""

    group: str
    reference: str | None
    n: int
    value: float | None
    interval: Interval | None = None
    gap: float | None = None
    note: str = ""


def compare(groups: list[Group], rate_of: RateOf, how: How, *, least: int, reference: str | None) -> list[Compared]:
    """Every group against the reference by ``how``: "ratio", "below" or "above" the reference.

    The reference is the named one, or the group with the highest rate (the lowest for "above") that has at least
    ``least`` rows to count; of equals the first by name. Groups with fewer give no number but say so.
    """
    able = [group for group in groups if rate_of(group).n >= least]
    chosen = _reference(able, rate_of, how, reference)
    made = []
    for group in groups:
        if chosen is not None and group.name == chosen.name:
            continue
        made.append(_one(group, chosen, rate_of, how, least, others=len(able)))
    return made


def _reference(able: list[Group], rate_of: RateOf, how: How, named: str | None) -> Group | None:
    if named is not None:
        return next((group for group in able if group.name == named), None)
    sign = 1 if how == "above" else -1
    return min(able, key=lambda group: (sign * (rate_of(group).value or 0.0), group.name), default=None)


def too_few(group: str, n: int, least: int) -> str:
    """The sentence for a group that is too small."""
    return f"{INSUFFICIENT}: the group “{group}” has {n} rows that count here; at least {least} are needed."


def no_reference(least: int, *, others: int) -> str:
    """The sentence for groups that nothing can be compared with."""
    if others:
        return f"{INSUFFICIENT}: there is no reference group with at least {least} rows."
    return f"{INSUFFICIENT}: no group has enough rows."


def _one(group: Group, chosen: Group | None, rate_of: RateOf, how: How, least: int, *, others: int) -> Compared:
    own = rate_of(group)
    if own.n < least or own.value is None:
        note = too_few(group.name, own.n, least)
        return Compared(group.name, chosen.name if chosen else None, own.n, None, note=note)
    if chosen is None:
        return Compared(group.name, None, own.n, None, note=no_reference(least, others=others))
    base = rate_of(chosen)
    mine, its = own.sample, base.sample
    gap = smallest_gap((mine[0] + its[0]) / (mine[1] + its[1]), mine[1], its[1])
    if how == "ratio":
        interval = miettinen_nurminen(*mine, *its)
        if interval is None or not base.value:
            note = f"Nobody in the reference group “{chosen.name}” was selected, so there is no ratio."
            return Compared(group.name, chosen.name, own.n, None, note=note)
        return Compared(group.name, chosen.name, own.n, own.value / base.value, interval, gap)
    first, second = (own, base) if how == "above" else (base, own)
    value = (first.value or 0.0) - (second.value or 0.0)
    return Compared(group.name, chosen.name, own.n, value, newcombe(*first.sample, *second.sample), gap)
