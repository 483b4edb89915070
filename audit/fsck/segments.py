"""A stretch of the log against its tree and its checkpoints. Stretches are independent, so processes can share them.

The tree before a stretch is taken as stored. That is sound because every stored node is compared with what is below it
by the stretch that it lies in: if no stretch finds anything wrong, the whole tree is the one that the entries give.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connection
from psycopg import sql

from audit import keys, notes, tree
from audit.fsck import entries
from audit.fsck.report import ROOT_DIFFERS, Report
from audit.guard import Head
from audit.merkle import HASH_SIZE, Frontier
from audit.tree import TILE_HEIGHT, TILE_WIDTH

WIDTH: Final = 2**16
"""Leaves of the largest stretch: those under one node of level 16."""
_STEP: Final = 8192
_PIECE: Final = 4096
_COLUMNS: Final = sql.SQL(", ").join(map(sql.Identifier, entries.COLUMNS))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries ``low`` to ``high``, without it; ``low`` begins a tile and no multiple of ``WIDTH`` lies in between.

    The texts of the entries below ``kept`` were dropped; of them the tree's own leaf hashes are what there is.
    """

    low: int
    high: int
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """What the entries are compared with besides the tree: who signed, and what the guard file remembers."""

    key: Ed25519PublicKey
    remembered: Head | None = None
    guard: str = ""


@dataclass(slots=True)
class _Work:
    stretch: Stretch
    expected: Expected
    report: Report
    edge: Frontier | None
    nodes: dict[int, tuple[bytes, bytes]]
    checkpoints: list[tuple[int, bytes, str]]
    before: int
    origin: str
    roots: list[bytes] = field(default_factory=list)
    next: int = 0


def check(stretch: Stretch, expected: Expected, progress: Callable[[int], None] = lambda _: None) -> Report:
    """Check one stretch in the transaction that is open and return what was found."""
    work = _begin(stretch, expected)
    rows = _rows(stretch)
    row = next(rows, None)
    for start in range(stretch.low, stretch.high, TILE_WIDTH):
        end = min(start + TILE_WIDTH, stretch.high)
        leaves: list[bytes | None] = []
        if end <= stretch.kept:
            leaves = [*_children(work.nodes, start, end)]
        else:
            for index in range(start, end):
                if row is not None and row[0] == index:
                    leaves.append(entries.check(row, work.report))
                    work.report.entries += 1
                    row = next(rows, None)
                else:
                    leaves.append(None)
        _tile(work, start, end, leaves, row[0] if row else None)
        if end % _STEP == 0:
            progress(_STEP)
    progress(stretch.high % _STEP)
    _node_16(work)
    return work.report


def _begin(stretch: Stretch, expected: Expected) -> _Work:
    first = stretch.low // WIDTH * WIDTH // TILE_WIDTH
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT index, hash, children FROM audit_node WHERE level = 8 AND index >= %s AND index < %s",
            [first, stretch.high // TILE_WIDTH],
        )
        nodes = {int(index): (bytes(digest), bytes(children)) for index, digest, children in cursor.fetchall()}
        cursor.execute(
            "SELECT size, root, note FROM audit_checkpoint WHERE size > %s AND size <= %s ORDER BY size",
            [stretch.low, stretch.high],
        )
        checkpoints = [(int(size), bytes(root), str(note)) for size, root, note in cursor.fetchall()]
        cursor.execute("SELECT coalesce(max(size), 0) FROM audit_checkpoint WHERE size <= %s", [stretch.low])
        (before,) = cursor.fetchone()
    work = _Work(stretch, expected, Report(), _load(stretch.low), nodes, checkpoints, before, keys.origin(expected.key))
    work.roots = [nodes[index][0] for index in range(first, stretch.low // TILE_WIDTH) if index in nodes]
    return work


def _load(size: int) -> Frontier | None:
    """The edge of the stored tree, or None if rows of it are missing, which their own stretch reports."""
    try:
        return Frontier.load(size, tree.stored)
    except tree.TreeDamaged:
        return None


def _rows(stretch: Stretch) -> Iterator[entries.Row]:
    """The entries, as PostgreSQL's COPY sends them: no other way is as fast.

    A piece at a time is read whole, so that nobody else's statement ever meets a connection that is busy with it.
    """
    for begin in range(max(stretch.low, stretch.kept), stretch.high, _PIECE):
        statement = sql.SQL(
            "COPY (SELECT {} FROM audit_entry WHERE index >= {} AND index < {} ORDER BY index) TO STDOUT (FORMAT BINARY)"
        ).format(_COLUMNS, begin, min(begin + _PIECE, stretch.high))
        connection.ensure_connection()
        with connection.connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(list(entries.TYPES))
            piece = list(copy.rows())
        yield from piece


def _children(nodes: dict[int, tuple[bytes, bytes]], start: int, end: int) -> list[bytes | None]:
    """The leaf hashes that the tree holds, None where it holds none."""
    stored = nodes.get(start // TILE_WIDTH, (b"", b""))[1]
    cut = [stored[place : place + HASH_SIZE] for place in range(0, (end - start) * HASH_SIZE, HASH_SIZE)]
    return [one if len(one) == HASH_SIZE else None for one in cut]


def tile_root(hashes: list[bytes]) -> bytes:
    """The root over 256 hashes, or any power of two of them."""
    sha256 = hashlib.sha256
    while len(hashes) > 1:
        hashes = [
            sha256(b"\x01" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)
        ]
    return hashes[0]


def _tile(work: _Work, start: int, end: int, leaves: list[bytes | None], following: int | None) -> None:
    """Compare what was found of a tile with the tree; go on with what the entries give, or if need be with the tree."""
    report, index = work.report, start // TILE_WIDTH
    stored = _children(work.nodes, start, end)
    known: list[bytes] = []
    missing = [place for place, leaf in enumerate(leaves) if leaf is None]
    for begin, finish in _runs(missing):
        then = start + finish + 1 if finish + 1 < len(leaves) else following
        what = f"missing: the next stored index is {then}" if then is not None else "missing"
        report.add(f"entry {start + begin}", what)
    for place, leaf in enumerate(leaves):
        there = stored[place]
        if leaf is not None and there is not None and leaf != there:
            report.add(
                f"entry {start + place}", "changed since it was integrated: the tree holds another leaf hash for it"
            )
        one = leaf if leaf is not None else there
        if one is not None:
            known.append(one)
    whole = len(known) == end - start
    root = tile_root(known) if whole and end - start == TILE_WIDTH else None
    _node_8(work, index, root, full=end - start == TILE_WIDTH)
    _grow(work, start, end, known if whole else None, root)


def _runs(places: list[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of each run of neighbours."""
    begin = 0
    for place, here in enumerate(places):
        if place + 1 == len(places) or places[place + 1] != here + 1:
            yield places[begin], here
            begin = place + 1


def _node_8(work: _Work, index: int, root: bytes | None, *, full: bool) -> None:
    if not full:
        return
    where = f"tree node {TILE_HEIGHT}/{index}"
    node = work.nodes.get(index)
    if node is None:
        work.report.add(where, "missing")
    elif root is not None and node[0] != root:
        work.report.add(where, "is not the root of the entries below it")
    if node is not None and len(node[1]) != TILE_WIDTH * HASH_SIZE:
        work.report.add(where, f"has {len(node[1])} bytes of hashes, not {TILE_WIDTH * HASH_SIZE}")
    if (known := root or (node[0] if node else None)) is not None:
        work.roots.append(known)


def _grow(work: _Work, start: int, end: int, leaves: list[bytes] | None, root: bytes | None) -> None:
    """Grow the edge by a tile, comparing it with what was signed on the way."""
    wanted = {work.expected.remembered.size} if work.expected.remembered else set()
    inner = any(start < size < end for size in wanted) or (
        work.next < len(work.checkpoints) and work.checkpoints[work.next][0] < end
    )
    if work.edge is not None and leaves is not None and root is not None and not inner:
        work.edge.extend(TILE_HEIGHT, root)
        _compare(work, end)
    else:
        for place in range(start, end):
            if work.edge is not None and leaves is not None:
                work.edge.extend(0, leaves[place - start])
            else:
                work.edge = None  # what is missing is reported; the next stretch begins with the stored tree again
            _compare(work, place + 1)


def _compare(work: _Work, size: int) -> None:
    remembered = work.expected.remembered
    if remembered is not None and remembered.size == size and work.edge and work.edge.root() != remembered.root:
        work.report.add(f"entries 0 to {size - 1}", f"not those that {work.expected.guard} remembers as signed")
    while work.next < len(work.checkpoints) and work.checkpoints[work.next][0] == size:
        _checkpoint(work, *work.checkpoints[work.next])
        work.next += 1


def _checkpoint(work: _Work, size: int, root: bytes, note: str) -> None:
    where, report, before = f"checkpoint {size}", work.report, work.before
    work.report.checkpoints += 1
    work.before = size
    try:
        signed = notes.verify_checkpoint(note, work.origin, work.expected.key)
    except notes.BadNote as error:
        report.add(where, f"signature: {error}")
        return
    if (signed.size, signed.root) != (size, root):
        report.add(where, "its columns differ from its signed note")
    if work.edge is None or signed.root == work.edge.root():
        return
    if not any(problem.what.startswith(ROOT_DIFFERS) for problem in report.problems):
        span = f"entry {before}" if size - before == 1 else f"one of the entries {before} to {size - 1}"
        report.add(where, f"{ROOT_DIFFERS}: {span}, or an earlier one, was changed, added or removed")


def _node_16(work: _Work) -> None:
    """The node over the whole stretch, if it completes one."""
    stretch = work.stretch
    if stretch.high % WIDTH or len(work.roots) != TILE_WIDTH:
        return
    compare_node(work.report, 16, stretch.high // WIDTH - 1, work.roots)


def compare_node(report: Report, level: int, index: int, below: list[bytes]) -> None:
    """Compare a stored node with the 256 roots that should be its children."""
    where = f"tree node {level}/{index}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT hash, children FROM audit_node WHERE level = %s AND index = %s", [level, index])
        found: tuple[Any, Any] | None = cursor.fetchone()
    if found is None:
        report.add(where, "missing")
        return
    stored = bytes(found[1])
    for place, child in enumerate(below):
        if stored[place * HASH_SIZE : (place + 1) * HASH_SIZE] != child:
            report.add(where, f"child {index * TILE_WIDTH + place} is not the root of the nodes below it")
    if bytes(found[0]) != tile_root(below):
        report.add(where, "is not the root of the entries below it")
