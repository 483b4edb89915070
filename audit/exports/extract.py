"""The log part of a bundle: the entries asked for, and of everything between them one hash per complete subtree.

Read from left to right, the lines cover the whole tree, each leaf once: ``17 <hex> {"body":…}`` is leaf 17 with the first
eight bytes of its hash (to name it, should it be changed), ``^ 3 2 <hex>`` the hash of the complete subtree of level 3 and
index 2 (leaves 16 to 23). Whoever hashes them up in that order meets the signed root if and only if nothing was changed,
left out, doubled or moved. A path per entry would repeat the tree's upper nodes for each; here every hash stands once, and
a whole range of the log needs none but those at its ends.

Memory does not grow with the extract: rows are read a few thousand at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from django.db import connection

from audit import tree
from audit.exports.archive import LARGEST_MEMBER
from audit.merkle import Subtree
from config.errors import NotFound

Interval = tuple[int, int]
Piece = tuple[bytes, int]
"""Whole lines, and how many."""
CHUNK: Final = 8192
"""Lines from which on a member of the bundle is full; or so many bytes:"""
FULL: Final = 2**24
ROWS: Final = 4096
"""Rows per statement. An entry has at most 65,000 bytes, so they fit into one member whatever they say."""
TOGETHER: Final = 256
"""Gaps whose hashes are looked up at once."""
_AS_ONE: Final = 64
# The text of audit.models.leaf_text, behind the index and the beginning of its hash.
_LINES: Final = """
    SELECT string_agg(
        index || ' ' || encode(substr(leaf_hash, 1, 8), 'hex') || ' {"body":' || canon || ',"stream":{"n":' || stream_n
        || ',"previous":' || coalesce(stream_previous::text, 'null') || '}}', E'\\n' ORDER BY index
    ), count(*) FROM audit_entry"""


def intervals(indices: Iterable[int]) -> list[Interval]:
    """Return the positions as half-open intervals, in order, neighbours joined."""
    found: list[Interval] = []
    for index in sorted(set(indices)):
        if found and found[-1][1] == index:
            found[-1] = (found[-1][0], index + 1)
        else:
            found.append((index, index + 1))
    return found


def union(one: Iterable[Interval], other: Iterable[Interval]) -> list[Interval]:
    """Return what either covers, in order, neighbours joined."""
    found: list[Interval] = []
    for begin, end in sorted((*one, *other)):
        if begin >= end:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def aligned(begin: int, end: int) -> Iterator[Subtree]:
    """Yield the complete subtrees that make up leaves ``begin`` to ``end``, left to right, the largest that fit."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        yield Subtree(level, begin >> level)
        begin += 1 << level


def lines(wanted: Sequence[Interval], size: int) -> Iterator[Piece]:
    """Yield the lines that cover the tree of ``size`` leaves, with the leaves of ``wanted`` in full, some at a time.

    Raises ``NotFound`` if one of these is not in the database (it was pruned), ``tree.TreeDamaged`` for a damaged tree.
    """
    edges = [(0, 0), *wanted, (size, size)]
    gaps = [(before[1], after[0]) for before, after in pairwise(edges)]
    for first in range(0, len(gaps), TOGETHER):
        parts = [list(aligned(begin, end)) for begin, end in gaps[first : first + TOGETHER]]
        hashes = tree.stored([subtree for part in parts for subtree in part]) if any(parts) else {}
        leaves = _leaves(wanted[first : first + TOGETHER])
        for number, part in enumerate(parts, start=first):
            told = [b"^ %d %d %s\n" % (one.level, one.index, hashes[one].hex().encode()) for one in part]
            if told:
                yield b"".join(told), len(told)
            if number < len(wanted):
                yield from next(leaves)


def chunks(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join lines into members, none larger than a member may be."""
    held: list[bytes] = []
    count = length = 0
    for text, number in pieces:
        if held and length + len(text) > LARGEST_MEMBER:
            yield b"".join(held), count
            held, count, length = [], 0, 0
        held.append(text)
        count, length = count + number, length + len(text)
        if count >= CHUNK or length >= FULL:
            yield b"".join(held), count
            held, count, length = [], 0, 0
    if held:
        yield b"".join(held), count


def _leaves(wanted: Sequence[Interval]) -> Iterator[Iterable[Piece]]:
    """Yield for each interval its lines. Short intervals are read together, long ones a part at a time."""
    batch: list[Interval] = []
    for interval in wanted:
        length = interval[1] - interval[0]
        if batch and sum(end - begin for begin, end in batch) + length > ROWS:
            yield from _together(batch)
            batch = []
        if length > ROWS:
            yield _long(interval)
        else:
            batch.append(interval)
    if batch:
        yield from _together(batch)


def _long(interval: Interval) -> Iterator[Piece]:
    for begin in range(interval[0], interval[1], ROWS):
        part = (begin, min(begin + ROWS, interval[1]))
        yield _read([part]), part[1] - part[0]


def _together(batch: Sequence[Interval]) -> Iterator[Iterable[Piece]]:
    rows = iter(_read(batch).split(b"\n"))
    for begin, end in batch:
        yield [(b"".join(next(rows) + b"\n" for _ in range(begin, end)), end - begin)]


def _read(batch: Sequence[Interval]) -> bytes:
    """Read the leaves of a few intervals in one statement, in the form of the lines. Raises ``NotFound``.

    PostgreSQL writes the lines, and sends some dozens as one value, so that nothing of an entry becomes a Python object:
    a row at a time, even by COPY, costs the client more than the disk costs the server.
    """
    where = "index >= %(begin)s AND index < %(end)s" + (" AND index = ANY (%(wanted)s)" if len(batch) > 1 else "")
    wanted = [index for begin, end in batch for index in range(begin, end)] if len(batch) > 1 else []
    given: dict[str, Any] = {"begin": batch[0][0], "end": batch[-1][1], "wanted": wanted}
    with connection.cursor() as cursor:
        cursor.execute(f"{_LINES} WHERE {where} GROUP BY index / {_AS_ONE} ORDER BY index / {_AS_ONE}", given)
        rows = cursor.fetchall()
    text = "".join([f"{lines}\n" for lines, _ in rows]).encode()
    if sum(number for _, number in rows) != sum(end - begin for begin, end in batch):
        there = {int(row.partition(b" ")[0]) for row in text.split(b"\n")[:-1]}
        missing = next(index for begin, end in batch for index in range(begin, end) if index not in there)
        raise NotFound(
            f"Entry {missing} is not in the database any more.",
            code="ledger.no_entry",
            remedy="It was pruned after an export; ask for a period that begins later, or take that export.",
        )
    return text
