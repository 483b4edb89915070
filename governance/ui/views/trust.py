"""What everybody may have without an account: trust root, status list, and the program that checks a permit.

Who verifies is a cluster, a bank's other department, an auditor's laptop; none has an account here. Public keys are public;
the status list names permits by random ids, and so says how many there are and what became of each, not of which model.
"""

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, Final, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from config.errors import NotFound, Refusal
from governance.models import TrustRoot
from governance.permits import verify_permit
from governance.selectors import permits

_P = ParamSpec("_P")
_View = Callable[Concatenate[HttpRequest, _P], HttpResponse]
JSON: Final = "application/json"
_SHORTLY: Final = "public, max-age=30"
VERIFIER: Final = Path(verify_permit.__file__)


def _public(view: "_View[_P]") -> "_View[_P]":
    """GET and HEAD, for everybody; a refusal is JSON, because programs ask here."""

    @wraps(view)
    def answer(request: HttpRequest, /, *args: _P.args, **kwargs: _P.kwargs) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except Refusal as refusal:
            said = {"code": refusal.code, "detail": str(refusal), "status": int(refusal.status)}
            return HttpResponse(json.dumps(said), status=refusal.status, content_type="application/problem+json")
        response["Cache-Control"] = _SHORTLY
        response["Access-Control-Allow-Origin"] = "*"
        return response

    return require_safe(answer)


@_public
def root(_request: HttpRequest) -> HttpResponse:
    """The newest trust root."""
    return HttpResponse(permits.trust_root(), content_type=JSON)


@_public
def roots(_request: HttpRequest) -> HttpResponse:
    """Every version of it, oldest first."""
    return HttpResponse(permits.roots(), content_type=JSON)


@_public
def version(_request: HttpRequest, number: int) -> HttpResponse:
    """One version, for ever the same."""
    found = TrustRoot.objects.filter(version=number).values_list("envelope", flat=True).first()
    if found is None:
        raise NotFound("There is no such version of the trust root.", code="trust.unknown")
    return HttpResponse(found, content_type=JSON)


@_public
def status_list(_request: HttpRequest) -> HttpResponse:
    """The newest status list."""
    return HttpResponse(permits.status_list(), content_type=JSON)


@_public
def verifier(_request: HttpRequest) -> HttpResponse:
    """The stand-alone verifier, as this installation uses it."""
    name = f'attachment; filename="{VERIFIER.name}"'
    return HttpResponse(VERIFIER.read_bytes(), content_type="text/x-python", headers={"Content-Disposition": name})
