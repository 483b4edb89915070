"""Who did it, in words. The ledger keeps no reference to an account, so deleting one never touches an entry."""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from django.http import HttpRequest

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from rest_framework.request import Request

Kind = Literal["user", "service", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, a service of ours, or the system itself, and how we know.

    ``session`` is a short digest of the session, never the session key: whoever reads the ledger must not be able to
    take over a session. ``user`` is the account for permission checks and is not written to the ledger.
    """

    id: str
    name: str
    kind: Kind
    auth: str = "none"
    session: str = ""
    request_id: str = ""
    user: "AbstractBaseUser | None" = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, request: "HttpRequest | Request") -> "Actor":
        """Return the person behind a Django or REST framework request, or the service ``visitor`` if nobody signed in.

        ``auth`` is ``token:<prefix>`` when the request came with an API token, else ``session``.
        """
        # The REST framework's request wraps Django's and hands unknown attributes on to it.
        request_id = str(getattr(request, "id", ""))
        user = request.user
        if not user.is_authenticated:
            return cls(id="service:visitor", name="visitor", kind="service", request_id=request_id)
        prefix = getattr(getattr(request, "auth", None), "prefix", "")
        key = getattr(getattr(request, "session", None), "session_key", None) or ""
        return cls(
            id=f"user:{user.pk}",
            name=user.get_username(),
            kind="user",
            auth=f"token:{prefix}" if prefix else "session",
            session=hashlib.sha256(key.encode()).hexdigest()[:16] if key and not prefix else "",
            request_id=request_id,
            user=user,
        )

    @classmethod
    def person(cls, user: "AbstractBaseUser", *, auth: str = "none", request_id: str = "") -> "Actor":
        """Return a person acting outside a request, such as from a management command."""
        return cls(
            id=f"user:{user.pk}", name=user.get_username(), kind="user", auth=auth, request_id=request_id, user=user
        )

    @classmethod
    def service(cls, name: str) -> "Actor":
        """Return one of our own processes, by its plain name (``checks``, ``ingest``)."""
        return cls(id=f"service:{name}", name=name, kind="service")


SYSTEM = Actor(id="system", name="Countersign", kind="system")
