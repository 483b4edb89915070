"""Accounts: made, changed, deactivated; never deleted."""

import re
from typing import Final

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from audit import personal
from audit.actors import Actor
from audit.canonical import Json
from audit.commitments import Personal
from audit.services import append
from config.errors import Conflict, Invalid, NotAllowed
from registry import guards, names
from registry.models import User
from registry.services.access.sign_in import check_may_try_sign_in, record_failed_sign_in

LONGEST_ACCOUNT_NAME: Final = 150
_PLACEHOLDER: Final = re.compile(r"erased-[0-9]+", re.IGNORECASE)
_PRIVATE: Final = (personal.DISPLAY_NAME, personal.EMAIL)


def _personal(user: User, *fields: str) -> list[Personal]:
    """What an entry about the account vouches for without saying it."""
    return [Personal(f"user:{user.pk}", field, value) for field in fields if (value := str(getattr(user, field)))]


@transaction.atomic
def create_user(
    *,
    username: str,
    password: str | None,
    by: Actor,
    display_name: str = "",
    email: str = "",
    is_staff: bool = False,
    is_superuser: bool = False,
    is_service: bool = False,
) -> User:
    """Create an account; without a password it cannot sign in.

    Raises ``NotAllowed``, ``Invalid`` naming the field, ``Conflict`` when the name is taken.
    """
    guards.check_can_administer(by)
    _check_may_make_superuser(by, wanted=is_superuser)
    names.check_name(username, field="username", what="account")
    if len(username) > LONGEST_ACCOUNT_NAME:
        raise Invalid(
            f"The name has {len(username)} characters; the limit is {LONGEST_ACCOUNT_NAME}.",
            code="user.username",
            field="username",
        )
    if _PLACEHOLDER.fullmatch(username):
        raise Invalid("Erased accounts are called so.", code="user.username", field="username")
    if is_service and (is_superuser or password is not None):
        raise Invalid(
            "A service account uses tokens: it has no password and is no superuser.",
            code="user.service",
            field="is_service",
        )
    _check_person(display_name, email)
    user = User(
        username=username,
        display_name=display_name,
        email=email,
        is_staff=is_staff,
        is_superuser=is_superuser,
        is_service=is_service,
    )
    try:
        user.username_validator(username)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), code="user.username", field="username") from error
    _set_password(user, password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        if "username" not in str(error):
            raise
        raise Conflict(f"There is an account {username!r} already.", code="user.exists", field="username") from error
    append(action="user.created", subject=user, by=by, people=_personal(user, "username", *_PRIVATE))
    return user


def _check_may_make_superuser(by: Actor, *, wanted: bool | None) -> None:
    """An administrator by role doesn't make superusers, who would then be above that role."""
    if wanted and by.user is not None and not by.user.is_superuser:  # type: ignore[attr-defined]
        raise NotAllowed("Only a superuser may make another one.", code="user.not_superuser", field="is_superuser")


def _check_person(display_name: str | None, email: str | None) -> None:
    if display_name is not None:
        names.check_text(display_name, field="display_name", longest=120)
    if email:
        names.check_text(email, field="email", longest=254)
        try:
            validate_email(email)
        except ValidationError as error:
            raise Invalid(" ".join(error.messages), code="user.email", field="email") from error


def _set_password(user: User, password: str | None) -> None:
    if password is not None:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise Invalid(" ".join(error.messages), code="user.password", field="password") from error
    user.set_password(password)


@transaction.atomic
def update_user(
    *,
    user: User,
    by: Actor,
    display_name: str | None = None,
    email: str | None = None,
    is_active: bool | None = None,
    is_staff: bool | None = None,
    is_superuser: bool | None = None,
    password: str | None = None,
) -> User:
    """Change what is given. Deactivating signs nobody's past decisions away.

    Raises ``NotAllowed``, also for taking away one's own access (so that an administrator is left), ``Invalid``.
    """
    guards.check_can_administer(by)
    _check_may_make_superuser(by, wanted=is_superuser)
    _check_person(display_name, email)
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if _PLACEHOLDER.fullmatch(user.username):
        raise Conflict("This person is erased; the account is a number now.", code="person.erased")
    if user.is_superuser and (is_active is False or password is not None or is_superuser is False):
        _check_may_make_superuser(by, wanted=True)
    if user.is_service and (is_superuser or password is not None):
        raise Invalid("A service account uses tokens only.", code="user.service", field="is_service")
    wanted: dict[str, object] = {
        "display_name": display_name,
        "email": email,
        "is_active": is_active,
        "is_staff": is_staff,
        "is_superuser": is_superuser,
    }
    changed = {field: value for field, value in wanted.items() if value is not None and value != getattr(user, field)}
    own = by.user is not None and by.user.pk == user.pk
    if own and any(changed.get(field) is False for field in ("is_active", "is_staff", "is_superuser")):
        raise NotAllowed("Another administrator must take this from you.", code="user.own_access")
    for field, value in changed.items():
        setattr(user, field, value)
    if password is not None:
        _set_password(user, password)
        user.sign_in_failures = user.signing_failures = 0
        user.sign_in_locked_until = user.signing_locked_until = None
    if changed or password is not None:
        user.save()
        # Personal data: that it changed is logged, and a commitment to what it is now.
        diff: dict[str, Json] = {
            field: ("changed" if field in _PRIVATE else bool(value)) for field, value in changed.items()
        }
        diff["password_changed"] = password is not None
        append(
            action="user.changed",
            subject=user,
            by=by,
            diff=diff,
            people=_personal(user, *(field for field in _PRIVATE if field in changed)),
        )
    return user


def change_password(*, old: str, new: str, by: Actor) -> User:
    """Let somebody give themselves another password. Their other sessions end; tokens stay.

    A wrong old password counts as a failed try to sign in, and locks the account as those do. Raises ``Invalid`` for
    field ``old`` or ``new``, ``TooMany``, ``NotAllowed`` for whoever is not a person signed in without a token.
    """
    if not isinstance(by.user, User) or by.user.is_service or by.auth.startswith("token:"):
        raise NotAllowed("Only a person who is signed in can change their password.", code="user.not_a_person")
    check_may_try_sign_in(username=by.user.username)
    if not by.user.check_password(old):
        record_failed_sign_in(username=by.user.username, by=by)
        raise Invalid("This is not your present password.", code="user.password", field="old")
    try:
        validate_password(new, by.user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), code="user.password", field="new") from error
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=by.user.pk)
        user.set_password(new)
        user.save(update_fields=["password"])
        append(action="user.changed", subject=user, by=by, diff={"password_changed": True})
    return user
