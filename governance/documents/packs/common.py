"""What several packs share: the checkpoint they rest on, people, entries of the log, lineage."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.conf import settings

from audit import actions, keys, personal, selectors
from audit.models import Checkpoint, Entry
from config import as_of
from config.errors import Conflict
from governance.documents.shape import Column, Fact, File, LogHead, Table
from governance.models import Decision, Permit
from governance.standing import display_name
from governance.states import PermitState
from registry.models import DatasetVersion, ModelVersion, Node, User
from registry.roles import LABELS, Role
from registry.selectors.lineage import Graph, node_of, upstream
from registry.selectors.lineage_seen import HIDDEN, as_seen_by

LONGEST_TRAIL: Final = 2_000
NOT_PROOF: Final = (
    (
        "This document is a reading aid. What proves it is the log: the entries named here, with the proofs of the evidence "
        "bundle, checked by verify.py without this installation."
    ),
    "Names of people are those on record when it was made; the log itself names accounts.",
)
_DIGESTS: Final = {
    "sha256": "sha256",
    "git_commit": "git commit",
    "mlflow_md5_32": "mlflow",
    "claimed_sha256": "claimed sha256",
}


def log_head() -> LogHead:
    """The checkpoint of the moment that is shown, else the latest. Raises ``Conflict`` for a log that has none."""
    moment = as_of.current()
    checkpoint = Checkpoint.objects.get(size=moment.size) if moment else selectors.head()
    if checkpoint is None:
        raise Conflict(
            "The log has no checkpoint yet, so a report would rest on nothing.",
            code="report.no_log",
            remedy="Wait for the sequencer to sign the first one.",
        )
    origin = keys.origin(keys.ledger_public_key())
    at = moment.at if moment else checkpoint.at
    return LogHead(origin, checkpoint.size, bytes(checkpoint.root).hex(), at, checkpoint.note)


def installation() -> str:
    """Which product made it."""
    return f"Countersign {settings.VERSION} at {settings.PUBLIC_URL}"


def target_words(target: str) -> str:
    """``alias:production`` is "production", ``stage:Production`` "stage Production"."""
    kind, _, name = target.partition(":")
    return name if kind == "alias" else f"{kind} {name}"


def role_words(role: str) -> str:
    """What people call the holder of a role."""
    return LABELS[Role(role)] if role in set(Role) else role


def counted(n: int, noun: str, plural: str = "") -> str:
    """“1 model”, “20 models”, “no models”."""
    return f"{n or 'no'} {noun if n == 1 else plural or f'{noun}s'}"


def sentence(text: str) -> str:
    """The text with a large first letter."""
    return text[:1].upper() + text[1:]


def name_of(user: User | None) -> str:
    """What people call somebody, with the account where that is another word."""
    if user is None:
        return ""
    name = display_name(user)
    return name if name == user.get_username() else f"{name} ({user.get_username()})"


def names_of(actor_ids: Iterable[str]) -> dict[str, str]:
    """Names of the log's actors, by id: of people as they are called now (erased ones as erased), of processes as they are."""
    wanted = set(actor_ids)
    known = personal.names(wanted)
    return {one: "Countersign" if one == "system" else known[one].removeprefix("service:") for one in wanted}


def entry_indexes(entry_ids: Iterable[str], size: int) -> dict[str, int]:
    """Where the log has the entries that services promised, as far as they are below ``size``."""
    found = Entry.objects.filter(entry_id__in=set(entry_ids), index__lt=size).values_list("entry_id", "index")
    return dict(found)


# signatures


def signature(one: Decision, *, stage: str, void: str, indexes: Mapping[str, int]) -> dict[str, Any]:
    """A signature with its manifestation (21 CFR 11.50): printed name, date and time, meaning; and where the log has it."""
    return {
        "name": display_name(one.person),
        "account": one.person.get_username(),
        "role": role_words(one.role),
        "stage": stage,
        "outcome_key": one.outcome,
        "outcome": one.get_outcome_display(),
        "meaning": one.get_meaning_display(),
        "signed_at": one.signed_at,
        "authenticated": one.authenticated.replace("+", " and "),
        "record_digest": one.record_digest,
        "entry": indexes.get(one.entry_id),
        "comment": one.comment,
        "conditions": one.conditions,
        "void": void,
    }


# permits

PERMIT_MARKS: Final[Mapping[str, str]] = {
    PermitState.ACTIVE: "pass",
    PermitState.SUSPENDED: "caution",
    PermitState.EXPIRED: "na",
    PermitState.REVOKED: "fail",
    PermitState.SUPERSEDED: "na",
}


def permit_facts(permit: Permit) -> list[Fact]:
    """A permit, fact by fact."""
    return [
        Fact("permit", "Permit", str(permit.pk), "code"),
        Fact("state", "State", permit.get_state_display()),
        Fact("target", "Lets be called", target_words(permit.target)),
        Fact("manifest_digest", "Exactly these files", permit.manifest_digest, "digest"),
        Fact("not_before", "Valid from", permit.not_before, "moment"),
        Fact("expires_at", "Valid until", permit.expires_at, "moment"),
        Fact("ended_at", "Ended", permit.ended_at, "moment", why="It has not ended."),
        Fact("ended_reason", "Why it ended", permit.ended_reason, why="It has not ended."),
        Fact("key_id", "Signed with the key", permit.key_id, "digest"),
    ]


# the log

_TRAIL: Final = (
    Column("index", "Entry", "entry"),
    Column("at", "When", "instant", weight=1.2),
    Column("what", "What", weight=2.4),
    Column("by", "Who", weight=1.2),
    Column("auth", "Identified by", optional=True, weight=1.1),
    Column("reason", "Reason given", optional=True, weight=1.4),
    Column("digest", "Object after it", "digest", optional=True),
)


def trail(subjects: Sequence[tuple[str, str]], size: int, *, key: str = "trail", title: str = "") -> Table:
    """Everything the log has about the objects, in its order: an audit trail that says who, what, when and why."""
    found: list[Entry] = []
    for kind, identity in dict.fromkeys(subjects):
        about = selectors.entries_about(kind, identity).filter(index__lt=size)
        found += about[: LONGEST_TRAIL + 1 - len(found)]
    found.sort(key=lambda entry: entry.index)
    cut = len(found) > LONGEST_TRAIL
    shown = found[:LONGEST_TRAIL]
    names = names_of(str(entry.actor_id) for entry in shown)
    rows = [
        {
            "index": entry.index,
            "at": entry.at,
            "what": actions.sentence(str(entry.action), actor="", subject=str(entry.object_version)).strip(),
            "action": entry.action,
            "by": names[str(entry.actor_id)],
            "actor": entry.actor_id,
            "auth": entry.body["actor"].get("auth", "").replace("none", ""),
            "reason": entry.reason,
            "digest": str(entry.object_digest),
        }
        for entry in shown
    ]
    note = f"The first {LONGEST_TRAIL} entries are shown; the bundle has all." if cut else ""
    return Table(key, _TRAIL, rows, title, note, "The log has nothing about it.")


def subjects_of(version: ModelVersion) -> list[tuple[str, str]]:
    """The version and its model, as the log names them."""
    return [("registry.registeredmodel", str(version.model_id)), ("registry.modelversion", str(version.pk))]


# lineage

_LINEAGE: Final = (
    Column("kind", "Kind", weight=1),
    Column("name", "Name", weight=2),
    Column("version", "Version", optional=True, weight=1.2),
    Column("role", "Went in as", optional=True, weight=1),
    Column("steps", "Steps back", "count"),
    Column("digest_kind", "Digest", optional=True, weight=0.8),
    Column("digest", "", "digest", optional=True),
)


def ancestry(version: ModelVersion, reader: User) -> Graph:
    """Everything the version came from, as far as it is recorded; what the reader may not see has its place and no name."""
    node = node_of(version)
    return as_seen_by(reader, upstream(node)) if node is not None else Graph()


def all_seen(graph: Graph) -> bool:
    """Whether nothing in it was hidden from its reader."""
    return all(node.name != HIDDEN for node in graph.nodes)


def lineage(graph: Graph, *, key: str = "lineage") -> Table:
    """The ancestry as rows: data, code, environment, run, base models, nearest first."""
    roles: dict[Any, list[str]] = {}
    for edge in graph.edges:
        roles.setdefault(edge.src, []).append(edge.context or edge.relation.replace("_", " "))
    labels = dict(Node.Kind.choices)
    rows = []
    for node in graph.nodes:
        if node.depth == 0:
            continue
        digest_kind, digest = strongest(node.digests)
        rows.append(
            {
                "kind": labels.get(node.kind, node.kind),
                "name": node.name,
                "version": "" if node.version in node.digests.values() else node.version[:60],
                "role": ", ".join(dict.fromkeys(roles.get(node.id, []))),
                "steps": -node.depth,
                "digest_kind": digest_kind,
                "digest": digest,
            }
        )
    note = "There is more: the graph was cut at 500 objects." if graph.truncated else ""
    return Table(key, _LINEAGE, rows, note=note, nothing="No lineage was recorded for this version.")


def strongest(digests: Mapping[str, Any]) -> tuple[str, str]:
    """The best digest that is known, and what kind it is."""
    for name, words in _DIGESTS.items():
        if digests.get(name):
            return words, str(digests[name])
    return "", ""


_DATA: Final = (
    Column("name", "Data set", weight=2),
    Column("role", "Role", weight=1),
    Column("rows", "Rows", "count"),
    Column("features", "Inputs", "count"),
    Column("label", "Label", optional=True, weight=1),
    Column("sensitive", "Protected", "list", optional=True, weight=1.4),
    Column("source", "Source", optional=True, weight=1.4),
    Column("digest", "SHA-256", "digest"),
)


def datasets(found: Iterable[DatasetVersion], *, key: str = "datasets") -> Table:
    """Data set versions with what is known of each."""
    rows = [
        {
            "name": f"{one.dataset.name} v{one.number}",
            "role": one.get_role_display(),
            "rows": one.rows,
            "features": len(one.columns.get("features") or []),
            "label": one.columns.get("label"),
            "sensitive": one.columns.get("sensitive") or [],
            "source": one.source,
            "digest": one.digest,
        }
        for one in found
    ]
    return Table(key, _DATA, rows, nothing="No data set is recorded.")


def json_file(name: str, text: str, about: str, media_type: str = "application/json") -> File:
    """A text that is kept as it is, as a file to attach."""
    return File(name, media_type, text.encode(), about)


def day_before(at: datetime, other: datetime | None) -> bool:
    """Whether ``other`` is set and lies before ``at``."""
    return other is not None and other < at
