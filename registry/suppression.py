"""Counts that are too small to be told, and those that must be kept back with them. Pure.

A cell of fewer than ``k`` rows is never told. Nor may anybody compute it: from the total and the cells that are told, every
hidden cell could still be ``k`` or more, and there are at least two of them. So further cells are hidden, smallest first,
until that holds (complementary suppression; A. Hundepool et al., Statistical Disclosure Control, 2012, ch. 4).
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Told(Generic[Key]):
    """The cells that may be told. ``rest`` is the sum of the others, ``hidden`` how many they are.

    ``countable`` is False where even the number of hidden cells would give one of them away.
    """

    cells: dict[Key, int]
    rest: int
    hidden: int
    countable: bool


def told(cells: Mapping[Key, int], *, k: int, most: int | None = None) -> Told[Key]:
    """Hide the cells below ``k`` (none of zero rows), and what must go with them; of the others tell the ``most`` largest.

    Guarantee: if a cell of 1 to ``k - 1`` rows is hidden and ``countable``, at least two cells are hidden and each could
    hold ``k`` rows or more, for all that the total, the cells told and the number of hidden ones say.
    """
    filled = sorted((key for key in cells if cells[key]), key=lambda key: (-cells[key], str(key)))
    shown = [key for key in filled if cells[key] >= k][:most]
    hidden = [key for key in filled if key not in set(shown)]
    if any(cells[key] < k for key in hidden):
        while shown and not _safe([cells[key] for key in hidden], k):
            hidden.append(shown.pop())
        countable = _safe([cells[key] for key in hidden], k)
    else:
        countable = True
    kept = {key: cells[key] for key in cells if not cells[key]} | {key: cells[key] for key in shown}
    return Told(kept, sum(cells[key] for key in hidden), len(hidden), countable)


def _safe(hidden: list[int], k: int) -> bool:
    """Whether each hidden cell could be ``k`` or more, the others being one each, and there are two."""
    return len(hidden) > 1 and sum(hidden) - (len(hidden) - 1) >= k
