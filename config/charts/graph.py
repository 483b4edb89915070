"""Where the nodes and edges of a lineage graph stand: a small layered layout.

Four steps, each a pure function: break cycles, give every node a layer (longest path, then pull a source
next to what it feeds), order the layers by barycentre so that few edges cross, and place the layers so that
neighbours are as level as their distances permit.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

NODE_WIDTH, NODE_HEIGHT = 190, 46
LAYER_GAP, NODE_GAP, BEND_HEIGHT = 84, 20, 12
MARGIN = 4
SWEEPS = 12


@dataclass(frozen=True, slots=True)
class Node:
    """One object of the graph.

    ``kind`` is an icon of the sprite ("k-data", "k-run", "k-code", "k-env", "k-model", "k-deploy").
    ``state`` is "root" (what the graph is about), "hit" (connected to it) or "off" (shown for context).
    ``steps`` is the distance to the root, ``flag`` a short word such as "live".
    """

    id: str
    name: str
    sub: str = ""
    kind: str = "k-data"
    label: str = ""
    href: str = ""
    state: str = "hit"
    steps: int | None = None
    flag: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from what came first to what was made from it."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A node with the corner where it stands and the ids that its edges lead to and come from."""

    node: Node
    x: int
    y: int
    to: tuple[str, ...]
    came: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlacedEdge:
    """The curve of an edge, its arrow head, and whether both ends belong to the answer."""

    path: str
    tip: str
    hit: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A drawing ready to be rendered; ``nodes`` stand in reading order: left to right, top to bottom."""

    nodes: tuple[PlacedNode, ...]
    edges: tuple[PlacedEdge, ...]
    width: int
    height: int


def layout(nodes: Sequence[Node], edges: Iterable[Edge]) -> Layout:
    """Place every node and edge. The same input gives the same drawing.

    Parallel edges are drawn once, edges from a node to itself not at all. Raises ``ValueError`` if two nodes
    share an id or an edge names a node that is not there.
    """
    by_id = {node.id: node for node in nodes}
    if len(by_id) != len(nodes):
        raise ValueError("two nodes of the graph share an id")
    pairs = list(dict.fromkeys((edge.source, edge.target) for edge in edges if edge.source != edge.target))
    for source, target in pairs:
        if source not in by_id or target not in by_id:
            raise ValueError(f"the edge {source!r} -> {target!r} names a node that is not in the graph")
    layer = layers([*by_id], pairs)
    ordered, chains = _rows(layer, pairs)
    heights = _heights(ordered, chains, by_id)
    x_of = {index: MARGIN + index * (NODE_WIDTH + LAYER_GAP) for index in range(len(ordered))}
    placed = tuple(
        PlacedNode(
            node=by_id[name],
            x=x_of[layer[name]],
            y=round(heights[name] - NODE_HEIGHT / 2),
            to=tuple(target for source, target in pairs if source == name),
            came=tuple(source for source, target in pairs if target == name),
        )
        for row in ordered
        for name in row
        if name in by_id
    )
    drawn = tuple(
        _curve(chain, x_of, layer, heights, back=chain[0] != source, hit=_belongs(by_id[source], by_id[target]))
        for (source, target), chain in chains.items()
    )
    width = MARGIN * 2 + max(0, len(ordered) * (NODE_WIDTH + LAYER_GAP) - LAYER_GAP)
    height = max((round(y) for y in heights.values()), default=0) + NODE_HEIGHT // 2 + MARGIN
    return Layout(placed, drawn, width, height)


def layers(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the column of each node: every edge of an acyclic graph leads at least one column to the right."""
    forward = _without_cycles(names, pairs)
    into: dict[str, list[str]] = defaultdict(list)
    out: dict[str, list[str]] = defaultdict(list)
    for source, target in forward:
        into[target].append(source)
        out[source].append(target)
    layer: dict[str, int] = {}
    waiting = {name: len(into[name]) for name in names}
    ready = [name for name in names if not waiting[name]]
    for name in ready:  # grows while it is read: Kahn's order
        layer[name] = 1 + max((layer[before] for before in into[name]), default=-1)
        for after in out[name]:
            waiting[after] -= 1
            if not waiting[after]:
                ready.append(after)
    for name in names:
        if not into[name] and out[name]:
            layer[name] = min(layer[after] for after in out[name]) - 1
    return layer


def _without_cycles(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Turn around the edges that close a cycle, found by a depth-first walk, so that a layer order exists."""
    out: dict[str, list[str]] = defaultdict(list)
    for source, target in pairs:
        out[source].append(target)
    open_, done = set[str](), set[str]()
    closing = set[tuple[str, str]]()
    for start in names:
        if start in done:
            continue
        walk = [(start, iter(out[start]))]
        open_.add(start)
        while walk:
            name, following = walk[-1]
            after = next(following, None)
            if after is None:
                walk.pop()
                open_.discard(name)
                done.add(name)
            elif after in open_:
                closing.add((name, after))
            elif after not in done:
                open_.add(after)
                walk.append((after, iter(out[after])))
    turned = [(target, source) if (source, target) in closing else (source, target) for source, target in pairs]
    return list(dict.fromkeys(turned))


Chains = dict[tuple[str, str], list[str]]
"""The nodes and bends that each edge passes through, from left to right."""


def _rows(layer: Mapping[str, int], pairs: Sequence[tuple[str, str]]) -> tuple[list[list[str]], Chains]:
    """Return the ordered columns, with a bend in each column that an edge passes through, and the edges' chains."""
    rows: list[list[str]] = [[] for _ in range(1 + max(layer.values(), default=-1))]
    for name, column in layer.items():
        rows[column].append(name)
    chains: Chains = {}
    near: dict[str, list[str]] = defaultdict(list)
    for number, (source, target) in enumerate(pairs):
        first, last = sorted((source, target), key=lambda name: layer[name])
        bends = [f"\0{number}.{column}" for column in range(layer[first] + 1, layer[last])]
        for column, bend in enumerate(bends, layer[first] + 1):
            rows[column].append(bend)
        chain = [first, *bends, last]
        chains[source, target] = chain
        for one, other in pairwise(chain):
            near[one].append(other)
            near[other].append(one)
    for sweep in range(SWEEPS):
        order = range(1, len(rows)) if sweep % 2 == 0 else range(len(rows) - 2, -1, -1)
        for column in order:
            beside = rows[column - 1 if sweep % 2 == 0 else column + 1]
            rank = {name: float(index) for index, name in enumerate(beside)}
            weight = {
                name: _mean([rank[other] for other in near[name] if other in rank], float(index))
                for index, name in enumerate(rows[column])
            }
            rows[column].sort(key=weight.__getitem__)
    return rows, chains


def _heights(rows: Sequence[Sequence[str]], chains: Chains, real: Mapping[str, Node]) -> dict[str, float]:
    """Return the middle height of every node and bend: level with its neighbours as far as the gaps permit."""
    near: dict[str, list[str]] = defaultdict(list)
    for chain in chains.values():
        for one, other in pairwise(chain):
            near[one].append(other)
            near[other].append(one)
    heights: dict[str, float] = {}
    spaced = [_spacing(row, real) for row in rows]
    for row, offsets in zip(rows, spaced, strict=True):
        heights.update(zip(row, offsets, strict=True))
    for sweep in range(SWEEPS * 2):
        order = range(len(rows)) if sweep % 2 == 0 else range(len(rows) - 1, -1, -1)
        for column in order:
            wanted = [_mean([heights[other] for other in near[name]], heights[name]) for name in rows[column]]
            heights.update(zip(rows[column], _apart(wanted, spaced[column]), strict=True))
    top = min(heights.values(), default=0) - NODE_HEIGHT / 2 - MARGIN
    return {name: y - top for name, y in heights.items()}


def _spacing(row: Sequence[str], real: Mapping[str, Node]) -> list[float]:
    """Return the closest permitted heights of a column, one above the other."""
    offsets: list[float] = []
    before = 0.0
    for name in row:
        half = (NODE_HEIGHT if name in real else BEND_HEIGHT) / 2
        offsets.append(half if not offsets else offsets[-1] + before + NODE_GAP + half)
        before = half
    return offsets


def _apart(wanted: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """Return the heights nearest to ``wanted`` (least squares) that keep the distances of ``offsets``.

    Pool adjacent violators: what would overlap moves as one block to the mean of its wishes.
    """
    blocks: list[tuple[float, int]] = []
    for wish, offset in zip(wanted, offsets, strict=True):
        total, size = wish - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / size:
            before, count = blocks.pop()
            total, size = total + before, size + count
        blocks.append((total, size))
    shifts = [total / size for total, size in blocks for _ in range(size)]
    return [shift + offset for shift, offset in zip(shifts, offsets, strict=True)]


def _curve(
    chain: Sequence[str],
    x_of: Mapping[int, int],
    layer: Mapping[str, int],
    heights: Mapping[str, float],
    *,
    back: bool,
    hit: bool,
) -> PlacedEdge:
    """Draw one edge from the right side of its first node through its bends to the left side of its last.

    The arrow head stands at the last node; at the first if the edge leads ``back``, closing a cycle.
    """
    column = layer[chain[0]]
    x, y = x_of[column] + NODE_WIDTH, round(heights[chain[0]])
    path = [f"M{x} {y}"]
    tip = f"M{x + 6} {y - 4}L{x} {y}L{x + 6} {y + 4}Z"
    for step, name in enumerate(chain[1:], 1):
        next_x, next_y = x_of[column + step], round(heights[name])
        last = step == len(chain) - 1
        end = next_x - 6 if last else next_x
        middle = (x + end) // 2
        path.append(f"H{end}" if next_y == y else f"C{middle} {y} {middle} {next_y} {end} {next_y}")
        if not last:
            path.append(f"H{next_x + NODE_WIDTH}")
            next_x += NODE_WIDTH
        x, y = next_x, next_y
    return PlacedEdge("".join(path), tip if back else f"M{x - 6} {y - 4}L{x} {y}L{x - 6} {y + 4}Z", hit)


def _belongs(*ends: Node) -> bool:
    return all(node.state != "off" for node in ends)


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
