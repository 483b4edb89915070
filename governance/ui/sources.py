"""Part 6 of the decision screen: where the version comes from, and the documents that the record rests on."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.urls import reverse

from audit.canonical import canonical
from audit.personal import names
from config.figures import figure, moment, size
from governance.screens import DecisionScreen
from governance.selectors.decision import Input, Origin
from governance.standing import display_name, filled_card
from governance.ui.nodes import TESTING, digest_of, named, size_of
from governance.ui.words import target_words
from registry.models import Node


@dataclass(frozen=True, slots=True)
class StripNode:
    """One object of the lineage strip."""

    icon: str
    label: str
    name: str
    url: str = ""
    lines: tuple[str, ...] = ()
    digest: str = ""
    algo: str = "sha256"
    proposed: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One line of the documents that the record rests on."""

    name: str
    content: str
    by: str
    at: str
    digest: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Part 6."""

    summary: str
    columns: tuple[tuple[StripNode, ...], ...]
    documents: tuple[Document, ...]
    lineage_url: str


def _person(run: Node, people: Mapping[str, str]) -> str:
    """Whose run it was, or ""."""
    user = str(run.facts.get("user", ""))
    return people.get(user, user)


def sources(screen: DecisionScreen, origin: Origin) -> Sources:
    """The strip from source to target, and the documents with their digests."""
    request = screen.request
    version = request.version
    held_out = {
        run.dataset_id: run.dataset for run in request.checks.all() if run.round == request.round and run.dataset
    }
    tested_on = {one.digest for one in held_out.values()}
    data = [
        _strip(one, "k-data", "Test data" if one.context in TESTING else "Training data")
        for one in origin.of(Node.Kind.DATASET)
        if one.node.digests.get("sha256") not in tested_on or one.context not in TESTING
    ]
    code = [_strip(one, "k-code", "Code") for one in origin.of(Node.Kind.CODE)]
    people = names(str(run.facts["user"]) for run in origin.runs if run.facts.get("user"))
    runs = [
        StripNode("k-run", "Run", run.name[:12], _node_url(run), tuple(filter(None, [_person(run, people)])))
        for run in origin.runs
    ]
    environment = [_strip(one, "k-env", "Environment") for one in origin.of(Node.Kind.ENVIRONMENT)]
    version_url = reverse("ui:version", args=[request.model.name, version.number])
    files = StripNode(
        "k-model",
        "Version",
        f"{request.model.name} v{version.number}",
        version_url,
        (size(version.size_bytes),),
        version.manifest_digest,
    )
    tested = [
        StripNode(
            "k-data",
            "Held-out data",
            f"{one.dataset.name} v{one.number}",
            "",
            (f"{figure(one.rows)} rows",),
            one.digest,
        )
        for one in held_out.values()
    ]
    replaces = f"replaces v{request.replaces.number}" if request.replaces else "the first one"
    target = StripNode(
        "k-deploy",
        "Would be" if request.closed_at is None else "Asked for",
        target_words(request.target),
        "",
        (replaces,),
        proposed=True,
    )
    columns = (tuple(data[:3] + code[:1]), tuple(runs[:2] + environment[:1]), (files, *tested), (target,))
    return Sources(
        _told(origin, data, code, environment),
        tuple(column for column in columns if column),
        tuple(_documents(screen)),
        reverse("ui:version-lineage", args=[request.model.name, version.number]),
    )


def _told(origin: Origin, data: list[StripNode], code: list[StripNode], environment: list[StripNode]) -> str:
    missing = [
        word
        for word, there in (
            ("training data", data),
            ("code", code),
            ("environment", environment),
            ("run", list(origin.runs)),
        )
        if not there
    ]
    if len(missing) == 4:
        return "Nothing is recorded of how this version was made."
    if missing:
        return f"Recorded, without {', '.join(missing)}."
    dirty = any(one.node.facts.get("dirty") for one in origin.of(Node.Kind.CODE))
    return "Recorded from data to files." + (" The code had uncommitted changes." if dirty else "")


def _strip(one: Input, icon: str, label: str) -> StripNode:
    digest, algo = digest_of(one.node)
    words = (
        f"{label}, {one.context}"
        if one.context not in {"", "input", "code", "environment", "training", *TESTING}
        else label
    )
    lines = size_of(one.node)
    if one.node.kind == Node.Kind.CODE and one.node.facts.get("dirty"):
        lines = (*lines, "uncommitted changes")
    return StripNode(icon, words, named(one.node), _node_url(one.node), lines, digest, algo)


def _node_url(node: Node) -> str:
    return reverse("ui:lineage-node", args=[node.pk])


def _documents(screen: DecisionScreen) -> Iterable[Document]:
    request, policy, version = screen.request, screen.request.policy_version, screen.request.version
    card: Mapping[str, str] = filled_card(request.model)
    here = [request.model.name, version.number]
    yield Document(
        name="Model card",
        content=f"{len(card)} fields filled in, {len(screen.policy.card)} asked for",
        by=display_name(request.model.owner),
        at=moment(request.model.updated_at),
        digest=hashlib.sha256(canonical(dict(card))).hexdigest(),
        url=reverse("ui:version-card", args=here),
    )
    yield Document(
        name=f"Policy {policy}",
        content=f"{len(screen.policy.checks)} checks, {len(screen.places)} signatures",
        by="",
        at=moment(policy.adopted_at),
        digest=policy.digest,
        url=f"{reverse('ui:policy', args=[policy.policy.name])}?version={policy.number}",
    )
    yield Document(
        name="Manifest of the files",
        content=size(version.size_bytes),
        by="",
        at=moment(version.sealed_at) if version.sealed_at else "",
        digest=request.manifest_digest,
        url=reverse("ui:version-artifacts", args=here),
    )
    if request.evidence_digest:
        results = len(screen.checks) + len(screen.scoring)
        yield Document("Evidence snapshot", f"{results} results, what is signed", "", "", request.evidence_digest)
