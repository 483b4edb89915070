"""Which experiment a run, logged model, trace or evaluation data set belongs to: the tracking process is asked.

A run and a logged model stay in their experiment for ever, so that is remembered. A trace is named by clients and can be
deleted and made again, and data sets come and go between experiments: those are asked for each time.
Whatever cannot be found out is refused.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson

from registry import tracking
from registry.mlflow.errors import STATUS, ProtocolError
from registry.mlflow.proxy.streams import client, refusal_of_server, unreachable

_API: Final = "/api/2.0/mlflow"
_API_3: Final = "/api/3.0/mlflow"
_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Home:
    """Where a run or a logged model is kept; ``path`` is empty if its artifacts are not in the store served here."""

    experiment: str
    path: str


def of_run(run_id: str) -> Home:
    """The home of a run. Raises ``ProtocolError`` as the tracking process says, or TEMPORARILY_UNAVAILABLE."""
    return _of_run(tracking.address(), run_id)


def of_logged_model(model_id: str) -> Home:
    """The home of a logged model, deleted or not. Raises as ``of_run``."""
    return _of_logged_model(tracking.address(), model_id)


def of_traces(trace_ids: Collection[str]) -> frozenset[str]:
    """The experiments of those traces that there are. Raises as ``of_run``."""
    if not trace_ids:
        return frozenset()
    try:
        asked = {"trace_ids": list(trace_ids)}
        found = ask("POST", f"{_API_3}/traces/batchGetInfos", json=asked).get("trace_infos", [])
        return frozenset(_experiment_of_trace(info) for info in found)
    except ProtocolError as error:
        if error.code != "ENDPOINT_NOT_FOUND":
            raise
    return frozenset(filter(None, (_of_trace(trace_id) for trace_id in trace_ids)))


def of_dataset(dataset_id: str) -> frozenset[str]:
    """The experiments that an evaluation data set is used in. Raises as ``of_run``."""
    found = ask("GET", f"{_API_3}/datasets/{quote(dataset_id, safe='')}/experiment-ids")
    return frozenset(str(experiment) for experiment in found.get("experiment_ids", []))


def artifact_root(experiment_id: str) -> str:
    """The folder of an experiment in the store that is served here, or an empty text. Raises as ``of_run``."""
    found = ask("GET", f"{_API}/experiments/get", params={"experiment_id": experiment_id})
    return tracking.path_in_store(str(found["experiment"].get("artifact_location", "")))


@lru_cache(maxsize=_REMEMBERED)
def _of_run(server: str, run_id: str) -> Home:
    del server
    info = ask("GET", f"{_API}/runs/get", params={"run_id": run_id})["run"]["info"]
    return Home(str(info["experiment_id"]), tracking.path_in_store(str(info.get("artifact_uri", ""))))


@lru_cache(maxsize=_REMEMBERED)
def _of_logged_model(server: str, model_id: str) -> Home:
    del server
    address = f"{_API}/logged-models/{quote(model_id, safe='')}"
    info = ask("GET", address, params={"allow_deleted": "true"})["model"]["info"]
    return Home(str(info["experiment_id"]), tracking.path_in_store(str(info.get("artifact_uri", ""))))


def _of_trace(trace_id: str) -> str:
    """One trace, asked of a server that has no batches (before MLflow 3.5)."""
    name = quote(trace_id, safe="")
    try:
        return _experiment_of_trace(ask("GET", f"{_API_3}/traces/{name}")["trace"]["trace_info"])
    except ProtocolError as error:
        if error.code == "RESOURCE_DOES_NOT_EXIST":
            return ""
        if error.code != "ENDPOINT_NOT_FOUND":
            raise
    try:
        return str(ask("GET", f"{_API}/traces/{name}/info")["trace_info"]["experiment_id"])
    except ProtocolError as error:
        if error.code == "RESOURCE_DOES_NOT_EXIST":
            return ""
        raise


def _experiment_of_trace(info: dict[str, Any]) -> str:
    return str(info["trace_location"]["mlflow_experiment"]["experiment_id"])


def ask(method: str, path: str, *, params: dict[str, str] | None = None, json: object = None) -> dict[str, Any]:
    """Ask the tracking process for a JSON object.

    Raises ``ProtocolError``: what it says itself of the request, or TEMPORARILY_UNAVAILABLE.
    """
    try:
        answer = client().request(
            method,
            tracking.address() + path,
            params=params,
            content=None if json is None else orjson.dumps(json),
            headers={**tracking.credentials(), "Content-Type": "application/json"},
        )
    except httpx.TransportError as error:
        raise unreachable() from error
    document = _object(answer)
    if answer.is_success and document is not None:
        return document
    refused = refusal_of_server(answer)
    if refused is not None:
        raise refused
    code = str((document or {}).get("error_code", ""))
    if answer.is_client_error and STATUS.get(code, 500) < 500:
        raise ProtocolError(code, str((document or {}).get("message", "")))
    if answer.status_code in {404, 405} and document is None:
        raise ProtocolError("ENDPOINT_NOT_FOUND", f"The tracking process does not have {path}.")
    raise ProtocolError(
        "TEMPORARILY_UNAVAILABLE", f"The tracking process answered {answer.status_code}. Try again in a moment."
    )


def _object(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        document = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
