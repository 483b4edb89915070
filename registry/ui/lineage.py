"""A lineage graph as a page shows it: nodes and edges for the drawing, rows for the table that says the same."""

from typing import Final
from uuid import UUID

from django.urls import reverse

from config.charts import graph as chart
from registry.models import ModelVersion, Node, User
from registry.selectors.lineage import Graph, GraphNode, around, node_of
from registry.selectors.lineage_seen import as_seen_by, versions_by_node

ICONS: Final = {
    Node.Kind.DATASET: "k-data",
    Node.Kind.CODE: "k-code",
    Node.Kind.ENVIRONMENT: "k-env",
    Node.Kind.RUN: "k-run",
    Node.Kind.VERSION: "k-model",
    Node.Kind.DEPLOYMENT: "k-deploy",
}
SHOWN: Final = 120


def drawing_of_version(version: ModelVersion, user: User) -> dict[str, object]:
    """Context for the lineage of a version: empty lists when none is recorded yet."""
    node = node_of(version)
    return drawing(node, user) if node else {"nodes": [], "edges": [], "rows": [], "truncated": False}


def drawing(root: Node, user: User) -> dict[str, object]:
    """Context for the lineage around a node: ``nodes`` and ``edges`` of the drawing, ``rows`` of the table."""
    graph = as_seen_by(user, around(root, cap=SHOWN))
    versions = versions_by_node(graph)
    relations = _relations(graph, root.pk)
    return {
        "nodes": [_drawn(node, versions) for node in graph.nodes],
        "edges": [chart.Edge(source=str(edge.src), target=str(edge.dst)) for edge in graph.edges],
        "rows": [_row(node, versions, relations) for node in graph.nodes],
        "truncated": graph.truncated,
        "root": root,
    }


def _url(node: GraphNode, versions: dict[UUID, ModelVersion]) -> str:
    version = versions.get(node.id)
    if version is not None and node.depth:
        return reverse("ui:version-lineage", args=[version.model.name, version.number])
    return reverse("ui:lineage-node", args=[node.id]) if node.namespace or node.kind != Node.Kind.VERSION else ""


def _name(node: GraphNode) -> str:
    return f"{node.name} {node.version}".strip()


def _drawn(node: GraphNode, versions: dict[UUID, ModelVersion]) -> chart.Node:
    version = versions.get(node.id)
    live = version is not None and any(alias.name == "production" for alias in version.aliases.all())
    return chart.Node(
        id=str(node.id),
        name=node.name,
        sub=node.version or str(Node.Kind(node.kind).label),
        kind=ICONS[Node.Kind(node.kind)],
        label=str(Node.Kind(node.kind).label),
        href=_url(node, versions),
        state="root" if node.depth == 0 else "hit",
        steps=abs(node.depth) or None,
        flag="live" if live else "",
    )


def _relations(graph: Graph, root: UUID) -> dict[UUID, str]:
    """In words, how each node hangs together with the root."""
    context = {edge.src: edge.context for edge in graph.edges if edge.context}
    words: dict[UUID, str] = {}
    for node in graph.nodes:
        steps = abs(node.depth)
        far = f", {steps} step{'s' if steps > 1 else ''}"
        role = f", {context[node.id]}" if node.id in context else ""
        side = "made from" if node.depth < 0 else "went into"
        words[node.id] = "this object" if node.id == root else f"{side}{far}{role}"
    return words


def _row(node: GraphNode, versions: dict[UUID, ModelVersion], relations: dict[UUID, str]) -> dict[str, object]:
    dirty = node.facts.get("dirty")
    return {
        "name": _name(node),
        "url": _url(node, versions),
        "kind": ICONS[Node.Kind(node.kind)],
        "label": str(Node.Kind(node.kind).label),
        "relation": relations[node.id],
        "at": None,
        "digest": node.digests.get("sha256", ""),
        "words": _words(node, dirty=dirty),
    }


def _words(node: GraphNode, *, dirty: object) -> str:
    if node.kind == Node.Kind.CODE:
        commit = str(node.digests.get("git_commit", ""))[:12]
        state = {True: "with uncommitted changes", False: "clean"}.get(dirty is True, "") if dirty is not None else ""
        return ", ".join(part for part in (f"commit {commit}" if commit else "", state) if part)
    weak = node.digests.get("mlflow_md5_32")
    return f"MLflow digest {weak} (an alias)" if weak and "sha256" not in node.digests else ""
