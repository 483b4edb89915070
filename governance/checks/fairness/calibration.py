"""Calibration within a group: how far scores lie from what happens, with an interval that holds for small groups too.

ECE = Σ over bins of |Σ w(y - s)| / Σ w (Naeini, Cooper and Hauskrecht, AAAI 2015). It is biased upwards, since noise in a
bin never cancels, so that no bootstrap of it is good: its percentiles would add the bias once more (measured: they cover
0 % where the scores are calibrated). The interval here is a test turned round: it holds every error under which the ECE
found is not among the 2.5 % smallest or largest. Errors are spread over the bins as those found, shrunk by their noise.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from governance.checks.statistics.intervals import Interval

_TAIL = 0.025
_STEPS = 40


@dataclass(frozen=True, slots=True)
class Calibration:
    """ECE of one group; ``mean_score`` beside ``base_rate`` is calibration in the large."""

    error: float
    interval: Interval
    mean_score: float
    base_rate: float


def calibration(
    weight: np.ndarray, hits: np.ndarray, score: np.ndarray, square: np.ndarray, *, draws: int, seed: int, about: str
) -> Calibration | None:
    """Of arrays over bins: Σw, Σwy, Σws and Σw². None for a group without weight. ``about`` makes the draws its own."""
    used = weight > 0
    weight, hits, score, square = weight[used], hits[used], score[used], square[used]
    total = float(weight.sum())
    if not total:
        return None
    gap = (hits - score) / total
    error = float(np.abs(gap).sum())
    random = np.random.Generator(np.random.PCG64([seed, zlib.crc32(about.encode())]))
    interval = _interval(error, *_noise((weight, hits, score, square), gap, random, draws))
    return Calibration(error, interval, float(score.sum()) / total, float(hits.sum()) / total)


def _noise(
    sums: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    gap: np.ndarray,
    random: np.random.Generator,
    draws: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws of what chance adds to each bin's gap, and two shapes the gaps may have: gathered in few bins, and spread."""
    weight, hits, score, square = sums
    total = weight.sum()
    share, effective = weight / total, weight**2 / square
    rate = (hits / weight * effective + score / weight) / (effective + 1)  # shrunk towards the score by one row
    within = rate * (1 - rate) * square / total**2
    shape = gap * gap**2 / (gap**2 + within + 1e-300)
    rows = total**2 / square.sum()
    noise = random.standard_normal((draws, len(gap))) * np.sqrt(within)
    sizes = random.standard_normal((draws, len(gap))) * np.sqrt(share / rows)
    sizes -= share * sizes.sum(axis=1, keepdims=True)
    spread = np.where(gap < 0, -1.0, 1.0) * np.sqrt(gap**2 + within)
    return noise + sizes * (shape / share), _unit(shape), _unit(spread)


def _unit(shape: np.ndarray) -> np.ndarray:
    size = np.abs(shape).sum()
    made: np.ndarray = shape / size if size > 0 else np.full(len(shape), 1 / len(shape))
    return made


def _interval(error: float, noise: np.ndarray, gathered: np.ndarray, spread: np.ndarray) -> Interval:
    """Noise adds most to an error gathered in few bins and least to one spread over all: each end assumes its worse one."""

    def low_fits(true: float) -> bool:
        return bool(np.mean(np.abs(true * gathered + noise).sum(axis=1) >= error) >= _TAIL)

    def high_fits(true: float) -> bool:
        return bool(np.mean(np.abs(true * spread + noise).sum(axis=1) <= error) >= _TAIL)

    low = 0.0 if low_fits(0.0) else _edge(low_fits, error, 0.0)
    high = 1.0 if high_fits(1.0) else _edge(high_fits, 0.0, 1.0)
    return min(low, error), max(high, error)


def _edge(fits: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if fits(middle):
            inside = middle
        else:
            outside = middle
        if abs(inside - outside) < 1e-6:
            break
    return inside
