"""How far groups lie apart altogether: lowest and highest rate, their difference and ratio, as fairlearn's MetricFrame.

The percentile bootstrap of the distance of a highest from a lowest rate never covers 0: rates that are alike lie apart in every
resample. So its interval is that of a largest of many differences. The lower end takes off what chance alone adds, the 97.5 %
point of the range of the rates' deviations (J. W. Tukey's simultaneous intervals, 1953, by bootstrap); the upper end is the
largest of all pairs', by Newcombe (1998), of the ratio by Donner and Zou (2012), which fails only if that of the pair does
that lies farthest apart. It covers 93 to 100 %, most where groups are near each other; the percentiles covered 0 to 96 %.

Drawing the rows anew is one multinomial draw over the cells (group, label, decision), with half a row more in each, so that no
rate is certain: the cost does not depend on the number of rows. Weights of the rows in a cell are drawn with it by their mean
and variance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from governance.checks.statistics.intervals import Interval, Z

RATES: Final[Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "selection_rate": ((1, 3), (0, 1, 2, 3)),
    "true_positive_rate": ((3,), (2, 3)),
    "false_positive_rate": ((1,), (0, 1)),
    "false_negative_rate": ((2,), (2, 3)),
    "precision": ((3,), (1, 3)),
    "accuracy": ((0, 3), (0, 1, 2, 3)),
}
"""Which of the cells tn, fp, fn, tp are hits, and of which."""
_HALF: Final = 0.5
_LEAST: Final = 1e-12


def rates(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Every rate of arrays (…, 4); NaN where nothing counts."""
    made = {}
    for name, (hits, of) in RATES.items():
        top = sum(confusion[..., cell] for cell in hits)
        bottom = sum(confusion[..., cell] for cell in of)
        bottom = np.asarray(bottom, dtype="float64")
        made[name] = np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)
    return made


def drawn(count: np.ndarray, weight: np.ndarray, square: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
    """``draws`` replicates (draws, groups, 4) of the table (groups, 4). The same seed gives the same bits."""
    random = np.random.Generator(np.random.PCG64(seed))
    cells = count.ravel()
    used = np.flatnonzero(cells)
    made = np.zeros((draws, cells.size))
    n = int(cells.sum())
    if n:
        rows = random.multinomial(n, cells[used] / n, size=draws).astype("float64")
        mean = weight.ravel()[used] / cells[used]
        variance = np.maximum(0.0, square.ravel()[used] / cells[used] - mean**2)
        variance[variance <= 1e-12 * mean**2] = 0.0  # what rounding leaves of equal weights
        total = rows * mean
        if variance.any():
            total += np.sqrt(rows * variance) * random.standard_normal(rows.shape)
        made[:, used] = np.maximum(0.0, total)
    return made.reshape(draws, *count.shape)


@dataclass(frozen=True, slots=True)
class Spread:
    """One rate over all groups. ``to_overall``: the largest distance of a group from all rows together, and the worst ratio."""

    rate: str
    overall: float | None
    lowest: float
    highest: float
    difference: float
    ratio: float | None
    difference_interval: Interval | None
    ratio_interval: Interval | None
    to_overall: float | None
    ratio_to_overall: float | None


def spreads(
    count: np.ndarray, weight: np.ndarray, square: np.ndarray, *, least: Mapping[str, int], draws: int, seed: int
) -> list[Spread]:
    """Each rate over the groups that have at least ``least`` rows for it. ``draws`` of 0: without intervals."""
    own, overall = rates(weight), rates(weight.sum(axis=0))
    chance = _Chance.of(count, weight, square, draws=draws, seed=seed) if draws else None
    made = []
    for name, (_, of) in RATES.items():
        able = np.asarray(sum(count[:, cell] for cell in of) >= least[name])
        if np.count_nonzero(able) < 2:
            continue
        low, high = float(np.min(own[name][able])), float(np.max(own[name][able]))
        gap = share = None
        if chance is not None:
            total, squares = (np.asarray(sum(one[able][:, cell] for cell in of)) for one in (weight, square))
            gap, share = chance.intervals(name, able, own[name][able], total**2 / squares)
        all_rows = float(overall[name])
        of_all = own[name][able] / all_rows if all_rows > 0 else np.zeros(0)
        made.append(
            Spread(
                name, all_rows, low, high, high - low, low / high if high else None, gap, share if high else None,
                float(np.max(np.abs(own[name][able] - all_rows))),
                float(np.min(np.minimum(of_all, _ratio(np.ones_like(of_all), of_all)))) if len(of_all) else None,
            )
        )  # fmt: skip
    return made


@dataclass(frozen=True, slots=True)
class _Chance:
    """Every rate of every group with the pseudo-rows, and in each resample."""

    middle: Mapping[str, np.ndarray]
    again: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, count: np.ndarray, weight: np.ndarray, square: np.ndarray, *, draws: int, seed: int) -> _Chance:
        """Half a row of mean weight in every cell, then ``draws`` resamples."""
        mean = float(weight.sum()) / max(float(count.sum()), 1.0)
        fuller = count + _HALF, weight + _HALF * mean, square + _HALF * mean**2
        return cls(rates(fuller[1]), rates(drawn(*fuller, draws=draws, seed=seed)))

    def intervals(self, name: str, able: np.ndarray, rate: np.ndarray, rows: np.ndarray) -> tuple[Interval, Interval]:
        """Of the difference and of the ratio of the lowest and the highest rate, of groups of so many equal rows."""
        middle, again = self.middle[name][able], self.again[name][:, able]
        again = again[~np.isnan(again).any(axis=1)]
        low, high = _wilson(rate, rows)
        up, down = high - rate, rate - low
        gap = float(np.ptp(rate))
        beyond = float((rate[:, None] - rate + np.hypot(up[:, None], down)).max())
        difference = max(0.0, gap - _point(again - middle)), min(1.0, beyond)
        part = float(rate.min() / rate.max()) if rate.max() > 0 else 1.0
        logs = np.log(np.maximum(again, _LEAST)) - np.log(middle)
        most = min(1.0, part * math.exp(min(_point(logs), 700.0))) if part > 0 else 1 - difference[0]
        return difference, (min(part, _lowest_ratio(rate, low, high)), max(part, most))


def _point(deviations: np.ndarray) -> float:
    """The 97.5 % point of their range over the groups."""
    return float(np.quantile(np.ptp(deviations, axis=1), 0.975)) if len(deviations) else 1.0


def _wilson(rate: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    denominator = 1 + Z * Z / rows
    centre = (rate + Z * Z / (2 * rows)) / denominator
    half = Z * np.sqrt(rate * (1 - rate) / rows + Z * Z / (4 * rows * rows)) / denominator
    return np.where(rate <= 0, 0.0, centre - half).clip(0, 1), np.where(rate >= 1, 1.0, centre + half).clip(0, 1)


def _lowest_ratio(rate: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """The smallest lower end of all ratios of two of the rates."""
    first, lower = rate[:, None], low[:, None]
    product, below = first * rate, high * (2 * rate - high)
    inner = np.sqrt(np.maximum(0.0, product**2 - lower * high * (2 * first - lower) * (2 * rate - high)))
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.where(product > 0, lower * (2 * first - lower) / (2 * product), 0.0)
        ends = np.where(np.abs(below) < _LEAST, plain, (product - inner) / below)
    return float(np.maximum(ends[~np.eye(len(rate), dtype=bool)], 0.0).min())


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """NaN where there is none; a ratio to nothing is infinite."""
    made: np.ndarray = np.divide(top, bottom, out=np.where(top > 0, np.inf, np.nan), where=bottom > 0)
    return made
