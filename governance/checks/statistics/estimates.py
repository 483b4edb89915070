"""Intervals of weighted rates, means and what is made of them, each with its source; coverage: benchmarks/checks/coverage.py.

Rates of weighted rows take their number of equal rows (Kish) for n. 95 % throughout.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from governance.checks.statistics.intervals import Interval, Z


def rate_interval(rate: float, n: float, z: float = Z) -> Interval:
    """Wilson's score interval (1927), also for an n that is not whole."""
    denominator = 1 + z * z / n
    centre = (rate + z * z / (2 * n)) / denominator
    half = z * math.sqrt(max(0.0, rate * (1 - rate) / n + z * z / (4 * n * n))) / denominator
    return 0.0 if rate <= 0 else max(0.0, centre - half), 1.0 if rate >= 1 else min(1.0, centre + half)


def f1_interval(share: float, n: float) -> Interval:
    """Of F1 = 2J / (1 + J): given the rows that are or were decided positive, their share J of hits is a proportion."""
    low, high = rate_interval(share, n)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def student(degrees: float) -> float:
    """The 97.5 % point of Student's t; with endless degrees of freedom the normal distribution's."""
    return Z if math.isinf(degrees) else float(stats.t.ppf(0.975, max(degrees, 1.0)))


def satterthwaite(variances: np.ndarray, rows: np.ndarray) -> float:
    """Degrees of freedom of a sum of variances, each from so many rows (F. E. Satterthwaite, Biom. Bull. 2, 1946); at least 2."""
    squares = float((variances**2 / np.maximum(rows, 1.0)).sum())
    return max(2.0, float(variances.sum()) ** 2 / squares) if squares > 0 else math.inf


def around(value: float, error: float, degrees: float) -> Interval:
    """Student's interval of a mean or difference."""
    half = student(degrees) * error
    return value - half, value + half


def positive(value: float, error: float, degrees: float) -> Interval:
    """Student's interval on the log scale: of a loss, which is skewed and above 0."""
    if value <= 0:
        return 0.0, 0.0
    spread = student(degrees) * error / value
    return value * math.exp(-min(spread, 700.0)), value * math.exp(min(spread, 700.0))


def share(value: float, error: float, degrees: float) -> Interval | None:
    """Student's interval on the logit scale: of what lies between 0 and 1. None at the ends, where it has no width."""
    if not 0 < value < 1:
        return None
    spread = student(degrees) * error / (value * (1 - value))
    centre = math.log(value / (1 - value))
    return expit(centre - spread), expit(centre + spread)


def correlation(value: float, error: float, degrees: float) -> Interval | None:
    """Student's interval on Fisher's z scale: of an agreement between -1 and 1. None at the ends."""
    if not -1 < value < 1:
        return None
    spread = student(degrees) * error / (1 - value * value)
    centre = math.atanh(value)
    return math.tanh(centre - spread), math.tanh(centre + spread)


def difference(first: float, of_first: Interval, second: float, of_second: Interval) -> Interval:
    """Of first - second from independent intervals (MOVER: Zou & Donner, Stat. Med. 27, 2008)."""
    gap = first - second
    low = math.hypot(first - of_first[0], of_second[1] - second)
    return gap - low, gap + math.hypot(of_first[1] - first, second - of_second[0])


def ratio(first: float, of_first: Interval, second: float, of_second: Interval) -> tuple[float, float | None]:
    """Of first / second, both not negative, from independent intervals (Donner & Zou, Stat. Methods Med. Res. 21, 2012).

    The upper end is None where the second may be 0.
    """
    (low1, high1), (low2, high2) = of_first, of_second
    product = first * second
    inner = product**2 - low1 * high2 * (2 * first - low1) * (2 * second - high2)
    below = high2 * (2 * second - high2)
    if abs(below) < 1e-300:
        low = 0.0 if product == 0 else low1 * (2 * first - low1) / (2 * product)
    else:
        low = (product - math.sqrt(max(0.0, inner))) / below
    above = low2 * (2 * second - low2)
    if above <= 0:
        return max(0.0, low), None
    outer = product**2 - high1 * low2 * (2 * first - high1) * (2 * second - low2)
    return max(0.0, low), (product + math.sqrt(max(0.0, outer))) / above


def mean_of(values: np.ndarray, count: np.ndarray, weight: np.ndarray) -> tuple[float, float, float]:
    """Weighted mean, its standard error (rows independent, weights given) and the number of rows."""
    n, total = float(count.sum()), float((count * weight).sum())
    mean = float((count * weight * values).sum() / total)
    if n < 2:
        return mean, 0.0, n
    squares = float((count * (weight * (values - mean)) ** 2).sum())
    return mean, math.sqrt(squares * n / (n - 1)) / total, n


def by_influence(influence: np.ndarray, count: np.ndarray) -> float:
    """Standard error from what each row moves the figure by (infinitesimal jackknife: Efron, SIAM 38, 1982)."""
    n = float(count.sum())
    return math.sqrt(float((count * influence**2).sum()) * n / (n - 1)) if n > 1 else 0.0


def expit(x: float) -> float:
    """The logistic function, without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(max(x, -745.0)) / (1 + math.exp(max(x, -745.0)))
