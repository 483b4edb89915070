"""Figures beside their targets: each is printed when it is known, and all of them as one table at the end."""

# ruff: noqa: RUF001 - a multiplication sign is one
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison or one limit, as text for people, and whether it is what it should be (None: no target)."""

    title: str
    ours: str
    theirs: str
    value: str
    target: str
    reached: bool | None

    @property
    def verdict(self) -> str:
        """In words."""
        return {True: "reached", False: "**not reached**", None: ""}[self.reached]


@dataclass
class Report:
    """Collects what was measured."""

    figures: list[Figure] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Print what comes next."""
        print(f"\n{text}", flush=True)

    def cheaper(self, title: str, ours: float, theirs: float, unit: str, target: float | None = None) -> None:
        """How many times less ours takes than theirs."""
        self._ratio(title, (ours, theirs), theirs / max(ours, 1e-9), unit, target)

    def faster(self, title: str, ours: float, theirs: float, unit: str, target: float | None = None) -> None:
        """How many times more ours does than theirs."""
        self._ratio(title, (ours, theirs), ours / max(theirs, 1e-9), unit, target)

    def flat(self, title: str, values: Iterable[float], unit: str, target: float) -> None:
        """How far ours grows from its first (or smallest) value to its largest."""
        given = list(values)
        growth = max(given) / max(given[0], 1e-9)
        shown = " → ".join(_number(value) for value in given) + f" {unit}"
        self._add(Figure(title, shown, "", f"{growth:.2f}×", f"≤ {target}×", growth <= target))

    def limit(self, title: str, value: float, unit: str, target: float, *, theirs: float | None = None) -> None:
        """A value of ours that must not be above ``target``."""
        other = "" if theirs is None else f"{_number(theirs)} {unit}"
        self._add(Figure(title, f"{_number(value)} {unit}", other, "", f"≤ {target:g} {unit}", value <= target))

    def at_least(self, title: str, value: float, unit: str, target: float) -> None:
        """A value of ours that must not be below ``target``."""
        shown = f"{_number(value)}{unit}"
        self._add(Figure(title, shown, "", "", f"≥ {target:,g}{unit}", value >= target))

    def told(self, title: str, value: float, unit: str) -> None:
        """A value of ours without a target."""
        self._add(Figure(title, f"{_number(value)} {unit}", "", "", "", None))

    def _ratio(self, title: str, both: tuple[float, float], ratio: float, unit: str, target: float | None) -> None:
        ours, theirs = (f"{_number(value)} {unit}" for value in both)
        wanted = "" if target is None else f"≥ {target:g}×"
        reached = None if target is None else ratio >= target
        shown = f"{ratio:.1f}×" if ratio < 100 else f"{ratio:.0f}×"
        self._add(Figure(title, ours, theirs, shown, wanted, reached))

    def _add(self, figure: Figure) -> None:
        self.figures.append(figure)
        against = f" against {figure.theirs}" if figure.theirs else ""
        target = f"; target {figure.target}: {figure.verdict.strip('*')}" if figure.target else ""
        print(
            f"  {figure.title}: {figure.ours}{against}{', ' + figure.value if figure.value else ''}{target}", flush=True
        )

    def table(self, *, peer: str = "MLflow") -> None:
        """Print every figure that has a target, in Markdown, and how many were reached. Without a peer, all figures."""
        judged = [figure for figure in self.figures if figure.target]
        if peer:
            print(f"\n| Figure | Countersign | {peer} | Ratio | Target | |\n|---|---:|---:|---:|---:|---|")
            for one in judged:
                print(f"| {one.title} | {one.ours} | {one.theirs} | {one.value} | {one.target} | {one.verdict} |")
        else:
            print("\n| Figure | Value | Target | |\n|---|---:|---:|---|")
            for one in self.figures:
                print(f"| {one.title} | {one.ours} | {one.target} | {one.verdict} |")
        print(f"\n{sum(bool(figure.reached) for figure in judged)} of {len(judged)} targets reached.", flush=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"
