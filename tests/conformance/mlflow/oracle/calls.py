"""Calls of every registry RPC, mostly sensible, sometimes odd in one argument."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st

from tests.conformance.mlflow.oracle.languages import RUNS, model_filters, orders, version_filters
from tests.conformance.mlflow.oracle.pair import Call
from tests.conformance.mlflow.oracle.server import ON_POSTGRESQL

NAMES: Final = ("credit", "credit-default", "Credit", "a b", "ü%_x")
PROMPTS: Final = ("greeting", "credit")
VERSIONS: Final = ("1", "2", "3")
ALIASES: Final = ("champion", "challenger", "Champion", "b-1_x")
KEYS: Final = ("team", "risk tier", "a.b", "mlflow.note", "x/y")
VALUES: Final = ("1", "true", "", "50%", "it's", 'say "x"', "ünï", "a_b", "credit")
STAGES: Final = ("Staging", "Production", "Archived", "None", "staging", "NONE")
TEXTS: Final = ("", "Cards", "two\nlines", "ü")

# Refused by both: whatever is odd in what is written must leave both registries as they were.
ODD_NAMES: Final = ("", " ", "a/b", "a:b", ".", "..", "../x", "..x", 3, None, ["x"], {"a": 1}, True, "missing")
ODD_VERSIONS: Final = ("0", "-1", "x", "1.0", " 1", "+2", "99", "99999999999", "", 1, None, "1_0", "٢", "1e1", "v1")
ODD_ALIASES: Final = ("latest", "LATEST", "v1", "V12", "a b", "a/b", "", "x" * 256, None, 3, "nobody", "é")
ODD_KEYS: Final = ("", "/x", "../x", "a\nb", "a=b", 'a"b', None, 3, "nothing", ".", "a//b", "a/", "é!")
ODD_STAGES: Final = ("", "Live", None, 3, "Prod uction", "None ")
ODD_FLAGS: Final = ("true", "yes", 1, None, 0, "")
ODD_TEXTS: Final[tuple[Any, ...]] = (3, None, ["x"], {}, True)
ODD_SIZES: Final = (
    "0",
    "-1",
    "1000",
    "1001",
    "200000",
    "200001",
    "x",
    "",
    "1.5",
    "1e3",
    "99999999999999999999",
    " 5",
    "+5",
)
ODD_TAGS: Final[tuple[Any, ...]] = ("x", {}, {"key": "a"}, 3, None)


@dataclass(frozen=True)
class Argument:
    """What an argument is in sensible calls and in odd ones."""

    usual: st.SearchStrategy[Any]
    odd: tuple[Any, ...]
    optional: bool = False


def _tags(keys: tuple[str, ...] = KEYS) -> st.SearchStrategy[Any]:
    tag = st.fixed_dictionaries({"key": st.sampled_from(keys), "value": st.sampled_from(VALUES)})
    return st.lists(tag, max_size=2)


NAME: Final = Argument(st.sampled_from(NAMES), ODD_NAMES)
NEW_NAME: Final = Argument(st.sampled_from(NAMES), ODD_NAMES)
VERSION: Final = Argument(st.sampled_from(VERSIONS), ODD_VERSIONS)
ALIAS: Final = Argument(st.sampled_from(ALIASES), ODD_ALIASES)
KEY: Final = Argument(st.sampled_from(KEYS), ODD_KEYS)
VALUE: Final = Argument(st.sampled_from(VALUES), ODD_TEXTS, optional=True)
DESCRIPTION: Final = Argument(st.sampled_from(TEXTS), ODD_TEXTS, optional=True)
TAGS: Final = Argument(_tags(), ODD_TAGS, optional=True)
STAGE: Final = Argument(st.sampled_from(STAGES), ODD_STAGES)
# With psycopg 3 MLflow cannot archive (server.py), so there is nothing to compare with.
ARCHIVE: Final = Argument(st.just(False) if ON_POSTGRESQL else st.booleans(), ODD_FLAGS, optional=True)
RUN_LINK: Final = Argument(st.sampled_from(("", "https://runs.example/1")), ODD_TEXTS, optional=True)

SIZE: Final = Argument(st.sampled_from(("1", "2", "3", "100")), ODD_SIZES, optional=True)
TOKEN: Final = Argument(st.just(""), ("x", "eyJ9", "{}", "=", "é"), optional=True)

METHODS: Final = {"search": "GET", "get": "GET", "get-download-uri": "GET"}


@dataclass(frozen=True)
class Rpc:
    """One RPC: how it is called and with what."""

    method: str
    rest: str
    arguments: dict[str, Argument]


READS: Final = (
    Rpc("GET", "registered-models/get", {"name": NAME}),
    Rpc("GET", "registered-models/alias", {"name": NAME, "alias": replace(ALIAS, usual=st.sampled_from((*ALIASES, "latest")))}),
    Rpc("GET", "model-versions/get", {"name": NAME, "version": VERSION}),
    Rpc("GET", "model-versions/get-download-uri", {"name": NAME, "version": VERSION}),
    Rpc("GET", "registered-models/get-latest-versions", {"name": NAME, "stages": replace(STAGE, optional=True)}),
    Rpc("POST", "registered-models/get-latest-versions", {
        "name": NAME,
        "stages": Argument(st.lists(st.sampled_from(STAGES), max_size=2), ("Staging", [3], {}, ["Live"], None), optional=True),
    }),
)  # fmt: skip
OF_MODELS: Final = (
    Rpc("PATCH", "registered-models/update", {"name": NAME, "description": DESCRIPTION}),
    Rpc("POST", "registered-models/rename", {"name": NAME, "new_name": NEW_NAME}),
    Rpc("POST", "registered-models/set-tag", {"name": NAME, "key": KEY, "value": VALUE}),
    Rpc("DELETE", "registered-models/delete-tag", {"name": NAME, "key": KEY}),
    Rpc("POST", "registered-models/alias", {"name": NAME, "alias": ALIAS, "version": VERSION}),
    Rpc("DELETE", "registered-models/alias", {"name": NAME, "alias": ALIAS}),
)
CREATE_MODEL: Final = Rpc("POST", "registered-models/create", {"name": NAME, "tags": TAGS, "description": DESCRIPTION})
DELETE_MODEL: Final = Rpc("DELETE", "registered-models/delete", {"name": NAME})
OF_VERSIONS: Final = (
    Rpc("PATCH", "model-versions/update", {"name": NAME, "version": VERSION, "description": DESCRIPTION}),
    Rpc("POST", "model-versions/transition-stage", {
        "name": NAME, "version": VERSION, "stage": STAGE, "archive_existing_versions": ARCHIVE,
    }),
    Rpc("DELETE", "model-versions/delete", {"name": NAME, "version": VERSION}),
    Rpc("POST", "model-versions/set-tag", {"name": NAME, "version": VERSION, "key": KEY, "value": VALUE}),
    Rpc("DELETE", "model-versions/delete-tag", {"name": NAME, "version": VERSION, "key": KEY}),
)  # fmt: skip

SOURCES: Final = (
    *(f"runs:/{run}/m" for run in RUNS),
    *(
        "models:/credit/1",
        "models:/credit/2",
        "models:/credit@champion",
        "models:/credit/latest",
        "models:/Credit/Staging",
    ),
    *("models:/nobody/1", "models:/credit@nobody", "models:/credit/99", "models:/greeting/1"),
    # Refused by both.
    *("/etc/passwd", "file:///etc/passwd", "dummy-source", "prompt-template", "x", "../x", "models:/", "models:/a/b/c"),
    *(
        "runs:/",
        "runs://host/x/y",
        "models://host/credit/1",
        "models:/m-1",
        "mlflow-artifacts:/x/../y",
        "mlflow-artifacts:/x",
    ),
    *(f"runs:/{RUNS[0]}/../../x", f"runs:/{RUNS[0]}/%2e%2e/x", "", 3, None),
)


@st.composite
def created_version(draw: st.DrawFn) -> Call:
    """A registration: from a run that is given with it, from another version, or refused."""
    source = draw(st.sampled_from((*SOURCES[:2] * 6, *SOURCES)))
    body: dict[str, Any] = {"name": draw(NAME.usual), "source": source}
    if isinstance(source, str) and source.startswith("runs:/") and draw(st.integers(0, 9)):
        body["run_id"] = source.split("/")[1]
    elif not str(source).startswith("mlflow-artifacts") and draw(st.integers(0, 4)) == 0:
        body["run_id"] = draw(st.sampled_from(RUNS))
    for name, argument in (("tags", TAGS), ("description", DESCRIPTION), ("run_link", RUN_LINK)):
        if draw(st.booleans()):
            body[name] = draw(argument.usual)
    return draw(_disturbed(Rpc("POST", "model-versions/create", {"name": NAME}), body))


@st.composite
def created_prompt_version(draw: st.DrawFn) -> Call:
    """A version of a prompt, as MLflow's client writes it."""
    tags = [
        {"key": "mlflow.prompt.is_prompt", "value": "true"},
        {"key": "mlflow.prompt.text", "value": draw(st.sampled_from(VALUES))},
    ]
    tags += draw(_tags())
    source = draw(st.sampled_from(("dummy-source", "prompt-template", "dummy-source", "x", f"runs:/{RUNS[0]}/m")))
    return Call("POST", "model-versions/create", body={"name": "greeting", "source": source, "tags": tags})


def sensible(rpc: Rpc) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments as a client would give them."""
    needed = {name: argument.usual for name, argument in rpc.arguments.items() if not argument.optional}
    optional = {name: argument.usual for name, argument in rpc.arguments.items() if argument.optional}
    return st.fixed_dictionaries(needed, optional=optional)


def called(rpc: Rpc) -> st.SearchStrategy[Call]:
    """The RPC, mostly with sensible arguments."""
    return sensible(rpc).flatmap(lambda given: _disturbed(rpc, given))


@st.composite
def _disturbed(draw: st.DrawFn, rpc: Rpc, given: dict[str, Any]) -> Call:
    """In one of five calls one argument is odd, missing, in camelCase, given twice, or one nobody knows."""
    given = dict(given)
    twice: tuple[tuple[str, str], ...] = ()
    if draw(st.integers(0, 4)) == 0:
        name = draw(st.sampled_from(sorted(rpc.arguments)))
        how = draw(st.sampled_from(("odd", "odd", "odd", "missing", "unknown", "camel", "twice")))
        if how == "odd":
            given[name] = draw(st.sampled_from(rpc.arguments[name].odd))
        elif how == "missing":
            given.pop(name, None)
        elif how == "unknown":
            given["colour"] = "red"
        elif how == "camel" and name == "archive_existing_versions" and name in given:
            given["archiveExistingVersions"] = given.pop(name)
        elif how == "twice" and isinstance(given.get(name), str):
            twice = ((name, "another"),)
    if rpc.method != "GET":
        return Call(rpc.method, rpc.rest, body=given)
    query = [(name, item) for name, value in given.items() for item in (value if isinstance(value, list) else [value])]
    return Call("GET", rpc.rest, query=(*((name, str(item)) for name, item in query if item is not None), *twice))


@st.composite
def searched(draw: st.DrawFn, *, of_models: bool) -> Call:
    """A search: filter, order, size."""
    query: list[tuple[str, str]] = []
    if draw(st.integers(0, 3)):
        query.append(("filter", draw(model_filters if of_models else version_filters)))
    if draw(st.booleans()):
        query += [("order_by", clause) for clause in draw(orders)]
    if draw(st.booleans()):
        query.append(("max_results", str(draw(SIZE.usual if draw(st.integers(0, 3)) else st.sampled_from(ODD_SIZES)))))
    if draw(st.integers(0, 15)) == 0:
        query.append(("page_token", draw(st.sampled_from(TOKEN.odd))))
    kind = "registered-models" if of_models else "model-versions"
    return Call("GET", f"{kind}/search", query=tuple(query))


Make = Callable[[Rpc], st.SearchStrategy[Call]]
