"""Writes to accounts, teams, roles and tokens, and the check of a token or a sign-in. Guardian's rows follow the roles."""

import hashlib
import hmac
import math
import secrets
from datetime import timedelta
from typing import Final

from django.contrib.auth.models import Group, Permission
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone
from guardian.shortcuts import assign_perm, remove_perm

from audit.actors import Actor
from audit.canonical import Json
from audit.services import append
from audit.subjects import Subject
from config.errors import Conflict, Invalid, NotAllowed, TooMany, Unauthenticated
from registry import guards, names
from registry.models import ApiToken, RegisteredModel, RoleGrant, User
from registry.roles import PERMISSIONS, Role

TOKEN_MARK: Final = "csn_"  # noqa: S105 - what every token begins with
SIGN_IN_ATTEMPTS: Final = 5
SIGN_IN_LOCKOUT: Final = timedelta(minutes=15)
LONGEST_ACCOUNT_NAME: Final = 150
VOTING: Final = frozenset({Role.VALIDATOR.value, Role.APPROVER.value})
_USE_RECORDED_EVERY: Final = timedelta(minutes=1)


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
    if is_service and (is_superuser or password is not None):
        raise Invalid(
            "A service account uses tokens: it has no password and is no superuser.", code="user.service", field="is_service"
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
    append(action="user.created", subject=user, by=by, facts={"username": username})
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
        private = {"display_name", "email"}  # personal data: that it changed is logged, not to what
        diff: dict[str, Json] = {field: ("changed" if field in private else bool(value)) for field, value in changed.items()}
        append(action="user.changed", subject=user, by=by, diff={**diff, "password_changed": password is not None})
    return user


@transaction.atomic
def create_team(*, name: str, by: Actor) -> Group:
    """Create a team. Raises ``NotAllowed``, ``Invalid``, ``Conflict`` when the name is taken."""
    guards.check_can_administer(by)
    names.check_name(name, what="team")
    if len(name) > 150:
        raise Invalid("A team's name has at most 150 characters.", code="team.name", field="name")
    team, created = Group.objects.get_or_create(name=name)
    if not created:
        raise Conflict(f"There is a team {name!r} already.", code="team.exists", field="name")
    append(action="team.created", subject=_team(team), by=by, facts={"name": name})
    return team


def _own_vote() -> NotAllowed:
    return NotAllowed(
        "An administrator may not give themselves a vote.",
        code="role.own_vote",
        remedy="Another administrator can, and the ledger will name both.",
    )


def _lock_team(team: Group) -> Group:
    """The team's row, locked: its members, roles and permissions change one request at a time."""
    return Group.objects.select_for_update(no_key=True).get(pk=team.pk)


def _team(team: Group) -> Subject:
    return Subject(type="auth.group", id=str(team.pk), version=team.name)


@transaction.atomic
def add_member(*, team: Group, user: User, by: Actor) -> None:
    """Put a person into a team; one who is there is no error.

    Raises ``NotAllowed``, also for putting oneself into a team that votes.
    """
    guards.check_can_administer(by)
    held = set(RoleGrant.objects.filter(team=team).values_list("role", flat=True))
    if by.user is not None and by.user.pk == user.pk and held & VOTING:
        raise _own_vote()
    if not _lock_team(team).user_set.filter(pk=user.pk).exists():
        team.user_set.add(user)
        append(action="team.member_added", subject=_team(team), by=by, facts={"user": user.username})


@transaction.atomic
def remove_member(*, team: Group, user: User, by: Actor) -> None:
    """Take a person out of a team; one who isn't there is no error. Raises ``NotAllowed``."""
    guards.check_can_administer(by)
    if _lock_team(team).user_set.filter(pk=user.pk).exists():
        team.user_set.remove(user)
        append(action="team.member_removed", subject=_team(team), by=by, facts={"user": user.username})


@transaction.atomic
def grant_role(*, team: Group, role: Role | str, by: Actor, model: RegisteredModel | None = None) -> RoleGrant:
    """Give a team a role, on every model or on one; what it has already is returned.

    Raises ``NotAllowed``, also for a vote in one's own team, ``Invalid`` for an unknown role.
    """
    guards.check_can_administer(by, model)
    known = _role(role)
    team = _lock_team(team)
    if known in VOTING and by.user is not None and team.user_set.filter(pk=by.user.pk).exists():
        raise _own_vote()
    grant, created = RoleGrant.objects.get_or_create(
        team=team, role=known.value, model=model, defaults={"granted_by": by.user if isinstance(by.user, User) else None}
    )
    if created:
        for codename in PERMISSIONS[known]:
            if model is None:
                team.permissions.add(_permission(codename))
            else:
                assign_perm(f"registry.{codename}", team, model)
        facts = {"role": known.value, "model": model.name if model else "every model"}
        append(action="role.granted", subject=_team(team), by=by, facts=facts)
    return grant


@transaction.atomic
def revoke_role(*, grant: RoleGrant, by: Actor) -> None:
    """Take a role from a team; permissions that another of its roles carries stay. One that is gone is no error.

    Raises ``NotAllowed``.
    """
    guards.check_can_administer(by, grant.model)
    team, model = _lock_team(grant.team), grant.model
    if not RoleGrant.objects.filter(pk=grant.pk).exists():
        return
    facts = {"role": grant.role, "model": model.name if model else "every model"}
    grant.delete()
    left = RoleGrant.objects.filter(team=team, model=model).values_list("role", flat=True)
    kept = {codename for role in left for codename in PERMISSIONS[Role(role)]}
    for codename in PERMISSIONS[Role(facts["role"])] - kept:
        if model is None:
            team.permissions.remove(_permission(codename))
        else:
            remove_perm(f"registry.{codename}", team, model)
    append(action="role.revoked", subject=_team(team), by=by, facts=facts)


def _role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError:
        known = ", ".join(Role)
        raise Invalid(f"{role!r} is no role; known are {known}.", code="role.unknown", field="role") from None


def _permission(codename: str) -> Permission:
    return Permission.objects.get(
        content_type__app_label="registry", content_type__model="registeredmodel", codename=codename
    )


@transaction.atomic
def issue_token(*, user: User, name: str, by: Actor, days: int = 90, scope: str = ApiToken.Scope.WRITE) -> tuple[ApiToken, str]:
    """Make a token and return it with its text ``csn_<prefix>.<secret>``, which is kept nowhere.

    An administrator makes tokens for service accounts, never for other people: who acts under a name is that person.

    Raises ``NotAllowed`` for somebody else's account, ``Invalid`` naming the field.
    """
    if by.user is None or by.user.pk != user.pk:
        guards.check_can_administer(by)
        if by.user is not None and not user.is_service:
            raise NotAllowed(
                "A person makes their own tokens.", code="token.not_yours", field="user", remedy="Use a service account."
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
    append(action="token.created", subject=token, by=by, facts={"user": user.username, "scope": scope, "days": days})
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
    """The token behind a bearer text, with its account. Notes the use, at most once a minute.

    Raises ``Unauthenticated`` saying whether it is malformed or unknown, expired, revoked, or its account inactive.
    """
    prefix, dot, secret = text.removeprefix(TOKEN_MARK).partition(".")
    token = None
    if text.startswith(TOKEN_MARK) and dot and "\x00" not in text:
        token = ApiToken.objects.select_related("user").filter(prefix=prefix[:16]).first()
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
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def _refused(token: ApiToken, why: str, sentence: str) -> Unauthenticated:
    """The refusal of a known token. It goes on record, at most once a minute for one token."""
    now = timezone.now()
    with transaction.atomic():
        due = ApiToken.objects.filter(pk=token.pk).exclude(refused_at__gt=now - _USE_RECORDED_EVERY)
        if due.update(refused_at=now):
            by = Actor.person(token.user, auth=f"token:{token.prefix}")
            append(action="token.refused", subject=token, by=by, reason=sentence, facts={"why": why})
    return Unauthenticated(sentence, code=f"token.{why}", remedy="Make a new one under Account.")


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
    User.objects.filter(pk=user.pk).update(
        sign_in_failures=0, sign_in_window_from=None, sign_in_locked_until=None
    )
    append(action="user.signed_in", subject=user, by=by)


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
    append(action="user.sign_in_failed", subject=user, by=by, facts={"locked": locked})


def check_token_may_write(token: ApiToken) -> None:
    """Raise ``NotAllowed`` for a token that may only read."""
    if token.scope != ApiToken.Scope.WRITE:
        raise NotAllowed(
            f"The token “{token.name}” may only read.", code="token.read_only", remedy="Use one with write scope."
        )
