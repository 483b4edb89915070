"""Both of MLflow's searches: one statement a page, which starts where the last page ended and writes the JSON itself.

A page costs the same at the first and at the thousandth, and with a thousand versions as with a million: the order is an
index's, the beginning of the page is a place in it, and what a search leaves out or asks for is found by index.
"""

# ruff: noqa: S608 - statements are put together from this house's own text alone; values are parameters

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from config.errors import Invalid
from config.pagination import decode, encode
from registry import reach
from registry.models import User
from registry.selectors import mlflow_reads as reads
from registry.selectors.mlflow_conditions import PROMPT_TAG, Clause, Condition, Place, where

__all__ = ["PROMPT_TAG", "Found", "search_models", "search_versions", "slices_of_versions"]

LARGEST_SLICE: Final = 5_000
_LARGEST_KEY: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Found:
    """One page: the documents as JSON, and the token of the next page (empty at the end)."""

    documents: list[str]
    next: str


@dataclass(frozen=True, slots=True)
class _Key:
    """A column of an order: its name in tokens, where it is in the inner and outer part of the statement, its type."""

    name: str
    inner: str
    outer: str
    kind: type


@dataclass(frozen=True, slots=True)
class _Search:
    """What one of the two searches looks through."""

    keys: dict[str, _Key]
    default: Sequence[str]
    tie_break: Sequence[str]
    place: Place
    columns: str
    rows: str
    document: str


_LIVE_MODEL: Final = "registry_registeredmodel m ON m.id = v.model_id AND m.deleted_at IS NULL"
_VERSIONS: Final = _Search(
    keys={
        "updated": _Key("updated", "v.updated_at", "v.updated_at", datetime),
        "created": _Key("created", "v.created_at", "v.created_at", datetime),
        "name": _Key("name", "m.name", "v.name", str),
        "number": _Key("number", "v.number", "v.number", int),
    },
    default=("-updated", "name", "-number"),
    tie_break=("name", "-number"),
    place=Place(
        fields={"name": "m.name", "run_id": "v.run_id", "source_path": "v.source", "version_number": "v.number"},
        tags="registry_versiontag t WHERE t.version_id",
        owner="v.id",
        versions=True,
    ),
    columns=reads.VERSION_COLUMNS,
    rows=f"registry_modelversion v JOIN {_LIVE_MODEL} JOIN registry_user registrar ON registrar.id = v.registered_by_id "
    "WHERE v.deleted_at IS NULL",
    document=f"SELECT {reads.VERSION}::text, {{keys}} FROM ({{page}}) AS v ORDER BY {{order}}",
)
_MODELS: Final = _Search(
    keys={
        "updated": _Key("updated", "m.updated_at", "m.updated_at", datetime),
        "name": _Key("name", "m.name", "m.name", str),
    },
    default=("name",),
    tie_break=("name",),
    place=Place(fields={"name": "m.name"}, tags="registry_modeltag t WHERE t.model_id", owner="m.id", versions=False),
    columns="m.id, m.name, m.created_at, m.updated_at, m.description",
    rows="registry_registeredmodel m WHERE m.deleted_at IS NULL",
    document=f"SELECT {reads.MODEL}::text, {{keys}} FROM ({{page}}) AS m ORDER BY {{order}}",
)


def search_models(
    user: User,
    conditions: Sequence[Condition],
    order: Sequence[tuple[str, bool]],
    *,
    after: str,
    size: int,
    prompts: bool,
) -> Found:
    """A page of the registered models a user may see. Raises ``Invalid`` for a page token that is not of this search."""
    return _page(_MODELS, user, conditions, order, after=after, size=size, prompts=prompts)


def search_versions(
    user: User,
    conditions: Sequence[Condition],
    order: Sequence[tuple[str, bool]],
    *,
    after: str,
    size: int,
    prompts: bool,
) -> Found:
    """A page of the live versions a user may see. Raises ``Invalid`` for a page token that is not of this search."""
    return _page(_VERSIONS, user, conditions, order, after=after, size=size, prompts=prompts)


def slices_of_versions(
    user: User,
    conditions: Sequence[Condition],
    order: Sequence[tuple[str, bool]],
    *,
    after: str,
    size: int,
    prompts: bool,
) -> Iterator[Found]:
    """The same page in slices, so that a page of any size is never in memory as a whole. The last slice's token counts.

    Each slice is a statement of its own: what is written meanwhile is found or not, and nothing else is lost or doubled.
    """
    left, token = size, after
    while True:
        found = search_versions(user, conditions, order, after=token, size=min(left, LARGEST_SLICE), prompts=prompts)
        left, token = left - len(found.documents), found.next
        yield found
        if not token or not left:
            return


def _page(
    search: _Search,
    user: User,
    conditions: Sequence[Condition],
    order: Sequence[tuple[str, bool]],
    *,
    after: str,
    size: int,
    prompts: bool,
) -> Found:
    keys = _keys(order, search)
    clauses = [search.rows]
    parameters: list[Any] = []
    for text, values in (
        *_seen(user),
        *where(conditions, search.place, prompts=prompts),
        *_beyond(keys, after),
    ):
        clauses.append(text)
        parameters.extend(values)
    inner = ", ".join(f"{key.inner}{' DESC' if down else ''}" for key, down in keys)
    outer = ", ".join(f"{key.outer}{' DESC' if down else ''}" for key, down in keys)
    page = f"SELECT {search.columns} FROM {' AND '.join(clauses)} ORDER BY {inner} LIMIT %s"
    statement = search.document.format(keys=", ".join(key.outer for key, _ in keys), page=page, order=outer)
    with connection.cursor() as cursor:
        # Not prepared: which index is best depends on the values.
        cursor.execute(statement, [*parameters, size + 1])
        rows = cursor.fetchall()
    more = len(rows) > size
    del rows[size:]
    token = encode([_signature(keys), *rows[-1][1:]]) if more else ""
    return Found([row[0] for row in rows], token)


Keys = list[tuple[_Key, bool]]


def _keys(order: Sequence[tuple[str, bool]], search: _Search) -> Keys:
    """The columns to order by, each with whether it descends. The last ones make the order total."""
    wanted = [(name, not ascending) for name, ascending in order]
    given = {name for name, _ in wanted}
    rest = search.tie_break if order else search.default
    wanted += [(key.removeprefix("-"), key.startswith("-")) for key in rest if key.removeprefix("-") not in given]
    return [(search.keys[name], down) for name, down in wanted]


def _signature(keys: Keys) -> str:
    return ",".join(f"{'-' if down else ''}{key.name}" for key, down in keys)


def _seen(user: User) -> Iterator[Clause]:
    parameters = reach.seeing(user)
    if not parameters[0]:
        yield reach.MAY_SEE, parameters


def _beyond(keys: Keys, after: str) -> Iterator[Clause]:
    """What comes after the row a token names. The first part is for the index, which would not see through the rest."""
    if not after:
        return
    values = _values(keys, after)
    first, down = keys[0]
    yield f"{first.inner} {'<=' if down else '>='} %s", [values[0]]
    text, parameters = "", list[object]()
    for (key, falling), value in zip(reversed(keys), reversed(values), strict=True):
        step = f"{key.inner} {'<' if falling else '>'} %s"
        text = f"({step} OR ({key.inner} = %s AND {text}))" if text else step
        parameters = [value, value, *parameters] if parameters else [value]
    yield text, parameters


def _values(keys: Keys, after: str) -> list[object]:
    """The key values in a token. Raises ``Invalid`` if it is not ours, or of a search in another order."""
    refusal = Invalid("This page token is not one of this search.", code="page_token", field="page_token")
    try:
        signature, *given = decode(after, len(keys) + 1)
    except Invalid as error:
        raise refusal from error
    if signature != _signature(keys):
        raise refusal
    values: list[object] = []
    for (key, _), value in zip(keys, given, strict=True):
        if not isinstance(value, int if key.kind is int else str) or isinstance(value, bool):
            raise refusal
        if isinstance(value, int) and abs(value) > _LARGEST_KEY:
            raise refusal
        if key.kind is datetime:
            try:
                moment = datetime.fromisoformat(str(value))
            except ValueError as error:
                raise refusal from error
            if moment.tzinfo is None:
                raise refusal
            values.append(moment)
        else:
            values.append(value)
    return values
