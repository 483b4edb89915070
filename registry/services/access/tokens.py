"""API tokens: the secret is shown once, its hash is kept; the check of one, with what it leaves in the ledger."""

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from audit.actors import Actor
from audit.canonical import Json
from audit.services import append
from audit.subjects import mention
from config import statements
from config.errors import Invalid, NotAllowed, Unauthenticated
from registry import guards, names
from registry.models import ApiToken, User
from registry.selectors.access import token_by_prefix

TOKEN_MARK: Final = "csn_"  # noqa: S105 - what every token begins with
_USE_RECORDED_EVERY: Final = timedelta(minutes=1)


@transaction.atomic
def issue_token(
    *, user: User, name: str, by: Actor, days: int = 90, scope: str = ApiToken.Scope.WRITE
) -> tuple[ApiToken, str]:
    """Make a token and return it with its text ``csn_<prefix>.<secret>``, which is kept nowhere.

    An administrator makes tokens for service accounts, never for other people: who acts under a name is that person.

    Raises ``NotAllowed`` for somebody else's account, ``Invalid`` naming the field.
    """
    if by.user is None or by.user.pk != user.pk:
        guards.check_can_administer(by)
        if by.user is not None and not user.is_service:
            raise NotAllowed(
                "A person makes their own tokens.",
                code="token.not_yours",
                field="user",
                remedy="Use a service account.",
            )
    if not user.is_active:
        raise Invalid("This account is not active.", code="token.inactive", field="user")
    if not name.strip():
        raise Invalid("Say what the token is for.", code="token.name", field="name")
    names.check_text(name, field="name", longest=80)
    if not 1 <= days <= 365:
        raise Invalid("A token is valid for 1 to 365 days.", code="token.days", field="days")
    if scope not in ApiToken.Scope.values:
        raise Invalid(f"The scope is one of {', '.join(ApiToken.Scope.values)}.", code="token.scope", field="scope")
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name.strip(),
        prefix=prefix,
        secret_sha256=_hash(secret),
        scope=scope,
        expires_at=timezone.now() + timedelta(days=days),
    )
    facts: dict[str, Json] = {"user": f"user:{user.pk}", "scope": scope, "days": days}
    append(action="token.created", subject=token, by=by, facts=facts)
    return token, f"{TOKEN_MARK}{prefix}.{secret}"


@transaction.atomic
def revoke_token(*, token: ApiToken, by: Actor) -> None:
    """End a token now; one that is revoked stays so. Raises ``NotAllowed`` for somebody else's."""
    if by.user is None or by.user.pk != token.user_id:
        guards.check_can_administer(by)
    token = ApiToken.objects.select_for_update(no_key=True).get(pk=token.pk)
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        append(action="token.revoked", subject=token, by=by)


def _hash(secret: str) -> str:
    """SHA-256 is enough for 256 random bits: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def authenticate_token(text: str) -> ApiToken:
    """The token behind a bearer text, with its account and what that may do. Notes the use, at most once a minute.

    Nothing is kept from one call to the next: what is revoked, expired or taken away is so at once.

    Raises ``Unauthenticated`` saying whether it is malformed or unknown, expired, revoked, or its account inactive.
    """
    prefix, dot, secret = text.removeprefix(TOKEN_MARK).partition(".")
    token = None
    if text.startswith(TOKEN_MARK) and dot and "\x00" not in text:
        token = token_by_prefix(prefix[:16])
    known = token.secret_sha256 if token else _hash("")
    if not hmac.compare_digest(known, _hash(secret)) or token is None:
        raise Unauthenticated("This token is not known here.", code="token.unknown", remedy="Make one under Account.")
    now = timezone.now()
    if token.revoked_at is not None:
        raise _refused(token, "revoked", f"This token was revoked on {token.revoked_at:%d %B %Y}.")
    if token.expires_at <= now:
        raise _refused(token, "expired", f"This token expired on {token.expires_at:%d %B %Y}.")
    if not token.user.is_active:
        raise _refused(token, "inactive", "The account of this token is not active.")
    if token.last_used_at is None or token.last_used_at < now - _USE_RECORDED_EVERY:
        statements.run("UPDATE registry_apitoken SET last_used_at = %s WHERE id = %s", (now, token.pk))
    return token


def _refused(token: ApiToken, why: str, sentence: str) -> Unauthenticated:
    """The refusal of a known token. It goes on record, at most once a minute for one token."""
    now = timezone.now()
    with transaction.atomic():
        due = ApiToken.objects.filter(pk=token.pk).exclude(refused_at__gt=now - _USE_RECORDED_EVERY)
        if due.update(refused_at=now):
            by = Actor.person(token.user, auth=f"token:{token.prefix}")
            append(action="token.refused", subject=mention(token), by=by, reason=sentence, facts={"why": why})
    return Unauthenticated(sentence, code=f"token.{why}", remedy="Make a new one under Account.")


def check_token_may_write(token: ApiToken) -> None:
    """Raise ``NotAllowed`` for a token that may only read."""
    if token.scope != ApiToken.Scope.WRITE:
        raise NotAllowed(
            f"The token “{token.name}” may only read.", code="token.read_only", remedy="Use one with write scope."
        )
