"""Any address of MLflow's tracking API: recognised, checked, looked into, sent on."""

from typing import Any

import orjson
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from audit.actors import Actor
from registry.mlflow.auth import check_may_write, endpoint, person
from registry.mlflow.codec import body
from registry.mlflow.proxy import answers, content
from registry.mlflow.proxy.permissions import check_tracking_request
from registry.mlflow.proxy.streams import send


@endpoint
def tracking(request: HttpRequest, by: Actor, rest: str) -> HttpResponseBase:
    """Let through what is on the list, for whoever may. What is sent on is what was read, written anew."""
    del rest  # the whole address is looked at
    method, query = request.method or "GET", request.GET
    document: dict[str, Any] | None = None if method in {"GET", "HEAD"} else body(request)
    call = check_tracking_request(person(by), method, request.path_info, query, document)
    if not call.address.reads:
        check_may_write(request)
    if document is not None:
        content.look_into(call, document, by)
    answer = answers.look_into(request, by, call, query, document)
    if answer is not None:
        return answer
    if document is None:
        return send(request, by, path=request.path_info, query=query.urlencode())
    return send(request, by, path=request.path_info, content=orjson.dumps(document))
