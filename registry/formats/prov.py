"""Lineage as PROV-JSON (W3C Member Submission of 24 April 2013), the JSON form of W3C PROV. Pure and deterministic.

Data sets, code, environments and versions are entities, runs are activities, people are agents.
"""

from datetime import UTC, datetime
from typing import Any, Final

from registry.selectors.lineage import Graph, GraphNode

PREFIX: Final = "cs"
NAMESPACE: Final = "urn:countersign:lineage:"
_ACTIVITIES: Final = frozenset({"run"})


def document(graph: Graph) -> dict[str, Any]:
    """Return the PROV-JSON document of a graph. The same graph gives the same document, in the same order."""
    by_id = {node.id: node for node in graph.nodes}
    names = {node.id: f"{PREFIX}:{node.kind}-{node.id}" for node in graph.nodes}
    found: dict[str, dict[str, Any]] = {"prefix": {PREFIX: NAMESPACE}}

    def put(section: str, name: str, value: dict[str, Any]) -> None:
        found.setdefault(section, {})[name] = value

    for node in graph.nodes:
        activity = node.kind in _ACTIVITIES
        put("activity" if activity else "entity", names[node.id], _times(node) | _attributes(node))
        user = str(node.facts.get("user", "")) if activity else ""
        if user:
            agent = f"{PREFIX}:person-{_token(user)}"
            put("agent", agent, {"prov:type": {"$": "prov:Person", "type": "xsd:QName"}, "prov:label": user})
            put(
                "wasAssociatedWith",
                f"_:associated-{node.id}",
                {"prov:activity": names[node.id], "prov:agent": agent},
            )
    for number, edge in enumerate(graph.edges):
        src, dst = by_id[edge.src], by_id[edge.dst]
        role = {"prov:role": edge.context} if edge.context else {}
        if edge.relation == "retracts":
            continue
        if dst.kind in _ACTIVITIES and src.kind not in _ACTIVITIES:
            value = {"prov:activity": names[dst.id], "prov:entity": names[src.id]}
            put("used", f"_:used-{number}", value | role)
        elif src.kind in _ACTIVITIES and dst.kind not in _ACTIVITIES:
            value = {"prov:entity": names[dst.id], "prov:activity": names[src.id]}
            put("wasGeneratedBy", f"_:generated-{number}", value | role)
            user = str(src.facts.get("user", ""))
            if user:
                value = {"prov:entity": names[dst.id], "prov:agent": f"{PREFIX}:person-{_token(user)}"}
                put("wasAttributedTo", f"_:attributed-{number}", value)
        elif src.kind in _ACTIVITIES:
            value = {"prov:informed": names[dst.id], "prov:informant": names[src.id]}
            put("wasInformedBy", f"_:informed-{number}", value)
        else:
            value = {"prov:generatedEntity": names[dst.id], "prov:usedEntity": names[src.id]}
            put("wasDerivedFrom", f"_:derived-{number}", value | {f"{PREFIX}:relation": edge.relation} | role)
    return {section: dict(sorted(found[section].items())) for section in sorted(found)}


def _attributes(node: GraphNode) -> dict[str, Any]:
    given: dict[str, Any] = {
        "prov:label": f"{node.name} {node.version}".strip(),
        "prov:type": {"$": f"{PREFIX}:{node.kind}", "type": "xsd:QName"},
        f"{PREFIX}:name": node.name,
        f"{PREFIX}:version": node.version,
        f"{PREFIX}:namespace": node.namespace,
    }
    given |= {f"{PREFIX}:{name}": value for name, value in sorted(node.digests.items())}
    for group in ("seeds", "parameters", "metrics", "files"):
        values = node.facts.get(group)
        if isinstance(values, dict):
            given |= {f"{PREFIX}:{group}-{_token(str(key))}": _literal(value) for key, value in sorted(values.items())}
    for name in ("dirty", "author", "branch", "entry_point", "path", "python", "role", "rows", "source", "status"):
        if name in node.facts:
            given[f"{PREFIX}:{name}"] = _literal(node.facts[name])
    return {name: value for name, value in given.items() if value != ""}


def _literal(value: object) -> object:
    """Decimals as typed text, so that two writers agree on them."""
    if isinstance(value, float):
        return {"$": repr(value), "type": "xsd:double"}
    return value if isinstance(value, str | int | bool) else str(value)


def _times(node: GraphNode) -> dict[str, str]:
    if node.kind not in _ACTIVITIES:
        return {}
    named = (("prov:startTime", node.facts.get("started_ms")), ("prov:endTime", node.facts.get("ended_ms")))
    return {name: _moment(value) for name, value in named if isinstance(value, int) and value > 0}


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _token(text: str) -> str:
    """Text as the local part of a qualified name: what is no letter, digit, dot, dash or underscore as ``_xx``."""
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in ".-_") else f"_{ord(letter):02x}"
        for letter in text
    )
