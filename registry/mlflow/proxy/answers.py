"""Answers that are looked into on the way back: what may not be seen is left out, what was created is noted."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import orjson
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase

from audit.actors import Actor
from registry.mlflow.auth import person
from registry.mlflow.codec import camel, respond
from registry.mlflow.errors import ProtocolError
from registry.mlflow.proxy import owners
from registry.mlflow.proxy.addresses import Call
from registry.mlflow.proxy.permissions import check_experiments
from registry.mlflow.proxy.streams import fetch, returned
from registry.selectors import experiments as seen
from registry.services import experiments as verbs

Document = dict[str, Any]
Look = Callable[[HttpRequest, Actor, Call, QueryDict, Document | None], HttpResponseBase | None]


def look_into(
    request: HttpRequest, by: Actor, call: Call, query: QueryDict, document: Document | None
) -> HttpResponseBase | None:
    """The whole answer for the calls whose answers matter; ``None`` for all others, which are streamed."""
    look = _LOOKS.get(call.name)
    return look(request, by, call, query, document) if look is not None else None


def _experiment_by_name(
    request: HttpRequest, by: Actor, call: Call, query: QueryDict, document: Document | None
) -> HttpResponseBase:
    del call, document
    answer = fetch(request, by, path=request.path_info, query=query.urlencode())
    if answer.is_success:
        check_experiments(person(by), [str(_parsed(answer)["experiment"]["experiment_id"])])
    return returned(answer)


def _experiments_found(
    request: HttpRequest, by: Actor, call: Call, query: QueryDict, document: Document | None
) -> HttpResponseBase | None:
    """A page of experiments. It may be shorter than asked for, and is empty only at the end."""
    del call
    hidden = seen.hidden_from(person(by))
    if not hidden:
        return None
    ask = _asking(request, by, query, document)
    return _filtered(ask, "experiments", lambda row: str(row["experiment_id"]) not in hidden)


def _datasets_found(
    request: HttpRequest, by: Actor, call: Call, query: QueryDict, document: Document | None
) -> HttpResponseBase | None:
    """A page of evaluation data sets, without those that are used in a hidden experiment. The same for its length."""
    del call
    hidden = seen.hidden_from(person(by))
    if not hidden:
        return None
    ask = _asking(request, by, query, document)
    return _filtered(ask, "datasets", lambda row: not hidden & owners.of_dataset(str(row["dataset_id"])))


def _asking(
    request: HttpRequest, by: Actor, query: QueryDict, document: Document | None
) -> Callable[[str], httpx.Response]:
    """Ask the same again, for the page of a token."""

    def ask(token: str) -> httpx.Response:
        asked: Document = dict(query.lists()) if document is None else {**document}
        if token:
            asked.pop(camel("page_token"), None)
            asked["page_token"] = token
        if document is None:
            return fetch(request, by, path=request.path_info, query=urlencode(asked, doseq=True))
        return fetch(request, by, path=request.path_info, content=orjson.dumps(asked))

    return ask


def _filtered(
    ask: Callable[[str], httpx.Response], rows: str, shown: Callable[[Mapping[str, Any]], bool]
) -> HttpResponseBase:
    """Ask for page after page until one holds something that may be shown, or there are no more."""
    token = ""
    while True:
        answer = ask(token)
        if not answer.is_success:
            return returned(answer)
        page = _parsed(answer)
        kept = [row for row in page.get(rows, []) if shown(row)]
        token = page.get("next_page_token", "")
        if kept or not token:
            rest = {key: value for key, value in page.items() if key != rows}
            return respond({**rest, **({rows: kept} if kept else {})})


def _experiment_created(
    request: HttpRequest, by: Actor, call: Call, query: QueryDict, document: Document | None
) -> HttpResponseBase:
    """Note whose it is. If its folder cannot be asked for just now, that is done when it is restricted."""
    del call, query
    given = document or {}
    answer = fetch(request, by, path=request.path_info, content=orjson.dumps(given))
    if answer.is_success:
        tracking_id = str(_parsed(answer)["experiment_id"])
        try:
            root = owners.artifact_root(tracking_id)
        except ProtocolError:
            root = ""
        verbs.record_experiment(tracking_id=tracking_id, name=str(given.get("name", "")), artifact_root=root, by=by)
    return returned(answer)


def _experiment_updated(
    request: HttpRequest, by: Actor, call: Call, query: QueryDict, document: Document | None
) -> HttpResponseBase:
    del query
    given = document or {}
    answer = fetch(request, by, path=request.path_info, content=orjson.dumps(given))
    name = given.get("new_name") or given.get("newName")
    if answer.is_success and isinstance(name, str):
        for tracking_id in call.named.experiments:
            verbs.rename_experiment(tracking_id=tracking_id, name=name, by=by)
    return returned(answer)


def _parsed(answer: httpx.Response) -> Document:
    found: Document = orjson.loads(answer.content)
    return found


_LOOKS: Final[dict[str, Look]] = {
    "experiments/get-by-name": _experiment_by_name,
    "experiments/search": _experiments_found,
    "experiments/create": _experiment_created,
    "experiments/update": _experiment_updated,
    "datasets/search": _datasets_found,
}
