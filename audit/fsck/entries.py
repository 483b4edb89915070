"""One entry against itself: whether its text is canonical, and its hash and its columns say what the text says.

The quick way decides nothing by itself: whatever it does not recognise at once goes the long way, through
``audit.canonical.parse`` and column by column, which also finds the words for what is wrong.
"""

import hashlib
from typing import Any, Final

import orjson

from audit.canonical import DEEPEST, LARGEST, NotCanonical, parse
from audit.fsck.report import Report

COLUMNS: Final = (
    "index", "canon", "stream_n", "stream_previous", "leaf_hash", "at", "entry_id", "action", "actor_id", "actor_name",
    "actor_kind", "object_type", "object_id", "object_version", "object_digest", "request_id",
)  # fmt: skip
# As they come in PostgreSQL's binary form: text as the bytes it is, a moment as microseconds since EPOCH.
TYPES: Final = ("int8", "bytea", "int8", "int8", "bytea", "int8", *["text"] * 10)
EPOCH: Final = 946_684_800_000_000  # 2000-01-01
_FIRST_COMPARED: Final = COLUMNS.index("entry_id")
_MOST_KEYS: Final = 10_000

Row = tuple[Any, ...]
_good_keys: set[str] = set()


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
            and _plain(body, 0)
            and _columns(body) == row[_FIRST_COMPARED:]
            and row[5] + EPOCH == body["at"]
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        quick = False
    if not quick:
        _explain(row, report)
    return digest


def _plain(value: dict[str, Any], depth: int) -> bool:
    """Whether all of this is within the profile of ``audit.canonical``."""
    for key, item in value.items():
        if key not in _good_keys and not _good(key):
            return False
        kind = type(item)
        if kind is str or item is None or kind is bool:
            continue
        if kind is int:
            if not -LARGEST <= item <= LARGEST:
                return False
        elif kind is dict:
            if depth >= DEEPEST - 1 or not _plain(item, depth + 1):
                return False
        elif kind is list:
            if depth >= DEEPEST - 1 or not all(_plain({"item": one}, depth + 1) for one in item):
                return False
        else:
            return False
    return True


def _good(key: str) -> bool:
    """Whether a key matches [a-z0-9_]+; the few that occur are remembered."""
    good = key.isascii() and key.replace("_", "a").isalnum() and key == key.lower()
    if good and len(_good_keys) < _MOST_KEYS:
        _good_keys.add(key)
    return good


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
