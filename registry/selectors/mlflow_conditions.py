"""The conditions of MLflow's searches as SQL: clauses with their parameters, which ``mlflow_search`` joins by AND."""

# ruff: noqa: S608 - statements are put together from this house's own text alone; values are parameters

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from config import statements

PROMPT_TAG: Final = "mlflow.prompt.is_prompt"
_INDEXED: Final = 100
"""How much of a tag's value is in the index ``versiontag_value``."""

Clause = tuple[str, Sequence[object]]


class Condition(Protocol):
    """One comparison of a search (``registry.mlflow.filters.Condition``)."""

    @property
    def on(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def operator(self) -> str: ...
    @property
    def value(self) -> str | int | tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """What a search looks through: columns by their names in the language, the table of tags, the column of its owner."""

    fields: dict[str, str]
    tags: str
    owner: str
    versions: bool


_IS_PROMPT: Final = f"""EXISTS (SELECT FROM registry_modeltag prompt
    WHERE prompt.model_id = m.id AND prompt.key = '{PROMPT_TAG}' AND prompt.value = 'true')"""
"""Whether a model is a prompt is said by its tag, from its creation on, for its versions as well."""


_ONE_MODEL: Final = f"""SELECT m.id, {_IS_PROMPT} FROM registry_registeredmodel m
    WHERE m.name = %s AND m.deleted_at IS NULL"""
_ESCAPED: Final = {"LIKE": "{} LIKE %s ESCAPE ''", "ILIKE": "{} ILIKE %s ESCAPE ''"}
_LISTS: Final = {"IN": "{} = ANY(%s)", "NOT IN": "{} <> ALL(%s)"}
_PLAIN: Final = {sign: f"{{}} {'<>' if sign == '!=' else sign} %s" for sign in ("=", "!=", "<", "<=", ">", ">=")}
_OPERATORS: Final = {**_ESCAPED, **_LISTS, **_PLAIN}


def _compare(column: str, condition: Condition) -> Clause:
    value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    return _OPERATORS[condition.operator].format(column), [value]


def _of_models(names: Sequence[Condition], *, prompts: bool) -> Iterator[Clause]:
    """The versions of the models so named, by key: PostgreSQL knows how many versions a key has, but not a name.

    Whether it is a prompt is known then, too. Without such a condition, versions of prompts are left out one by one.
    """
    for condition in names:
        found = statements.row(_ONE_MODEL, [condition.value])
        yield "v.model_id = %s", [found[0] if found and (prompts or not found[1]) else 0]
    if not names and not prompts:
        yield f"NOT {_IS_PROMPT}", ()


def _compare_value(condition: Condition) -> Iterator[Clause]:
    """A comparison with a tag's value; equality through the index, whose entry is the whole value if that is short."""
    if condition.operator == "=":
        yield f"left(t.value, {_INDEXED}) = %s", [str(condition.value)[:_INDEXED]]
    if condition.operator != "=" or len(str(condition.value)) >= _INDEXED:
        yield _compare("t.value", condition)


_FEW: Final = 1_000
_WITH_TAG: Final = f"""SELECT version_id FROM registry_versiontag
    WHERE key = %s AND left(value, {_INDEXED}) = %s LIMIT {_FEW + 1}"""


def _few(place: Place, key: str, wanted: Sequence[Condition]) -> Iterator[Clause]:
    """The versions with that tag, if they are few: else PostgreSQL might look for them in the order of the answer.

    That is right for a tag that many have, as its statistics say. Where the few stand in that order, they do not say.
    """
    if not place.versions:
        return
    for condition in wanted:
        if condition.operator == "=":
            found = statements.rows(_WITH_TAG, [key, str(condition.value)[:_INDEXED]])
            if len(found) <= _FEW:
                yield "v.id = ANY(%s)", [[row[0] for row in found]]
                return


_ONE_NAME: Final = ("attribute", "name", "=")


def where(conditions: Sequence[Condition], place: Place, *, prompts: bool) -> Iterator[Clause]:
    """All attribute conditions, and for each tag key one tag that meets every condition on it."""
    named = [one for one in conditions if place.versions and (one.on, one.key, one.operator) == _ONE_NAME]
    yield from _of_models(named, prompts=prompts)
    of_tags: dict[str, list[Condition]] = {}
    for condition in conditions:
        if condition.on == "tag":
            if condition.key != PROMPT_TAG or prompts:
                of_tags.setdefault(condition.key, []).append(condition)
        elif condition not in named:
            yield _compare(place.fields[condition.key], condition)
    for key, wanted in of_tags.items():
        texts, parameters = ["t.key = %s"], list[object]([key])
        for condition in wanted:
            for text, values in _compare_value(condition):
                texts.append(text)
                parameters += values
        yield f"EXISTS (SELECT FROM {place.tags} = {place.owner} AND {' AND '.join(texts)})", parameters
        yield from _few(place, key, wanted)
