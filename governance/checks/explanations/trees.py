"""Exact Shapley values of sums of trees (and of weights) against background rows, from the trees themselves.

The game is the interventional one: coalition S of inputs takes its values from the explained row x, the rest from a background
row z; the value of S is the mean output over all background rows. A leaf with value v is reached by those S that hold every
input whose conditions only x meets (a of them) and none whose conditions only z meets (b of them), so it adds
``v (a-1)! b! / (a+b)!`` to each of the first and ``-v a! (b-1)! / (a+b)!`` to each of the second.
S. Lundberg et al., Nature Machine Intelligence 2 (2020), algorithm 3 (independent TreeSHAP); H. Chen et al. (2020).
Rows that meet the same conditions of a path are counted together, so a leaf costs its distinct patterns and not pairs of rows
(A. Nadel & R. Wettenstein, Woodelf, 2025, is the same idea). Players are the model's *inputs*: the encoded columns that come
from one input move together, which the sum of the columns' own values would not give.

Nothing here calls a library whose order of summation depends on threads, so values are the same to the bit everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import factorial
from typing import Any

import numpy as np

BLOCKS = 10
"""The background is cut into so many parts; how far their values lie apart is the error of having no larger one."""
_MOST_ON_A_PATH = 60


class TooDeepError(Exception):
    """A path asks more inputs than can be counted exactly; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A model as a sum: nodes of all trees (places, -1 at a leaf), or weights; ``cells`` are the rows as it sees them.

    ``origin[c]`` is the input that column c comes from, -1 for none.
    """

    link: str
    base: float
    origin: np.ndarray
    cells: np.ndarray
    weights: np.ndarray | None
    tree: np.ndarray
    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    categories: Mapping[int, np.ndarray]

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.left)

    def output(self, margin: np.ndarray) -> np.ndarray:
        """What the model says for a sum: a probability, a number."""
        if self.link == "logit":
            return np.asarray(1.0 / (1.0 + np.exp(-np.clip(margin, -700, 700))))
        made: np.ndarray = np.exp(np.clip(margin, -700, 700)) if self.link == "log" else margin
        return made


def parsed(report: Mapping[str, Any], names: Sequence[str]) -> Sum:
    """The checked report of the sandbox's mode ``treeshap`` as arrays; ``origin`` counts in ``names``. Raises ``ValueError``."""
    places = [names.index(name) for name in report["features"]]
    nodes, encoded = report["nodes"], report["encoded"]
    arrays = {name: nodes.column(name).to_numpy() for name in
              ("tree", "left", "right", "column", "threshold", "missing_left", "value")}  # fmt: skip
    cells = [encoded.column(place).to_numpy() for place in range(encoded.num_columns)]
    categories = {
        place: np.array(words, dtype="uint32")
        for place, words in enumerate(nodes.column("categories").to_pylist())
        if words
    }
    weights = report["weights"]
    origin = np.array([places[one] if one >= 0 else -1 for one in report["origin"]], dtype="int64")
    return Sum(
        link=str(report["link"]), base=float(report["base"]), origin=origin,
        cells=np.column_stack(cells) if cells else np.zeros((report["rows"], 0)),
        weights=None if weights is None else np.array(weights, dtype="float64"), categories=categories, **arrays,
    )  # fmt: skip


def margins(model: Sum, cells: np.ndarray) -> np.ndarray:
    """The sum for encoded rows, each tree after the other."""
    total = np.full(len(cells), model.base)
    if model.weights is not None:
        for place, weight in enumerate(model.weights):
            total += weight * cells[:, place]
    for root in np.flatnonzero(np.diff(model.tree, prepend=-1)):
        at = np.full(len(cells), root)
        while (inner := np.flatnonzero(model.left[at] >= 0)).size:
            node = at[inner]
            goes = _goes_left(model, node, cells[inner, model.column[node]])
            at[inner] = np.where(goes, model.left[node], model.right[node])
        total += model.value[at]
    return total


def hybrid(model: Sum, rows: np.ndarray) -> np.ndarray:
    """Encoded rows that are put together: ``rows[i, j]`` is the row that input j of row i is taken from."""
    owner = np.where(model.origin < 0, 0, model.origin)
    return np.column_stack([model.cells[rows[:, one], place] for place, one in enumerate(owner)]) if len(
        owner
    ) else np.zeros((len(rows), 0))  # fmt: skip


def _goes_left(model: Sum, node: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Whether each value goes left at its node: at most the threshold, among the categories, or as missing ones do."""
    left = value <= model.threshold[node]
    if model.categories:
        for place in np.unique(node):
            if (words := model.categories.get(int(place))) is not None:
                mine = node == place
                left[mine] = _among(words, value[mine])
    return np.asarray(np.where(np.isnan(value), model.missing_left[node], left))


def _among(words: np.ndarray, value: np.ndarray) -> np.ndarray:
    known = (value >= 0) & (value < 32 * len(words))
    number = np.where(known, value, 0).astype("int64")
    among = (words[number // 32] >> (number % 32).astype("uint32")) & 1
    return np.asarray(known & among.astype(bool))


@dataclass(frozen=True, slots=True)
class Exact:
    """Values of shape (explained, inputs, blocks of the background); ``base`` is the mean output of the background."""

    of_block: np.ndarray
    size: np.ndarray
    output: np.ndarray
    base: float

    @property
    def values(self) -> np.ndarray:
        """Against the whole background, shape (explained, inputs)."""
        weighted = self.of_block * (self.size / self.size.sum())
        total = np.zeros(weighted.shape[:2])
        for block in range(weighted.shape[2]):
            total += weighted[:, :, block]
        return total


def exact(model: Sum, explained: np.ndarray, background: np.ndarray, *, inputs: int) -> Exact:
    """Values of the rows ``explained`` (places in ``model.cells``) against ``background``. Raises ``TooDeepError``."""
    blocks = min(BLOCKS, len(background))
    block = np.arange(len(background)) % blocks
    size = np.bincount(block, minlength=blocks).astype("float64")
    found = np.zeros((len(explained), inputs, blocks))
    x, z = model.cells[explained], model.cells[background]
    if model.weights is not None:
        for place, weight in enumerate(model.weights):
            if model.origin[place] >= 0:
                means = np.bincount(block, weights=z[:, place], minlength=blocks) / size
                found[:, model.origin[place]] += weight * (x[:, place, None] - means)
    else:
        for leaf in _leaves(model, x, z):
            _add(found, leaf, block, blocks)
        found /= size
    ends = margins(model, model.cells[np.concatenate([explained, background])])
    return Exact(found, size, ends[: len(explained)], float(ends[len(explained) :].mean()))


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf, the inputs on its path, and for the rows that matter which of them they fail (bit j: input j of the path)."""

    value: float
    path: tuple[int, ...]
    x: np.ndarray
    failed_x: np.ndarray
    z: np.ndarray
    failed_z: np.ndarray


def _leaves(model: Sum, x: np.ndarray, z: np.ndarray) -> Iterator[_Leaf]:
    """Every leaf that some mixture of an explained and a background row reaches."""
    roots = [*np.flatnonzero(np.diff(model.tree, prepend=-1)).tolist(), model.size]
    zero_x, zero_z = np.zeros(len(x), dtype="int64"), np.zeros(len(z), dtype="int64")
    children = model.left.tolist(), model.right.tolist()
    owners = [int(model.origin[column]) if column >= 0 else -1 for column in model.column.tolist()]
    values = model.value.tolist()
    for root, end in pairwise(roots):
        left_x, left_z = _turns(model, root, end, x), _turns(model, root, end, z)
        waiting: list[_Waiting] = [(root, (), np.arange(len(x)), zero_x, np.arange(len(z)), zero_z)]
        while waiting:
            place, path, at_x, failed_x, at_z, failed_z = waiting.pop()
            if children[0][place] < 0:
                if values[place] and path:
                    yield _Leaf(values[place], path, at_x, failed_x, at_z, failed_z)
                continue
            goes_x, goes_z = left_x[place - root, at_x], left_z[place - root, at_z]
            owner = owners[place]
            if owner < 0:  # the column is the same in every row
                waiting.append((children[0 if goes_x[0] else 1][place], path, at_x, failed_x, at_z, failed_z))
                continue
            onward = path if owner in path else (*path, owner)
            if len(onward) > _MOST_ON_A_PATH:
                raise TooDeepError(f"A path through its trees asks more than {_MOST_ON_A_PATH} inputs.")
            bit = 1 << onward.index(owner)
            for side, stays_x, stays_z in ((1, ~goes_x, ~goes_z), (0, goes_x, goes_z)):
                next_x, next_z = (
                    np.where(stays_x, failed_x, failed_x | bit),
                    np.where(stays_z, failed_z, failed_z | bit),
                )
                keep_x, keep_z = _alive(next_x, next_z)
                if keep_x.any():
                    waiting.append((
                        children[side][place], onward, at_x[keep_x], next_x[keep_x], at_z[keep_z], next_z[keep_z],
                    ))  # fmt: skip


_Waiting = tuple[int, tuple[int, ...], np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _turns(model: Sum, root: int, end: int, rows: np.ndarray) -> np.ndarray:
    """For each node of one tree and each row whether it goes left there; rows of leaves mean nothing."""
    place = np.arange(root, end)
    turns = np.zeros((end - root, len(rows)), dtype=bool)
    inner = np.flatnonzero(model.left[root:end] >= 0)
    for start in range(0, len(inner), 4096):
        some = inner[start : start + 4096]
        value = rows[:, model.column[place[some]]].T
        turns[some] = _goes_left(model, np.repeat(place[some], len(rows)), value.ravel()).reshape(value.shape)
    return turns


def _alive(failed_x: np.ndarray, failed_z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that reach this place together with some row of the other side: no input fails in both."""
    if len(failed_x) * len(failed_z) <= _FEW:
        together = (failed_x[:, None] & failed_z) == 0
        return together.any(axis=1), together.any(axis=0)
    kinds_x, of_x = np.unique(failed_x, return_inverse=True)
    kinds_z, of_z = np.unique(failed_z, return_inverse=True)
    together = (kinds_x[:, None] & kinds_z) == 0
    return together.any(axis=1)[of_x], together.any(axis=0)[of_z]


_FEW = 4000
"""Below so many pairs looking at each is faster than sorting."""
_ORDERS = {
    (a, b): factorial(a) * factorial(b) / factorial(a + b + 1)
    for a in range(_MOST_ON_A_PATH)
    for b in range(_MOST_ON_A_PATH - a)
}
"""Share of the orders of a + b + 1 inputs in which one stands after a given a and before the b others."""


def _add(found: np.ndarray, leaf: _Leaf, block: np.ndarray, blocks: int) -> None:
    kinds_x, of_x = np.unique(leaf.failed_x, return_inverse=True)
    kinds_z, of_z = np.unique(leaf.failed_z, return_inverse=True)
    width = len(leaf.path)
    bits = np.arange(width)
    fails_x, fails_z = (((kinds[:, None] >> bits) & 1).astype("float64") for kinds in (kinds_x, kinds_z))
    many_x, many_z = fails_x.sum(axis=1).astype("int64"), fails_z.sum(axis=1).astype("int64")
    together = (kinds_x[:, None] & kinds_z[None, :]) == 0
    table = _weights(width)
    gives = np.where(together, table[0][many_z[None, :], many_x[:, None]], 0.0)
    takes = np.where(together, table[1][many_z[None, :], many_x[:, None]], 0.0)
    counts = np.bincount(of_z * blocks + block[leaf.z], minlength=len(kinds_z) * blocks).reshape(-1, blocks)
    needed = (fails_z[:, :, None] * counts[:, None, :]).reshape(len(kinds_z), -1)
    added = np.einsum("xz,zf->xf", gives, needed).reshape(len(kinds_x), width, blocks)
    added -= fails_x[:, :, None] * np.einsum("xz,zb->xb", takes, counts.astype("float64"))[:, None, :]
    found[leaf.x[:, None], np.array(leaf.path)[None, :]] += leaf.value * added[of_x]


_TABLES: dict[int, tuple[np.ndarray, np.ndarray]] = {}


def _weights(width: int) -> tuple[np.ndarray, np.ndarray]:
    """For a inputs that only x meets and b that only z meets: what each of the a is given, and each of the b is taken."""
    if width not in _TABLES:
        gives, takes = np.zeros((width + 1, width + 1)), np.zeros((width + 1, width + 1))
        for a in range(width + 1):
            for b in range(width + 1 - a):
                if a:
                    gives[a, b] = _ORDERS[a - 1, b]
                if b:
                    takes[a, b] = _ORDERS[a, b - 1]
        _TABLES[width] = gives, takes
    return _TABLES[width]
