"""Lineage as one person may see it: what belongs to a model they may not see keeps its place and loses its name."""

from dataclasses import replace
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from registry.models import DatasetVersion, ModelVersion, Node, User
from registry.querysets import VIEW
from registry.selectors.lineage import Graph, GraphNode, around

HIDDEN: Final = "A model you may not see"
_PREFIX: Final = "version:"


def as_seen_by(user: User, graph: Graph) -> Graph:
    """``graph`` with the versions of invisible models reduced to their place in it."""
    if user.has_perm(VIEW):
        return graph
    keys = [node.namespace.removeprefix(_PREFIX) for node in graph.nodes if _is_ours(node)]
    seen = {str(pk) for pk in ModelVersion.objects.filter(pk__in=_uuids(keys)).visible_to(user).values_list("pk", flat=True)}
    return replace(graph, nodes=tuple(_seen(node, seen) for node in graph.nodes))


def _seen(node: GraphNode, visible: set[str]) -> GraphNode:
    if not _is_ours(node) or node.namespace.removeprefix(_PREFIX) in visible:
        return node
    return replace(node, namespace="", name=HIDDEN, version="", digests={}, facts={})


def _is_ours(node: GraphNode) -> bool:
    """Whether the node is a version registered here, not a base model from elsewhere that a client named."""
    return node.kind == Node.Kind.VERSION and node.namespace.startswith(_PREFIX)


def _uuids(keys: list[str]) -> list[UUID]:
    return [UUID(key) for key in keys]


def may_see(user: User, node: Node) -> bool:
    """Whether the person may open the node: everybody with a role on every model; else through a version they see."""
    if user.has_perm(VIEW):
        return True
    graph = as_seen_by(user, around(node))
    return any(part.kind == Node.Kind.VERSION and part.name != HIDDEN for part in graph.nodes)


def nodes_for(user: User, text: str) -> QuerySet[Node]:
    """Data sets and versions to start a walk from, newest first: by name, only what belongs to visible models."""
    found = Node.objects.filter(kind__in=[Node.Kind.DATASET, Node.Kind.VERSION])
    if text:
        found = found.filter(Q(name__icontains=text) | Q(version__iexact=text))
    if user.has_perm(VIEW):
        return found
    visible = [f"{_PREFIX}{pk}" for pk in ModelVersion.objects.visible_to(user).values_list("pk", flat=True)[:5000]]
    return found.filter(Q(namespace__in=visible) | Q(out_edges__dst__namespace__in=visible)).distinct()


def versions_by_node(graph: Graph) -> dict[UUID, ModelVersion]:
    """The versions behind the nodes of a graph, by node id."""
    keys = {
        node.namespace.removeprefix(_PREFIX): node.id
        for node in graph.nodes
        if _is_ours(node)
    }
    rows = ModelVersion.objects.filter(pk__in=_uuids(list(keys))).select_related("model").prefetch_related("aliases")
    return {keys[str(version.pk)]: version for version in rows}


def datasets_by_digest(graph: Graph) -> dict[str, DatasetVersion]:
    """Our sealed data set versions among the nodes, by SHA-256."""
    digests = [node.digests["sha256"] for node in graph.nodes if "sha256" in node.digests]
    rows = DatasetVersion.objects.filter(digest__in=digests).select_related("dataset")
    return {row.digest: row for row in rows}
