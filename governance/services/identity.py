"""The second look at who signs: the password again, at the moment of signing (21 CFR 11.200(a)(1))."""

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.actors import Actor
from audit.services import append
from audit.subjects import mention
from config.errors import NotAllowed, Refusal, TooMany
from governance import guards
from governance.models import PromotionRequest
from registry.models import User


def authenticate(by: Actor, request: PromotionRequest, password: str) -> str:
    """Check the signer's password again and return how they were identified, such as ``session+password``.

    Runs in a transaction of its own, so that a failure is counted and logged although nothing else changes. Raises
    ``NotAllowed`` for a wrong password and ``TooMany`` after ``SIGNING_ATTEMPTS`` of them, for ``SIGNING_LOCKOUT``.
    """
    signer = guards.person(by)
    with transaction.atomic():
        # The row stays locked while the password is hashed: guesses sent at once are counted one after another.
        account = User.objects.select_for_update(no_key=True).get(pk=signer.pk)
        refusal = _locked_out(account) or (None if account.check_password(password) else _count_failure(account))
        if refusal is None:
            if account.signing_failures or account.signing_locked_until:
                account.signing_failures, account.signing_locked_until = 0, None
                account.save(update_fields=["signing_failures", "signing_locked_until"])
            return f"{by.auth.partition(':')[0]}+password"
        log_refusal(by, request, refusal)
    raise refusal


def log_refusal(by: Actor, request: PromotionRequest, refusal: Refusal) -> None:
    """Log that somebody tried to sign and was refused. Must be called in a transaction that commits."""
    append(
        action="decision.refused", subject=mention(request), by=by, reason=str(refusal), facts={"code": refusal.code}
    )


def _locked_out(account: User) -> Refusal | None:
    until = account.signing_locked_until
    if until is None or until <= timezone.now():
        return None
    return TooMany(
        f"Signing is locked for this account until {until:%H:%M} UTC, after too many wrong passwords.",
        code="signing.locked",
        remedy="Wait, or ask an administrator.",
        extra={"until": until.isoformat()},
    )


def _count_failure(account: User) -> Refusal:
    account.signing_failures += 1
    left = settings.SIGNING_ATTEMPTS - account.signing_failures
    if left <= 0:
        account.signing_failures = 0
        account.signing_locked_until = timezone.now() + settings.SIGNING_LOCKOUT
    account.save(update_fields=["signing_failures", "signing_locked_until"])
    if left <= 0:
        minutes = int(settings.SIGNING_LOCKOUT.total_seconds() // 60)
        return TooMany(
            f"The password is wrong. Signing is now locked for this account for {minutes} minutes.",
            code="signing.locked",
        )
    return NotAllowed(
        f"The password is wrong; {left} {'attempts are' if left > 1 else 'attempt is'} left.",
        code="signing.password",
        field="password",
        remedy="Nothing was signed.",
    )
