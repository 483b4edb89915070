"""Sign-ins on record, and the lock after too many wrong passwords."""

import math
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from audit.actors import Actor
from audit.services import append
from audit.subjects import mention
from config.errors import TooMany
from registry.models import User

SIGN_IN_ATTEMPTS: Final = 5
SIGN_IN_LOCKOUT: Final = timedelta(minutes=15)


def check_may_try_sign_in(*, username: str) -> None:
    """Raise ``TooMany`` while the account is locked after too many wrong passwords."""
    user = User.objects.filter(username=username.replace("\x00", "")).only("sign_in_locked_until").first()
    if user is not None and user.sign_in_locked_until and user.sign_in_locked_until > timezone.now():
        raise TooMany(
            f"Too many wrong passwords: this account is locked until {user.sign_in_locked_until:%H:%M} UTC.",
            code="sign_in.locked",
            extra={"retry_after": math.ceil((user.sign_in_locked_until - timezone.now()).total_seconds())},
        )


@transaction.atomic
def record_sign_in(*, user: User, by: Actor) -> None:
    """Log a sign-in and forget earlier failures."""
    User.objects.filter(pk=user.pk).update(sign_in_failures=0, sign_in_window_from=None, sign_in_locked_until=None)
    append(action="user.signed_in", subject=mention(user), by=by)


@transaction.atomic
def record_failed_sign_in(*, username: str, by: Actor) -> None:
    """Log a failure for a known account; five within fifteen minutes lock it for fifteen.

    Unknown names leave no entry: anybody could fill the ledger with them. While the account is locked nothing counts.
    """
    user = User.objects.select_for_update(no_key=True).filter(username=username.replace("\x00", "")).first()
    now = timezone.now()
    if user is None or (user.sign_in_locked_until is not None and user.sign_in_locked_until > now):
        return
    if user.sign_in_window_from is None or user.sign_in_window_from < now - SIGN_IN_LOCKOUT:
        user.sign_in_window_from, user.sign_in_failures = now, 0
    user.sign_in_failures += 1
    locked = user.sign_in_failures >= SIGN_IN_ATTEMPTS
    if locked:
        user.sign_in_locked_until = now + SIGN_IN_LOCKOUT
        user.sign_in_window_from, user.sign_in_failures = None, 0
    user.save(update_fields=["sign_in_failures", "sign_in_window_from", "sign_in_locked_until"])
    append(action="user.sign_in_failed", subject=mention(user), by=by, facts={"locked": locked})
