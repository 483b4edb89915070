"""Who asks, by API token: as bearer (``MLFLOW_TRACKING_TOKEN``), or as the password of basic authentication."""

import base64
import binascii
from contextlib import suppress

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from config.errors import Unauthenticated
from registry.models import ApiToken, User
from registry.services.access import authenticate_token, check_token_may_write


def authenticate_request(request: HttpRequest) -> tuple[User, ApiToken] | None:
    """The account and token that the ``Authorization`` header names, or ``None`` without one.

    Raises ``Unauthenticated`` for a header that is malformed, or a token that is unknown, expired or revoked.
    """
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        return None
    known: tuple[User, ApiToken] | None = request.__dict__.get(_KNOWN)
    if known is None:
        known = request.__dict__[_KNOWN] = _bearer(header)
    return known


_KNOWN = "_countersign_bearer"
"""Where a request keeps who was found, since it is asked twice for one that looks at the past."""


def _bearer(header: str) -> tuple[User, ApiToken]:
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        token = authenticate_token(value.strip())
        return token.user, token
    if kind.lower() == "basic":
        name, secret = _basic(value.strip())
        token = authenticate_token(secret)
        if name not in {"", token.user.username}:
            raise Unauthenticated("This token belongs to another account.", code="token.other_account")
        return token.user, token
    raise Unauthenticated(f"Authorization {kind[:20]!r} is not spoken here; use Bearer.", code="token.scheme")


def _basic(value: str) -> tuple[str, str]:
    name = colon = secret = ""
    with suppress(binascii.Error, UnicodeDecodeError):  # then there is no colon either
        name, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
    if not colon:
        raise Unauthenticated("The basic authorization is malformed.", code="token.malformed")
    return name, secret


class TokenAuthentication(BaseAuthentication):
    """The REST API's side: ``request.auth`` is the token. A read token is refused where something would be written."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """See ``authenticate_request``. Raises ``NotAllowed`` for a read token with an unsafe method."""
        try:
            found = authenticate_request(request._request)
        except Unauthenticated as refusal:
            failure = AuthenticationFailed(str(refusal), code=refusal.code)
            failure.default_code = refusal.code  # what config.problems shows: token.expired, token.revoked …
            raise failure from refusal
        if found is not None and request.method not in SAFE_METHODS:
            check_token_may_write(found[1])
        return found

    def authenticate_header(self, request: Request) -> str:
        """So that a missing or bad token is 401, not 403 (RFC 9110 11.6.1)."""
        return 'Bearer realm="countersign"'
