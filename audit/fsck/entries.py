"""One entry against itself: whether its text is canonical, and its hash and its columns say what the text says.

The quick way decides nothing by itself: whatever it does not recognise at once goes the long way, through
``audit.canonical.parse`` and column by column, which also finds the words for what is wrong.
"""

import hashlib
from typing import Any, Final

import orjson

from audit.canonical import NotCanonical, parse, within
from audit.fsck.report import Report

COLUMNS: Final = (
    "index", "canon", "stream_n", "stream_previous", "leaf_hash", "at", "entry_id", "action", "actor_id", "actor_name",
    "actor_kind", "object_type", "object_id", "object_version", "object_digest", "request_id",
)  # fmt: skip
# As they come in PostgreSQL's binary form: text as the bytes it is, a moment as microseconds since EPOCH.
TYPES: Final = ("int8", "bytea", "int8", "int8", "bytea", "int8", *["text"] * 10)
EPOCH: Final = 946_684_800_000_000  # 2000-01-01
_FIRST_COMPARED: Final = COLUMNS.index("entry_id")

Row = tuple[Any, ...]


def leaf_digest(row: Row) -> bytes:
    """Return the leaf hash that the text and the place in the stream give (RFC 9162 2.1.1)."""
    previous = b"null" if row[3] is None else b"%d" % row[3]
    return hashlib.sha256(b'\x00{"body":' + row[1] + b',"stream":{"n":%d,"previous":%b}}' % (row[2], previous)).digest()


def check(row: Row, report: Report) -> bytes:
    """Return the leaf hash of the entry, after noting in ``report`` what does not hold."""
    digest = leaf_digest(row)
    if row[4] != digest:
        report.add(f"entry {row[0]}", "leaf_hash is not the hash of the leaf")
    raw = row[1]
    try:
        body = orjson.loads(raw)
        quick = (
            orjson.dumps(body, option=orjson.OPT_SORT_KEYS) == raw
            and b"\\u0000" not in raw
            and within(body)
            and _columns(body) == row[_FIRST_COMPARED:]
            and row[5] + EPOCH == body["at"]
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        quick = False
    if not quick:
        _explain(row, report)
    return digest


def _columns(body: dict[str, Any]) -> Row:
    actor, about = body["actor"], body["object"]
    return (
        body["id"], body["action"], actor["id"], actor.get("name"), actor["kind"],
        about["type"], about["id"], about["version"], about["digest"], body["request_id"],
    )  # fmt: skip


def _explain(row: Row, report: Report) -> None:
    """Say what is wrong, if anything is: columns say what the text says, even if somebody rewrote the heap."""
    where = f"entry {row[0]}"
    try:
        body = parse(bytes(row[1]))
        expected = _columns(body)
        moment = body["at"]
    except (NotCanonical, KeyError, TypeError, AttributeError) as error:
        report.add(where, f"canon cannot be read: {error}")
        return
    for column, said, value in zip(COLUMNS[_FIRST_COMPARED:], row[_FIRST_COMPARED:], expected, strict=True):
        if said != value:
            report.add(where, f"column {column} says {said!r}, the text says {value!r}")
    if row[5] is None or row[5] + EPOCH != moment:
        said = "nothing" if row[5] is None else f"{row[5] + EPOCH} µs"
        report.add(where, f"column at says {said}, the text says {moment} µs")
