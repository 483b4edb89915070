"""How lopsided the errors of each group are: what sums cannot say, so that it is measured before the rows are split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import numpy as np

from governance.checks.fairness.cells import BY, Coded, plain
from governance.checks.statistics import tails

UNIT: Final = 1_000_000
_BETWEEN: Final = "\x1f"


def skews(
    groups: Sequence[tuple[str, Coded]], error: np.ndarray, weight: np.ndarray | None, *, crossed: int, least: int
) -> dict[str, int]:
    """L-skewness in millionths by :func:`key`, for columns alone and crossed, of groups of that many rows and more."""
    made: dict[str, int] = {}
    for attribute, group, rows in _each(groups, crossed):
        if len(rows) >= least:
            found = tails.skewness(error[rows], None if weight is None else weight[rows])
            made[key(attribute, group)] = round(found * UNIT)
    return made


def key(attribute: str, group: str) -> str:
    """The name of a group of an attribute, for tables that must be plain."""
    return f"{attribute}{_BETWEEN}{group}"


def _each(groups: Sequence[tuple[str, Coded]], crossed: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """Attribute, group and the places of its rows, named as the cell table names them."""
    for number in range(1, min(crossed, len(groups)) + 1):
        for chosen in combinations(groups, number):
            names = [one.names if number == 1 else [plain(name) for name in one.names] for _, one in chosen]
            code = np.zeros(len(chosen[0][1].codes), dtype="int64")
            for _, one in chosen:
                code = code * len(one.names) + one.codes
            order = np.argsort(code, kind="stable")
            starts = np.flatnonzero(np.diff(code[order], prepend=-1))
            for rows in np.split(order, starts[1:]) if len(order) else ():
                group = [own[one.codes[rows[0]]] for own, (_, one) in zip(names, chosen, strict=True)]
                yield BY.join(name for name, _ in chosen), BY.join(group), rows
