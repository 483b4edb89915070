"""Lineage as one person may see it: what belongs only to models they may not see keeps its place and loses its name.

What a visible version was made from belongs to it: its run, data, code, environment. So a walk against the edges from
every visible version finds what may be named. The walk stops at versions of invisible models: what *those* were made
from is theirs. A deployment is named with the version that it serves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat

from registry.models import Edge, ModelVersion, Node, User
from registry.reach import VIEW, codename_of, everywhere
from registry.selectors.lineage import Graph, GraphEdge, GraphNode, around

HIDDEN: Final = "Belongs to a model you may not see"
_PREFIX: Final = "version:"


def as_seen_by(user: User, graph: Graph) -> Graph:
    """``graph`` with everything that belongs only to invisible models reduced to its place in it."""
    if _sees_all(user):
        return graph
    sight = _in_sight(user, graph)
    return replace(graph, nodes=tuple(node if node.id in sight else _hidden(node) for node in graph.nodes))


def may_see(user: User, node: Node) -> bool:
    """Whether the person may open the node: everybody with a role on every model; else through a version they see."""
    return _sees_all(user) or node.pk in _in_sight(user, around(node))


def nodes_for(user: User, text: str) -> QuerySet[Node]:
    """Data sets and versions to start a walk from: by name, only what a visible version is or was made from directly."""
    found = Node.objects.filter(kind__in=[Node.Kind.DATASET, Node.Kind.VERSION])
    if text:
        found = found.filter(Q(name__icontains=text) | Q(version__iexact=text))
    if _sees_all(user):
        return found
    visible = ModelVersion.objects.alive().visible_to(user)
    keys = visible.values_list(Concat(Value(_PREFIX), Cast("pk", TextField()), output_field=TextField()), flat=True)
    made = Edge.objects.filter(src=OuterRef("pk"))
    direct, by_run = made.filter(dst__namespace__in=keys), made.filter(dst__out_edges__dst__namespace__in=keys)
    return found.filter(Q(namespace__in=keys) | Exists(direct) | Exists(by_run))


def versions_by_node(graph: Graph) -> dict[UUID, ModelVersion]:
    """The living versions behind the nodes of a graph, by node id."""
    keys = {_key(node): node.id for node in graph.nodes if _is_ours(node)}
    rows = ModelVersion.objects.alive().filter(pk__in=list(keys)).select_related("model").prefetch_related("aliases")
    return {keys[version.pk]: version for version in rows}


def _sees_all(user: User) -> bool:
    return codename_of(VIEW) in everywhere(user)


def _in_sight(user: User, graph: Graph) -> set[UUID]:
    ours = {_key(node): node.id for node in graph.nodes if _is_ours(node)}
    visible = ModelVersion.objects.filter(pk__in=list(ours)).visible_to(user).values_list("pk", flat=True)
    seen = {ours[key] for key in visible}
    sight = _ancestors(seen, graph.edges, stop=set(ours.values()) - seen)
    kinds: Mapping[UUID, str] = {node.id: node.kind for node in graph.nodes}
    return sight | {
        edge.dst for edge in graph.edges if edge.src in seen and kinds.get(edge.dst) == Node.Kind.DEPLOYMENT
    }


def _ancestors(start: set[UUID], edges: Iterable[GraphEdge], *, stop: set[UUID]) -> set[UUID]:
    """``start`` and everything that leads there without passing through ``stop``."""
    sources: dict[UUID, list[UUID]] = {}
    for edge in edges:
        sources.setdefault(edge.dst, []).append(edge.src)
    found, frontier = set(start), list(start)
    while frontier:
        for source in sources.get(frontier.pop(), []):
            if source not in found and source not in stop:
                found.add(source)
                frontier.append(source)
    return found


def _hidden(node: GraphNode) -> GraphNode:
    return replace(node, namespace="", name=HIDDEN, version="", digests={}, facts={})


def _is_ours(node: GraphNode) -> bool:
    """Whether the node is a version registered here, not a base model from elsewhere that a client named."""
    return node.kind == Node.Kind.VERSION and node.namespace.startswith(_PREFIX)


def _key(node: GraphNode) -> UUID:
    return UUID(node.namespace.removeprefix(_PREFIX))
