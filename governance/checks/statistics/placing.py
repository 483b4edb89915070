"""Where numbers lie among edges, and their sums as whole numbers, which add up the same in every order."""

from __future__ import annotations

from typing import Final

import numpy as np

HALF: Final = 2.0**31
ADDED_EXACTLY: Final = 2**22
"""Of so many whole numbers up to 2³⁰ doubles hold the sum."""
_SLOTS: Final = 2**15
_MOST_IN_SLOT: Final = 8


def places(values: np.ndarray, edges: np.ndarray) -> np.ndarray | None:
    """How many edges lie below each value; None where equal slots would hold too many edges.

    Slots are a rising function of the number, the same for values and edges: an edge in a lower slot is smaller.
    """
    if len(edges) < 2 or not np.isfinite(scale := (_SLOTS - 2) / float(edges[-1] - edges[0])):
        return None
    of_edges = _slots(edges, float(edges[0]), scale)
    held = np.bincount(of_edges, minlength=_SLOTS + 1)
    if held.max() > _MOST_IN_SLOT:
        return None
    below = np.concatenate([[0], np.cumsum(held[:-1])]).astype("int32")
    place: np.ndarray = below[_slots(np.clip(values, edges[0], edges[-1]), float(edges[0]), scale)]
    ends = np.append(edges, np.inf)
    for _ in range(int(held.max())):
        place += ends[place] < values
    return place


def _slots(numbers: np.ndarray, first: float, scale: float) -> np.ndarray:
    made: np.ndarray = ((numbers - first) * scale).astype("int32")
    return made


def halves(values: np.ndarray, unit: float) -> tuple[int, int]:
    """The sum in units as the upper and lower halves of whole numbers, of values of any size."""
    units = np.rint(np.clip(values, -unit * 2.0**61, unit * 2.0**61) / unit)
    upper = np.floor(units / HALF)
    return int(upper.astype("int64").sum()), int((units - upper * HALF).astype("int64").sum())


def sums(values: np.ndarray, starts: np.ndarray, ends: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """The sums of sorted values from each start to its end, in units, as the upper and lower halves of whole numbers.

    Between edges a value has at most 2³⁰ units, so that the lower half holds the whole sum; only outside has it two.
    """
    high, low = np.zeros(len(starts), dtype="int64"), np.zeros(len(starts), dtype="int64")
    inside = values[ends[0] : starts[-1]]
    running = np.zeros(len(inside) + 1, dtype="int64")
    np.cumsum(np.rint(inside * (1 / unit)).astype("int64"), out=running[1:])
    if len(starts) > 2:
        low[1:-1] = running[ends[1:-1] - ends[0]] - running[starts[1:-1] - ends[0]]
    for gap in {0, len(starts) - 1}:
        high[gap], low[gap] = halves(values[starts[gap] : ends[gap]], unit)
    return high, low
