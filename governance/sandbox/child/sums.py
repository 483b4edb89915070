"""A model as a sum: trees with their thresholds, or weights of a linear model; and what is said of one that is none."""

# ruff: noqa: ANN401 - what a model holds can be anything
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST_NODES = 500_000
LINKS = ("identity", "logit", "log")


class NotAdditiveError(Exception):
    """The model is no sum of trees or weights; the message is the rest of a sentence that starts with "the model"."""


@dataclass(slots=True)
class Nodes:
    """All nodes of all trees in one list; ``left`` and ``right`` are places in it, -1 at a leaf."""

    tree: list[Any] = field(default_factory=list)
    left: list[Any] = field(default_factory=list)
    right: list[Any] = field(default_factory=list)
    column: list[Any] = field(default_factory=list)
    threshold: list[Any] = field(default_factory=list)
    missing_left: list[Any] = field(default_factory=list)
    value: list[Any] = field(default_factory=list)
    categories: list[Any] = field(default_factory=list)
    count: int = 0
    trees: int = 0

    def add(
        self,
        left: Any,
        right: Any,
        column: Any,
        threshold: Any,
        *,
        missing_left: Any,
        value: Any,
        categories: Any = None,
    ) -> None:
        """One tree, with places counted from its own root."""
        leaf = np.asarray(left) < 0
        size = len(leaf)
        if self.count + size > MOST_NODES:
            raise NotAdditiveError(f"has more than {MOST_NODES} nodes")
        self.tree.append(np.full(size, self.trees))
        for target, source in ((self.left, left), (self.right, right)):
            target.append(np.where(leaf, -1, np.asarray(source, dtype="int64") + self.count))
        self.column.append(np.where(leaf, -1, column))
        self.threshold.append(np.where(leaf, 0.0, threshold))
        self.missing_left.append(np.asarray(missing_left, dtype=bool))
        self.value.append(np.where(leaf, value, 0.0))
        self.categories.extend([None] * size if categories is None else categories)
        self.count += size
        self.trees += 1


@dataclass(slots=True)
class Additive:
    """``base`` plus the leaves reached, or the weighted columns, is the output before ``link``.

    ``single``: columns are compared in single precision, as scikit-learn's own trees and XGBoost do.
    """

    link: str
    base: float
    nodes: Nodes
    weights: Any = None
    single: bool = False
