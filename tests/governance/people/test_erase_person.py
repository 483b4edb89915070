"""Erasing a person: nothing names them any more, and everything they did is proved as before."""

import io
import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import keeping, personal
from audit.actors import SYSTEM, Actor
from audit.models import Disclosure, Entry, Person
from config.errors import Conflict, Invalid, NotAllowed
from governance.models import Permit, PromotionRequest
from governance.services import evidence, waivers
from registry.models import IdempotencyKey, User, Webhook, WebhookDelivery
from registry.roles import Role
from registry.services import access
from registry.services.idempotency import Answer, once
from registry.services.lineage import CodeInput, LineageInput, RunInput, record
from tests.factories import governance as make
from tests.factories.audit import integrate
from tests.governance.bundle.conftest import Verify, members_of, verify

__all__ = ["verify"]

pytestmark = pytest.mark.django_db
NAME, DISPLAY, MAIL = "zyxgeraldine", "Zyxgeraldine Quux", "zyx.quux@example.org"


@pytest.fixture
def admin() -> User:
    """Administers, by role."""
    return make.person("root", Role.ADMINISTRATOR)


@pytest.fixture
def geraldine() -> User:
    """Somebody with every field filled in, who may approve."""
    user = access.create_user(username=NAME, password=make.PASSWORD, display_name=DISPLAY, email=MAIL, by=SYSTEM)
    team = access.create_team(name="Zeta approvers", by=SYSTEM)
    access.grant_role(team=team, role=Role.APPROVER, by=SYSTEM)
    access.add_member(team=team, user=user, by=SYSTEM)
    return User.objects.get(pk=user.pk)


def erase(user: User, by: User, reason: str = "Request 2027-114") -> access.Erased:
    return access.erase_person(user=user, reason=reason, by=make.actor(by))


def dump() -> str:
    """Everything that stands in any table of the database, as text."""
    said = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables"
            " WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT t::text FROM {table} AS t")
            said += [f"{table}: {row[0]}" for row in cursor.fetchall()]
    return "\n".join(said)


def where(*texts: str) -> list[str]:
    """The rows that hold one of the texts, in whatever case, or as the hexadecimal of bytes."""
    wanted = [text.lower() for text in texts] + [text.encode().hex() for text in texts]
    return [line[:300] for line in dump().splitlines() if any(text in line.lower() for text in wanted)]


def test_bundle_permit_and_proofs_hold_before_and_after(
    ready: PromotionRequest, geraldine: User, approvers: list[User], admin: User, verify: Verify
) -> None:
    make.approve(ready, [geraldine, approvers[0]])
    make.integrate()
    before = evidence.bundle_bytes(request=ready, by=make.actor(approvers[0]))
    said = verify(before)
    permit = Permit.objects.get(request=ready)
    leaves = list(Entry.objects.order_by("index").values_list("leaf_hash", flat=True))

    erase(geraldine, admin)

    make.integrate()
    after = evidence.bundle_bytes(request=ready, by=make.actor(approvers[0]))
    assert verify(before) == said, "what was handed out verifies as it did"
    verify(after)
    assert list(Entry.objects.order_by("index").values_list("leaf_hash", flat=True))[: len(leaves)] == leaves
    assert Permit.objects.get(pk=permit.pk).envelope == permit.envelope
    story = b"\n".join(content for name, content in members_of(after).items() if not name.endswith(".py"))
    for text in (NAME, DISPLAY, MAIL):
        assert text.encode() not in story
    assert f"user:{geraldine.pk}".encode() in story


def test_what_names_them_is_in_no_table_and_no_log(
    ready: PromotionRequest, geraldine: User, approvers: list[User], admin: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    by = make.actor(geraldine)
    access.issue_token(user=geraldine, name=f"laptop of {NAME}", by=by)
    inputs = LineageInput(
        code=CodeInput(commit="ab" * 20, repository="https://git.example.org/x", author=f"{DISPLAY} <{MAIL}>"),
        run=RunInput(user=NAME),
    )
    version = make.sealed_version(make.registered_model(approvers[0]), approvers[0])
    record(version=version, inputs=inputs, by=Actor.service("ingest"))
    outsider = personal.pseudonym(f"Z. Quux <{MAIL.upper()}>", field="author")
    once(user=geraldine, key="k", route="r", payload=b"", effect=lambda: Answer(201, {"owner": NAME}))
    once(user=approvers[0], key="k", route="r", payload=b"", effect=lambda: Answer(201, {"owner": NAME, "n": 1}))
    hook = access_webhook(admin)
    told = {"data": {"name": NAME}, "actor": {"id": f"user:{geraldine.pk}", "name": NAME, "kind": "user"}}
    WebhookDelivery.objects.create(webhook=hook, event="permit.issued", body=json.dumps(told), **moments(hook))
    make.approve(ready, [geraldine, approvers[0]])
    make.integrate()
    assert where(NAME, MAIL)

    done = erase(geraldine, admin)
    make.integrate()

    # A model that happens to be called so is no person: the data of an event stay as they were sent.
    kept = json.loads(WebhookDelivery.objects.get().body)
    assert kept["actor"]["name"] == f"erased person {geraldine.pk}"
    assert kept["data"] == {"name": NAME}
    WebhookDelivery.objects.all().delete()
    assert where(NAME, DISPLAY, MAIL, "Z. Quux") == []
    assert [one for one in caplog.messages if NAME in one.lower() or MAIL in one.lower()] == []
    assert personal.is_erased(outsider)
    assert (done.tokens, done.teams) == (1, 1)
    assert IdempotencyKey.objects.get().body == {
        "body": {"owner": f"erased-{geraldine.pk}", "n": 1},
        "headers": {},
    }


def access_webhook(admin: User) -> Webhook:
    from registry.services.webhooks import create_webhook  # noqa: PLC0415 - used once

    return create_webhook(name="w", url="https://example.org/x", event_names=["permit.issued"], by=make.actor(admin))


def moments(hook: Webhook) -> dict[str, Any]:
    return {"queued_at": hook.created_at, "next_attempt_at": hook.created_at, "entry_index": 0, "entry_id": "e"}


def test_the_log_says_who_erased_whom_and_why(geraldine: User, admin: User) -> None:
    done = erase(geraldine, admin)
    make.integrate()

    entry = Entry.objects.get(action="person.erased")
    assert (entry.entry_id, entry.actor_id, entry.reason) == (done.entry_id, f"user:{admin.pk}", "Request 2027-114")
    assert entry.facts["person"] == f"user:{geraldine.pk}"
    person = Person.objects.get(subject=f"user:{geraldine.pk}")
    assert (person.key, person.erased_entry) == (None, done.entry_id)
    assert not Disclosure.objects.filter(subject=person.subject).exists()
    assert personal.names([person.subject]) == {person.subject: f"erased person {geraldine.pk}"}
    assert done.commitments >= 3
    actions = set(Entry.objects.filter(index__gt=0).values_list("action", flat=True))
    assert {"team.member_removed", "person.erased"} <= actions


def test_the_account_stays_as_a_number_that_cannot_sign_in(geraldine: User, admin: User) -> None:
    token, secret = access.issue_token(user=geraldine, name="laptop", by=make.actor(geraldine))
    erase(geraldine, admin)

    user = User.objects.get(pk=geraldine.pk)
    assert (user.username, user.display_name, user.email) == (f"erased-{user.pk}", "", "")
    assert not user.is_active
    assert not user.has_usable_password()
    assert not user.groups.exists()
    assert authenticate(username=user.username, password=make.PASSWORD) is None
    token.refresh_from_db()
    assert token.name == ""
    assert token.revoked_at is not None
    with pytest.raises(Exception, match="revoked"):
        access.authenticate_token(secret)
    with pytest.raises(Conflict) as refused:
        access.update_user(user=user, is_active=True, by=make.actor(admin))
    assert refused.value.code == "person.erased"
    with pytest.raises(Invalid):
        access.create_user(username=f"Erased-{user.pk + 1}", password=None, by=make.actor(admin))


def test_a_hold_and_an_open_vote_are_named_and_nothing_happens(
    ready: PromotionRequest, geraldine: User, admin: User
) -> None:
    make.sign(ready, geraldine)
    hold = keeping.set_hold(of="person", object_id=f"user:{geraldine.pk}", reason="Case 12", by=SYSTEM)
    with pytest.raises(Conflict) as refused:
        erase(geraldine, admin)
    assert refused.value.code == "person.needed"
    assert refused.value.extra["needs"] == [
        f"Legal hold {hold.pk} keeps it (Case 12).",
        f"They have signed in {ready.ref}, which is open.",
    ]
    assert User.objects.get(pk=geraldine.pk).username == NAME
    assert not personal.is_erased(f"user:{geraldine.pk}")
    keeping.release_hold(hold_id=hold.pk, reason="Settled", by=SYSTEM)
    with pytest.raises(Conflict, match="They have signed"):
        erase(geraldine, admin)


def test_who_asked_and_who_owns_a_waiver_is_needed_while_it_is_open(
    checking: PromotionRequest, scientist: User, geraldine: User, admin: User
) -> None:
    with pytest.raises(Conflict, match=f"They asked for {checking.ref}"):
        erase(scientist, admin)
    failed = make.finish_all(checking, auc=0.5)
    run = failed.checks.get(key="performance.binary")
    until = timezone.now() + timedelta(days=9)
    assert access.needs_of(geraldine) == []
    waiver = waivers.ask(request=failed, check_run_id=run.pk, reason="Known.", until=until, by=make.actor(scientist))
    waivers.sign(waiver_id=waiver.pk, password=make.PASSWORD, by=make.actor(geraldine))
    assert access.needs_of(geraldine) == [f"A waiver in {checking.ref}, which is open, is theirs."]


@pytest.mark.parametrize(
    "reason", ["", "  ", f"Asked by {NAME}", f"asked by {DISPLAY.upper()}.", f"mail from {MAIL}", "x" * 2001]
)
def test_a_reason_that_is_none_or_names_them_is_refused(reason: str, geraldine: User, admin: User) -> None:
    with pytest.raises(Invalid) as refused:
        erase(geraldine, admin, reason)
    assert refused.value.field == "reason"
    assert User.objects.get(pk=geraldine.pk).username == NAME


def test_who_may_not(geraldine: User, admin: User) -> None:
    boss = make.person("boss", is_superuser=True)
    for user, by, code in (
        (geraldine, make.person("eve"), "not_administrator"),
        (admin, admin, "user.own_access"),
        (boss, admin, "user.not_superuser"),
    ):
        with pytest.raises(NotAllowed) as refused:
            erase(user, by)
        assert refused.value.code == code
        assert not personal.is_erased(f"user:{user.pk}")


def test_twice_is_said_to_be_done(geraldine: User, admin: User) -> None:
    erase(geraldine, admin)
    with pytest.raises(Conflict) as refused:
        erase(User.objects.get(pk=geraldine.pk), admin)
    assert refused.value.code == "person.erased"


def test_the_command_looks_first_and_erases_with_apply(geraldine: User, admin: User) -> None:
    out = io.StringIO()
    call_command("erase_person", NAME, reason="Request 9", stdout=out)
    assert "Nothing was done" in out.getvalue()
    assert User.objects.filter(username=NAME).exists()
    call_command("erase_person", NAME, reason="Request 9", by=admin.username, apply=True, stdout=out)
    assert "Erased:" in out.getvalue()
    assert "tracking server" in out.getvalue()
    assert not User.objects.filter(username=NAME).exists()
    with pytest.raises(CommandError, match="no account"):
        call_command("erase_person", NAME, reason="Request 9")
    with pytest.raises(CommandError, match="no active account"):
        call_command("erase_person", admin.username, reason="Request 9", by="nobody")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12))
def test_after_any_erasures_others_open_and_every_leaf_is_as_it_was(story: list[tuple[int, bool]]) -> None:
    people = [make.person("p", Role.ADMINISTRATOR) for _ in range(4)]
    gone: set[int] = set()
    for number, erases in story:
        others = [one for place, one in enumerate(people) if place != number and place not in gone]
        if number in gone or len(others) < 2:
            continue
        access.record_sign_in(user=people[number], by=make.actor(people[number]))
        integrate()
        leaves = list(Entry.objects.order_by("index").values_list("leaf_hash", flat=True))
        if erases:
            erase(people[number], others[0])
            gone.add(number)
            integrate()
        assert list(Entry.objects.order_by("index").values_list("leaf_hash", flat=True))[: len(leaves)] == leaves
        for one in personal.disclosures(Entry.objects.all()):
            place = next((at for at, user in enumerate(people) if one["subject"] == f"user:{user.pk}"), None)
            if place is not None:
                assert ("erased" in one) is (place in gone)
