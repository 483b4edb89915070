"""Addresses of the MLflow protocol, below ``/api/2.0/``, and ``/ajax-api/2.0/`` for MLflow's own pages."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from registry.mlflow import artifacts, model_versions, pages, proxy, registered_models, webhooks
from registry.mlflow.auth import endpoint, not_found, rpc

PROTOCOL_VERSION = "3.17.2"
"""The MLflow release whose protocol is spoken; its client asks for it. tests/conformance compares."""

_RPCS = {
    "registered-models/create": rpc(POST=registered_models.create),
    "registered-models/get": rpc(GET=registered_models.get),
    "registered-models/update": rpc(PATCH=registered_models.update, POST=registered_models.update),
    "registered-models/rename": rpc(POST=registered_models.rename),
    "registered-models/delete": rpc(DELETE=registered_models.delete),
    "registered-models/search": rpc(GET=registered_models.find),
    "registered-models/get-latest-versions": rpc(
        GET=registered_models.latest_versions, POST=registered_models.latest_versions
    ),
    "registered-models/set-tag": rpc(POST=registered_models.set_tag),
    "registered-models/delete-tag": rpc(DELETE=registered_models.delete_tag),
    "registered-models/alias": rpc(
        GET=registered_models.get_by_alias, POST=registered_models.set_alias, DELETE=registered_models.delete_alias
    ),
    "model-versions/create": rpc(POST=model_versions.create),
    "model-versions/get": rpc(GET=model_versions.get),
    "model-versions/update": rpc(PATCH=model_versions.update, POST=model_versions.update),
    "model-versions/transition-stage": rpc(POST=model_versions.transition),
    "model-versions/delete": rpc(DELETE=model_versions.delete),
    "model-versions/search": rpc(GET=model_versions.find),
    "model-versions/get-download-uri": rpc(GET=model_versions.download_uri),
    "model-versions/set-tag": rpc(POST=model_versions.set_tag),
    "model-versions/delete-tag": rpc(DELETE=model_versions.delete_tag),
}


@require_safe
def version(request: HttpRequest) -> HttpResponse:
    """MLflow's client asks which release it talks to."""
    del request
    return HttpResponse(PROTOCOL_VERSION, content_type="text/plain")


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """MLflow's own health address. Ours are ``/health/live`` and ``/health/ready``."""
    del request
    return HttpResponse("OK", content_type="text/plain")


@csrf_exempt
def call(request: HttpRequest, name: str) -> HttpResponseBase:
    """One of the registry's calls by its name, or else any address of the tracking process: one look-up for all."""
    view = _RPCS.get(name)
    return proxy.tracking(request, rest=name) if view is None else view(request)


_PREFIX: Final = "(?:ajax-)?api/"
urlpatterns: list[URLPattern] = [
    re_path(rf"^{_PREFIX}2\.0/mlflow/(?!webhooks)(?P<name>.+)$", call),
    path("version", version),
    path("health", health),
    path(pages.MOUNT, pages.index, name="mlflow-pages"),
    path(f"{pages.MOUNT}<path:rest>", pages.below),
    re_path(rf"^{_PREFIX}2\.0/mlflow/webhooks$", webhooks.all_of_them),
    re_path(rf"^{_PREFIX}2\.0/mlflow/webhooks/(?P<webhook_id>[^/]+)$", webhooks.one),
    re_path(rf"^{_PREFIX}2\.0/mlflow/webhooks/(?P<webhook_id>[^/]+)/test$", webhooks.trial),
    re_path(rf"^{_PREFIX}2\.0/mlflow-artifacts/artifacts$", artifacts.listing),
    re_path(rf"^{_PREFIX}2\.0/mlflow-artifacts/artifacts/(?P<path>.+)$", artifacts.file),
    re_path(
        rf"^{_PREFIX}2\.0/mlflow-artifacts/(?P<verb>mpu/(?:create|complete|abort)|presigned)/(?P<path>.+)$",
        artifacts.by_parts,
    ),
    re_path(rf"^{_PREFIX}[23]\.0/mlflow/(?P<rest>.+)$", proxy.tracking),
    re_path(rf"^{_PREFIX}(?P<rest>[23]\.0/.*)$", endpoint(not_found)),
]
