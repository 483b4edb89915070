"""What a token may do at all, before any service is asked."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from config.errors import NotAllowed
from registry.models import ApiToken


class TokenMayWrite(BasePermission):
    """A token of scope ``read`` reads. Sessions and tokens of scope ``write`` pass."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - REST framework's signature
        """Raise ``NotAllowed`` with the reason."""
        token = request.auth
        if isinstance(token, ApiToken) and token.scope == ApiToken.Scope.READ and request.method not in SAFE_METHODS:
            raise NotAllowed(
                "This API token may only read.", code="token.read_only", remedy="Use a token with the scope 'write'."
            )
        return True


def only_in_session(request: Request, what: str) -> None:
    """For what needs a person at the keyboard.

    Raises:
        NotAllowed: the request came with an API token.
    """
    if isinstance(request.auth, ApiToken):
        raise NotAllowed(
            f"An API token cannot {what}.", code="token.not_enough", remedy="Sign in with your password and do it there."
        )
