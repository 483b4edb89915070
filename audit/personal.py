"""What the ledger knows of people, apart from its entries: commitments for new entries, names for those who read them.

An entry says ``user:7``. Its ``commitments`` vouch for what that person was called; what opens them is sealed in a table of
its own under a key of that person, and goes when the person is erased. See docs/adr/0014-personal-data.md.
"""

import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Value
from django.db.models.functions import Cast, Concat

from audit import commitments
from audit.canonical import Json, canonical
from audit.commitments import Keys, Personal
from audit.models import Entry
from audit.persons import Disclosure, Person
from config import statements

USERNAME: Final = "username"
DISPLAY_NAME: Final = "display_name"
EMAIL: Final = "email"
ACCOUNT: Final = "user:"
_OUTSIDER: Final = "person:"
_SITE: Final = "site:pseudonyms"
_MOST_KNOWN: Final = 20_000
_known: dict[Personal, str] = {}
"""Commitments that are committed in the database, so that an ordinary entry asks it nothing. Per process."""


# for those who write


def committed(people: Iterable[Personal]) -> list[Json]:
    """Return the commitments of an entry to what is given, in the caller's transaction.

    No query for what this process has seen committed; one for what it has not; what nobody has told of before is sealed and
    stored. A person who is erased is committed to no more: there is no key that it could be sealed under.
    """
    wanted = dict.fromkeys(people)
    digests = {one: _known[one] for one in wanted if one in _known}
    if missing := [one for one in wanted if one not in digests]:
        digests |= _looked_up(missing)
    return [{"subject": one.subject, "field": one.field, "digest": digests[one]} for one in wanted if one in digests]


def commitment(personal: Personal) -> str:
    """Return the digest that vouches for one value, or "" for somebody who is erased. Needs a transaction."""
    found = _known.get(personal)
    return found if found is not None else _looked_up([personal]).get(personal, "")


def pseudonym(text: str, *, field: str) -> str:
    """Return a name for somebody who has no account, such as the author of a commit: the same for the same text.

    What it stands for is sealed like everything personal, and ``names`` tells it.
    """
    site = _keys_of([_SITE])[_SITE] or b""
    subject = _OUTSIDER + hmac.digest(site, canonical([field, text]), hashlib.sha256).hex()[:16]
    commitment(Personal(subject, field, text))
    return subject


def destroy(subject: str, *, entry_id: str) -> int:
    """Destroy the key of a person and everything under it, for good; return how many commitments can never be opened again.

    The entry ``entry_id`` of the same transaction says who asked and why. Waits for whoever is about to seal something
    more. Somebody of whom nothing was ever told is noted as erased all the same.
    """
    _keys_of([subject])
    statements.one("SELECT key FROM audit_person WHERE subject = %s FOR UPDATE", [subject])
    gone = statements.run("DELETE FROM audit_disclosure WHERE subject = %s", [subject])
    statements.run(
        "UPDATE audit_person SET key = NULL, erased_at = now(), erased_entry = %s WHERE subject = %s",
        [entry_id, subject],
    )
    for one in [one for one in _known if one.subject == subject]:
        del _known[one]
    return gone


def outsiders_called(is_called: Callable[[str], bool]) -> list[str]:
    """Return the pseudonyms of people without an account who are this person, by the text that stands for them."""
    rows = Disclosure.objects.filter(subject__startswith=_OUTSIDER).values_list("digest", "subject")
    subjects = dict(rows)
    return sorted({subjects[one] for one, text in _opened(subjects).items() if is_called(commitments.read(text)[1])})


def forget_what_is_known() -> None:
    """Ask the database again for every commitment: in tests, whose databases forget."""
    _known.clear()


_PEOPLE: Final = """
    SELECT subject, key, ARRAY(SELECT digest FROM audit_disclosure AS d WHERE d.subject = p.subject)
    FROM audit_person AS p WHERE subject = ANY(%s)
"""


def _looked_up(missing: Sequence[Personal]) -> dict[Personal, str]:
    """The digests of these; what is new is stored. Whatever the transaction commits need not be asked for again."""
    subjects = sorted({one.subject for one in missing})
    found = {row[0]: (row[1], set(row[2])) for row in statements.rows(_PEOPLE, [subjects])}
    keys = {subject: key for subject, (key, _) in found.items()}
    if new := [subject for subject in subjects if subject not in keys]:
        keys |= _keys_of(new)
    made: dict[Personal, str] = {}
    for one in missing:
        key = keys[one.subject]
        if key is None:
            continue
        derived = Keys.of(bytes(key))
        disclosure = commitments.disclosure_of(one, derived)
        digest = commitments.digest_of(disclosure)
        stored = one.subject not in new and digest in found[one.subject][1]
        if not stored and not _store(one, disclosure, digest, derived):
            continue
        made[one] = digest
    transaction.on_commit(partial(_remember, made))
    return made


def _remember(made: dict[Personal, str]) -> None:
    if len(_known) + len(made) > _MOST_KNOWN:
        _known.clear()
    _known.update(made)


def _keys_of(subjects: Sequence[str]) -> dict[str, bytes | None]:
    """The keys of these people, made where there is none. None for those who are erased.

    Two transactions that both tell of somebody for the first time ever wait for each other here, once.
    """
    keys: dict[str, bytes | None] = {}
    for subject in subjects:
        statements.run(
            "INSERT INTO audit_person (subject, key) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [subject, commitments.new_key()],
        )
        keys[subject] = statements.one("SELECT key FROM audit_person WHERE subject = %s", [subject])[0]
    return keys


def _store(one: Personal, disclosure: str, digest: str, keys: Keys) -> bool:
    """Seal and store. The lock makes an erasure wait, which then deletes this too; after one, nothing is stored."""
    if statements.one("SELECT key FROM audit_person WHERE subject = %s FOR SHARE", [one.subject])[0] is None:
        return False
    statements.run(
        "INSERT INTO audit_disclosure (digest, subject, field, sealed) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [digest, one.subject, one.field, commitments.seal(disclosure, keys, place=_place(one.subject, digest))],
    )
    return True


def _place(subject: str, digest: str) -> str:
    return f"{subject} {digest}"


# for those who read


def names(ids: Iterable[str]) -> dict[str, str]:
    """Return what people call these actors today: one query for accounts, one more only for people without an account.

    An account that is erased is ``erased person 7``. What is unknown is called by its id.
    """
    wanted = set(ids)
    found = {one: _plain(one) for one in wanted}
    accounts = {number for one in wanted if (number := _account_number(one)) is not None}
    if accounts:
        subject = Concat(Value(ACCOUNT), Cast(OuterRef("pk"), models.TextField()))
        gone = Exists(Person.objects.filter(subject=subject, erased_at__isnull=False))
        rows = get_user_model()._default_manager.filter(pk__in=accounts).annotate(person_erased=gone)
        for pk, name, erased in rows.values_list("pk", "username", "person_erased"):
            found[f"{ACCOUNT}{pk}"] = erased_name(pk) if erased else name
    if outsiders := {one for one in wanted if one.startswith(_OUTSIDER)}:
        found |= _outsiders(outsiders)
    return found


def subject_of(pk: int) -> str:
    """Return how entries name an account."""
    return f"{ACCOUNT}{pk}"


def is_person(subject: str) -> bool:
    """Say whether this is how entries name a person."""
    return _account_number(subject) is not None or bool(re.fullmatch(r"person:[0-9a-f]{16}", subject))


def is_erased(subject: str) -> bool:
    """Say whether the key of this person was destroyed."""
    return Person.objects.filter(subject=subject, erased_at__isnull=False).exists()


def erased_among(subjects: Iterable[str]) -> set[str]:
    """Return those of them who are erased."""
    return set(
        Person.objects.filter(subject__in=list(subjects), erased_at__isnull=False).values_list("subject", flat=True)
    )


def placeholder(pk: int) -> str:
    """Return what stands in the place of an erased account's user name. Nobody else may be called so."""
    return f"erased-{pk}"


def erased_name(pk: int) -> str:
    """Return what an account is called once the person behind it is erased."""
    return f"erased person {pk}"


def named(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries with ``who`` (and ``whom``, where they are about an account) told, in one query.

    An entry of the first format keeps its name in its text; it is used only where there is no such account any more.
    """
    rows = list(entries)
    kind = get_user_model()._meta.label_lower
    about = {row.index: f"{ACCOUNT}{row.object_id}" for row in rows if row.object_type == kind}
    known = names({str(row.actor_id) for row in rows} | set(about.values()))
    for row in rows:
        name = known[str(row.actor_id)]
        row.who = str(row.actor_name or name) if name == row.actor_id else name
        row.whom = known.get(about.get(row.index, ""), "")
    return rows


def disclosures(entries: Iterable[Entry]) -> list[dict[str, Json]]:
    """Return what opens the commitments of these entries, each once, for those who check them without us.

    Each has ``subject``, ``field``, ``digest``, and ``disclosure`` (RFC 9901); in its place ``erased`` (``at``, in
    microseconds, and the id of the ``entry`` that tells why) if the person is erased. A commitment whose disclosure is gone
    without an erasure is left out: it proves as much as before, but nobody can tell of what.
    """
    wanted: dict[str, tuple[str, str]] = {}
    for entry in entries:
        for one in entry.body.get("commitments", ()):
            wanted[one["digest"]] = (one["subject"], one["field"])
    opened = _opened(wanted)
    gone = Person.objects.filter(subject__in={subject for subject, _ in wanted.values()}, erased_at__isnull=False)
    erased = {one.subject: one for one in gone.only("subject", "erased_at", "erased_entry")} if wanted else {}
    told = []
    for digest, (subject, field) in sorted(wanted.items(), key=lambda item: (item[1], item[0])):
        row: dict[str, Json] = {"subject": subject, "field": field, "digest": digest}
        if digest in opened:
            row["disclosure"] = opened[digest]
        elif (person := erased.get(subject)) is not None and person.erased_at is not None:
            at = int(person.erased_at.timestamp()) * 1_000_000 + person.erased_at.microsecond
            row["erased"] = {"at": at, "entry": person.erased_entry}
        else:
            continue
        told.append(row)
    return told


def _plain(one: str) -> str:
    """What an id says by itself."""
    if one == "system":
        return "Countersign"
    return one.removeprefix("service:")


def _account_number(one: str) -> int | None:
    number = one.removeprefix(ACCOUNT)
    return int(number) if number != one and number.isascii() and number.isdigit() and len(number) < 19 else None


def _opened(digests: Iterable[str]) -> dict[str, str]:
    """The disclosures of these digests, as far as there is a key. Raises ``BadDisclosure`` for one that was changed."""
    wanted = sorted(digests)
    if not wanted:
        return {}
    rows = statements.rows(
        "SELECT d.digest, d.subject, d.sealed, p.key FROM audit_disclosure AS d"
        " JOIN audit_person AS p ON p.subject = d.subject WHERE d.digest = ANY(%s) AND p.key IS NOT NULL",
        [wanted],
    )
    keys: dict[str, Keys] = {}
    opened = {}
    for digest, subject, sealed, key in rows:
        if subject not in keys:
            keys[subject] = Keys.of(bytes(key))
        opened[digest] = commitments.unseal(bytes(sealed), keys[subject], place=_place(subject, digest))
    return opened


def _outsiders(subjects: set[str]) -> dict[str, str]:
    """What people without an account are called; those who are erased say so."""
    digests: defaultdict[str, list[str]] = defaultdict(list)
    for digest, subject in Disclosure.objects.filter(subject__in=subjects).values_list("digest", "subject"):
        digests[subject].append(digest)
    opened = _opened(digest for some in digests.values() for digest in some)
    found = {subject: f"erased {subject.replace(':', ' ')}" for subject in subjects}
    for subject, some in digests.items():
        told = [commitments.read(opened[digest])[1] for digest in some if digest in opened]
        if told:
            found[subject] = told[0]
    return found
