"""What the cells of one column say about its drift: figures, rows of tables and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks.contract import FigureSpec
from governance.checks.data import cells
from governance.checks.results import CheckError, Figure
from governance.checks.statistics import distances
from governance.checks.statistics.placing import HALF

Bins = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Column:
    """What was measured of one column. ``ks`` and ``wasserstein`` are of numbers, ``cramers_v`` of words.

    ``ks_short``: by so much the true KS statistic may be larger, by the values that share a gap with values of the other side.
    ``ends`` are the upper ends of its bins but the last, None for words; ``bins`` are (name, reference, sample).
    """

    name: str
    reference: int
    sample: int
    psi: float
    psi_corrected: float
    psi_interval: tuple[float, float]
    js: float
    p: float | None
    bins: Bins
    ends: tuple[float, ...] | None = None
    ks: float | None = None
    wasserstein: float | None = None
    cramers_v: float | None = None
    ks_short: float = 0.0

    def figures(self, specs: Mapping[str, FigureSpec]) -> Iterator[Figure]:
        """One figure for each measure that the column has."""
        low, high = self.psi_interval
        noise = self.psi - self.psi_corrected
        ends = {"psi": (low, high), "psi_corrected": (low, high)}
        if self.ks is not None:
            half = distances.ks_half_width(self.reference, self.sample)
            ends["ks"] = (max(0.0, self.ks - half), min(1.0, self.ks + half))
        measured = {
            "psi": self.psi, "psi_corrected": self.psi_corrected, "js_distance": self.js, "ks": self.ks,
            "wasserstein": self.wasserstein, "cramers_v": self.cramers_v,
        }  # fmt: skip
        for key, value in measured.items():
            if value is None:
                continue
            spec = specs[key]
            below, above = ends.get(key, (None, None))
            yield Figure(
                key, spec.label, value, self.sample, spec.better, ci_low=below, ci_high=above, attribute=self.name,
                smallest_gap=noise if key == "psi" else None,
            )  # fmt: skip

    @property
    def recorded(self) -> str:
        """The frozen ends in the form that the parameter ``edges`` takes, or nothing for words."""
        return "" if self.ends is None else f"{self.name}: {', '.join(repr(end) for end in self.ends)}"


def given_edges(texts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """``column: 1.5, 2.5`` as column and rising ends. Raises ``CheckError``."""
    made: dict[str, tuple[float, ...]] = {}
    for text in texts:
        name, colon, rest = text.rpartition(":")
        try:
            ends = tuple(float(part) for part in rest.split(",") if part.strip())
        except ValueError as error:
            raise CheckError("params.value", f"“edges”: “{text}” is not “column: 1.5, 2.5”.") from error
        if not colon or not name.strip() or list(ends) != sorted(set(ends)) or not np.isfinite(ends).all():
            raise CheckError("params.value", f"“edges”: “{text}” is not “column: 1.5, 2.5” with rising numbers.")
        made[name.strip()] = ends
    return made


def measured(state: pa.Table, bins: int, given: Mapping[str, Sequence[float]]) -> list[Column]:
    """Every column of a merged state, by name."""
    sample = dict(cells.by_column(state.filter(pc.equal(state.column("side"), cells.SAMPLE))))
    return [
        _of_words(one, sample[one.name]) if one.edges is None else _of_numbers(one, sample[one.name], bins, given)
        for one in cells.frozen(state)
    ]


def _of_numbers(
    one: cells.Frozen, sample: pa.Table, bins: int, given: Mapping[str, Sequence[float]]
) -> Column:  # fmt: skip
    edges = one.edges if one.edges is not None else np.zeros(0)
    sides, missing = [], []
    for rows in (one.rows, sample):
        place, edge, count, high, low = (
            rows.column(key).to_numpy() for key in ("place", "edge", "count", "high", "low")
        )
        at, gap = np.zeros(len(edges), dtype="int64"), np.zeros(len(edges) + 1, dtype="int64")
        total = np.zeros(len(edges) + 1)
        mine, between = place == cells.AT, place == cells.GAP
        at[np.searchsorted(edges, edge[mine])] = count[mine]
        where = np.minimum(np.searchsorted(edges, edge[between]), len(edges))
        gap[where] = count[between]
        total[where] = (high[between] * HALF + low[between]) * one.unit
        sides.append(distances.Side(edges, at, gap, total))
        missing.append(int(count[place == cells.MISSING].sum()))
    ends = (
        distances.frozen_ends(sides[0], bins) if one.name not in given else np.asarray(given[one.name], dtype="float64")
    )
    counts = np.array([distances.counted(side, ends) for side in sides])
    names = _names(ends)
    if any(missing):
        counts, names = np.column_stack([counts, missing]), [*names, "(missing)"]
    n, m = (side.n for side in sides)
    shown = _shown(names, counts)
    total_n, total_m = n + missing[0], m + missing[1]
    recorded = tuple(float(end) for end in ends)
    if not n or not m:
        js = distances.jensen_shannon(counts)
        return Column(one.name, total_n, total_m, *_psi(counts), js, None, shown, recorded)
    ks, moved = distances.kolmogorov_smirnov(*sides), distances.wasserstein(*sides)
    spread = float(one.rows.column("edge").to_numpy()[one.rows.column("place").to_numpy() == cells.SPREAD][0])
    return Column(
        one.name, total_n, total_m, *_psi(counts), distances.jensen_shannon(counts), distances.ks_p(ks, n, m), shown,
        recorded, ks_short=distances.ks_short(*sides), ks=ks, wasserstein=moved / spread if spread > 0 else None,
    )  # fmt: skip


def _of_words(one: cells.Frozen, sample: pa.Table) -> Column:
    extra = {cells.OTHER: "(others)", cells.NEW: "(new)", cells.MISSING: "(missing)"}
    found: list[dict[tuple[int, str], int]] = []
    for rows in (one.rows, sample):
        keys = zip(rows.column("place").to_pylist(), rows.column("word").to_pylist(), strict=True)
        found.append(dict(zip(keys, rows.column("count").to_pylist(), strict=True)))
    keys_of = [(cells.WORD, word) for word in one.words.to_pylist()] + [(place, "") for place in extra]
    counts = np.array([[side.get(key, 0) for key in keys_of] for side in found], dtype="int64")
    used = [index for index, key in enumerate(keys_of) if key[0] == cells.WORD or counts[:, index].any()]
    counts = counts[:, used]
    names = [keys_of[index][1] if keys_of[index][0] == cells.WORD else extra[keys_of[index][0]] for index in used]
    n, m = (int(side) for side in counts.sum(axis=1))
    p, v = distances.chi_square(counts)
    return Column(
        one.name, n, m, *_psi(counts), distances.jensen_shannon(counts), p, _shown(names, counts, words=True), cramers_v=v
    )  # fmt: skip


def _psi(counts: np.ndarray) -> tuple[float, float, tuple[float, float]]:
    value = distances.psi(counts)
    return value, distances.psi_corrected(value, counts), distances.psi_interval(value, counts)


def _names(ends: np.ndarray) -> list[str]:
    if not len(ends):
        return ["all"]
    texts = [f"{end:.6g}" for end in ends]
    return [
        f"≤ {texts[0]}",
        *(f"{low} to {high}" for low, high in pairwise(texts)),
        f"> {texts[-1]}",
    ]


_MOST_SHOWN = 24
_LEAST_SHOWN = 5
"""A word of fewer rows is not shown: it may be about one person."""


def _shown(names: Sequence[str], counts: np.ndarray, *, words: bool = False) -> Bins:
    """All bins of numbers; the largest cells of words, and the others together."""
    size = counts.sum(axis=0)
    order = list(range(len(names)))
    if words:
        largest = np.argsort(-size, kind="stable")[:_MOST_SHOWN]
        order = sorted(int(index) for index in largest if size[index] >= _LEAST_SHOWN)
    made = [(str(names[i]), int(counts[0, i]), int(counts[1, i])) for i in order]
    rest = [int(side.sum() - side[order].sum()) for side in counts]
    return (*made, *([("(all others)", rest[0], rest[1])] if any(rest) else []))
