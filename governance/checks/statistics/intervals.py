"""Intervals for rates, differences and ratios, each with its source. 95 % unless told otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)
_POWER = NormalDist().inv_cdf(0.8)
Interval = tuple[float, float]


def wilson(hits: float, n: float, z: float = Z) -> Interval:
    """Score interval of a proportion. E. B. Wilson, J. Am. Stat. Assoc. 22 (1927). Raises ``ValueError`` for n = 0.

    Weighted rows come with their effective number, which need not be whole (C. Franco et al., J. Surv. Stat. Methodol. 7, 2019).
    """
    if n <= 0 or not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is no proportion")
    p = hits / n
    denominator = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / denominator
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / denominator
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    return low, 1.0 if hits == n else min(1.0, centre + half)


def newcombe(hits1: float, n1: float, hits2: float, n2: float, z: float = Z) -> Interval:
    """Interval of p1 - p2 from two Wilson intervals. R. G. Newcombe, Stat. Med. 17 (1998), method 10."""
    p1, p2 = hits1 / n1, hits2 / n2
    low1, high1 = wilson(hits1, n1, z)
    low2, high2 = wilson(hits2, n2, z)
    gap = p1 - p2
    return gap - math.hypot(p1 - low1, high2 - p2), gap + math.hypot(high1 - p1, p2 - low2)


def katz(hits1: float, n1: float, hits2: float, n2: float, z: float = Z) -> Interval | None:
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


def miettinen_nurminen(hits1: float, n1: float, hits2: float, n2: float, z: float = Z) -> Interval | None:
    """Score interval of p1 / p2. O. Miettinen and M. Nurminen, Stat. Med. 4 (1985) 213-226. None when p2 is 0.

    Of the ratios' intervals one that M. W. Fagerland, S. Lydersen and P. Laake (Stat. Methods Med. Res. 24, 2015) recommend:
    where groups are small it keeps its 95 %, which Katz's logarithm does not.
    """
    if hits2 <= 0:
        return None
    p1, p2 = hits1 / n1, hits2 / n2
    n = n1 + n2

    def distance(ratio: float) -> float:
        """The score statistic under p1 = ratio·p2, positive when the sample's ratio is larger."""
        a, b, c = n * ratio, n1 * ratio + hits1 + n2 + hits2 * ratio, hits1 + hits2
        second = 2 * c / (b + math.sqrt(max(0.0, b * b - 4 * a * c)))  # the smaller root, without cancellation
        second = min(second, 1.0, 1 / ratio)
        first = min(1.0, ratio * second)
        spread = (first * (1 - first) / n1 + ratio * ratio * second * (1 - second) / n2) * n / (n - 1)
        gap = p1 - ratio * p2
        if spread <= 0:
            return 0.0 if gap == 0 else math.copysign(math.inf, gap)
        return gap / math.sqrt(spread)

    middle = max(p1, 0.5 / n1) / p2
    low = 0.0 if hits1 <= 0 else _crossing(distance, middle, z, step=0.5)
    high = _crossing(distance, middle, -z, step=2.0)
    ratio = p1 / p2
    return min(low, ratio), max(high, ratio)


def _crossing(distance: Callable[[float], float], start: float, target: float, *, step: float) -> float:
    """Where the falling function reaches ``target``, going from ``start`` by factors of ``step`` and then by halves."""
    near, far = start, start * step
    for _ in range(200):
        if (distance(far) >= target) == (step < 1):
            break
        near, far = far, far * step
    for _ in range(80):
        middle = math.sqrt(near * far)
        if (distance(middle) >= target) == (step < 1):
            far = middle
        else:
            near = middle
        if abs(far - near) <= 1e-13 * far:
            break
    return math.sqrt(near * far)


def mover(value1: float, interval1: Interval, value2: float, interval2: Interval) -> Interval:
    """Interval of value1 - value2 from an interval of each, for independent samples.

    "Variance estimates recovery", G. Y. Zou and A. Donner, Stat. Med. 27 (2008); Newcombe's method 10 is this with Wilson's.
    """
    gap = value1 - value2
    low = math.hypot(value1 - interval1[0], interval2[1] - value2)
    return gap - low, gap + math.hypot(interval1[1] - value1, value2 - interval2[0])


def of_the_larger(first: Interval, second: Interval) -> Interval:
    """Interval of max(a, b) from intervals of a and of b, taken from different rows.

    It holds at its level: both lower ends lie below the larger with at least 0.975² = 95.06 %, and the upper end fails only
    if that of the larger does.
    """
    return max(first[0], second[0]), max(first[1], second[1])


def smallest_gap(rate: float, n1: float, n2: float) -> float:
    """The smallest difference of two rates that samples of this size show with 80 % power at 5 % (two-sided)."""
    pooled = min(max(rate, 0.5 / (n1 + n2)), 1 - 0.5 / (n1 + n2))
    return min(1.0, (Z + _POWER) * math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2)))


def gap_of(interval: Interval) -> float:
    """The smallest difference that an estimate with this 95 % interval shows with 80 % power; a half is 1.96 standard errors."""
    return (Z + _POWER) / Z * (interval[1] - interval[0]) / 2


def mean_interval(mean: float, variance: float, n: int, z: float = Z) -> Interval | None:
    """Normal interval of a mean; None below two rows."""
    if n < 2:
        return None
    half = z * math.sqrt(max(0.0, variance) / n)
    return mean - half, mean + half
