"""Seeded bootstrap: resampling n things with replacement is one multinomial draw of how often each is taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

from governance.checks.statistics.intervals import Interval

Figures = Callable[[np.ndarray], np.ndarray]
"""Counts, shape (some, cells), to figures, shape (some, figures)."""
_CELLS = 4_000_000
"""Counts drawn at a time; the stream of random numbers, and so the result, does not depend on it."""


def drawn(shares: np.ndarray, n: int, *, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Tables of counts, shape (some, cells), ``draws`` in all: rows of the same kind are one cell."""
    random = np.random.Generator(np.random.PCG64(seed))
    at_once = max(1, _CELLS // len(shares))
    for start in range(0, draws, at_once):
        yield random.multinomial(n, shares, size=min(at_once, draws - start))


def replicated(figures: Figures, count: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
    """Figures of every resample: shape (draws, figures)."""
    n = int(count.sum())
    return np.concatenate([figures(one) for one in drawn(count / n, n, draws=draws, seed=seed)])


def expanded(replicates: np.ndarray, n: float) -> Interval | None:
    """Percentile interval of replicates, expanded for n things (T. Hesterberg, Am. Stat. 69, 2015, 371-386).

    The plain one is that of a normal distribution with the variance's divisor n; below 30 it is too short.
    """
    kept = replicates[np.isfinite(replicates)]
    if n < 2 or not len(kept):
        return None
    level = float(stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1)))
    low, high = np.quantile(kept, (level, 1 - level))
    return float(low), float(high)
