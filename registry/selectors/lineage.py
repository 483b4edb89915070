"""Reading lineage: what a thing came from, and what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from django.db import connection

from registry.models import Edge, ModelVersion, Node

CAP: Final = 500
DEPTH: Final = 25
PATIENCE: Final = timedelta(minutes=3)
"""How long after sealing a run that still goes on is waited for."""
_READING: Final = timedelta(seconds=30)
"""How long it may take from then until its lineage was read."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A thing in the graph. ``depth`` is its distance from where the walk began: negative upstream."""

    id: UUID
    kind: str
    namespace: str
    name: str
    version: str
    depth: int
    digests: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """From data to product."""

    src: UUID
    dst: UUID
    relation: str
    context: str
    run: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Part of the lineage, in a fixed order. ``truncated`` says that there is more than was asked for."""

    nodes: tuple[GraphNode, ...] = ()
    edges: tuple[GraphEdge, ...] = ()
    truncated: bool = False


def node_of(version: ModelVersion) -> Node | None:
    """The node of a version, if lineage was recorded for it."""
    return Node.objects.filter(kind=Node.Kind.VERSION, namespace=f"version:{version.pk}").first()


def is_settled(version: ModelVersion, *, at: datetime) -> bool:
    """Whether what is known of a version's origin can be relied on to stay: it was read, or nobody waits for it any more.

    A version that names no run has what was said at its registration. That of a run is read once the run has ended, or
    ``PATIENCE`` after sealing.
    """
    if not version.run_id and not version.logged_model_id:
        return True
    waited = version.sealed_at is not None and at - version.sealed_at >= PATIENCE + _READING
    return waited or node_of(version) is not None


def upstream(node: Node, depth: int = DEPTH, cap: int = CAP) -> Graph:
    """What ``node`` came from: at most ``cap`` nodes, the nearest first, at most ``depth`` steps away."""
    return _graph(*_walk(node, "up", depth, cap))


def downstream(node: Node, depth: int = DEPTH, cap: int = CAP) -> Graph:
    """What came of ``node``: at most ``cap`` nodes, the nearest first, at most ``depth`` steps away."""
    return _graph(*_walk(node, "down", depth, cap))


def around(node: Node, depth: int = DEPTH, cap: int = CAP) -> Graph:
    """Both ways in one graph."""
    above, above_cut = _walk(node, "up", depth, cap)
    below, below_cut = _walk(node, "down", depth, cap)
    return _graph({**above, **below}, above_cut or below_cut)


def _walk(node: Node, way: Literal["up", "down"], depth: int, cap: int) -> tuple[dict[UUID, int], bool]:
    """Distances of the nodes within reach.

    The recursion carries the id alone, so UNION ends it on any graph, also one with cycles; PostgreSQL goes breadth
    first, so LIMIT keeps the nearest. Distances are then counted over the edges between what was found. An edge with
    a retraction beside it does not count.
    """
    near, far = ("dst_id", "src_id") if way == "up" else ("src_id", "dst_id")
    query = f"""
        WITH RECURSIVE walk(id) AS (
            SELECT %s::uuid
            UNION
            SELECT e.{far} FROM walk JOIN registry_edge e ON e.{near} = walk.id
            WHERE NOT EXISTS (
                SELECT 1 FROM registry_edge r
                WHERE r.src_id = e.src_id AND r.dst_id = e.dst_id AND r.relation = 'retracts'
            )
        ) SELECT id FROM walk LIMIT %s
    """  # noqa: S608 - the two column names are ours
    with connection.cursor() as cursor:
        cursor.execute(query, [node.pk, cap + 1])
        reached = [row[0] for row in cursor.fetchall()]
    cut = len(reached) > cap
    distances = _distances(node.pk, set(reached[:cap]), way)
    within = {key: distance for key, distance in distances.items() if distance <= depth}
    sign = -1 if way == "up" else 1
    return {key: sign * distance for key, distance in within.items()}, cut or len(within) < len(distances)


def _distances(start: UUID, known: set[UUID], way: Literal["up", "down"]) -> dict[UUID, int]:
    steps: dict[UUID, list[UUID]] = {}
    for src, dst in Edge.objects.filter(src__in=known, dst__in=known).values_list("src_id", "dst_id"):
        here, there = (dst, src) if way == "up" else (src, dst)
        steps.setdefault(here, []).append(there)
    found, frontier = {start: 0}, [start]
    while frontier:
        beyond = []
        for key in frontier:
            for other in steps.get(key, []):
                if other not in found:
                    found[other] = found[key] + 1
                    beyond.append(other)
        frontier = beyond
    return found


def _graph(depths: dict[UUID, int], truncated: bool) -> Graph:  # noqa: FBT001
    rows = Node.objects.in_bulk(list(depths))
    sealed = _manifest_digests(rows.values())
    nodes = tuple(
        GraphNode(
            id=row.pk,
            kind=row.kind,
            namespace=row.namespace,
            name=row.name,
            version=row.version,
            depth=depths[row.pk],
            digests=row.digests | sealed.get(row.namespace, {}),
            facts=row.facts,
        )
        for row in sorted(rows.values(), key=lambda row: (depths[row.pk], row.kind, row.name, row.version, str(row.pk)))
    )
    between = Edge.objects.filter(src__in=list(depths), dst__in=list(depths)).order_by(
        "src", "dst", "relation", "context"
    )
    edges = tuple(
        GraphEdge(src=edge.src_id, dst=edge.dst_id, relation=edge.relation, context=edge.context, run=edge.run)
        for edge in between
    )
    return Graph(nodes=nodes, edges=edges, truncated=truncated)


def _manifest_digests(rows: Iterable[Node]) -> dict[str, dict[str, str]]:
    """Digests of the versions among the nodes, by namespace. A node may be older than the seal, so it may not know."""
    keys = [row.namespace.removeprefix("version:") for row in rows if row.namespace.startswith("version:")]
    known = ModelVersion.objects.filter(pk__in=keys).exclude(manifest_digest="").values_list("pk", "manifest_digest")
    return {f"version:{key}": {"sha256": digest} for key, digest in known}
