"""Questions about a whole column whose answers need little memory: read chunk by chunk, as often as it takes. Exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

AT_ONCE = 2**18
SORTED_AT_ONCE = 2**21
_DIGIT = 16


def distinct(values: pa.ChunkedArray, most: int) -> int:
    """How many different values (a missing one is a value) there are; ``most`` + 1 stands for more than ``most``."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    known = pa.array([], kind)
    for part in parts(values):
        found = pc.unique(part)
        if len(found) > most:
            return most + 1
        known = pc.unique(pa.chunked_array([known, found]))
        if len(known) > most:
            return most + 1
    return len(known)


def quantiles(values: pa.ChunkedArray, shares: Sequence[float] | np.ndarray) -> np.ndarray:
    """``np.quantile(…, method="inverted_cdf")`` of the finite values: each is one of them. Empty if there are none."""
    n = sum(len(part) for part in _finite(values))
    if n == 0:
        return np.zeros(0)
    ranks = np.maximum(np.ceil(n * np.asarray(shares, dtype="float64") - 1), 0).astype("int64")
    if n <= SORTED_AT_ONCE:
        whole = np.concatenate(list(_finite(values)))
        found: np.ndarray = np.partition(whole, np.unique(ranks))[ranks]
        return found
    return np.array([_selected(values, int(rank)) for rank in ranks.tolist()])


def parts(values: pa.ChunkedArray) -> Iterator[pa.Array]:
    """The column in pieces of at most ``AT_ONCE`` cells, without dictionaries of categories."""
    for chunk in values.chunks:
        for start in range(0, len(chunk), AT_ONCE):
            part = chunk.slice(start, AT_ONCE)
            yield part.dictionary_decode() if pa.types.is_dictionary(part.type) else part


def _finite(values: pa.ChunkedArray) -> Iterator[np.ndarray]:
    for part in parts(values):
        made = part.cast(pa.float64()).to_numpy(zero_copy_only=False)
        yield made[np.isfinite(made)] + 0.0  # minus zero is zero


def _selected(values: pa.ChunkedArray, rank: int) -> float:
    """The value of that rank, by the digits of its bits: as many passes over the column as there are digits."""
    prefix, shift = np.uint64(0), 64
    while shift:
        shift -= _DIGIT
        counts = np.zeros(1 << _DIGIT, dtype="int64")
        for part in _finite(values):
            keys = _ordered(part)
            if shift + _DIGIT < 64:
                keys = keys[keys >> np.uint64(shift + _DIGIT) == prefix]
            counts += np.bincount((keys >> np.uint64(shift)) & np.uint64((1 << _DIGIT) - 1), minlength=1 << _DIGIT)
        below = np.cumsum(counts)
        digit = int(np.searchsorted(below, rank, side="right"))
        rank -= int(below[digit] - counts[digit])
        prefix = np.uint64((int(prefix) << _DIGIT) | digit)
    return _number(int(prefix))


def _ordered(numbers: np.ndarray) -> np.ndarray:
    """Unsigned whole numbers in the order of the floats that they stand for (IEEE 754)."""
    bits = numbers.view("uint64")
    sign = np.uint64(1 << 63)
    keys: np.ndarray = np.where(bits & sign, ~bits, bits | sign)
    return keys


def _number(key: int) -> float:
    bits = key ^ (1 << 63) if key >> 63 else ~key & ((1 << 64) - 1)
    return float(np.array([bits], dtype="uint64").view("float64")[0])
