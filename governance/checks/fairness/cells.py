"""The cell table of all group figures: how many rows (and how much weight) have each group, label, decision and score bin.

One pass per column: groups become small whole numbers (Arrow's dictionary, no Python per row), the columns are folded into
one number per row, and ``numpy.bincount`` counts blocks of rows that fit into the processor's cache. Scores are added up in
units of 2⁻³², weights in units of 10⁻⁶, their products and squares as limbs, so that every partition adds up to the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks.contract import CheckInputs
from governance.checks.results import CheckError
from governance.checks.rows import columns, weighting
from governance.checks.statistics.counts import COUNT
from governance.checks.statistics.limbs import limbs

BY = " / "
"""Between the names of an intersection, and between its groups."""
BLOCK = 1 << 15
MOST_CELLS = 1 << 18
"""Above that, cells are looked up instead of laid out."""
WEIGHT_BITS = 44
"""Weights, in units of 10⁻⁶, are below 2⁴⁴ (17 million); over 2⁴⁴ they and their squares lie below 1."""
SCORE_BITS = 32
"""Of a score: 2³¹ rows add up in an int64, and a block of them in a float64 without rounding."""
WEIGHTED_LIMBS = 4
_HALF = 2.0**31
KEYS = ("y", "decision", "bin")


@dataclass(frozen=True, slots=True)
class Coded:
    """A column as codes below ``len(names)``."""

    codes: np.ndarray
    names: list[str]


def coded(values: pa.ChunkedArray) -> Coded:
    """The groups of a column; null and NaN are one group of their own, and values of the same text are one group."""
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    values = values.unify_dictionaries()
    array = values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        array = pa.array([], values.type)
    words = _words(array.dictionary)
    names = sorted({*words, columns.UNKNOWN} if array.null_count else set(words)) or [columns.UNKNOWN]
    place = {name: number for number, name in enumerate(names)}
    indices = array.indices
    codes = (pc.fill_null(indices, 0) if indices.null_count else indices).to_numpy(zero_copy_only=False)
    table = np.array([place[word] for word in words] or [0], dtype="int64")
    if not np.array_equal(table, np.arange(len(table))):
        codes = table[codes]
    if indices.null_count:
        codes = np.where(indices.is_null().to_numpy(zero_copy_only=False), place[columns.UNKNOWN], codes)
    return Coded(codes, names)


def _words(values: pa.Array) -> list[str]:
    """The text of each value of a dictionary."""
    if pa.types.is_string(values.type) and not values.null_count:
        plainly: list[str] = values.to_pylist()
        return plainly
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    words: list[str] = pc.fill_null(values.cast(pa.string()), columns.UNKNOWN).to_pylist()
    return words


def label_and_decision(shard: CheckInputs, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Label, decision (0 and 1) and score, which is None when the model gives only labels."""
    score = columns.scores(shard)
    found = None if score is None else score.to_numpy(zero_copy_only=False)
    decision: np.ndarray = (
        found >= threshold if found is not None else columns.decisions(shard, threshold).to_numpy(zero_copy_only=False)
    )
    label = columns.rows_of(shard).column(str(shard.roles.label))
    positive = shard.roles.positive
    if positive is None and (pa.types.is_integer(label.type) or pa.types.is_boolean(label.type)):
        y = label.to_numpy() == 1
    else:
        y = columns.binary_label(shard).to_numpy(zero_copy_only=False)
    return y, decision, found


def cells(
    groups: Sequence[tuple[str, Coded]], keys: Sequence[tuple[str, np.ndarray, int]], *,
    score: np.ndarray | None = None, weight: np.ndarray | None = None, extra: Sequence[tuple[str, np.ndarray]] = (),
    crossed: int = 1, expected: Sequence[tuple[str, Sequence[str]]] = (),
) -> pa.Table:  # fmt: skip
    """The cell table of a shard, for each column alone and every intersection of up to ``crossed`` of them; not yet sorted.

    ``keys`` are further columns (name, codes, how many codes there are). ``score`` adds ``sum_score_*``, ``weight``
    (units of 10⁻⁶) ``sum_weight`` and ``sum_square_*``; ``extra`` holds columns of whole numbers to be added up. Groups
    that are ``expected`` of a column get a cell without rows, so that one nobody is in is seen.
    """
    parts = [(one.codes, len(one.names)) for _, one in groups] + [(codes, size) for _, codes, size in keys]
    if weight is not None and not weight.all():  # rows without weight count for nothing
        there = weight > 0
        parts = [(codes[there], size) for codes, size in parts]
        extra = [(name, values[there]) for name, values in extra]
        score, weight = None if score is None else score[there], weight[there]
    rows = len(parts[0][0])
    digits, sums = _counted(parts, rows, score, weight, extra)
    made = []
    for number in range(1, min(crossed, len(groups)) + 1):
        for places in combinations(range(len(groups)), number):
            kept = [*places, *range(len(groups), len(parts))]
            own, added = digits, sums
            if len(kept) < len(parts):
                own, added = _projected([digits[place] for place in kept], [parts[place][1] for place in kept], sums)
            made.append(_of(groups, places, own, added))
    for name, looked_for in expected:
        nothing = np.zeros(len(looked_for), "int64")
        made.append(
            _Cells(
                name, list(looked_for), np.arange(len(looked_for)), [nothing] * len(keys), dict.fromkeys(sums, nothing)
            )
        )
    return _table(made, [name for name, _, _ in keys])


Sums = dict[str, np.ndarray]


def _counted(
    parts: Sequence[tuple[np.ndarray, int]], rows: int, score: np.ndarray | None, weight: np.ndarray | None,
    extra: Sequence[tuple[str, np.ndarray]],
) -> tuple[list[np.ndarray], Sums]:  # fmt: skip
    """The cells that occur: the code of each part, and the sums."""
    size = 1
    for _, one in parts:
        size *= one
    if size >= 2**62:
        raise CheckError("data.sensitive_many", "The sensitive columns have too many combinations of values.")
    whole = None
    distinct = None
    if size > MOST_CELLS:
        distinct, whole = np.unique(_folded(parts, slice(None)), return_inverse=True)
    width = size if distinct is None else len(distinct)
    total: Sums = {COUNT: np.zeros(width, "int64")}
    for start in range(0, rows, BLOCK):
        cut = slice(start, min(start + BLOCK, rows))
        code = _folded(parts, cut) if whole is None else whole[cut]
        total[COUNT] += np.bincount(code, minlength=width)
        for name, values in _added(cut, score, weight, extra):
            made = np.bincount(code, weights=values, minlength=width).astype("int64")
            total[name] = total[name] + made if name in total else made
    for name in _names(score, weight, extra):
        total.setdefault(name, np.zeros(width, "int64"))
    used = np.flatnonzero(total[COUNT])
    there = used if distinct is None else distinct[used]
    digits = []
    for _, one in reversed(parts):
        digits.append(there % one)
        there = there // one
    return digits[::-1], {name: values[used] for name, values in total.items()}


def _folded(parts: Sequence[tuple[np.ndarray, int]], cut: slice) -> np.ndarray:
    code = parts[0][0][cut].astype("int64")
    for codes, size in parts[1:]:
        if size > 1:
            code *= size
            code += codes[cut]
    return code


def _names(score: np.ndarray | None, weight: np.ndarray | None, extra: Sequence[tuple[str, np.ndarray]]) -> list[str]:
    nothing = np.zeros(0)
    empty = None if score is None else nothing
    light = None if weight is None else nothing
    return [
        name for name, _ in _added(slice(0, 0), empty, light, [(name, nothing) for name, _ in extra])
    ]  # the same names for an empty block


def _added(
    cut: slice, score: np.ndarray | None, weight: np.ndarray | None, extra: Sequence[tuple[str, np.ndarray]]
) -> Iterable[tuple[str, np.ndarray]]:
    """Whole numbers, as floats small enough that a block of them adds up without rounding."""
    own = None if weight is None else weight[cut].astype("float64")
    if own is not None:
        light = own % _HALF
        yield "sum_weight", light
        yield "sum_weight", own - light  # whole multiples of 2³¹ add up without rounding, too
        yield from zip(
            names_of("sum_square", WEIGHTED_LIMBS), limbs((own * 2.0**-WEIGHT_BITS) ** 2, WEIGHTED_LIMBS), strict=True
        )
    if score is not None and own is None:
        yield "sum_score", np.rint(score[cut] * 2.0**SCORE_BITS)
    elif score is not None and own is not None:
        made = limbs(score[cut] * (own * 2.0**-WEIGHT_BITS), WEIGHTED_LIMBS)
        yield from zip(names_of("sum_score", WEIGHTED_LIMBS), made, strict=True)
    for name, values in extra:
        yield name, values[cut]


def names_of(stem: str, number: int) -> list[str]:
    """The columns of a sum's limbs."""
    return [f"{stem}_{place}" for place in range(number)]


def _projected(digits: list[np.ndarray], sizes: list[int], sums: Sums) -> tuple[list[np.ndarray], Sums]:
    """Add up cells that differ only in what was left out."""
    code = np.zeros(len(digits[0]), "int64")
    for one, size in zip(digits, sizes, strict=True):
        code = code * size + one
    there, first, at = np.unique(code, return_index=True, return_inverse=True)
    added = {}
    for name, values in sums.items():
        made = np.zeros(len(there), "int64")
        np.add.at(made, at, values)
        added[name] = made
    return [one[first] for one in digits], added


@dataclass(frozen=True, slots=True)
class _Cells:
    """Of one attribute: the names of its groups, and for each cell the place of its name, its keys and its sums."""

    attribute: str
    names: list[str]
    groups: np.ndarray
    keys: list[np.ndarray]
    sums: Sums


def _of(groups: Sequence[tuple[str, Coded]], places: tuple[int, ...], digits: list[np.ndarray], sums: Sums) -> _Cells:
    names, code = groups[places[0]][1].names, digits[0]
    if len(places) > 1:
        each = [[plain(name) for name in groups[place][1].names] for place in places]
        for one, more in zip(digits[1 : len(places)], each[1:], strict=True):
            code = code * len(more) + one
        _, first, code = np.unique(code, return_index=True, return_inverse=True)
        rows = zip(*(one[first].tolist() for one in digits[: len(places)]), strict=True)
        names = [BY.join(each[k][at] for k, at in enumerate(row)) for row in rows]
    return _Cells(BY.join(groups[place][0] for place in places), names, code, digits[len(places) :], sums)


def _table(made: list[_Cells], keys: list[str]) -> pa.Table:
    """All attributes in one table. A few large arrays: each small one would cost more than its cells."""
    before = np.cumsum([0, *(len(one.names) for one in made)])
    columns_of = {
        "attribute": _words_at(
            [one.attribute for one in made], np.repeat(np.arange(len(made)), [len(one.groups) for one in made])
        ),
        "group": _words_at(
            [name for one in made for name in one.names],
            np.concatenate([one.groups + start for one, start in zip(made, before[:-1], strict=True)]),
        ),
    }
    for place, name in enumerate(keys):
        columns_of[name] = pa.array(np.concatenate([one.keys[place] for one in made]), pa.int16())
    for name in made[0].sums:
        columns_of[name] = pa.array(np.concatenate([one.sums[name] for one in made]), pa.int64())
    return pa.table(columns_of)


def _words_at(words: list[str], places: np.ndarray) -> pa.Array:
    return pa.array(words, pa.string()).take(pa.array(places))


def plain(name: str) -> str:
    """A group's name with which two groups' names cannot be read as three."""
    return name.replace(BY, "/")


def bins_of(score: np.ndarray, bins: int) -> np.ndarray:
    """The bin of equal width that a score lies in; 1 lies in the last."""
    made = (score * bins).astype("int16")
    np.minimum(made, bins - 1, out=made)
    return made


def weights(shard: CheckInputs) -> np.ndarray | None:
    """The weight of each row in units of 10⁻⁶, or None where no column has that role."""
    if shard.roles.weight is None:
        return None
    made: np.ndarray = weighting.units(shard).to_numpy(zero_copy_only=False)
    return made
