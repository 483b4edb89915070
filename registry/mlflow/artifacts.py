"""``mlflow-artifacts``: sealed versions are served here, from the content-addressed store; the rest is the tracking's.

A sealed version is the read-only directory ``sealed/<model id>/<version number>``. Nobody writes below ``sealed``.
"""

import posixpath
import re
from typing import Final
from urllib.parse import quote, urlencode

import orjson
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase

from audit.actors import Actor
from config.errors import NotAllowed
from registry.mlflow.auth import check_may_write, check_tracking, endpoint, person
from registry.mlflow.codec import body, respond
from registry.mlflow.errors import ProtocolError, invalid, missing
from registry.mlflow.proxy.permissions import check_path
from registry.mlflow.proxy.streams import send
from registry.models import ManifestFile, ModelVersion
from registry.services import holdouts, tracked
from registry.sources import SEALED
from registry.storage import blobs

_ROOT: Final = "/api/2.0/mlflow-artifacts"
_FILES: Final = f"{_ROOT}/artifacts"
_PLACE: Final = re.compile(rf"{SEALED}/(?P<model>[1-9][0-9]{{0,8}})/(?P<number>[1-9][0-9]{{0,8}})(?:/(?P<path>.+))?")


@endpoint
def listing(request: HttpRequest, by: Actor) -> HttpResponseBase:
    """List one directory."""
    if request.method not in {"GET", "HEAD"}:
        raise ProtocolError("ENDPOINT_NOT_FOUND", f"{request.method} is not spoken at {request.path}; name a file.")
    given = request.GET.getlist("path")
    if len(given) > 1:
        raise invalid("Parameter 'path' is given more than once.")
    path = _clean(given[0] if given else "")
    if not _is_sealed(path):
        _check_reader(by, path)
        return send(request, by, path=request.path_info, query=urlencode({"path": path}) if path else "")
    version, prefix = _place(path, by)
    return respond({"files": found} if (found := _children(version, prefix)) else {})


@endpoint
def file(request: HttpRequest, by: Actor, path: str) -> HttpResponseBase:
    """One file: download, upload, delete."""
    clean = _clean(path)
    reading = request.method in {"GET", "HEAD"}
    if not reading and request.method not in {"PUT", "DELETE"}:
        raise ProtocolError("ENDPOINT_NOT_FOUND", f"{request.method} is not spoken at {request.path}.")
    if not _is_sealed(clean):
        if reading:
            _check_reader(by, clean)
        else:
            _check_writer(request, by, clean)
        nothing = b"" if request.method == "DELETE" else None
        return send(request, by, path=f"{_FILES}/{clean}", content=nothing)
    if not reading:
        raise _immutable()
    version, inside = _place(clean, by)
    found = ManifestFile.objects.filter(manifest=version.manifest, path=inside).select_related("blob").first()
    if found is None:
        raise missing(f"{version} was sealed without a file {inside!r}.")
    name = posixpath.basename(inside)
    holdouts.check_bytes(found.blob_id, by=by, door="mlflow")
    response = FileResponse(blobs().open(found.blob_id), content_type="application/octet-stream")
    response["Content-Length"] = str(found.blob.size)
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    response["ETag"] = f'"{found.blob_id}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


@endpoint
def by_parts(request: HttpRequest, by: Actor, verb: str, path: str) -> HttpResponseBase:
    """Multipart uploads and presigned addresses, where the tracking's store has them; never for what is sealed."""
    clean = _clean(path)
    if _is_sealed(clean):
        raise _immutable()
    if request.method != ("GET" if verb == "presigned" else "POST"):
        raise ProtocolError("ENDPOINT_NOT_FOUND", f"{request.method} is not spoken at {request.path}.")
    onward = f"{_ROOT}/{verb}/{clean}"
    if verb == "presigned":
        _check_reader(by, clean)
        return send(request, by, path=onward)
    document = body(request)
    # MLflow's repositories store the file of that name in the folder of the address (create_multipart_upload).
    name = document.get("path")
    if not isinstance(name, str) or not name:
        raise invalid("Missing value for required parameter 'path'.")
    _check_writer(request, by, _clean(f"{clean}/{posixpath.basename(name)}"))
    return send(request, by, path=onward, content=orjson.dumps(document))


def _check_reader(by: Actor, path: str) -> None:
    check_tracking(person(by), write=False)
    check_path(person(by), path)


def _check_writer(request: HttpRequest, by: Actor, path: str) -> None:
    """Who may write there, and nothing was sealed from it."""
    check_may_write(request)
    check_tracking(person(by), write=True)
    if not path:
        raise invalid("Invalid path: it names no file.")
    check_path(person(by), path, write=True)
    tracked.check_path_not_sealed(path)


def _clean(path: str) -> str:
    """The path without empty parts. Raises ``ProtocolError`` for one that climbs or hides something."""
    if "\0" in path or "\\" in path or "%" in path:
        raise invalid("Invalid path: it contains a character that has no place in one.")
    parts = [part for part in path.split("/") if part]
    if ".." in parts or "." in parts:
        raise invalid("Invalid path: it must not contain '.' or '..'.")
    return "/".join(parts)


def _is_sealed(path: str) -> bool:
    return path.split("/", 1)[0] == SEALED


def _immutable() -> NotAllowed:
    return NotAllowed(
        "A sealed version is never changed: what was reviewed is what is served.",
        code="version.sealed",
        remedy="Register a new version.",
    )


def _place(path: str, by: Actor) -> tuple[ModelVersion, str]:
    match = _PLACE.fullmatch(path)
    version = None
    if match is not None:
        visible = ModelVersion.objects.alive().visible_to(person(by)).select_related("model")
        version = visible.filter(model=int(match["model"]), number=int(match["number"])).first()
    if match is None or version is None:
        raise missing(f"There is no sealed version at {path!r}, or you may not see it.")
    if not version.is_sealed:
        raise ProtocolError("RESOURCE_CONFLICT", f"{version} is not sealed yet, so it has no artifacts.")
    return version, match["path"] or ""


def _children(version: ModelVersion, prefix: str) -> list[dict[str, object]]:
    """What is directly below ``prefix``, in MLflow's form: base names, with sizes for files."""
    start = f"{prefix}/" if prefix else ""
    files = ManifestFile.objects.filter(manifest=version.manifest, path__startswith=start)
    found: dict[str, dict[str, object]] = {}
    for path, size in files.values_list("path", "blob__size"):
        name, slash, _ = path[len(start) :].partition("/")
        if slash:
            found[name] = {"path": name, "is_dir": True}
        else:
            found[name] = {"path": name, "is_dir": False, "file_size": size}
    return [found[name] for name in sorted(found)]
