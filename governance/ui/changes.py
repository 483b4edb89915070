"""Part 1 of the decision screen: what changes against the live version."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from config.figures import size
from governance.screens import DecisionScreen
from governance.selectors.decision import Origin
from governance.ui.nodes import TESTING, digest_of, named, size_of
from registry.models import ModelVersion, Node

LONGEST: Final = 12


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
    digest, algo = digest_of(first)
    more = (f"and {len(found) - 1} more",) if len(found) > 1 else ()
    return Cell(named(first), (*size_of(first), *more), digest, algo)


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
    digest, algo = digest_of(node)
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
    return Cell(node.name, (", ".join(sorted(files)),) if files else (), *digest_of(node))


def _files(version: ModelVersion, live: ModelVersion | None) -> Change:
    before = Cell(size(live.size_bytes), (), live.manifest_digest) if live else Cell()
    after = Cell(size(version.size_bytes), (), version.manifest_digest)
    note = "The digest covers every file: path, size and content."
    return Change("k-model", "Files", before, after, note=note, same=before == after)
