"""What takes a person at the keyboard. That a read token only reads is decided while authenticating."""

from rest_framework.request import Request

from config.errors import NotAllowed
from registry.models import ApiToken


def only_in_session(request: Request, what: str) -> None:
    """For what needs a person at the keyboard.

    Raises ``NotAllowed``: the request came with an API token.
    """
    if isinstance(request.auth, ApiToken):
        raise NotAllowed(
            f"An API token cannot {what}.",
            code="token.not_enough",
            remedy="Sign in with your password and do it there.",
        )
