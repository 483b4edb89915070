"""Parts 1 and 6 of the decision screen: what changes, and where the version comes from."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.urls import reverse

from audit.canonical import canonical
from config.figures import figure, moment, size
from governance.screens import DecisionScreen
from governance.selectors.decision import Input, Origin
from governance.standing import display_name, filled_card
from governance.ui.words import target_words
from registry.models import ModelVersion, Node

LONGEST: Final = 12
TESTING: Final = frozenset({"test", "testing", "eval", "evaluation", "validation"})


@dataclass(frozen=True, slots=True)
class Cell:
    """One side of a change: main words, lines below them, and a digest."""

    words: str = ""
    lines: tuple[str, ...] = ()
    digest: str = ""
    algo: str = "sha256"


@dataclass(frozen=True, slots=True)
class Value:
    """A named value on both sides."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One row of "What changes". ``values`` are drawn struck out and inserted; else the two cells stand side by side."""

    icon: str
    what: str
    before: Cell = field(default_factory=Cell)
    after: Cell = field(default_factory=Cell)
    values: tuple[Value, ...] = ()
    note: str = ""
    same: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """Part 1."""

    summary: str
    rows: tuple[Change, ...]


def changes(screen: DecisionScreen, new: Origin, old: Origin) -> Changes:
    """Row by row: data, inputs, code, parameters, environment, files."""
    version, live = screen.request.version, screen.request.replaces
    rows = [
        _data(new, old),
        _inputs(version, live),
        _code(new, old),
        _parameters(version, live),
        _environment(new, old),
        _files(version, live),
    ]
    kept = tuple(row for row in rows if row is not None)
    return Changes(_summary(kept, live), kept)


def _summary(rows: Iterable[Change], live: ModelVersion | None) -> str:
    if live is None:
        return "Nothing is live under this name yet: everything below is new."
    differing = [row.what.lower() for row in rows if not row.same]
    equal = [row.what.lower() for row in rows if row.same]
    if not differing:
        return "Nothing differs but the number."
    text = f"Different from v{live.number}: {', '.join(differing)}."
    return f"{text} Equal: {', '.join(equal)}." if equal else text


def _data(new: Origin, old: Origin) -> Change | None:
    before, after = _dataset(old), _dataset(new)
    if not (before.words or after.words):
        return None
    return Change("k-data", "Training data", before, after, same=before == after)


def _dataset(origin: Origin) -> Cell:
    found = [one for one in origin.of(Node.Kind.DATASET) if one.context not in TESTING]
    if not found:
        return Cell()
    first = found[0].node
    digest, algo = _digest(first)
    more = (f"and {len(found) - 1} more",) if len(found) > 1 else ()
    return Cell(_named(first), (*_size_of(first), *more), digest, algo)


def _named(node: Node) -> str:
    return f"{node.name} v{node.version}" if node.namespace == "dataset" else node.name


def _size_of(node: Node) -> tuple[str, ...]:
    rows = node.facts.get("rows")
    columns = node.facts.get("columns") or {}
    said = [f"{figure(rows)} rows"] if isinstance(rows, int) and rows else []
    features = columns.get("features") if isinstance(columns, dict) else None
    said += [f"{len(features)} inputs"] if features else []
    return (", ".join(said),) if said else ()


_ALGORITHMS: Final = {
    "sha256": "sha256",
    "git_commit": "git",
    "mlflow_md5_32": "mlflow",
    "claimed_sha256": "claimed sha256",
}


def _digest(node: Node) -> tuple[str, str]:
    for name, algo in _ALGORITHMS.items():
        if node.digests.get(name):
            return str(node.digests[name]), algo
    return "", ""


def _names(version: ModelVersion | None) -> list[str]:
    """The inputs of the signature, in its order. MLflow keeps them as a list or as JSON text of one."""
    given: Any = version.signature.get("inputs", []) if version else []
    try:
        listed = json.loads(given) if isinstance(given, str) and given else given
    except ValueError:
        return []
    if not isinstance(listed, list):
        return []
    return [str(one.get("name", "")) for one in listed if isinstance(one, dict) and one.get("name")]


def _inputs(version: ModelVersion, live: ModelVersion | None) -> Change | None:
    after, before = _names(version), _names(live)
    if not after and not before:
        return None
    added = [Value("", "", name) for name in after if name not in before] if live else []
    gone = [Value("", name, "") for name in before if name not in after]
    return Change(
        "k-code",
        "Inputs",
        Cell(f"{len(before)} inputs" if before else ""),
        Cell(f"{len(after)} inputs" if after else ""),
        tuple(added + gone),
        note="" if live else ", ".join(after[:LONGEST]),
        same=bool(live) and after == before,
    )


def _code(new: Origin, old: Origin) -> Change | None:
    before, after = _commit(old), _commit(new)
    if not (before.words or after.words):
        return None
    dirty = any(one.node.facts.get("dirty") for one in new.of(Node.Kind.CODE))
    note = "The work tree had changes that were not committed: the commit alone does not rebuild it." if dirty else ""
    return Change("k-code", "Code", before, after, note=note, same=before == after)


def _commit(origin: Origin) -> Cell:
    found = origin.of(Node.Kind.CODE)
    if not found:
        return Cell()
    node = found[0].node
    lines = [
        str(node.facts[name]) for name in ("branch", "path") if node.facts.get(name) and node.facts[name] != node.name
    ]
    digest, algo = _digest(node)
    return Cell(node.name, tuple(lines), digest, algo)


def _parameters(version: ModelVersion, live: ModelVersion | None) -> Change | None:
    after = {name: str(value) for name, value in version.parameters.items()}
    before = {name: str(value) for name, value in live.parameters.items()} if live else {}
    if not after and not before:
        return None
    names = sorted(name for name in {*after, *before} if after.get(name) != before.get(name))
    values = tuple(Value(name, before.get(name, ""), after.get(name, "")) for name in names[:LONGEST])
    equal = len({*after, *before}) - len(names)
    notes = [
        f"{len(names) - LONGEST} more differ." if len(names) > LONGEST else "",
        f"{equal} others are equal." if equal and names else "",
    ]
    before_words = f"{len(before)} values" if live and not names else ""
    return Change(
        icon="k-run",
        what="Hyperparameters",
        before=Cell(before_words),
        after=Cell("" if names else "equal"),
        values=values,
        note=" ".join(one for one in notes if one),
        same=not names,
    )


def _environment(new: Origin, old: Origin) -> Change | None:
    before, after = _locked(old), _locked(new)
    if not (before.words or after.words):
        return None
    return Change("k-env", "Environment", before, after, same=before == after)


def _locked(origin: Origin) -> Cell:
    found = origin.of(Node.Kind.ENVIRONMENT)
    if not found:
        return Cell()
    node = found[0].node
    files = node.facts.get("files") or {}
    return Cell(node.name, (", ".join(sorted(files)),) if files else (), *_digest(node))


def _files(version: ModelVersion, live: ModelVersion | None) -> Change:
    before = Cell(size(live.size_bytes), (), live.manifest_digest) if live else Cell()
    after = Cell(size(version.size_bytes), (), version.manifest_digest)
    note = "The digest covers every file: path, size and content."
    return Change("k-model", "Files", before, after, note=note, same=before == after)


# where it comes from


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
    runs = [
        StripNode("k-run", "Run", run.name[:12], _node_url(run), tuple(filter(None, [str(run.facts.get("user", ""))])))
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
    digest, algo = _digest(one.node)
    words = (
        f"{label}, {one.context}"
        if one.context not in {"", "input", "code", "environment", "training", *TESTING}
        else label
    )
    lines = _size_of(one.node)
    if one.node.kind == Node.Kind.CODE and one.node.facts.get("dirty"):
        lines = (*lines, "uncommitted changes")
    return StripNode(icon, words, _named(one.node), _node_url(one.node), lines, digest, algo)


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
