"""Ranked lists query by query, over all queries at once: NDCG, average precision, reciprocal rank, recall at k.

Items of one score have no order among them. NDCG, reciprocal rank and recall are the mean over all orders of such items;
average precision lets them enter together, as scikit-learn does. K. Järvelin, J. Kekäläinen, ACM TOIS 20 (2002) 422-446;
F. McSherry, M. Najork, ECIR 2008 (ties).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Lists:
    """Items sorted by query and falling score. ``start`` holds each query's first item, ``gain`` what an item is worth."""

    start: np.ndarray
    score: np.ndarray
    gain: np.ndarray
    relevant: np.ndarray

    @classmethod
    def of(cls, query: np.ndarray, score: np.ndarray, gain: np.ndarray, relevant: np.ndarray) -> Lists:
        """From items in any order."""
        order = np.lexsort((gain, -score, query))
        _, start = np.unique(query[order], return_index=True)
        return cls(start, score[order], gain[order], relevant[order])


def _sums(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    made: np.ndarray = np.add.reduceat(values, start)
    return made


def judged(lists: Lists, k: int) -> dict[str, np.ndarray]:
    """The figures of each query; every query must have an item that is relevant."""
    items = len(lists.score)
    sizes = np.diff(np.append(lists.start, items))
    query = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(items) - lists.start[query]
    new = np.concatenate([[True], (lists.score[1:] != lists.score[:-1]) | (query[1:] != query[:-1])])
    first = np.flatnonzero(new)
    tied = np.diff(np.append(first, items))
    above, of = place[first], query[first]
    gain, hits = _sums(lists.gain, first), _sums(lists.relevant.astype("float64"), first)
    groups = np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]]))
    discount = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(min(k, int(sizes.max()))) + 2))])
    most = len(discount) - 1
    spent = discount[np.minimum(above + tied, most)] - discount[np.minimum(above, most)]
    ideal = lists.gain[np.lexsort((-lists.gain, query))]
    best = ideal * np.where(place < most, 1 / np.log2(place + 2), 0.0)
    relevant = _sums(hits, groups)
    found = np.cumsum(hits) - (np.cumsum(relevant) - relevant)[of]
    return {
        "ndcg": _sums(gain / tied * spent, groups) / _sums(best, lists.start),
        "map": _sums(hits * found / (above + tied), groups) / relevant,
        "mrr": _reciprocal(of, above, tied, hits, len(sizes)),
        "recall": _sums(hits * np.clip(k - above, 0, tied) / tied, groups) / relevant,
    }


def _reciprocal(of: np.ndarray, above: np.ndarray, tied: np.ndarray, hits: np.ndarray, queries: int) -> np.ndarray:
    """1 / rank of the first relevant item, on average over the orders of the items it is tied with."""
    with_hits = np.flatnonzero(hits > 0)
    _, earliest = np.unique(of[with_hits], return_index=True)
    group = with_hits[earliest]
    made = np.zeros(queries)
    made[of[group]] = 1 / (above[group] + 1)
    for number in group[(tied[group] > 1) & (hits[group] < tied[group])]:
        made[of[number]] = _expected(int(above[number]), int(tied[number]), int(hits[number]))
    return made


def _expected(above: int, tied: int, hits: int) -> float:
    """E[1 / (above + J)], J the place of the first of ``hits`` among ``tied`` in random order."""
    j = np.arange(1, tied - hits + 2)
    missed = np.concatenate([[1.0], np.cumprod((tied - j[:-1] + 1 - hits) / (tied - j[:-1] + 1))])
    return float((missed * hits / (tied - j + 1) / (above + j)).sum())
