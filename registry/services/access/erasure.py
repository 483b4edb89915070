"""Erasing a person: what names them is destroyed, what they did stays, and every proof of it holds.

GDPR, Article 17 with its third paragraph: what a law or a claim needs is kept. So nothing here touches an entry, a vote or
a permit; they speak of an account id, which from then on is nobody's.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from audit import personal
from audit.actors import Actor
from audit.models import Entry
from audit.retention import holds_on_person
from audit.services import append
from config import statements
from config.errors import Conflict, Invalid, NotAllowed
from registry import guards, names
from registry.models import ApiToken, User
from registry.services.access.teams import remove_member

Needs = Callable[[User], list[str]]
"""Says, each in a sentence, what still needs the person. An app above names its own in ``settings.PERSON_NEEDED_BY``."""

LONGEST_REASON: Final = 2000
_OWN_KEYS: Final = (
    "owner|username|user_id|registered_by|created_by|requested_by|author|asked_by|adopted_by|set_by|person"
)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done. ``kept`` says, each in a sentence, where the name still stands and why it is not ours to take."""

    entry_id: str
    commitments: int
    tokens: int
    teams: int
    kept: tuple[str, ...]


def needs_of(user: User) -> list[str]:
    """Return what stands against erasing the person, each in a sentence: legal holds first, then what is open."""
    found = [
        f"Legal hold {hold.pk} keeps it ({hold.reason})." for hold in holds_on_person(personal.subject_of(user.pk))
    ]
    for path in settings.PERSON_NEEDED_BY:
        needs: Needs = import_string(path)
        found += needs(user)
    return found


def check_can_erase(by: Actor, user: User) -> None:
    """Raise unless this person may be erased, by that actor, now.

    Administrators, not for themselves; for a superuser another superuser. ``Conflict`` ``person.needed`` names every hold
    and every open vote (also in ``extra["needs"]``); ``person.erased`` says that it is done already.
    """
    guards.check_can_administer(by)
    if by.user is not None and by.user.pk == user.pk:
        raise NotAllowed("Another administrator must erase you.", code="user.own_access")
    if user.is_superuser and by.user is not None and not by.user.is_superuser:  # type: ignore[attr-defined]
        raise NotAllowed("Only a superuser may erase another one.", code="user.not_superuser")
    if personal.is_erased(personal.subject_of(user.pk)):
        raise Conflict(f"{personal.erased_name(user.pk).capitalize()} is erased already.", code="person.erased")
    if needs := needs_of(user):
        raise Conflict(
            " ".join(["This person cannot be erased yet.", *needs]),
            code="person.needed",
            remedy="Release the holds and close what is open first.",
            extra={"needs": needs},
        )


@transaction.atomic
def erase_person(*, user: User, reason: str, by: Actor) -> Erased:
    """Destroy what names the person: key and sealed names, the account's name, address and password, tokens' names.

    The account stays, as a number that cannot sign in; so does everything it did. Logged as ``person.erased`` with the
    reason, which must not name the person. Raises as ``check_can_erase``, and ``Invalid`` for the reason.
    """
    user = User.objects.select_for_update().get(pk=user.pk)
    check_can_erase(by, user)
    _check_reason(reason, user)
    subject, before = personal.subject_of(user.pk), _Names.of(user)
    teams = list(user.groups.order_by("pk"))
    for team in teams:
        remove_member(team=team, user=user, by=by)
    tokens = list(ApiToken.objects.select_for_update().filter(user=user).order_by("pk"))
    for token in tokens:
        _forget_token(token, by)
    _blank(user)
    _forget_answers(user, before)
    outsiders = personal.outsiders_called(before.is_called)
    entry_id = append(
        action="person.erased",
        subject=user,
        by=by,
        reason=reason.strip(),
        facts={"person": subject, "also": list(outsiders), "tokens": len(tokens), "teams": len(teams)},
    )
    gone = sum(personal.destroy(one, entry_id=entry_id) for one in (subject, *outsiders))
    return Erased(entry_id, gone, len(tokens), len(teams), tuple(_kept(user, before)))


@dataclass(frozen=True, slots=True)
class _Names:
    """What a person was called, to find where else it stands."""

    username: str
    display_name: str
    email: str

    @classmethod
    def of(cls, user: User) -> "_Names":
        return cls(user.username, user.display_name or user.get_full_name(), user.email.lower())

    def is_called(self, text: str) -> bool:
        """Whether a text from outside (a user name, ``Name <address>``) is this person's."""
        address = re.search(r"<([^<>]+)>\s*$", text)
        given = (address[1] if address else text).strip()
        return given == self.username or bool(self.email and given.lower() == self.email)


def _check_reason(reason: str, user: User) -> None:
    if not reason.strip():
        raise Invalid("Say why: the log keeps it.", code="person.reason", field="reason")
    names.check_text(reason, field="reason", longest=LONGEST_REASON)
    said = reason.casefold()
    for name in (user.username, user.display_name, user.email):
        if name and re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", said):
            raise Invalid(
                "The reason names the person; the log would keep that for ever.",
                code="person.reason",
                field="reason",
                remedy="Write the number of the case.",
            )


def _forget_token(token: ApiToken, by: Actor) -> None:
    token.name = ""
    token.revoked_at = token.revoked_at or timezone.now()
    token.save(update_fields=["name", "revoked_at"])
    append(action="token.forgotten", subject=token, by=by)


def _blank(user: User) -> None:
    user.username = personal.placeholder(user.pk)
    user.display_name = user.first_name = user.last_name = user.email = ""
    user.set_unusable_password()  # ends every session: each carries a hash of the password
    user.is_active = user.is_staff = user.is_superuser = False
    user.last_login = None
    user.save()


def _forget_answers(user: User, before: _Names) -> None:
    """What was kept to be answered or sent again: the person's own answers go, in others' their name is replaced."""
    statements.run("DELETE FROM registry_idempotencykey WHERE user_id = %s", [user.pk])
    old, new = json.dumps(before.username), json.dumps(user.username)
    statements.run(
        "UPDATE registry_idempotencykey SET body = regexp_replace(body::text, %s, %s, 'g')::jsonb"
        " WHERE position(%s in body::text) > 0",
        [rf'("(?:{_OWN_KEYS})": ?){_literally(old)}', rf"\1{_literally_put(new)}", old],
    )
    sent = f'{{"id": "{personal.subject_of(user.pk)}", "name": '
    statements.run(
        "UPDATE registry_webhookdelivery SET body = replace(body, %s, %s) WHERE position(%s in body) > 0",
        [f"{sent}{old}", f"{sent}{json.dumps(personal.erased_name(user.pk))}", f"{sent}{old}"],
    )


def _literally(text: str) -> str:
    """A text as a regular expression of PostgreSQL that matches it alone."""
    return re.sub(r"([^\w ])", r"\\\1", text)


def _literally_put(text: str) -> str:
    """A text as what ``regexp_replace`` puts in its place."""
    return text.replace("\\", "\\\\")


def _kept(user: User, before: _Names) -> list[str]:
    """Where the name stands that no erasure reaches."""
    kept = []
    first_format = Entry.objects.filter(actor_id=personal.subject_of(user.pk), actor_name=before.username).count()
    if first_format:
        kept.append(f"{first_format} log entries written before personal data was kept apart hold the user name.")
    nodes = statements.one(
        "SELECT count(*) FROM registry_node WHERE facts ->> 'user' = %s OR facts ->> 'author' = ANY(%s)",
        [before.username, [before.username, *([before.email] if before.email else [])]],
    )[0]
    if nodes:
        kept.append(f"{nodes} nodes of lineage recorded before that hold it.")
    kept.append("Runs on the tracking server carry the user name they were logged with (mlflow.user).")
    kept.append("Reasons, comments and other texts that people wrote are evidence and were not searched.")
    return kept
