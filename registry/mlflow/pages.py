"""MLflow's own pages, below ``/mlflow/``: for a signed-in browser, with its session, and for reading only.

The pages are a third party's script in our origin. What they may do there is fenced by a policy of their own (``policy``
and docs/adr/0008): they load code from their own folder, talk to addresses below ``/mlflow/`` only, open no windows and
cannot be framed. Behind those addresses are the same views that MLflow's client reaches with a token, with the same
checks; whatever would write is refused.
"""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlencode

import orjson
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import resolve
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from audit.actors import Actor
from config.errors import Unauthenticated
from config.pages import signed_in
from registry import tracking
from registry.mlflow import graphql, proxy
from registry.mlflow.auth import check_may_write, check_tracking, endpoint, person, reads_pages
from registry.mlflow.codec import Field, arguments, body, required, respond
from registry.mlflow.errors import ProtocolError, invalid
from registry.mlflow.lookup import version_named
from registry.mlflow.proxy.permissions import check_experiments, check_runs, check_traces
from registry.sources import SEALED

MOUNT: Final = "mlflow/"
_INERT: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""For data: opened as a page of its own it is text, whatever it says it is."""

_CALL: Final = re.compile(r"ajax-api/[234]\.0/mlflow/(?P<name>[\w\-:./]+)", re.ASCII)
READING_POSTS: Final = frozenset(
    {
        "datasets/search",
        "experiments/search",
        "experiments/search-datasets",
        "logged-models/search",
        "registered-models/get-latest-versions",
        "runs/search",
        "traces/batchGetInfos",
        "traces/calculate-filter-correlation",
        "traces/metrics",
        "traces/search",
    }
)
"""What the pages read by POST. Every other POST would write."""
_RUN: Final = re.compile(r"[a-zA-Z0-9][\w\-]{0,63}", re.ASCII)
_TRACE: Final = re.compile(r"[a-zA-Z0-9][\w\-]{0,99}", re.ASCII)

Answer = TypeVar("Answer", bound=HttpResponseBase)


def policy(request: HttpRequest) -> str:
    """The content security policy of MLflow's pages.

    A source with a path and without a scheme is this host with the scheme of the page (CSP3 6.7.2.8): ``/mlflow/`` and
    nothing else of ours. MLflow's style engine writes ``<style>`` elements, so inline style is allowed here, and only here.
    The sandbox leaves out popups: a window on another page of ours would be a way around ``connect-src``.
    """
    here = f"{request.get_host()}/{MOUNT}"
    code = f"{here}static-files/"
    directives = {
        "default-src": "'none'",
        "script-src": code,
        "style-src": f"{code} 'unsafe-inline'",
        "img-src": f"{here} data: blob:",
        "font-src": f"{code} data:",
        "connect-src": here,
        "worker-src": f"{code} blob:",
        "manifest-src": code,
        "media-src": f"{here} blob:",
        "frame-src": "blob:",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "sandbox": "allow-scripts allow-same-origin allow-forms allow-downloads",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


@signed_in
@require_safe
def index(request: HttpRequest) -> HttpResponseBase:
    """The one page there is; MLflow's router lives behind the ``#``."""
    check_tracking(person(Actor.of(request)), write=False)
    try:
        answer = _forward(request, Actor.of(request), "/")
    except ProtocolError as error:
        return render(request, "errors/503.html", {"detail": error.message}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    answer["Content-Security-Policy"] = policy(request)
    answer["Cache-Control"] = "private, no-store"
    return answer


@csrf_exempt  # nothing is written below this address, so there is nothing to forge
def below(request: HttpRequest, rest: str) -> HttpResponseBase:
    """What the page loads: its files, and the calls it makes."""
    request.page_reader = request.user.is_authenticated  # type: ignore[attr-defined]
    if rest.startswith("static-files/"):
        return _own_policy(request, _static(request, rest=rest))
    answer = _call(request, rest=rest)
    answer["Content-Security-Policy"] = _INERT
    answer["Cross-Origin-Resource-Policy"] = "same-origin"
    return answer


def _own_policy(request: HttpRequest, answer: Answer) -> Answer:
    """A worker runs under the policy that its own file came with, so files carry that of the page."""
    answer["Content-Security-Policy"] = policy(request)
    return answer


@endpoint
def _static(request: HttpRequest, by: Actor, rest: str) -> HttpResponseBase:
    _check_signed_in(request)
    if request.method not in {"GET", "HEAD"} or any(part in {"", ".", ".."} for part in rest.split("/")):
        raise ProtocolError("ENDPOINT_NOT_FOUND", f"This server does not have {request.path}.")
    return _forward(request, by, f"/{rest}")


def _call(request: HttpRequest, rest: str) -> HttpResponseBase:
    own = _OWN.get(rest)
    if own is not None:
        return own(request)
    named = _CALL.fullmatch(rest)
    if not reads_pages(request) or named is None:
        return _nowhere(request)
    if request.method not in {"GET", "HEAD"} and not (request.method == "POST" and named["name"] in READING_POSTS):
        return _refused(request)
    return _dispatch(request, f"/{rest}")


def _dispatch(request: HttpRequest, path: str) -> HttpResponseBase:
    """Let the view that MLflow's client would reach answer, for the account of the session."""
    request.path_info = path
    found = resolve(path, urlconf="registry.mlflow.urls")
    answer: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
    return answer


def _forward(request: HttpRequest, by: Actor, path: str, query: Mapping[str, str] | None = None) -> HttpResponseBase:
    """Send a reading request on, with exactly the ``query`` that was checked."""
    request.path_info = path
    request.META["QUERY_STRING"] = urlencode(query or {})
    return proxy.forward(request, by, reading=True)


def _check_signed_in(request: HttpRequest) -> None:
    if not reads_pages(request):  # not request.user, which a token would have set
        raise Unauthenticated(
            "Sign in to see MLflow's pages. A client with a token uses the addresses without /mlflow."
        )


@endpoint
def _nowhere(request: HttpRequest, by: Actor) -> HttpResponseBase:
    del by
    _check_signed_in(request)
    raise ProtocolError("ENDPOINT_NOT_FOUND", f"This server does not have {request.path}.")


@endpoint
def _refused(request: HttpRequest, by: Actor) -> HttpResponseBase:
    del by
    check_may_write(request)
    raise ProtocolError("PERMISSION_DENIED", "MLflow's pages are for reading here.")


# ---- addresses that only MLflow's pages use ---------------------------------------------------------------------


@endpoint
def _graphql(request: HttpRequest, by: Actor) -> HttpResponseBase:
    _check_signed_in(request)
    if request.method != "POST":
        raise ProtocolError("ENDPOINT_NOT_FOUND", "GraphQL is spoken by POST here.")
    question = graphql.read(body(request))
    check_runs(person(by), question.runs)
    check_experiments(person(by), question.experiments)
    request.path_info, request.META["QUERY_STRING"] = "/graphql", ""
    asked = question.body(versions=not tracking.is_elsewhere())  # an existing server's registry is not ours
    return proxy.forward(request, by, reading=True, content=orjson.dumps(asked))


@endpoint
def _run_artifact(request: HttpRequest, by: Actor) -> HttpResponseBase:
    _check_reading(request)
    given = arguments(request, (Field("run_id"), Field("run_uuid"), required("path")))
    run = given.get("run_id") or given.get("run_uuid") or ""
    if not _RUN.fullmatch(run):
        raise invalid("Missing value for required parameter 'run_id'.")
    check_runs(person(by), (run,))
    return _forward(request, by, "/get-artifact", {"run_id": run, "path": given["path"]})


@endpoint
def _trace_artifact(request: HttpRequest, by: Actor) -> HttpResponseBase:
    _check_reading(request)
    given = arguments(request, (required("request_id"), Field("path")))
    if not _TRACE.fullmatch(given["request_id"]):
        raise invalid("Invalid value for parameter 'request_id' supplied: it must be an id.")
    check_traces(person(by), (given["request_id"],))
    return _forward(request, by, "/ajax-api/3.0/mlflow/get-trace-artifact", given)


@endpoint
def _version_artifact(request: HttpRequest, by: Actor) -> HttpResponseBase:
    """A file of a registered version: the sealed one, whatever its source holds by now."""
    _check_reading(request)
    given = arguments(request, (required("name"), required("version"), required("path")))
    version = version_named(given["name"], given["version"], by)
    path = f"/ajax-api/2.0/mlflow-artifacts/artifacts/{SEALED}/{version.model_id}/{version.number}/{given['path']}"
    return _dispatch(request, path)


@endpoint
def _no_telemetry(request: HttpRequest, by: Actor) -> HttpResponseBase:
    """MLflow's pages ask whether they may tell their makers what is done here."""
    del by
    _check_signed_in(request)
    return respond({"disable_ui_telemetry": True, "disable_ui_events": [], "ui_rollout_percentage": 0})


def _check_reading(request: HttpRequest) -> None:
    _check_signed_in(request)
    if request.method not in {"GET", "HEAD"}:
        check_may_write(request)


_OWN: Final[Mapping[str, Callable[[HttpRequest], HttpResponseBase]]] = {
    "graphql": _graphql,
    "get-artifact": _run_artifact,
    "model-versions/get-artifact": _version_artifact,
    "ajax-api/2.0/mlflow/get-trace-artifact": _trace_artifact,
    "ajax-api/3.0/mlflow/get-trace-artifact": _trace_artifact,
    "ajax-api/3.0/mlflow/ui-telemetry": _no_telemetry,
}
