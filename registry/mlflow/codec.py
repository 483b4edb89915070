"""Reading arguments and writing answers in MLflow's wire form (model_registry.proto, JSON mapping of proto2).

Arguments come as GET parameters by proto name, repeated ones as repeated keys, or as a JSON object in proto or
camelCase names. In answers int64 are numbers, unset and empty fields are left out, and versions are text.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from itertools import chain
from typing import Any, Final, Protocol

import orjson
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from registry.mlflow.errors import invalid

LARGEST_BODY: Final = 10 * 2**20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Slice(Protocol):
    """A part of a page (``registry.selectors.mlflow_search.Found``)."""

    @property
    def documents(self) -> Sequence[str]: ...
    @property
    def next(self) -> str: ...


class Kind(Enum):
    """Types of arguments."""

    TEXT = auto()
    TEXTS = auto()
    INTEGER = auto()
    FLAG = auto()
    TAGS = auto()
    OBJECT = auto()
    OBJECTS = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One argument of an RPC, by its proto name."""

    name: str
    kind: Kind = Kind.TEXT
    required: bool = False
    form: Callable[[str], str] | None = None
    """What a text must look like, whatever is looked up by it; returns it as it is meant. Raises a refusal."""


def required(name: str, form: Callable[[str], str] | None = None) -> Field:
    """A text that must be given and not be empty."""
    return Field(name, required=True, form=form)


# The forms of MLflow (mlflow/utils/validation.py). What is created is checked once more, and more strictly, by
# ``registry.names``: a name that nobody could give here is merely not found.


def model_name(name: str) -> str:
    """The name, if it has a model's form. Raises ``ProtocolError``."""
    if not name.strip():
        raise invalid("Missing value for required parameter 'name'.")
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    if name == "." or name.startswith(".."):
        raise invalid(f"Invalid model name '{name}'. It would be read as a path.")
    return name


def _new_name(name: str) -> str:
    if not name.strip():
        raise invalid("Missing value for required parameter 'new_name'.")
    return model_name(name)


def _version_number(text: str) -> str:
    try:
        return str(int(text))
    except ValueError:
        raise invalid(f"Parameter 'version' must be an integer, got '{text}'.") from None


def _alias_name(alias: str) -> str:
    if not re.fullmatch(r"[\w\-]{1,255}", alias):
        raise invalid(
            f"Invalid alias name: '{alias}'. It has up to 255 letters, digits, underscores (_) and dashes (-)."
        )
    return alias


def _tag_key(key: str) -> str:
    unlike = posixpath.normpath(key) != key or key == "." or key.startswith(("..", "/"))
    if unlike or not re.fullmatch(r"[/\w.\- :]+", key):
        raise invalid(
            f"Invalid key '{key}': letters, digits, '_', '-', '.', ':', spaces and '/' make a key, which is no path."
        )
    return key


NAME: Final = required("name", model_name)
NEW_NAME: Final = required("new_name", _new_name)
VERSION: Final = required("version", _version_number)
ALIAS: Final = required("alias", _alias_name)
KEY: Final = required("key", _tag_key)


Arguments = dict[str, Any]


def arguments(request: HttpRequest, fields: Iterable[Field]) -> Arguments:
    """Read the arguments that ``fields`` name; one not given is absent. Unknown ones are ignored, as in MLflow.

    Raises ``ProtocolError`` (INVALID_PARAMETER_VALUE) naming the argument at fault.
    """
    given = _from_query(request, fields) if request.method == "GET" and request.GET else body(request)
    found: Arguments = {}
    for field in fields:
        value = _pick(given, field.name)
        if value is not None:
            found[field.name] = _READERS[field.kind](field.name, value)
        if field.required and not found.get(field.name):
            raise invalid(f"Missing value for required parameter '{field.name}'.")
        if field.form and field.name in found:
            found[field.name] = field.form(found[field.name])
    return found


def body(request: HttpRequest) -> dict[str, Any]:
    """The JSON object of the body; an empty body is an empty object; a doubly encoded one (old clients) is decoded."""
    if request.method == "POST" and request.content_type != "application/json":
        raise invalid("Bad Request. Content-Type must be application/json.")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > LARGEST_BODY:
        raise invalid(f"The body must not be longer than {LARGEST_BODY} bytes.")
    raw = request.read(LARGEST_BODY)
    if not raw.strip():
        return {}
    try:
        parsed = orjson.loads(raw)
        if isinstance(parsed, str):
            parsed = orjson.loads(parsed)
    except orjson.JSONDecodeError as error:
        raise invalid(f"The body is not valid JSON: {error}.") from error
    if not isinstance(parsed, dict):
        raise invalid("The body must be a JSON object.")
    return parsed


def camel(name: str) -> str:
    """The JSON name of a proto field: ``run_id`` is ``runId``."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def _from_query(request: HttpRequest, fields: Iterable[Field]) -> dict[str, Any]:
    return {
        field.name: request.GET.getlist(field.name)
        if field.kind is Kind.TEXTS
        else request.GET.getlist(field.name)[0]  # of several the first, as MLflow
        for field in fields
        if field.name in request.GET
    }


def _pick(given: Mapping[str, Any], name: str) -> object:
    other = camel(name)
    if other != name and name in given and other in given:
        raise invalid(f"'{name}' and '{other}' are the same parameter: give one of them.")
    return given.get(name, given.get(other))


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise invalid(
            f"Invalid value {orjson.dumps(value).decode()} for parameter '{name}' supplied: "
            f"it must be a string, not a {type(value).__name__}."
        )
    if "\0" in value:
        raise invalid(f"Invalid value for parameter '{name}' supplied: it contains a null byte.")
    return value


def _texts(name: str, value: object) -> list[str]:
    if not isinstance(value, list):
        raise invalid(f"Invalid value for parameter '{name}' supplied: it must be a list of strings.")
    return [_text(name, item) for item in value]


def _integer(name: str, value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        return int(value)
    raise invalid(f"Parameter '{name}' must be an integer, got '{value}'.")


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise invalid(f"Invalid boolean value: {value}, must be true or false (parameter '{name}').")


def _tags(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, list) or not all(isinstance(tag, dict) for tag in value):
        raise invalid(f"Invalid value for parameter '{name}' supplied: it must be a list of tags with key and value.")
    tags = {_text(f"{name}.key", tag.get("key") or ""): _unset(f"{name}.value", tag.get("value")) for tag in value}
    if "" in tags:
        raise invalid(f"Missing value for required parameter '{name}.key'.")
    return tags


def _unset(name: str, value: object) -> str:
    return "" if value is None else _text(name, value)


def _object(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"Invalid value for parameter '{name}' supplied: it must be an object.")
    return value


def _objects(name: str, value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise invalid(f"Invalid value for parameter '{name}' supplied: it must be a list of objects.")
    return [_object(name, item) for item in value]


_READERS: Final = {
    Kind.OBJECT: _object,
    Kind.OBJECTS: _objects,
    Kind.TEXT: _text,
    Kind.TEXTS: _texts,
    Kind.INTEGER: _integer,
    Kind.FLAG: _flag,
    Kind.TAGS: _tags,
}


def respond(document: Mapping[str, Any]) -> HttpResponse:
    """A successful answer."""
    return HttpResponse(orjson.dumps(document), content_type="application/json")


def respond_text(text: str) -> HttpResponse:
    """A successful answer whose JSON the database wrote."""
    return HttpResponse(text.encode(), content_type="application/json")


def respond_page(name: str, slices: Iterator[Slice]) -> HttpResponseBase:
    """A page of a search, each row of it JSON; ``{}`` for an empty one. One that is more than a slice is streamed."""
    first = next(slices)
    second = next(slices, None)
    if second is None:
        return respond_text("".join(_page(name, iter([first]))))
    return StreamingHttpResponse(_page(name, chain([first, second], slices)), content_type="application/json")


def _page(name: str, slices: Iterator[Slice]) -> Iterator[str]:
    """The page as JSON, slice by slice. A token is base64, in need of no escape."""
    begun, token = False, ""
    for found in slices:
        if found.documents:
            yield ("," if begun else f'{{"{name}":[') + ",".join(found.documents)
            begun = True
        token = found.next
    yield ("]" if begun else "{") + (f',"next_page_token":"{token}"' if token else "") + "}"


def milliseconds(moment: datetime) -> int:
    """A moment as MLflow writes it: whole milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
