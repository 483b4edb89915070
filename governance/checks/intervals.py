"""Intervals for rates, differences and ratios, each with its source. 95 % unless told otherwise."""

from __future__ import annotations

import math
from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)
_POWER = NormalDist().inv_cdf(0.8)
Interval = tuple[float, float]


def wilson(hits: int, n: int, z: float = Z) -> Interval:
    """Score interval of a proportion. E. B. Wilson, J. Am. Stat. Assoc. 22 (1927). Raises ``ValueError`` for n = 0."""
    if n <= 0 or not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is no proportion")
    p = hits / n
    denominator = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / denominator
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / denominator
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    return low, 1.0 if hits == n else min(1.0, centre + half)


def newcombe(hits1: int, n1: int, hits2: int, n2: int, z: float = Z) -> Interval:
    """Interval of p1 - p2 from two Wilson intervals. R. G. Newcombe, Stat. Med. 17 (1998), method 10."""
    p1, p2 = hits1 / n1, hits2 / n2
    low1, high1 = wilson(hits1, n1, z)
    low2, high2 = wilson(hits2, n2, z)
    gap = p1 - p2
    return gap - math.hypot(p1 - low1, high2 - p2), gap + math.hypot(high1 - p1, p2 - low2)


def katz(hits1: int, n1: int, hits2: int, n2: int, z: float = Z) -> Interval | None:
    """Log interval of p1 / p2. D. Katz et al., Biometrics 34 (1978); with Walter's ½ (1975) where a count is 0.

    None when p2 is 0 (the ratio is not defined). With no hits in the first group the lower end is 0.
    """
    if hits2 == 0:
        return None
    add = 0.5 if hits1 == 0 or (hits1 == n1 and hits2 == n2) else 0.0
    a, m, b, n = hits1 + add, n1 + add, hits2 + add, n2 + add
    spread = z * math.sqrt(max(0.0, 1 / a - 1 / m + 1 / b - 1 / n))
    centre = math.log((a / m) / (b / n))
    return 0.0 if hits1 == 0 else math.exp(centre - spread), math.exp(centre + spread)


def smallest_gap(rate: float, n1: int, n2: int) -> float:
    """The smallest difference of two rates that samples of this size show with 80 % power at 5 % (two-sided)."""
    pooled = min(max(rate, 0.5 / (n1 + n2)), 1 - 0.5 / (n1 + n2))
    return min(1.0, (Z + _POWER) * math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2)))


def mean_interval(mean: float, variance: float, n: int, z: float = Z) -> Interval | None:
    """Normal interval of a mean; None below two rows."""
    if n < 2:
        return None
    half = z * math.sqrt(max(0.0, variance) / n)
    return mean - half, mean + half
