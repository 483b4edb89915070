"""What the entries of a bundle name by digest: read from the log once, before anything is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from django.db import connection

from audit.canonical import Json

_AT_ONCE: Final = 500


@dataclass(slots=True)
class Named:
    """Digests by room, ids of decisions, checks and permits, and the story of each request as its entries tell it."""

    policies: set[str] = field(default_factory=set)
    artifacts: set[str] = field(default_factory=set)
    snapshots: set[str] = field(default_factory=set)
    decisions: dict[str, str] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    permits: dict[str, str] = field(default_factory=dict)
    stories: dict[str, dict[str, Json]] = field(default_factory=dict)
    lineage: dict[str, list[int]] = field(default_factory=dict)
    """By version, the entries that say what it was made from."""


def named_by(subjects: Sequence[tuple[str, str]], size: int) -> Named:
    """Read every entry below ``size`` about the subjects."""
    found = Named()
    for index, body in entries_about(subjects, size):
        facts: dict[str, Any] = body["facts"]
        kind, key = body["object"]["type"], body["object"]["id"]
        for room, name in (
            (found.artifacts, "manifest_digest"),
            (found.policies, "policy_digest"),
            (found.snapshots, "evidence_digest"),
        ):
            if facts.get(name):
                room.add(str(facts[name]))
        if facts.get("record_digest"):
            found.decisions[str(facts["record_digest"])] = key
        if body["action"] == "check.finished":
            found.checks[str(facts["result_digest"])] = key
        if body["action"] == "permit.issued":
            found.permits[key] = str(facts["payload_digest"])
        if body["action"] == "lineage.recorded":
            found.lineage.setdefault(key, []).append(index)
        if kind == "governance.promotionrequest":
            _tell(found.stories, index, body)
    return found


def entries_about(subjects: Sequence[tuple[str, str]], size: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (index, body) of each entry below ``size`` about the subjects; of one subject in the order of the log."""
    for first in range(0, len(subjects), _AT_ONCE):
        some = subjects[first : first + _AT_ONCE]
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT entry.index, entry.canon FROM unnest(%s::text[], %s::text[]) AS about (type, id)
                JOIN audit_entry entry ON entry.object_type = about.type AND entry.object_id = about.id
                WHERE entry.index < %s ORDER BY entry.index
                """,
                [[kind for kind, _ in some], [key for _, key in some], size],
            )
            while rows := cursor.fetchmany(2000):
                yield from ((int(index), orjson.loads(canon)) for index, canon in rows)


def _tell(stories: dict[str, dict[str, Json]], index: int, body: dict[str, Any]) -> None:
    """The request for people: only what its entries say, so that the verifier can compare each word."""
    about, facts = body["object"], body["facts"]
    story = stories.setdefault(
        str(about["id"]),
        {
            "id": about["id"],
            "ref": about["version"],
            "asked_at": body["at"],
            "state": "draft",
            "events": [],
            **{key: facts.get(key) for key in ("requested_by", "manifest_digest", "policy_digest", "target")},
        },
    )
    if "state" in body["diff"]:
        story["state"] = body["diff"]["state"][1]
    events = story["events"]
    assert isinstance(events, list)  # noqa: S101 - for the type checker
    events.append(
        {
            "entry": index,
            "at": body["at"],
            "action": body["action"],
            "by": body["actor"]["id"],
            "reason": body["reason"],
        }
    )
