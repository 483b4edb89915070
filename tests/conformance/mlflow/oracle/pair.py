"""One call to both servers, and whether the two answers say the same."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from django.db import connection
from django.test import Client

from registry.models import ModelVersion, User
from registry.services import versions
from tests.conformance.mlflow.oracle.server import PlainServer
from tests.factories import registry as make

API: Final = "/api/2.0/mlflow"
TIMES: Final = frozenset({"creation_timestamp", "last_updated_timestamp"})

# What people and programs read in a message. Other messages may be worded as the server likes; their code may not differ.
SAME_WORDS: Final = re.compile(
    r"Registered Model with name=|Model Version \(name=|Registered model alias |(?:Registered Model|Prompt) \(name="
    r"|Missing value for required parameter|Invalid Model Version stage|Latest version not found"
    r"|Tried to create a |Invalid prompt source|.*Prompt versions cannot be used"
    r"|.*The run_id and model_id request parameters must match",
    re.DOTALL,
)
_HINT: Final = " See the API docs for more information about request parameters."


@dataclass(frozen=True)
class Call:
    """A request: query parameters by name, which may be given several times, or a JSON body."""

    method: str
    rest: str
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = None
    raw: bytes | None = None
    content_type: str = "application/json"

    def content(self) -> bytes | None:
        """The body as bytes."""
        if self.raw is not None:
            return self.raw
        return None if self.body is None else json.dumps(self.body).encode()

    @property
    def arguments(self) -> dict[str, Any]:
        """What was given, however it travels."""
        return dict(self.body or {}) | dict(self.query)


@dataclass(frozen=True)
class Answer:
    """Status and JSON; ``None`` for an answer that is no JSON, as MLflow's when it did not foresee an error."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def code(self) -> str:
        return str(self.body.get("error_code", "")) if isinstance(self.body, dict) else ""

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""


def plain(value: Any) -> Any:
    """An answer without what may differ in form: moments, the order of lists without one, and unset against empty."""
    if isinstance(value, dict):
        found = {key: plain(item) for key, item in value.items() if key not in TIMES}
        for key in ("tags", "aliases", "latest_versions"):
            if key in found:
                found[key] = sorted(found[key], key=lambda item: json.dumps(item, sort_keys=True))
        return {key: item for key, item in found.items() if item not in ("", [], None)}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


@dataclass
class Pair:
    """Both servers, each in the same state."""

    mlflow: PlainServer
    token: str
    user: User
    http: httpx.Client = field(init=False)
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.mlflow.url, timeout=60, trust_env=False)
        self.client = Client(headers={"authorization": f"Bearer {self.token}"}, raise_request_exception=False)

    def forget(self) -> None:
        """Empty both registries."""
        self.mlflow.forget()
        connection.ops.execute_sql_flush(["TRUNCATE registry_registeredmodel CASCADE"])

    def theirs(self, call: Call) -> Answer:
        """MLflow's answer."""
        headers = {"content-type": call.content_type} if call.method != "GET" and call.content_type else {}
        answer = self.http.request(
            call.method, f"{API}/{call.rest}", params=list(call.query), content=call.content(), headers=headers
        )
        return Answer(answer.status_code, _json(answer.content))

    def ours(self, call: Call) -> Answer:
        """Our answer."""
        query = httpx.QueryParams(list(call.query))
        answer = self.client.generic(
            call.method,
            f"{API}/{call.rest}" + (f"?{query}" if call.query else ""),
            call.content() or b"",
            content_type=call.content_type,
        )
        return Answer(answer.status_code, _json(answer.content))

    def both(self, call: Call) -> tuple[Answer, Answer]:
        """MLflow's answer and ours."""
        return self.theirs(call), self.ours(call)

    def seal(self, name: str, number: int) -> None:
        """Do at once what a worker does: READY, as every version of MLflow's is from the start."""
        version = ModelVersion.objects.get(model__name=name, model__deleted_at=None, number=number)
        if version.status == ModelVersion.Status.PENDING:
            files = make.stored({"MLmodel": make.MLMODEL, "weights": f"{name} {number}".encode()})
            versions.seal_version(version_id=version.pk, files=files, by=make.actor(self.user))


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def differs(theirs: Answer, ours: Answer) -> str:
    """How two answers differ, in a word and the two sides; "" if they say the same."""
    if theirs.status != ours.status:
        return f"status: {theirs.status} {theirs.message[:200]!r}, ours {ours.status} {ours.message[:200]!r}"
    if theirs.code != ours.code:
        return f"error code: {theirs.code}, ours {ours.code}"
    if not theirs.ok:
        said = theirs.message.removesuffix(_HINT)
        if SAME_WORDS.match(said) and said != ours.message.removesuffix(_HINT):
            return f"message: {said!r}, ours {ours.message!r}"
        return ""
    one, two = _without_token(theirs.body), _without_token(ours.body)
    if one != two:
        return f"answer: {one}, ours {two}"
    return ""


def _without_token(body: Any) -> Any:
    found = plain(body)
    if isinstance(found, dict) and "next_page_token" in found:
        found["next_page_token"] = "…"
    return found
