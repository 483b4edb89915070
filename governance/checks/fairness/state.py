"""Reading the cell table of :mod:`governance.checks.fairness.cells`: dense arrays of one attribute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks.fairness.cells import BY, SCORE_BITS, WEIGHT_BITS
from governance.checks.fairness.comparisons import Group, Weights
from governance.checks.rows import columns
from governance.checks.statistics.counts import COUNT, numbers
from governance.checks.statistics.limbs import value

MILLIONTH = 1e-6


@dataclass(frozen=True, slots=True)
class Cells:
    """One attribute: arrays over (group, y, decision, bin). Without weights ``weight`` and ``square`` are the counts."""

    attribute: str
    names: list[str]
    count: np.ndarray
    weight: np.ndarray
    square: np.ndarray
    score: np.ndarray | None
    weighted: bool

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.count.sum())

    @property
    def known(self) -> list[int]:
        """The places of groups that people of unknown group are not part of."""
        return [place for place, name in enumerate(self.names) if columns.UNKNOWN not in name.split(BY)]

    def group(self, place: int) -> Group:
        """The confusion counts of one group."""
        tn, fp, fn, tp = self.count[place].sum(axis=2).ravel().tolist()
        if not self.weighted:
            return Group(self.names[place], tn, fp, fn, tp)
        total, squares = (array[place].sum(axis=2).ravel().tolist() for array in (self.weight, self.square))
        return Group(self.names[place], tn, fp, fn, tp, Weights(tuple(total), tuple(squares)))

    def confusion(self, array: np.ndarray) -> np.ndarray:
        """``count``, ``weight`` or ``square`` as (group, 4): tn, fp, fn, tp."""
        made: np.ndarray = array.sum(axis=3).reshape(len(self.names), 4)
        return made


def read(state: pa.Table, bins: int) -> Iterator[Cells]:
    """Every attribute and intersection of a merged state, in the order of their names."""
    for attribute in sorted(pc.unique(state.column("attribute")).to_pylist()):
        yield read_one(state, attribute, bins)


def read_one(state: pa.Table, attribute: str, bins: int) -> Cells:
    """One attribute or intersection of a merged state."""
    return _of(state.filter(pc.equal(state.column("attribute"), attribute)), attribute, bins)


def _of(state: pa.Table, attribute: str, bins: int) -> Cells:
    group = state.column("group").to_pylist()
    names = sorted(set(group))
    place = {name: number for number, name in enumerate(names)}
    shape = (len(names), 2, 2, bins)
    at = (np.array([place[name] for name in group]), *(numbers(state, key) for key in ("y", "decision", "bin")))

    def dense(values: np.ndarray) -> np.ndarray:
        made = np.zeros(shape, values.dtype)
        made[at] = values
        return made

    count = dense(numbers(state, COUNT))
    weighted = "sum_weight" in state.column_names
    weight = dense(numbers(state, "sum_weight")) * MILLIONTH if weighted else count.astype("float64")
    square = dense(limbed(state, "sum_square", 2.0 ** (2 * WEIGHT_BITS)) * MILLIONTH**2) if weighted else weight
    score = None
    if "sum_score" in state.column_names:
        score = dense(numbers(state, "sum_score") * 2.0**-SCORE_BITS)
    elif "sum_score_0" in state.column_names:
        score = dense(limbed(state, "sum_score", 2.0**WEIGHT_BITS) * MILLIONTH)
    return Cells(attribute, names, count, weight, square, score, weighted)


def limbed(state: pa.Table, stem: str, scale: float = 1.0) -> np.ndarray:
    """The sums whose limbs are the columns ``stem_0``, ``stem_1`` and so on."""
    names = [name for name in state.column_names if name.rpartition("_")[0] == stem]
    rows = zip(*(state.column(name).to_pylist() for name in sorted(names)), strict=True)
    return np.array([value(row, scale) for row in rows], dtype="float64")
