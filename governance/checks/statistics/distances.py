"""Distances between two samples given as cells, with their tests and intervals. Counts in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats
from scipy.spatial.distance import jensenshannon


@dataclass(frozen=True, slots=True)
class Side:
    """One sample over ``edges`` e₀ < … < eₖ₋₁.

    ``at[i]`` values equal eᵢ; ``gap[i]`` lie below eᵢ and above eᵢ₋₁ (the last: above all) and add up to ``total[i]``.
    """

    edges: np.ndarray
    at: np.ndarray
    gap: np.ndarray
    total: np.ndarray

    @property
    def n(self) -> int:
        """How many values."""
        return int(self.at.sum() + self.gap.sum())

    def below(self) -> np.ndarray:
        """The share of values below each edge, shape (k,)."""
        made: np.ndarray = (np.cumsum(self.gap[:-1]) + np.cumsum(self.at) - self.at) / self.n
        return made

    def up_to(self) -> np.ndarray:
        """The share of values at or below each edge, shape (k,): the distribution function."""
        made: np.ndarray = (np.cumsum(self.gap[:-1]) + np.cumsum(self.at)) / self.n
        return made


def kolmogorov_smirnov(first: Side, second: Side) -> float:
    """The largest difference of the two distribution functions at and just below the edges.

    Exact when one of the samples has no value in a gap: between its values its function is flat, so that the difference
    is largest at an end.
    """
    at = np.abs(first.up_to() - second.up_to())
    below = np.abs(first.below() - second.below())
    return float(max(at.max(initial=0.0), below.max(initial=0.0)))


def ks_short(first: Side, second: Side) -> float:
    """By how much the true statistic may exceed the one at the edges: within a gap no more than either side has there."""
    return float(np.minimum(first.gap / first.n, second.gap / second.n).max(initial=0.0))


def ks_p(statistic: float, n: int, m: int) -> float:
    """Two-sided p-value of the two-sample test by the distribution of one sample of nm/(n + m) (scipy's ``method="asymp"``).

    Above 10,000 that distribution is Kolmogorov's limit at √n·d + 1/(6√n) + (√n·d - 1)/(4n), right to about 1e-6 (J. Vrbik,
    Pioneer J. Theor. Appl. Stat. 15, 2018): the exact one costs as much as all else together.
    """
    effective = float(np.round(n * m / (n + m)))
    if effective <= 10_000:
        return float(np.clip(stats.kstwo.sf(statistic, effective), 0.0, 1.0))
    root = math.sqrt(effective) * statistic
    return float(special.kolmogorov(max(0.0, root + 1 / (6 * math.sqrt(effective)) + (root - 1) / (4 * effective))))


def ks_half_width(n: int, m: int) -> float:
    """Half of a 95 % interval of the true difference: by the triangle inequality it is off by at most the null's 95 % point.

    √(ln(2/0.05)/2) · √(1/n + 1/m), N. Smirnov, Ann. Math. Stat. 19 (1948). Wide rather than narrow.
    """
    return math.sqrt(math.log(2 / 0.05) / 2) * math.sqrt(1 / n + 1 / m)


def wasserstein(first: Side, second: Side) -> float:
    """∫|F - G| dx, in the units of the values (earth mover's distance; Vallender 1974).

    Exact unless both functions cross within a gap, where the two parts offset each other.
    """
    edges = first.edges
    if len(edges) == 0:
        return 0.0
    parts = []
    for side in (first, second):
        inner = side.up_to()[:-1] * np.diff(edges) + (edges[1:] * side.gap[1:-1] - side.total[1:-1]) / side.n
        outer = (edges[0] * side.gap[0] - side.total[0]) / side.n, (side.total[-1] - edges[-1] * side.gap[-1]) / side.n
        parts.append((inner, outer))
    ends = sum(abs(float(a - b)) for a, b in zip(parts[0][1], parts[1][1], strict=True))
    return ends + float(np.abs(parts[0][0] - parts[1][0]).sum())


def frozen_ends(reference: Side, bins: int) -> np.ndarray:
    """The upper ends of the bins that hold 1/``bins`` of the reference each, but the last: at most ``bins`` - 1 of its edges.

    A bin ends at a value of the reference; equal values share a bin, so there may be fewer.
    """
    if reference.n == 0 or len(reference.edges) == 0:
        return np.zeros(0)
    reached = np.searchsorted(reference.up_to() + 1e-12, np.arange(1, bins) / bins)
    ends = np.unique(np.minimum(reached, len(reference.edges) - 1))
    made: np.ndarray = reference.edges[ends[ends < len(reference.edges) - 1]]
    return made


def counted(side: Side, ends: np.ndarray) -> np.ndarray:
    """Values up to each end, between two, and above the last. Every end must be one of the edges."""
    upto = np.cumsum(side.gap[:-1]) + np.cumsum(side.at)
    made: np.ndarray = np.diff(np.concatenate([[0], upto[np.searchsorted(side.edges, ends)], [side.n]]))
    return made


def psi(cells: np.ndarray) -> float:
    """Population stability index Σ (p - q) ln(p / q) of two rows of counts.

    Where a cell is empty on one side, ½ is added to every cell of both.
    """
    p, q = _shares(cells)
    return float(((p - q) * np.log(p / q)).sum())


def psi_corrected(value: float, cells: np.ndarray) -> float:
    """The PSI beyond what chance alone gives on average, (B - 1)(1/n + 1/m), and not below 0.

    B. Yurdakul, J. Naranjo, "Statistical properties of the population stability index", J. Risk Model Validation 14
    (2020): under no drift PSI / (1/n + 1/m) is chi-square with B - 1 degrees of freedom.
    """
    return max(0.0, value - float(cells.shape[1] - 1) * _noise(cells))


def psi_interval(value: float, cells: np.ndarray) -> tuple[float, float]:
    """A 95 % interval of the true PSI: by inverting the non-central chi-square, or by the delta method where that is wider."""
    noise, freedom = _noise(cells), cells.shape[1] - 1
    if freedom == 0:
        return value, value
    scaled = value / noise
    low, high = (_noncentrality(scaled, freedom, share) * noise for share in (0.975, 0.025))
    p, q = _shares(cells)
    n, m = cells.sum(axis=1)
    of_p, of_q = np.log(p / q) + 1 - q / p, np.log(q / p) + 1 - p / q
    variance = sum(
        float((share * slope**2).sum() - (share * slope).sum() ** 2) / size
        for share, slope, size in ((p, of_p, n), (q, of_q, m))
    )
    half = 1.959963984540054 * math.sqrt(max(0.0, variance))
    centre = max(0.0, value - freedom * noise)
    return max(0.0, min(low, centre - half)), float(max(high, centre + half))


def _noncentrality(scaled: float, freedom: int, share: float) -> float:
    """The non-centrality at which ``scaled`` has the cumulative probability ``share``; 0 if there is none."""
    if special.chdtr(freedom, scaled) <= share:
        return 0.0
    upper = 2 * scaled + 50
    while special.chndtr(scaled, freedom, upper) > share:
        upper *= 2
    return float(optimize.brentq(lambda nc: special.chndtr(scaled, freedom, nc) - share, 1e-12, upper))


def jensen_shannon(cells: np.ndarray) -> float:
    """Jensen-Shannon distance, base 2: the root of the divergence, 0 to 1 (Lin 1991; Endres & Schindelin 2003)."""
    if (cells.sum(axis=1) == 0).any():
        return 1.0
    found = float(jensenshannon(cells[0], cells[1], base=2))
    return 0.0 if math.isnan(found) else found


def chi_square(cells: np.ndarray) -> tuple[float | None, float | None]:
    """p-value of Pearson's test that both rows come from one distribution, and Cramér's V, √(χ²/N) for two rows."""
    used = cells[:, cells.sum(axis=0) > 0]
    if used.shape[1] < 2 or (used.sum(axis=1) == 0).any():
        return None, None
    found = stats.chi2_contingency(used, correction=False)
    return float(found.pvalue), math.sqrt(float(found.statistic) / int(used.sum()))


def cramers_v(cells: np.ndarray) -> float | None:
    """Cramér's V of a table, net of what chance gives (W. Bergsma, J. Korean Stat. Soc. 42, 2013); None for one row or column."""
    used = cells[cells.sum(axis=1) > 0][:, cells.sum(axis=0) > 0]
    rows, columns = used.shape
    n = int(used.sum())
    if rows < 2 or columns < 2 or n < 2:
        return None
    expected = np.outer(used.sum(axis=1), used.sum(axis=0)) / n
    phi = float(((used - expected) ** 2 / expected).sum()) / n
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    short = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1))
    return math.sqrt(phi / (short - 1)) if short > 1 else None


def benjamini_hochberg(ps: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values by the step-up rule (Y. Benjamini, Y. Hochberg, JRSS B 57, 1995); what has none keeps none."""
    known = [(p, index) for index, p in enumerate(ps) if p is not None]
    adjusted: list[float | None] = [None] * len(ps)
    lowest = 1.0
    for rank, (p, index) in reversed(list(enumerate(sorted(known), 1))):
        lowest = min(lowest, p * len(known) / rank)
        adjusted[index] = lowest
    return adjusted


def _noise(cells: np.ndarray) -> float:
    n, m = cells.sum(axis=1)
    return float(1 / max(n, 1) + 1 / max(m, 1))


def _shares(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = cells[:, cells.sum(axis=0) > 0].astype("float64")
    if (used == 0).any():
        used = used + 0.5
    return used[0] / used[0].sum(), used[1] / used[1].sum()
