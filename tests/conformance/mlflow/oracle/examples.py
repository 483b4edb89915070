"""Each documented difference, shown: what both were told before, the call, and both answers in short."""

from dataclasses import dataclass
from typing import Any, Final

from tests.conformance.mlflow.oracle.languages import RUNS
from tests.conformance.mlflow.oracle.pair import Call

OK: Final = (200, "")
INVALID: Final = (400, "INVALID_PARAMETER_VALUE")
MISSING: Final = (404, "RESOURCE_DOES_NOT_EXIST")
CONFLICT: Final = (409, "RESOURCE_CONFLICT")
CRASH: Final = (500, "")
INTERNAL: Final = (500, "INTERNAL_ERROR")
FORBIDDEN: Final = (403, "PERMISSION_DENIED")

RUN: Final = RUNS[0]
IS_PROMPT: Final = {"key": "mlflow.prompt.is_prompt", "value": "true"}
TEXT: Final = {"key": "mlflow.prompt.text", "value": "Hello!"}


@dataclass(frozen=True)
class Example:
    """What ``name`` in the table means, by one call."""

    name: str
    call: Call
    theirs: tuple[int, str]
    ours: tuple[int, str]
    before: tuple[Call, ...] = ()
    seals: bool = False


def post(rest: str, **body: Any) -> Call:
    return Call("POST", rest, body=body)


def get(rest: str, **query: Any) -> Call:
    pairs = [(key, item) for key, value in query.items() for item in (value if isinstance(value, list) else [value])]
    return Call("GET", rest, query=tuple((key, str(item)) for key, item in pairs))


def source(text: str, **more: Any) -> Call:
    return post("model-versions/create", name="credit", source=text, **more)


MODEL: Final = post("registered-models/create", name="credit")
PROMPT: Final = post("registered-models/create", name="greeting", tags=[IS_PROMPT])
VERSION: Final = source(f"runs:/{RUN}/m", run_id=RUN)
PROMPT_VERSION: Final = post("model-versions/create", name="greeting", source="dummy-source", tags=[IS_PROMPT, TEXT])
MODELS: Final = "registered-models/search"
VERSIONS: Final = "model-versions/search"

EXAMPLES: Final = (
    Example("pending-until-sealed", VERSION, OK, OK, (MODEL,)),
    Example(
        "sealed-uri",
        get("model-versions/get-download-uri", name="credit", version="1"),
        OK,
        OK,
        (MODEL, VERSION),
        seals=True,
    ),
    Example(
        "sealed-uri", get("model-versions/get-download-uri", name="credit", version="1"), OK, CONFLICT, (MODEL, VERSION)
    ),
    Example("sealed-uri", source("models:/credit/1"), OK, CONFLICT, (MODEL, VERSION)),
    *(
        Example("source", source(text), OK, INVALID, (MODEL,))
        for text in (
            "s3://bucket/m",
            "gs://bucket/m",
            "dbfs:/m",
        )
    ),
    Example(
        "user-and-aliases",
        get(VERSIONS),
        OK,
        OK,
        (MODEL, VERSION, post("registered-models/alias", name="credit", alias="a", version="1")),
        seals=True,
    ),
    *(
        Example("not-a-fault-of-the-server", get(rest, **query), theirs, INVALID)
        for rest, query, theirs in (
            (MODELS, {"order_by": ["name", "name DESC"]}, INTERNAL),
            (VERSIONS, {"order_by": ["name", "name"]}, INTERNAL),
            (MODELS, {"filter": "tags.a IS NULL"}, CRASH),
        )
    ),
    Example("sql-in-messages", get(MODELS, filter="name = ('a', 'b')"), (400, "BAD_REQUEST"), INVALID),
    Example("sql-in-messages", get(VERSIONS, filter="run_id LIKE ('a', 'b')"), (400, "BAD_REQUEST"), INVALID),
    Example(
        "not-a-fault-of-the-server",
        post(
            "model-versions/transition-stage",
            name="credit",
            version="1",
            stage="Archived",
            archive_existing_versions=True,
        ),
        INTERNAL,
        INVALID,
        (MODEL, VERSION),
    ),
    Example("not-a-fault-of-the-server", source("models:/credit/Production"), INTERNAL, MISSING, (MODEL, VERSION)),
    Example("not-a-fault-of-the-server", Call("POST", "registered-models/create", raw=b"[1]"), CRASH, INVALID),
    Example(
        "sql-in-messages",
        post("registered-models/rename", name="other", new_name="credit"),
        (400, "RESOURCE_ALREADY_EXISTS"),
        (400, "RESOURCE_ALREADY_EXISTS"),
        (MODEL, post("registered-models/create", name="other")),
    ),
    Example("page-tokens", get(MODELS, page_token="eyJvZmZzZXQiOiAxfQ=="), OK, INVALID, (MODEL,)),
    Example("size-of-nothing", get(MODELS, max_results=0), OK, INVALID, (MODEL,)),
    Example("size-of-nothing", get(MODELS, max_results=-1), OK, INVALID, (MODEL,)),
    *(
        Example("names", post("registered-models/create", name=name), OK, INVALID)
        for name in (
            " credit",
            "credit ",
            "cre\u200bdit",
            "e\u0301",
            "tab\tbed",
            "line\n",
            "\u202ecredit",
            "x" * 257,
        )
    ),
    Example(
        "aliases",
        post("registered-models/alias", name="credit", alias="\u0441hampion", version="1"),
        OK,
        INVALID,
        (MODEL, VERSION),
    ),
    Example(
        "aliases",
        post("registered-models/alias", name="credit", alias="champion\n", version="1"),
        OK,
        INVALID,
        (MODEL, VERSION),
    ),
    Example(
        "search-quotes", get(MODELS, filter="name = 'it''s'"), OK, OK, (post("registered-models/create", name="it's"),)
    ),
    Example("search-bare-keys", get(MODELS, filter="tags.risk-tier = '1'"), INVALID, OK),
    Example("search-bare-keys", get(MODELS, filter="tags.1 = 'a'"), INVALID, OK),
    Example("search-without-and", get(MODELS, filter="name = 'a' name IN ('b') AND"), INVALID, OK),
    Example("search-loose-keys", get(MODELS, filter="tags. team = 'a'"), OK, INVALID),
    Example("search-loose-keys", get(MODELS, filter="tags.\tLIKE 'a'"), OK, INVALID),
    Example("search-lists", get(MODELS, filter="name IN ('a' 'b')"), OK, INVALID),
    Example("arguments-of-a-wrong-type", get(MODELS, max_results=" 5"), OK, INVALID),
    Example(
        "arguments-of-a-wrong-type",
        post("registered-models/create", name="x", tags=[{"key": "a", "value": 3}]),
        OK,
        INVALID,
    ),
    Example(
        "camel-case",
        Call("POST", "registered-models/rename", body={"name": "credit", "newName": "b"}),
        INVALID,
        OK,
        (MODEL,),
    ),
    Example("long-texts", post("registered-models/create", name="x", description="x" * 50_001), OK, INVALID),
    Example(
        "prompt-is-sealed",
        post("model-versions/set-tag", name="greeting", version="1", key="mlflow.prompt.text", value="x"),
        OK,
        CONFLICT,
        (PROMPT, PROMPT_VERSION),
    ),
    Example(
        "prompt-is-sealed",
        Call(
            "DELETE",
            "model-versions/delete-tag",
            body={"name": "greeting", "version": "1", "key": "mlflow.prompt.text"},
        ),
        OK,
        CONFLICT,
        (PROMPT, PROMPT_VERSION),
    ),
    Example("prompt-or-model", post("registered-models/set-tag", name="credit", **IS_PROMPT), OK, CONFLICT, (MODEL,)),
    Example(
        "prompt-or-model",
        post("model-versions/create", name="credit", source="dummy-source", tags=[IS_PROMPT, TEXT]),
        OK,
        CONFLICT,
        (MODEL,),
    ),
    Example(
        "prompt-or-model",
        post("model-versions/create", name="greeting", source="dummy-source", tags=[IS_PROMPT]),
        OK,
        INVALID,
        (PROMPT,),
    ),
    Example(
        "prompt-or-model", post("registered-models/create", name="x", tags=[{**IS_PROMPT, "value": "yes"}]), OK, INVALID
    ),
    Example(
        "approval-tags",
        post("registered-models/set-tag", name="credit", key="approved_by", value="me"),
        OK,
        FORBIDDEN,
        (MODEL,),
    ),
    Example(
        "methods",
        Call("POST", "registered-models/update", body={"name": "credit", "description": "x"}),
        (405, ""),
        OK,
        (MODEL,),
    ),
    Example(
        "methods", Call("PUT", "registered-models/create", body={"name": "x"}), (405, ""), (404, "ENDPOINT_NOT_FOUND")
    ),
    Example("error-fields", get("registered-models/get", name="nobody"), MISSING, MISSING),
    Example("empty-texts", VERSION, OK, OK, (MODEL,)),
)
