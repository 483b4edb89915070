"""How far a ranking of inputs would be another one with other rows: resampling, rank correlation, overlap of the first few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

RESAMPLES = 200
_OWN_SEED = 7919
"""Added to a check's seed, so that resampling does not repeat the draws that chose the rows."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over resamples with the middle 95 % of them; None where nothing can be ranked."""

    value: float | None
    low: float | None = None
    high: float | None = None


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's rank correlation with mean ranks for ties; None where one side does not differ at all."""
    a, b = rankdata(first), rankdata(second)
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / norm) if norm > 0 else None


def resampled(of_row: np.ndarray, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Mean of each column over rows drawn with replacement, shape (resamples, columns). B. Efron, Ann. Stat. 7 (1979).

    The counts are drawn first and the sums taken in one order, so the same seed gives the same bits everywhere.
    """
    rows = len(of_row)
    random = np.random.Generator(np.random.PCG64(seed + _OWN_SEED))
    counts = random.multinomial(rows, np.full(rows, 1.0 / rows), size=resamples).astype("float64")
    return np.asarray(np.einsum("rn,nk->rk", counts, of_row) / rows)


def agreement(drawn: np.ndarray) -> Spread:
    """Spearman's correlation between two resamples: each pair is a ranking and the one that other rows would have given."""
    half = len(drawn) // 2
    found = [spearman(a, b) for a, b in zip(drawn[:half], drawn[half : 2 * half], strict=True)]
    return between([one for one in found if one is not None])


def kept(drawn: np.ndarray, top: int) -> Spread:
    """The share of the ``top`` strongest inputs that two resamples have in common; ties go to the first by place."""
    top = min(top, drawn.shape[1])
    if top == 0 or not (drawn > 0).any():
        return Spread(None)
    half = len(drawn) // 2
    first = np.argsort(-drawn, axis=1, kind="stable")[:, :top]
    return between(
        [
            len(set(a) & set(b)) / top
            for a, b in zip(first[:half].tolist(), first[half : 2 * half].tolist(), strict=True)
        ]
    )


def between(values: list[float]) -> Spread:
    """The mean and the middle 95 %."""
    if not values:
        return Spread(None)
    low, high = np.quantile(values, [0.025, 0.975])
    return Spread(float(np.mean(values)), float(low), float(high))
