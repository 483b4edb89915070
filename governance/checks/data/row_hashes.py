"""A 64-bit hash of every row, the same for equal cells whatever their type, and bounded sets of such hashes.

Of more than ``MOST`` distinct hashes only those are kept that end in k zero bits, with the smallest k that bounds them. Which
they are does not depend on the order in which parts are added: a part never needs a larger k than the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

MOST: Final = 2**21
BATCH: Final = 250_000
_NONE: Final = np.uint64(0x9E3779B97F4A7C15)
_WHOLE: Final = 2**53
"""Up to here a whole number is the same as a double."""


def mixed(bits: np.ndarray) -> np.ndarray:
    """Every bit of 64 spread over all (finalizer of SplitMix64: Steele, Lea & Flood, OOPSLA 2014)."""
    made = bits.astype("uint64")
    made ^= made >> np.uint64(30)
    made *= np.uint64(0xBF58476D1CE4E5B9)
    made ^= made >> np.uint64(27)
    made *= np.uint64(0x94D049BB133111EB)
    made ^= made >> np.uint64(31)
    return made


def of_column(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """A hash for each cell, and which cells are missing (empty or NaN), which all have one hash."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = values.type
    missing = values.is_null(nan_is_null=pa.types.is_floating(kind)).to_numpy(zero_copy_only=False)
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        whole = values.fill_null(0).to_numpy(zero_copy_only=False).astype("int64")
        small = np.abs(whole) < _WHOLE
        made = mixed(whole.astype("float64").view("uint64"))
        if not small.all():
            made = np.where(small, made, mixed(~whole.view("uint64")))
    elif pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        numbers = values.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
        made = mixed((numbers + 0.0).view("uint64"))  # minus zero is zero
    else:
        encoded = values if pa.types.is_dictionary(kind) else values.dictionary_encode()
        words = encoded.dictionary.cast(pa.string()).to_numpy(zero_copy_only=False)
        known = pd.util.hash_array(np.where(pd.isna(words), "", words).astype(object), categorize=False)
        place = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
        made = mixed(known)[place] if len(known) else np.zeros(len(values), dtype="uint64")
    return np.where(missing, _NONE, made), missing


def of_rows(columns: Sequence[np.ndarray], size: int) -> np.ndarray:
    """One hash for each row from those of its cells, in their order, as int64."""
    made = np.zeros(size, dtype="uint64")
    for one in columns:
        made = mixed(made * np.uint64(31) + one)
    return made.view("int64")


def batches(table: pa.Table, names: Sequence[str]) -> Iterator[np.ndarray]:
    """The hashes of the rows over these columns, part by part."""
    for start in range(0, table.num_rows, BATCH):
        part = table.slice(start, BATCH)
        yield of_rows([of_column(part.column(name))[0] for name in names], part.num_rows)


@dataclass(frozen=True, slots=True)
class Hashes:
    """Distinct hashes, sorted, with how often each occurs; ``zeros``: only those that end in so many zero bits are here."""

    keys: np.ndarray
    counts: np.ndarray
    zeros: int = 0

    @classmethod
    def of(cls, keys: np.ndarray) -> Hashes:
        """Of rows, thinned if need be."""
        return cls(*np.unique(keys, return_counts=True)).thinned()

    def ending(self, zeros: int) -> Hashes:
        """Only those that end in at least so many zero bits."""
        if zeros <= self.zeros:
            return self
        kept = self.keys & ((1 << zeros) - 1) == 0
        return Hashes(self.keys[kept], self.counts[kept], zeros)

    def thinned(self) -> Hashes:
        """With the smallest number of zero bits that leaves at most ``MOST``."""
        made = self
        while len(made.keys) > MOST:
            made = made.ending(made.zeros + 1)
        return made

    def plus(self, *others: Hashes) -> Hashes:
        """All together. Guarantee: the same for every order and partition."""
        zeros = max(one.zeros for one in (self, *others))
        parts = [one.ending(zeros) for one in (self, *others)]
        keys, counts = (np.concatenate([getattr(one, name) for one in parts]) for name in ("keys", "counts"))
        order = np.argsort(keys, kind="stable")
        keys, counts = keys[order], counts[order]
        first = np.concatenate([[True], keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, dtype=bool)
        summed = np.add.reduceat(counts, np.flatnonzero(first)) if len(keys) else counts
        return Hashes(keys[first], summed, zeros).thinned()


def found_in(keys: np.ndarray, table: pa.Table, names: Sequence[str]) -> np.ndarray:
    """Which of these hashes, sorted and distinct, a row of the table has; the table is read part by part."""
    found = np.zeros(len(keys), dtype=bool)
    for rows in batches(table, names) if len(keys) else ():
        ordered = np.sort(rows)
        place = np.minimum(np.searchsorted(keys, ordered), len(keys) - 1)
        found[place[keys[place] == ordered]] = True
    return found
