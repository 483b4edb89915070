"""Who asks, at the MLflow edge: an API token with every request. Never a session cookie, except below ``/mlflow/``.

MLflow's client sends ``MLFLOW_TRACKING_TOKEN`` as a bearer token; or, by basic authentication, what is set as
``MLFLOW_TRACKING_USERNAME`` and ``…_PASSWORD``, which is the account's name and again a token.
A browser sends neither by itself, so these addresses need no CSRF token.
"""

from collections.abc import Callable
from functools import wraps
from typing import cast

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from audit.actors import Actor
from config.errors import NotAllowed, Refusal, Unauthenticated
from registry.api.authentication import authenticate_request
from registry.mlflow import errors
from registry.models import ApiToken, RoleGrant, User
from registry.roles import Role
from registry.services.access import check_token_may_write

View = Callable[..., HttpResponseBase]
Call = Callable[..., HttpResponseBase]


def sign_in(request: HttpRequest) -> Actor:
    """Find out who asks and note it on the request. Raises ``Unauthenticated``."""
    if reads_pages(request):
        return Actor.of(request)
    found = authenticate_request(request)
    if found is None:
        raise Unauthenticated(
            "This server needs to know who you are.",
            remedy="Set MLFLOW_TRACKING_TOKEN to an API token of yours (make one under Account, API tokens).",
        )
    user, token = found
    request.user = user
    request.auth = token  # type: ignore[attr-defined]
    return Actor.of(request)


def reads_pages(request: HttpRequest) -> bool:
    """Whether MLflow's own pages ask, for a signed-in browser (``registry.mlflow.pages``). Nobody outside can say so."""
    return getattr(request, "page_reader", False) is True


def check_may_write(request: HttpRequest) -> None:
    """Raise ``NotAllowed`` if the request came with a token that may only read, or from MLflow's pages."""
    if reads_pages(request):
        raise NotAllowed(
            "MLflow's pages are for reading here.",
            code="pages.read_only",
            remedy="Write with MLflow's client and an API token of yours; models and versions also have their own pages.",
        )
    check_token_may_write(cast("ApiToken", request.auth))  # type: ignore[attr-defined]


def roles_of(user: User) -> frozenset[str]:
    """The roles the user holds anywhere, through their teams."""
    return frozenset(RoleGrant.objects.filter(team__in=user.groups.values("pk")).values_list("role", flat=True))


def check_tracking(user: User, *, write: bool) -> None:
    """Raise ``NotAllowed`` unless the user may read (any role), or write (contributors), experiments and runs."""
    if user.is_superuser:
        return
    roles = roles_of(user)
    if not roles:
        raise NotAllowed(
            "You hold no role here yet, so you may not see experiments and runs.",
            remedy="Ask an administrator for one.",
        )
    if write and Role.CONTRIBUTOR not in roles:
        raise NotAllowed(
            f"Only contributors write experiments, runs and artifacts, and you hold {', '.join(sorted(roles))} only.",
            remedy="Ask an administrator for the role of contributor.",
        )


def endpoint(view: Call) -> View:
    """Make a view of the MLflow edge: it gets the actor, and whatever is refused is answered as MLflow's JSON.

    Errors nobody foresaw are left to Django, which logs them and answers 500.
    """

    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        try:
            _read_as_utf8(request)
            by = sign_in(request)
            return view(request, by, *args, **kwargs)
        except errors.ProtocolError as error:
            return errors.answer(error)
        except Refusal as refusal:
            return errors.answer(errors.of_refusal(refusal))
        except OperationalError as error:
            if not errors.is_lock_timeout(error):
                raise
            busy = "Somebody else is changing this right now. Try again in a moment."
            return errors.answer(errors.ProtocolError("TEMPORARILY_UNAVAILABLE", busy))

    return wrapped


def _read_as_utf8(request: HttpRequest) -> None:
    """Read arguments in the encoding that MLflow reads them in, whatever the request's Content-Type says.

    Django decodes a query by the charset named there, and writes it so again: in EBCDIC, what we would look for is not
    there, and what is sent on is what we would have refused.
    """
    if request.encoding is not None:
        request.encoding = "utf-8"


def rpc(**methods: Call) -> View:
    """Route one address by method: ``rpc(GET=read, POST=write)``. All but GET need a token that may write.

    A view marked by ``reads`` never does, whatever its method.
    """

    @endpoint
    def dispatch(request: HttpRequest, by: Actor) -> HttpResponseBase:
        if "as_of=" in request.META.get("QUERY_STRING", ""):
            raise errors.invalid("MLflow's protocol speaks of today. What was is read below /api/v1/, with ?as_of=.")
        view = methods.get(request.method or "")
        if view is None:
            raise errors.ProtocolError(
                "ENDPOINT_NOT_FOUND", f"{request.method} is not spoken at {request.path}; {', '.join(methods)} is."
            )
        if request.method != "GET" and not getattr(view, "only_reads", False):
            check_may_write(request)
        return view(request, by)

    return dispatch


def reads(view: Call) -> Call:
    """Mark a view that changes nothing though it is called by POST."""
    view.only_reads = True  # type: ignore[attr-defined]
    return view


def person(by: Actor) -> User:
    """The account behind an actor that ``sign_in`` returned."""
    return cast("User", by.user)


def not_found(request: HttpRequest, by: Actor, rest: str = "") -> HttpResponse:
    """Any address below MLflow's prefixes that this server does not have."""
    del by, rest
    raise errors.ProtocolError("ENDPOINT_NOT_FOUND", f"This server does not have {request.path}.")
