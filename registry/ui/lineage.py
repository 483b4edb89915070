"""A lineage graph as a page shows it: nodes and edges for the drawing, rows for the table that says the same."""

import re
from datetime import datetime
from typing import Final
from uuid import UUID

from django.urls import reverse

from config.charts import graph as chart
from registry.models import ModelVersion, Node, User
from registry.selectors.lineage import Graph, GraphNode, around, node_of
from registry.selectors.lineage_seen import HIDDEN, as_seen_by, versions_by_node

ICONS: Final = {
    Node.Kind.DATASET: "k-data",
    Node.Kind.CODE: "k-code",
    Node.Kind.ENVIRONMENT: "k-env",
    Node.Kind.RUN: "k-run",
    Node.Kind.VERSION: "k-model",
    Node.Kind.DEPLOYMENT: "k-deploy",
}
DIGESTS: Final = {
    "sha256": "SHA-256",
    "claimed_sha256": "SHA-256, as claimed",
    "git_commit": "Git commit",
    "mlflow_md5_32": "MLflow digest",
}
SHOWN: Final = 120
_PLAIN: Final = frozenset({"", "code", "environment", "input"})
_HEX: Final = re.compile(r"[0-9a-f]{24,}")


def drawing_of_version(version: ModelVersion, user: User) -> dict[str, object]:
    """Context for the lineage of a version: empty lists when none is recorded yet."""
    node = node_of(version)
    return drawing(node, user) if node else {"nodes": [], "edges": [], "rows": [], "truncated": False}


def drawing(root: Node, user: User) -> dict[str, object]:
    """Context for the lineage around a node: ``nodes`` and ``edges`` of the drawing, ``rows`` of the table."""
    graph = as_seen_by(user, around(root, cap=SHOWN))
    versions = versions_by_node(graph)
    recorded = dict(Node.objects.filter(pk__in=[node.id for node in graph.nodes]).values_list("pk", "created_at"))
    relations = _relations(graph, root.pk)
    return {
        "nodes": [_drawn(node, versions) for node in graph.nodes],
        "edges": [chart.Edge(source=str(edge.src), target=str(edge.dst)) for edge in graph.edges],
        "rows": [_row(node, versions, relations[node.id], recorded[node.id]) for node in graph.nodes],
        "truncated": graph.truncated,
        "root": root,
    }


def _url(node: GraphNode, versions: dict[UUID, ModelVersion]) -> str:
    if node.name == HIDDEN:
        return ""
    version = versions.get(node.id)
    if version is not None:
        return reverse("ui:version-lineage", args=[version.model.name, version.number])
    return reverse("ui:lineage-node", args=[node.id])


def title(kind: str, name: str, version: str) -> str:
    """``credit-default v3`` for a version of ours; commits and digests in short; else what the client called it."""
    ours = kind == Node.Kind.VERSION and version.isdecimal()
    return f"{name} {'v' if ours else ''}{_short(version)}".strip()


def _short(version: str) -> str:
    """The beginning of a commit or digest; other versions whole."""
    return version[:12] if _HEX.match(version) else version


def digests_of(node: Node) -> list[tuple[str, str, str]]:
    """Each digest as its kind, the words for it, and its value."""
    return [(kind, DIGESTS.get(kind, kind), str(value)) for kind, value in node.digests.items()]


def _name(node: GraphNode) -> str:
    return title(node.kind, node.name, node.version)


def _drawn(node: GraphNode, versions: dict[UUID, ModelVersion]) -> chart.Node:
    version = versions.get(node.id)
    live = version is not None and any(alias.name == "production" for alias in version.aliases.all())
    return chart.Node(
        id=str(node.id),
        name=_name(node) if node.kind == Node.Kind.VERSION else node.name,
        sub=_sub(node),
        kind=ICONS[Node.Kind(node.kind)],
        label=str(Node.Kind(node.kind).label),
        href=_url(node, versions),
        state="root" if node.depth == 0 else "hit",
        steps=abs(node.depth) or None,
        flag="live" if live else "",
    )


def _relations(graph: Graph, root: UUID) -> dict[UUID, str]:
    """In words, how each node hangs together with the root."""
    depths = {node.id: node.depth for node in graph.nodes}
    context = {edge.src: edge.context for edge in graph.edges if depths[edge.src] < 0 and edge.context not in _PLAIN}
    words: dict[UUID, str] = {}
    for node in graph.nodes:
        steps = abs(node.depth)
        far = f", {steps} step{'s' if steps > 1 else ''}"
        role = f", {context[node.id]}" if node.id in context else ""
        side = "made from" if node.depth < 0 else "went into"
        words[node.id] = "this object" if node.id == root else f"{side}{far}{role}"
    return words


def _sub(node: GraphNode) -> str:
    """The second line of a node: its version, commit or what it is."""
    if node.kind == Node.Kind.VERSION or not node.version:
        return str(Node.Kind(node.kind).label)
    return _short(node.version)


def _row(node: GraphNode, versions: dict[UUID, ModelVersion], relation: str, at: datetime) -> dict[str, object]:
    return {
        "name": _name(node),
        "url": _url(node, versions),
        "kind": ICONS[Node.Kind(node.kind)],
        "label": str(Node.Kind(node.kind).label),
        "relation": relation,
        "at": None if node.name == HIDDEN else at,
        "digest": node.digests.get("sha256", ""),
        "words": _words(node),
    }


def _words(node: GraphNode) -> str:
    """What else a reader must know: the commit and its state, or that a digest is a weak one."""
    if node.kind == Node.Kind.CODE:
        states: dict[object, str] = {True: "with uncommitted changes", False: "clean"}
        commit = node.digests.get("git_commit", "")[:12]
        parts = (f"commit {commit}" if commit else "", states.get(node.facts.get("dirty"), ""))
        return ", ".join(part for part in parts if part)
    if "sha256" in node.digests:
        return ""
    if claimed := node.digests.get("claimed_sha256"):
        return f"SHA-256 {claimed[:12]}… as claimed by the client; the bytes are not here"
    weak = node.digests.get("mlflow_md5_32")
    return f"MLflow digest {weak} (an alias)" if weak else ""
