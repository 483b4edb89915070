"""Writing lineage: nodes and edges by identity, written once, never changed. Recording the same twice adds nothing."""

import hashlib
import re
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from audit import personal
from audit.actors import Actor
from audit.canonical import Json, canonical
from audit.services import append
from config import statements
from config.errors import Invalid
from registry.models import DatasetVersion, Edge, ModelVersion, Node, User
from registry.services.differences import told
from registry.services.lineage.inputs import (
    CodeInput,
    DatasetInput,
    EnvironmentInput,
    LineageInput,
    RunInput,
    check,
    repository_of,
    seeds_in,
)

RECORDING: Final = 0x6C696E65
"""Advisory lock, with the run's: its node is written by one recording at a time."""
UNNAMED_REPOSITORY: Final = "unnamed repository"
_BASE_MODEL: Final = re.compile(r"models:/(?P<name>[^/]+)/(?P<number>[1-9][0-9]{0,8})")


@transaction.atomic
def record(*, version: ModelVersion, inputs: LineageInput, by: Actor) -> Node:
    """Add what is known to the lineage of ``version`` and return its node.

    Nodes are found by identity or made; edges likewise; if nothing new was said, nothing is written, not even to the
    ledger. Who trained and who wrote the code is noted on the version where it was not known: it is evidence for the
    segregation of duties, so what is noted once is never changed here.

    Raises ``Invalid`` naming the input at fault.
    """
    check(inputs)
    if inputs.run and inputs.run.id:
        # Versions of one run share its node: whoever adds edges to it has the others wait, before any row is locked.
        statements.row("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [RECORDING, inputs.run.id])
    locked = ModelVersion.objects.locked().get(pk=version.pk)
    writing = _Writing()
    subject = writing.version_node(locked)
    activity = _activity(writing, locked, inputs)
    if activity is not None:
        run = inputs.run.id if inputs.run else ""
        for dataset in inputs.datasets:
            writing.edge(_dataset(writing, dataset), activity, Edge.Relation.USED, dataset.context or "input", run)
        if inputs.code:
            writing.edge(_code(writing, inputs.code), activity, Edge.Relation.USED, "code", run)
        if inputs.environment:
            writing.edge(_environment(writing, inputs.environment), activity, Edge.Relation.USED, "environment", run)
        writing.edge(activity, subject, Edge.Relation.GENERATED, "", run)
    for base in inputs.base_models:
        writing.edge(_base_model(writing, base, locked), subject, Edge.Relation.DERIVED, "base model", "")
    learnt = _learn(locked, inputs, by)
    for node in sorted(writing.changed.values(), key=lambda one: str(one.pk)):
        append(action="lineage.node_recorded", subject=node, by=by)
    if writing.nodes or writing.edges or learnt:
        append(
            action="lineage.recorded",
            subject=locked,
            by=by,
            diff=learnt,
            facts={"nodes": told(writing.nodes), "edges": told(writing.edges)},
        )
    return subject


@transaction.atomic
def note_people(*, version: ModelVersion, inputs: LineageInput, by: Actor) -> None:
    """Note on ``version`` who trained it and who wrote its code, where that was not known: before the rest is."""
    locked = ModelVersion.objects.locked().get(pk=version.pk)
    run = RunInput(user=inputs.run.user) if inputs.run else None
    learnt = _learn(locked, LineageInput(code=inputs.code, run=run), by)
    if learnt:
        append(action="lineage.recorded", subject=locked, by=by, diff=learnt, facts={"nodes": [], "edges": []})


def node_key(version: ModelVersion) -> str:
    """The namespace under which a version's node is found, whatever its model is called by then."""
    return f"version:{version.pk}"


class _Writing:
    """Finds or makes nodes and edges, and keeps the list of what it made, for the ledger."""

    def __init__(self) -> None:
        self.nodes: list[Json] = []
        self.edges: list[Json] = []
        self.changed: dict[UUID, Node] = {}

    def node(self, kind: Node.Kind, namespace: str, name: str, version: str, **rest: dict[str, Any]) -> Node:
        node, made = Node.objects.get_or_create(
            kind=kind, namespace=namespace[:400], name=name[:400], version=version[:200], defaults=rest
        )
        if made:
            self.changed[node.pk] = node
            self.nodes.append({"id": str(node.pk), "kind": kind.value, "name": node.name, "version": node.version})
        return node

    def version_node(self, version: ModelVersion) -> Node:
        known = Node.objects.filter(kind=Node.Kind.VERSION, namespace=node_key(version)).first()
        if known is not None:
            return known
        digests = {"sha256": version.manifest_digest} if version.manifest_digest else {}
        return self.node(Node.Kind.VERSION, node_key(version), version.model.name, str(version.number), digests=digests)

    def edge(self, src: Node, dst: Node, relation: Edge.Relation, context: str, run: str) -> None:
        if src.pk == dst.pk:
            raise Invalid("A version cannot be derived from itself.", code="lineage.itself", field="base_models")
        edge, made = Edge.objects.get_or_create(
            src=src, dst=dst, relation=relation, context=context[:40], defaults={"run": run[:64]}
        )
        if made:
            self.changed[dst.pk] = dst
            self.edges.append(
                {"src": str(src.pk), "dst": str(dst.pk), "relation": relation.value, "context": edge.context}
            )


def _activity(writing: _Writing, version: ModelVersion, inputs: LineageInput) -> Node | None:
    """The node of the training run, or of the registration itself if no run is known."""
    if not (inputs.run or inputs.datasets or inputs.code or inputs.environment):
        return None
    run = inputs.run or RunInput()
    facts = {
        "entry_point": inputs.code.path if inputs.code else "",
        "user": _who(run.user),
        "status": run.status,
        "started_ms": run.started_ms,
        "ended_ms": run.ended_ms,
        "parameters": dict(run.parameters),
        "metrics": dict(run.metrics),
        "seeds": dict(run.seeds) or seeds_in(run.parameters),
    }
    facts = {key: value for key, value in facts.items() if value}
    if run.id:
        return writing.node(Node.Kind.RUN, "mlflow", run.id, "", facts=facts)
    return writing.node(Node.Kind.RUN, node_key(version), f"training of {version}", "", facts=facts)


def _dataset(writing: _Writing, given: DatasetInput) -> Node:
    """A version sealed here, if number, SHA-256 or its beginning says which; else what the client called it."""
    sealed = _sealed_here(given)
    if sealed is not None:
        return writing.node(
            Node.Kind.DATASET,
            "dataset",
            sealed.dataset.name,
            str(sealed.number),
            digests={"sha256": sealed.digest},
            facts={"rows": sealed.rows, "role": sealed.role, "columns": sealed.columns},
        )
    digests = {"mlflow_md5_32": given.digest} if given.digest else {}
    if given.sha256:
        digests["claimed_sha256"] = given.sha256
    facts = {"source": given.source[:2000], "schema": given.schema[:20_000]}
    return writing.node(
        Node.Kind.DATASET,
        "client",
        given.name,
        given.sha256 or given.digest,
        digests=digests,
        facts={key: value for key, value in facts.items() if value},
    )


def _sealed_here(given: DatasetInput) -> DatasetVersion | None:
    known = DatasetVersion.objects.sealed().select_related("dataset").filter(dataset__name=given.name)
    if given.number:
        found = known.filter(number=given.number).first()
        if found is None:
            raise Invalid(
                f"There is no sealed version {given.number} of a data set {given.name!r}.",
                code="lineage.dataset",
                field="datasets",
            )
        if given.sha256 and given.sha256 != found.digest:
            raise Invalid(
                f"{found} has the SHA-256 {found.digest}, not {given.sha256}.", code="lineage.dataset", field="datasets"
            )
        return found
    if given.sha256:
        return known.filter(digest=given.sha256).order_by("number").first()
    # A client that wants to be exact can give MLflow the first 16 or more digits of our SHA-256 as its digest.
    if re.fullmatch(r"[0-9a-f]{16,36}", given.digest):
        return known.filter(digest__startswith=given.digest).order_by("number").first()
    return None


def _code(writing: _Writing, given: CodeInput) -> Node:
    """A commit of a repository. Where the client did not say which, the commit alone is the identity."""
    repository = repository_of(given.repository)
    name = re.split(r"[/:]", repository)[-1] or UNNAMED_REPOSITORY
    facts = {"dirty": given.dirty, "author": _who(given.author), "branch": given.branch}
    return writing.node(
        Node.Kind.CODE,
        repository,
        name,
        f"{given.commit}-dirty" if given.dirty else given.commit,
        digests={"git_commit": given.commit},
        facts={key: value for key, value in facts.items() if value not in ("", None)},
    )


def _environment(writing: _Writing, given: EnvironmentInput) -> Node:
    lock = hashlib.sha256(
        canonical({"python": given.python, "files": [list(item) for item in sorted(given.files.items())]})
    )
    return writing.node(
        Node.Kind.ENVIRONMENT,
        "",
        f"Python {given.python}".strip(),
        lock.hexdigest(),
        digests={"sha256": lock.hexdigest()},
        facts={"python": given.python, "files": dict(given.files)},
    )


def _base_model(writing: _Writing, given: str, version: ModelVersion) -> Node:
    match = _BASE_MODEL.fullmatch(given)
    if match is None:
        return writing.node(Node.Kind.VERSION, "elsewhere", given, "")
    found = ModelVersion.objects.filter(
        model__name=match["name"], model__deleted_at=None, number=int(match["number"])
    ).first()
    if found is None:
        return writing.node(Node.Kind.VERSION, "elsewhere", match["name"], match["number"])
    if found.pk == version.pk:
        raise Invalid("A version cannot be derived from itself.", code="lineage.itself", field="base_models")
    return writing.version_node(found)


def _learn(version: ModelVersion, inputs: LineageInput, by: Actor) -> dict[str, Json]:
    """Note on the version what it did not know: who trained, who wrote the code, parameters and metrics.

    Who trained a run that the tracking server knows, it says itself: a claim that comes first must not take the place.
    """
    trainer = inputs.run.user if inputs.run and (by.kind == "service" or not version.run_id) else ""
    new: dict[str, Any] = {}
    learnt: dict[str, Json] = {}
    for name, person in (
        ("trained_by", _person(trainer)),
        ("code_author", _person(inputs.code.author if inputs.code else "")),
    ):
        if person is not None and getattr(version, f"{name}_id") is None:
            new[name] = person
            learnt[name] = {"before": None, "after": f"user:{person.pk}"}
    for name, values in (
        ("parameters", dict(inputs.run.parameters) if inputs.run else {}),
        ("metrics", dict(inputs.run.metrics) if inputs.run else {}),
    ):
        if values and not getattr(version, name):
            new[name] = values
            learnt[name] = {"before": 0, "after": len(values)}
    if new:
        ModelVersion.objects.filter(pk=version.pk).update(**new)
        for name, value in new.items():
            setattr(version, name, value)
    return learnt


def _who(given: str) -> str:
    """How lineage names somebody: by account, or by a pseudonym. A node is never changed, so it holds nobody's name."""
    person = _person(given)
    if person is not None:
        return f"user:{person.pk}"
    return personal.pseudonym(given.strip(), field="author") if given.strip() else ""


def _person(given: str) -> User | None:
    """The account behind a user name or a git author (``Name <address>``); nobody if it is not clear who."""
    text = given.strip()
    address = re.search(r"<([^<>]+)>\s*$", text)
    text = address[1].strip() if address else text
    if not text:
        return None
    by_name = User.objects.filter(username=text).first()
    if by_name is not None or "@" not in text:
        return by_name
    found = list(User.objects.filter(email__iexact=text)[:2])
    return found[0] if len(found) == 1 else None
