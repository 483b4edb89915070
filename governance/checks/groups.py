"""Counts of one group and how two groups compare; integers in, intervals out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from governance.checks.intervals import Interval, katz, newcombe, smallest_gap, wilson


@dataclass(frozen=True, slots=True)
class Rate:
    """``hits`` of ``n``."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """None for an empty group: there is no such number."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> Interval | None:
        """Wilson's, or None for an empty group."""
        return wilson(self.hits, self.n) if self.n else None


@dataclass(frozen=True, slots=True)
class Group:
    """The confusion counts of one group."""

    name: str
    tn: int
    fp: int
    fn: int
    tp: int

    @property
    def n(self) -> int:
        """Rows."""
        return self.tn + self.fp + self.fn + self.tp

    @property
    def selected(self) -> Rate:
        """Selection rate."""
        return Rate(self.tp + self.fp, self.n)

    @property
    def base(self) -> Rate:
        """Base rate."""
        return Rate(self.tp + self.fn, self.n)

    @property
    def tpr(self) -> Rate:
        """True positive rate."""
        return Rate(self.tp, self.tp + self.fn)

    @property
    def fpr(self) -> Rate:
        """False positive rate."""
        return Rate(self.fp, self.fp + self.tn)

    @property
    def precision(self) -> Rate:
        """Positive predictive value."""
        return Rate(self.tp, self.tp + self.fp)


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


def compare(groups: list[Group], rate_of: RateOf, how: str, *, least: int, reference: str | None) -> list[Compared]:
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


def _reference(able: list[Group], rate_of: RateOf, how: str, named: str | None) -> Group | None:
    if named is not None:
        return next((group for group in able if group.name == named), None)
    sign = 1 if how == "above" else -1
    return min(able, key=lambda group: (sign * (rate_of(group).value or 0.0), group.name), default=None)


def _one(group: Group, chosen: Group | None, rate_of: RateOf, how: str, least: int, *, others: int) -> Compared:
    own = rate_of(group)
    if own.n < least:
        note = f"The group “{group.name}” has {own.n} rows that count here; at least {least} are needed."
        return Compared(group.name, chosen.name if chosen else None, own.n, None, note=note)
    if chosen is None:
        note = f"There is no reference group with at least {least} rows." if others else "No group has enough rows."
        return Compared(group.name, None, own.n, None, note=note)
    base = rate_of(chosen)
    gap = smallest_gap((own.hits + base.hits) / (own.n + base.n), own.n, base.n)
    if how == "ratio":
        interval = katz(own.hits, own.n, base.hits, base.n)
        if interval is None:
            note = f"Nobody in the reference group “{chosen.name}” was selected, so there is no ratio."
            return Compared(group.name, chosen.name, own.n, None, note=note)
        return Compared(group.name, chosen.name, own.n, (own.hits / own.n) / (base.hits / base.n), interval, gap)
    first, second = (own, base) if how == "above" else (base, own)
    value = first.hits / first.n - second.hits / second.n
    return Compared(group.name, chosen.name, own.n, value, newcombe(first.hits, first.n, second.hits, second.n), gap)
