"""MLflow's search language for registered models and model versions, read by a small parser of our own. Pure.

``name LIKE 'credit%' AND tags.`risk tier` = '1'``: conditions joined by AND; ``= != LIKE ILIKE`` on text, ``IN`` and
``NOT IN`` on names and run ids, ``= != < <= > >=`` on version numbers; ``attribute.``, ``tag.`` and ``tags.`` prefixes;
keys of tags bare, in back-ticks or in double quotes; values in single or double quotes (a doubled quote stands for
itself). What MLflow's parser (``mlflow/utils/search_utils.py`` over sqlparse) understands and refuses is the measure:
tests/conformance/mlflow/oracle compares the two.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

TEXT_OPERATORS: Final = ("=", "!=", "LIKE", "ILIKE")
NUMBER_OPERATORS: Final = ("=", "!=", "<", "<=", ">", ">=")
LIST_OPERATORS: Final = ("IN", "NOT IN")
PROMPT_TAG: Final = "mlflow.prompt.is_prompt"


class BadFilter(ValueError):
    """The search or its order is not in the language; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. ``value`` is a number for version numbers, a tuple for IN, else text."""

    on: Literal["attribute", "tag"]
    key: str
    operator: str
    value: str | int | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """What one of the two searches knows."""

    texts: frozenset[str]
    numbers: frozenset[str]
    lists: frozenset[str]
    orders: dict[str, str]  # name in order_by → name of the column
    prefix: str  # what may stand before a name in order_by


MODELS: Final = Language(
    texts=frozenset({"name"}),
    numbers=frozenset(),
    lists=frozenset({"name"}),
    orders={"name": "name", "timestamp": "updated", "last_updated_timestamp": "updated"},
    prefix="",
)
VERSIONS: Final = Language(
    texts=frozenset({"name", "run_id", "source_path"}),
    numbers=frozenset({"version_number"}),
    lists=frozenset({"name", "run_id"}),
    orders={
        "name": "name",
        "version_number": "number",
        "creation_timestamp": "created",
        "last_updated_timestamp": "updated",
    },
    prefix=r"(?:attribute\.)?",
)

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<single>'(?:[^']|'')*')
      | (?P<double>"(?:[^"]|"")*")
      | (?P<tick>`[^`]*`)
      | (?P<operator>!=|<=|>=|=|<|>)
      | (?P<mark>[(),.;])
      | (?P<word>[^\s'"`=!<>(),.;]+)
    )""",
    re.VERBOSE,
)
_Token = tuple[str, str]  # kind and text; a dot with a space beside it is a "loose" mark


def parse(text: str, language: Language) -> list[Condition]:
    """Return the conditions of a filter; none for an empty one. Raises ``BadFilter``."""
    if not text:
        return []
    reader = _Reader(_tokens(text), text)
    if not reader.more():
        raise BadFilter(f"Invalid filter '{text}'. Could not be parsed.")
    found = []
    while reader.more():
        if not reader.word("AND"):  # MLflow takes as many as there are, and none for granted
            found.append(_condition(reader, language))
    return found


def order(clauses: list[str], language: Language) -> list[tuple[str, bool]]:
    """Return ``(column, ascending)`` for each clause of ``order_by``. Raises ``BadFilter``, also for a double one."""
    found: dict[str, bool] = {}
    for clause in clauses:
        match = re.fullmatch(rf"""{language.prefix}(?P<q>[`"]?)(?P<key>\w+)(?P=q)(?:\s+(?P<way>\w+))?""", clause)
        if match is None or (match["q"] and not match["way"] and not language.prefix):
            raise BadFilter(f"Invalid order_by clause '{clause}'. Could not be parsed.")
        way = (match["way"] or "ASC").upper()
        if way not in {"ASC", "DESC"}:
            raise BadFilter(f"Invalid ordering key in order_by clause '{clause}'.")
        column = language.orders.get(match["key"])
        if column is None:
            raise BadFilter(
                f"Invalid order by key '{match['key']}' specified. Valid keys are {_listed(language.orders)}."
            )
        if column in found:
            raise BadFilter(f"`order_by` contains duplicate fields: {clauses}")
        found[column] = way == "ASC"
    return list(found.items())


def wants_prompts(conditions: list[Condition]) -> bool:
    """Whether the search asks for prompts, which are hidden otherwise."""
    for condition in conditions:
        if condition.on == "tag" and condition.key == PROMPT_TAG:
            value = str(condition.value).lower()
            return (condition.operator, value) in {("=", "true"), ("!=", "false")}
    return False


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadFilter(
                f"Invalid filter '{text}'. Could not be parsed at {text[position : position + 20].strip()!r}."
            )
        kind = str(match.lastgroup)
        if match[kind] == "." and (match.start(kind) > position or text[match.end() : match.end() + 1].isspace()):
            kind = "loose"
        found.append((kind, match[match.lastgroup or 0]))
        position = match.end()
    return found


class _Reader:
    def __init__(self, tokens: list[_Token], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._tokens)

    def peek(self) -> _Token:
        return self._tokens[self._at] if self.more() else ("end", "")

    def take(self) -> _Token:
        token = self.peek()
        self._at += 1
        return token

    def word(self, word: str) -> bool:
        kind, value = self.peek()
        if kind == "word" and value.upper() == word:
            self._at += 1
            return True
        return False

    def mark(self, mark: str) -> bool:
        if self.peek() == ("mark", mark):
            self._at += 1
            return True
        return False

    def rest(self) -> str:
        return repr(" ".join(value for _, value in self._tokens[self._at :])) if self.more() else "the end"


def _condition(reader: _Reader, language: Language) -> Condition:
    on, key = _identifier(reader)
    if on == "attribute" and key not in language.texts | language.numbers:
        raise BadFilter(
            f"Invalid attribute key '{key}' specified. Valid keys are {_listed(language.texts | language.numbers)}."
        )
    operator = _operator(reader)
    numeric = on == "attribute" and key in language.numbers
    allowed = NUMBER_OPERATORS if numeric else TEXT_OPERATORS
    if on == "attribute" and key in language.lists:
        allowed = (*allowed, *LIST_OPERATORS)
    if operator not in allowed:
        raise BadFilter(f"Invalid comparator for {on} '{key}': {operator}. Valid ones are {', '.join(allowed)}.")
    if operator in LIST_OPERATORS:
        return Condition(on, key, operator, _list(reader, key))
    return Condition(on, key, operator, _number(reader, key) if numeric else _quoted(reader, key))


def _identifier(reader: _Reader) -> tuple[Literal["attribute", "tag"], str]:
    first = _name(reader)
    if not reader.mark("."):
        return "attribute", first
    if first == "attribute":
        return "attribute", _name(reader)
    if first not in {"tag", "tags"}:
        raise BadFilter(f"Invalid entity type '{first}'. Valid entity types are 'attribute', 'tag' and 'tags'.")
    key = _name(reader, quoted=True)
    while reader.mark("."):  # bare keys may have dots: tags.mlflow.source.name
        key = f"{key}.{_name(reader)}"
    return "tag", key


def _name(reader: _Reader, *, quoted: bool = False) -> str:
    kind, value = reader.take()
    if kind == "word":
        return value
    if quoted and kind in {"tick", "double"}:
        return value[1:-1]
    raise BadFilter(
        f"Invalid clause(s) in filter string: expected the name of an attribute or tag, not {value or 'the end'}."
    )


def _operator(reader: _Reader) -> str:
    kind, value = reader.take()
    if kind == "operator":
        return value
    word = value.upper()
    if kind == "word" and word == "NOT" and reader.word("IN"):
        return "NOT IN"
    if kind == "word" and word in {"LIKE", "ILIKE", "IN"}:
        return word
    raise BadFilter(f"Invalid clause(s) in filter string: expected a comparator, not {value or 'the end'}.")


def _quoted(reader: _Reader, key: str) -> str:
    kind, value = reader.take()
    if kind == "single":
        return value[1:-1].replace("''", "'")
    if kind == "double":
        return value[1:-1].replace('""', '"')
    raise BadFilter(f"Expected a quoted string value for '{key}' (e.g. 'my-value'). Got value {value or 'nothing'}.")


def _number(reader: _Reader, key: str) -> int:
    kind, value = reader.take()
    digits = value[1:-1] if kind in {"single", "double"} else value
    if kind in {"word", "single", "double"} and re.fullmatch(r"-?[0-9]{1,18}", digits):
        return int(digits)
    raise BadFilter(f"Invalid value for numeric attribute '{key}': {value or 'nothing'}.")


def _list(reader: _Reader, key: str) -> tuple[str, ...]:
    if not reader.mark("("):
        raise BadFilter(f"Expected a list of quoted strings in parentheses for '{key}', not {reader.rest()}.")
    values = [_quoted(reader, key)]
    while reader.mark(","):
        values.append(_quoted(reader, key))
    if not reader.mark(")"):
        raise BadFilter(f"The list for '{key}' is not closed by a parenthesis.")
    return tuple(values)


def _listed(names: "frozenset[str] | dict[str, str]") -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))
