"""The log part of a bundle: the entries asked for, and of everything between them one hash per complete subtree.

Read from left to right, the lines cover the whole tree, each leaf once: ``17 <hex> {"body":…}`` is leaf 17 with the first
eight bytes of its hash (to name it, should it be changed), ``^ 3 2 <hex>`` the hash of the complete subtree of level 3 and
index 2 (leaves 16 to 23). Whoever hashes them up in that order meets the signed root if and only if nothing was changed,
left out, doubled or moved. A path per entry would repeat the tree's upper nodes for each; here every hash stands once, and
a whole range of the log needs none but those at its ends.

Memory does not grow with the extract: rows are read a few thousand at a time, by ``COPY``.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from django.db import connection

from audit import tree
from audit.merkle import Subtree
from config.errors import NotFound

Interval = tuple[int, int]
CHUNK: Final = 8192
"""Lines per member of the bundle, and rows per statement: some ten megabytes at most."""
TOGETHER: Final = 256
"""Gaps whose hashes are looked up at once."""


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


def lines(wanted: Sequence[Interval], size: int) -> Iterator[bytes]:
    """Yield the lines that cover the tree of ``size`` leaves, with the leaves of ``wanted`` in full.

    Raises ``NotFound`` if one of these is not in the database (it was pruned), ``tree.TreeDamaged`` for a damaged tree.
    """
    edges = [(0, 0), *wanted, (size, size)]
    gaps = [(before[1], after[0]) for before, after in pairwise(edges)]
    for first in range(0, len(gaps), TOGETHER):
        some = gaps[first : first + TOGETHER]
        parts = [list(aligned(begin, end)) for begin, end in some]
        hashes = tree.stored([subtree for part in parts for subtree in part]) if any(parts) else {}
        leaves = _leaves([*wanted[first : first + TOGETHER]])
        for number, part in enumerate(parts, start=first):
            for subtree in part:
                yield b"^ %d %d %s\n" % (subtree.level, subtree.index, hashes[subtree].hex().encode())
            if number < len(wanted):
                begin, end = wanted[number]
                for _ in range(begin, end):
                    yield next(leaves)


def chunks(some: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines into members of ``CHUNK`` lines."""
    held: list[bytes] = []
    for line in some:
        held.append(line)
        if len(held) == CHUNK:
            yield b"".join(held)
            held = []
    if held:
        yield b"".join(held)


def _leaves(wanted: Sequence[Interval]) -> Iterator[bytes]:
    """Yield the line of every leaf of the intervals, in order."""
    batch: list[Interval] = []
    room = CHUNK
    for begin, end in wanted:
        place = begin
        while place < end:
            stop = min(end, place + room)
            batch.append((place, stop))
            room -= stop - place
            place = stop
            if not room:
                yield from _copied(batch)
                batch, room = [], CHUNK
    if batch:
        yield from _copied(batch)


def _copied(batch: Sequence[Interval]) -> list[bytes]:
    """Read the leaves of a few intervals in one statement, in the form of the lines. Raises ``NotFound``.

    ``COPY`` writes text with each backslash doubled; control characters cannot occur in canonical JSON. So undoing that is
    all it takes, and nothing of an entry becomes a Python object.
    """
    expected = sum(end - begin for begin, end in batch)
    rows: list[bytes] = []
    with connection.cursor() as cursor, cursor.copy(_statement(batch)) as copied:
        rows.extend(bytes(row).replace(b"\\\\", b"\\") for row in copied)
    if len(rows) != expected:
        there = {int(row.partition(b" ")[0]) for row in rows}
        missing = next(index for begin, end in batch for index in range(begin, end) if index not in there)
        raise NotFound(
            f"Entry {missing} is not in the database any more.",
            code="ledger.no_entry",
            remedy="It was pruned after an export; ask for a period that begins later, or take that export.",
        )
    return rows


def _statement(batch: Sequence[Interval]) -> str:
    if len(batch) == 1:
        where = f"index >= {batch[0][0]:d} AND index < {batch[0][1]:d}"
    else:
        wanted = ",".join(str(int(index)) for begin, end in batch for index in range(begin, end))
        where = f"index = ANY ('{{{wanted}}}'::bigint[])"
    # The text of audit.models.leaf_text. Only integers of ours are put into it.
    return (
        "COPY (SELECT index || ' ' || encode(substr(leaf_hash, 1, 8), 'hex') || ' "  # noqa: S608
        """{"body":' || canon || ',"stream":{"n":' || stream_n || ',"previous":' """
        "|| coalesce(stream_previous::text, 'null') || '}}' "
        f"FROM audit_entry WHERE {where} ORDER BY index) TO STDOUT"
    )
