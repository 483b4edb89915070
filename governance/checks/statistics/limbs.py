"""Numbers as whole-number limbs of 25 bits, so that sums of them are exact and the same in every order.

A float x in [-1, 1] becomes l₀·2⁻²⁵ + l₁·2⁻⁵⁰ + …; every step (times a power of two, minus a whole number) is exact in
floating point, and only the last limb is rounded. Limbs are below 2²⁵, so that 2³⁷ rows add up in an int64, and blocks of
2²⁷ rows in a float64 without rounding: ``numpy.bincount`` with weights is exact for them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BITS = 25
_UNIT = 2.0**BITS


def limbs(values: np.ndarray, number: int) -> list[np.ndarray]:
    """``number`` arrays of whole numbers (as float64), the most significant first. ``values`` lie in [-1, 1]."""
    made = []
    rest = values
    for place in range(number):
        rest = rest * _UNIT
        whole = np.floor(rest) if place < number - 1 else np.rint(rest)
        made.append(whole)
        rest = rest - whole
    return made


def value(sums: Sequence[int], scale: float = 1.0) -> float:
    """The sum that the added limbs stand for, times ``scale`` (a power of two), rounded once."""
    total = 0
    for one in sums:
        total = (total << BITS) + int(one)
    return total / (1 << (BITS * len(sums))) * scale
