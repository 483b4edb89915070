"""Making figures of a manifest: labels from there, and the smallest gap from the width of the interval."""

from __future__ import annotations

from statistics import NormalDist

from governance.checks.contract import Manifest
from governance.checks.results import Figure, Scale
from governance.checks.statistics.intervals import Interval, Z

_POWER = NormalDist().inv_cdf(0.8)


def shown_gap(interval: Interval) -> float:
    """The smallest distance from a fixed value that a sample with such an interval shows with 80 % power at 5 %."""
    return (interval[1] - interval[0]) / 2 * (Z + _POWER) / Z


class Maker:
    """Makes the figures that one manifest declares."""

    def __init__(self, manifest: Manifest) -> None:
        self._specs = {spec.key: spec for spec in manifest.figures}
        self.all = tuple(self._specs)

    def __call__(
        self,
        key: str,
        value: float | None,
        n: int,
        interval: Interval | None = None,
        *,
        note: str = "",
        scale: Scale = "identity",
        unit: str = "",
        group: str | None = None,
        reference: str | None = None,
    ) -> Figure:
        """A figure with its interval, if there is one."""
        spec = self._specs[key]
        low, high = interval or (None, None)
        gap = None if interval is None or value is None else shown_gap(interval)
        return Figure(
            key, spec.label, value, n, spec.better, ci_low=low, ci_high=high, unit=unit, scale=scale, group=group,
            reference=reference, smallest_gap=gap, note=note,
        )  # fmt: skip

    def none(self, key: str, n: int, note: str, *, group: str | None = None) -> Figure:
        """A figure without a value, and why."""
        return self(key, None, n, note=note, group=group)

    def label(self, key: str) -> str:
        """What a figure is called."""
        return self._specs[key].label
