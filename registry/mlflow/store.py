"""Our registry as MLflow's server sees it: a store that reads, for the account our door named, and writes nothing.

MLflow's own process answers GraphQL and a few other calls out of its registry store. This one asks the same views that
answer MLflow's client, so both say the same. They run here, in the tracking process, as a database role that can read
the catalogue and nothing else. Imported by ``registry.mlflow.tracking`` alone, after MLflow and after ``django.setup``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

import flask
import orjson
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.urls import resolve
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos import model_registry_pb2 as protos
from mlflow.protos.databricks_pb2 import BAD_REQUEST, PERMISSION_DENIED, ErrorCode
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.utils.proto_json_utils import parse_dict

from registry.models import User
from registry.tracking import USER_HEADER

SCHEME: Final = "countersign"
URI: Final = f"{SCHEME}://registry"
_URLS: Final = "registry.mlflow.urls"
_ELSEWHERE: Final = (
    "The registry is not written through the tracking server. Use MLflow's client with this server's own address and an API "
    "token of yours, or its pages."
)


class CountersignStore(AbstractStore):
    """The registry, for reading. Every answer is what the account of the request may see."""

    def __init__(self, store_uri: str = URI, tracking_uri: str | None = None) -> None:
        resolve("/version", urlconf=_URLS)  # now, so that what cannot be imported ends the process at its start
        super().__init__(store_uri, tracking_uri)  # type: ignore[no-untyped-call]  # as everywhere in MLflow

    def get_registered_model(self, name: str) -> RegisteredModel:
        """One model. Raises ``MlflowException`` (RESOURCE_DOES_NOT_EXIST), also for one that may not be seen."""
        return _model(_ask("registered-models/get", name=name)["registered_model"])

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModel]:
        """A page of models."""
        answer = _ask(
            "registered-models/search",
            filter=filter_string,
            max_results=max_results,
            order_by=order_by,
            page_token=page_token,
        )
        return PagedList([_model(one) for one in answer.get("registered_models", [])], answer.get("next_page_token"))

    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> list[ModelVersion]:
        """The newest version of each stage."""
        answer = _ask("registered-models/get-latest-versions", name=name, stages=stages)
        return [_version(one) for one in answer.get("model_versions", [])]

    def get_model_version(self, name: str, version: str | int) -> ModelVersion:
        """One version. Raises ``MlflowException`` as ``get_registered_model``."""
        return _version(_ask("model-versions/get", name=name, version=version)["model_version"])

    def get_model_version_download_uri(self, name: str, version: str | int) -> str:
        """Where our door serves the sealed bytes."""
        return str(_ask("model-versions/get-download-uri", name=name, version=version)["artifact_uri"])

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersion]:
        """A page of versions."""
        answer = _ask(
            "model-versions/search",
            filter=filter_string,
            max_results=max_results,
            order_by=order_by,
            page_token=page_token,
        )
        return PagedList([_version(one) for one in answer.get("model_versions", [])], answer.get("next_page_token"))

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version an alias names."""
        return _version(_ask("registered-models/alias", name=name, alias=alias)["model_version"])

    def _refused(self, *_: object, **__: object) -> NoReturn:
        raise MlflowException(_ELSEWHERE, error_code=PERMISSION_DENIED)

    create_registered_model = update_registered_model = rename_registered_model = delete_registered_model = _refused
    set_registered_model_tag = delete_registered_model_tag = _refused
    set_registered_model_alias = delete_registered_model_alias = _refused
    create_model_version = update_model_version = transition_model_version_stage = delete_model_version = _refused
    set_model_version_tag = delete_model_version_tag = copy_model_version = _refused
    create_prompt = delete_prompt = set_prompt_tag = delete_prompt_tag = _refused
    create_prompt_version = delete_prompt_version = set_prompt_version_tag = delete_prompt_version_tag = _refused
    set_prompt_alias = delete_prompt_alias = _refused
    link_prompts_to_trace = link_prompt_version_to_model = link_prompt_version_to_run = _refused
    create_webhook = update_webhook = delete_webhook = test_webhook = _refused
    get_webhook = list_webhooks = list_webhooks_by_event = _refused  # their addresses are not for this process either


def _ask(call: str, **given: object) -> dict[str, Any]:
    """What our own view of that call answers to the account of this request. Raises ``MlflowException``."""
    path = f"/ajax-api/2.0/mlflow/{call}"
    query = {name: value for name, value in given.items() if value is not None}
    request = HttpRequest()
    request.method, request.path, request.path_info = "GET", path, path
    request.GET = QueryDict(urlencode(query, doseq=True))
    close_old_connections()
    try:
        request.user = _account()
        request.page_reader = True  # type: ignore[attr-defined]
        found = resolve(path, urlconf=_URLS)
        answer: HttpResponse | StreamingHttpResponse = found.func(request, *found.args, **found.kwargs)
        text = b"".join(answer)  # a long page asks the database while it is read
    finally:
        close_old_connections()
    document: dict[str, Any] = orjson.loads(text)
    if answer.status_code >= 400:
        raise MlflowException(document["message"], error_code=_code(document["error_code"]))
    return document


def _account() -> User:
    """Whom our door named. Raises ``MlflowException`` if it named nobody, or somebody who is not active."""
    named = flask.request.headers.get(USER_HEADER, "") if flask.has_request_context() else ""
    known = User.objects.only("pk", "username", "is_active", "is_superuser", "is_service")
    user = known.filter(pk=int(named), is_active=True).first() if named.isascii() and named.isdecimal() else None
    if user is None:
        raise MlflowException("The registry shows itself to accounts only.", error_code=PERMISSION_DENIED)
    return user


def _code(name: str) -> int:
    """MLflow's number for an error of ours; what it does not know is a bad request."""
    return int(ErrorCode.Value(name)) if name in ErrorCode.keys() else int(BAD_REQUEST)  # noqa: SIM118 - an enum wrapper


def _model(document: Mapping[str, Any]) -> RegisteredModel:
    message = protos.RegisteredModel()
    parse_dict(document, message)  # type: ignore[no-untyped-call]
    found: RegisteredModel = RegisteredModel.from_proto(message)  # type: ignore[no-untyped-call]
    return found


def _version(document: Mapping[str, Any]) -> ModelVersion:
    message = protos.ModelVersion()
    parse_dict(document, message)  # type: ignore[no-untyped-call]
    found: ModelVersion = ModelVersion.from_proto(message)
    return found
