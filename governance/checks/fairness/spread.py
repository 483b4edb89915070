"""How far groups lie apart altogether: lowest and highest rate, their difference and ratio, as fairlearn's MetricFrame.

No closed form is good for the distance of a highest from a lowest of several rates, so its interval is a bootstrap.
Drawing the rows anew is one multinomial draw over the cells (group, label, decision): the same distribution, whose cost does
not depend on the number of rows. Weights of the rows in a cell are drawn with it by their mean and variance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from governance.checks.statistics.intervals import Interval

RATES: Final[Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "selection_rate": ((1, 3), (0, 1, 2, 3)),
    "true_positive_rate": ((3,), (2, 3)),
    "false_positive_rate": ((1,), (0, 1)),
    "false_negative_rate": ((2,), (2, 3)),
    "precision": ((3,), (1, 3)),
    "accuracy": ((0, 3), (0, 1, 2, 3)),
}
"""Which of the cells tn, fp, fn, tp are hits, and of which."""


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
    own = rates(weight)
    overall = rates(weight.sum(axis=0))
    again = rates(drawn(count, weight, square, draws=draws, seed=seed)) if draws else {}
    made = []
    for name, (_, of) in RATES.items():
        able = sum(count[:, cell] for cell in of) >= least[name]
        if np.count_nonzero(able) < 2:
            continue
        low, high = float(np.min(own[name][able])), float(np.max(own[name][able]))
        gap = share = None
        if draws:
            there = again[name][:, able]
            there = there[~np.isnan(there).any(axis=1)]
            gap = _ends(there.max(axis=1) - there.min(axis=1))
            share = _ends(_ratio(there.min(axis=1), there.max(axis=1)))
        all_rows = float(overall[name])
        of_all = own[name][able] / all_rows if all_rows > 0 else np.zeros(0)
        made.append(
            Spread(
                name, all_rows, low, high, high - low, low / high if high else None, gap, share,
                float(np.max(np.abs(own[name][able] - all_rows))),
                float(np.min(np.minimum(of_all, _ratio(np.ones_like(of_all), of_all)))) if len(of_all) else None,
            )
        )  # fmt: skip
    return made


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """NaN where there is none; a ratio to nothing is infinite."""
    made: np.ndarray = np.divide(top, bottom, out=np.where(top > 0, np.inf, np.nan), where=bottom > 0)
    return made


def _ends(values: np.ndarray) -> Interval | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
