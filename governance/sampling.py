"""How many to look at, and what follows from it. Pure; exact probabilities, no tables.

An attribute sample asks: is the rate of deviations below what can be tolerated? It is taken without replacement from a
counted population, so the hypergeometric distribution holds (AICPA Audit Guide *Audit Sampling*, chapter 3; ISA 530).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from config.errors import Invalid

LARGEST: Final = 2000
"""Entries of one sample. Nobody looks at more by hand, and the counts of any population are proved without sampling."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """A part of the population, and how many are drawn from it."""

    name: str
    population: int
    size: int


def attribute_size(population: int, *, confidence: float, tolerable: float, expected: int = 0) -> int:
    """Return the smallest sample that shows, with ``confidence``, that fewer than ``tolerable`` of all deviate.

    ``expected``: so many deviations may be found and it still shows it. Raises ``Invalid`` for figures out of range, or if
    nothing short of the whole population would do and that is larger than a sample may be.
    """
    if not 0.5 <= confidence <= 0.999:
        raise Invalid("The confidence must be between 0.5 and 0.999.", code="sample.confidence", field="confidence")
    if not 0.001 <= tolerable <= 0.5:
        raise Invalid("The tolerable rate must be between 0.001 and 0.5.", code="sample.tolerable", field="tolerable")
    if not 0 <= expected <= 100:
        raise Invalid("Expected deviations must be between 0 and 100.", code="sample.expected", field="expected")
    deviating = max(1, math.ceil(tolerable * population))
    low, high = min(expected + 1, population), population
    while low < high:  # the risk falls as the sample grows
        middle = (low + high) // 2
        if chance_of_at_most(expected, population=population, deviating=deviating, size=middle) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    if low > LARGEST:
        raise Invalid(
            f"That would take {low} entries; a sample has at most {LARGEST}.",
            code="sample.size",
            field="tolerable",
            remedy="Tolerate a higher rate or ask for less confidence.",
        )
    return low


def chance_of_at_most(found: int, *, population: int, deviating: int, size: int) -> float:
    """The hypergeometric probability of at most ``found`` deviations among ``size`` drawn."""
    total = _log_choose(population, size)
    chances = (
        math.exp(_log_choose(deviating, k) + _log_choose(population - deviating, size - k) - total)
        for k in range(found + 1)
        if k <= deviating and size - k <= population - deviating
    )
    return min(1.0, sum(chances))


def upper_limit(population: int, *, size: int, found: int, confidence: float = 0.95) -> float:
    """The rate of deviations that the result rules out: the true rate is below it with ``confidence``."""
    low, high = found, population - (size - found)
    while low < high:
        middle = (low + high + 1) // 2
        if chance_of_at_most(found, population=population, deviating=middle, size=size) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low / population


def allocate(counts: Mapping[str, int], size: int) -> list[Stratum]:
    """Share ``size`` among the strata in proportion, at least one each, by largest remainder; names in order.

    Raises ``Invalid`` if there are more strata than entries to draw.
    """
    population = sum(counts.values())
    size = min(size, population)
    if not 1 <= size <= LARGEST:
        raise Invalid(f"A sample has 1 to {LARGEST} entries.", code="sample.size", field="size")
    if size < len(counts):
        raise Invalid(
            f"There are {len(counts)} strata, so at least as many entries must be drawn.",
            code="sample.size",
            field="size",
        )
    exact = {name: size * count / population for name, count in counts.items()}
    sizes = {name: min(counts[name], max(1, math.floor(share))) for name, share in exact.items()}
    order = sorted(counts, key=lambda name: (sizes[name] - exact[name], name))
    while (missing := size - sum(sizes.values())) > 0:
        for name in [one for one in order if sizes[one] < counts[one]][:missing]:
            sizes[name] += 1
    while (over := sum(sizes.values()) - size) > 0:
        for name in [one for one in reversed(order) if sizes[one] > 1][:over]:
            sizes[name] -= 1
    return [Stratum(name, counts[name], sizes[name]) for name in sorted(counts)]


def checked(strata: Sequence[Stratum]) -> list[Stratum]:
    """Sizes that somebody chose. Raises ``Invalid``."""
    for one in strata:
        if not 0 <= one.size <= one.population:
            raise Invalid(
                f"“{one.name}” has {one.population} entries, so {one.size} cannot be drawn.",
                code="sample.size",
                field="sizes",
            )
    if not 1 <= sum(one.size for one in strata) <= LARGEST:
        raise Invalid(f"A sample has 1 to {LARGEST} entries.", code="sample.size", field="sizes")
    return list(strata)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
