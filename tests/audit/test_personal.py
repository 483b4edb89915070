"""What the ledger knows of people: committed to in entries, sealed beside them, told by name to those who read."""

import json
from typing import Any

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from audit import commitments, personal, services
from audit.actors import SYSTEM, Actor
from audit.commitments import Personal
from audit.models import Entry, Inbox
from audit.persons import Disclosure, Person
from audit.subjects import Subject
from config.runtime import roles
from tests.audit.conftest import Connect
from tests.factories.audit import ROBOT, TOUCHED, integrate, touch

ADA = Actor(id="user:7", name="ada", kind="user", auth="session")


def bodies() -> list[dict[str, Any]]:
    return [json.loads(canon) for canon in Inbox.objects.order_by("id").values_list("canon", flat=True)]


def erase(subject: str) -> None:
    """The end of a key, without what the registry does about the account."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_disclosure WHERE subject = %s", [subject])
        cursor.execute(
            "UPDATE audit_person SET key = NULL, erased_at = now(), erased_entry = 'e-1' WHERE subject = %s", [subject]
        )
    personal.forget_what_is_known()


@pytest.mark.django_db(transaction=True)
def test_the_first_entry_of_a_person_seals_the_name_and_the_next_ones_ask_nothing() -> None:
    touch(by=ADA)
    with CaptureQueriesContext(connection) as sent:
        touch(by=ADA)

    assert len([query for query in sent if "audit_" in query["sql"]]) == 1
    first, second = bodies()
    assert first["commitments"] == second["commitments"]
    assert '"ada"' not in json.dumps([first, second])
    row = Disclosure.objects.get()
    assert (row.subject, row.field, row.digest) == ("user:7", "username", first["commitments"][0]["digest"])


@pytest.mark.django_db(transaction=True)
def test_another_process_makes_the_same_commitment_and_stores_nothing_more() -> None:
    touch(by=ADA)
    personal.forget_what_is_known()
    with CaptureQueriesContext(connection) as sent:
        touch(by=ADA)

    assert len([query for query in sent if "audit_" in query["sql"]]) == 2, "one look, one entry"
    first, second = bodies()
    assert first["commitments"] == second["commitments"]
    assert Disclosure.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_name_whose_transaction_was_rolled_back_is_sealed_by_the_next() -> None:
    def change_my_mind() -> None:
        with transaction.atomic():
            services.append(action=TOUCHED, subject=Subject("test.thing", "1"), by=ADA)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_my_mind()
    assert not Person.objects.exists()
    touch(by=ADA)
    assert Disclosure.objects.get().digest == bodies()[0]["commitments"][0]["digest"]


@pytest.mark.django_db
def test_services_and_the_system_are_nobody() -> None:
    touch(by=ROBOT)
    touch(by=SYSTEM)
    assert [body["commitments"] for body in bodies()] == [[], []]


@pytest.mark.django_db
def test_an_entry_vouches_for_what_it_is_given_about_people() -> None:
    mail = Personal("user:8", "email", "bob@example.org")
    services.append(action=TOUCHED, subject=Subject("test.thing", "1"), by=ADA, people=[mail, mail])

    (body,) = bodies()
    assert [(one["subject"], one["field"]) for one in body["commitments"]] == [
        ("user:7", "username"),
        ("user:8", "email"),
    ]
    integrate()
    told = personal.disclosures(Entry.objects.all())
    assert [commitments.read(str(one["disclosure"])) for one in told] == [
        ("username", "ada"),
        ("email", "bob@example.org"),
    ]
    for one in told:
        assert commitments.digest_of(str(one["disclosure"])) == one["digest"]
    assert personal.commitment(mail) == body["commitments"][1]["digest"]


@pytest.mark.django_db
def test_of_an_erased_person_nothing_opens_and_the_others_do() -> None:
    touch(by=ADA)
    touch(by=Actor(id="user:8", name="bob", kind="user"))
    integrate()
    erase("user:7")

    gone, there = personal.disclosures(Entry.objects.all())
    assert gone["erased"]["entry"] == "e-1"  # type: ignore[index,call-overload]
    assert "disclosure" not in gone
    assert commitments.read(str(there["disclosure"])) == ("username", "bob")
    assert personal.commitment(Personal("user:7", "username", "ada")) == ""


@pytest.mark.django_db
def test_what_acts_under_an_erased_account_is_logged_and_committed_to_no_more() -> None:
    touch(by=ADA)
    erase("user:7")
    touch(by=ADA)
    assert bodies()[1]["commitments"] == []
    assert not Disclosure.objects.exists()


@pytest.mark.django_db
def test_a_disclosure_that_somebody_deleted_is_left_out() -> None:
    touch(by=ADA)
    integrate()
    Disclosure.objects.all().delete()
    assert personal.disclosures(Entry.objects.all()) == []


@pytest.mark.django_db
def test_a_key_is_destroyed_once_and_never_changed_or_brought_back() -> None:
    touch(by=ADA)
    for statement in (
        "UPDATE audit_person SET key = sha256('')",
        "UPDATE audit_person SET subject = 'user:8'",
        "DELETE FROM audit_person",
    ):
        with pytest.raises(DatabaseError, match="a key is only ever destroyed"), transaction.atomic():
            connection.cursor().execute(statement)
    with pytest.raises(DatabaseError, match="person_has_a_key_or_is_erased"), transaction.atomic():
        connection.cursor().execute("UPDATE audit_person SET key = NULL")
    erase("user:7")
    with pytest.raises(DatabaseError, match="a key is only ever destroyed"), transaction.atomic():
        connection.cursor().execute(
            "UPDATE audit_person SET key = sha256(''), erased_at = NULL, erased_entry = '' WHERE subject = 'user:7'"
        )


@pytest.mark.usefixtures("by_hand")
def test_names_are_those_of_today_in_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    ada, bob = (get_user_model().objects.create_user(name) for name in ("ada", "bob"))
    with transaction.atomic():
        personal.committed([Personal(f"user:{bob.pk}", "username", "bob")])
    erase(f"user:{bob.pk}")

    wanted = [f"user:{ada.pk}", f"user:{bob.pk}", "user:999999", "user:x", "service:checks", "system", ""]
    with django_assert_num_queries(1):
        found = personal.names(wanted)
    assert found == {
        f"user:{ada.pk}": "ada",
        f"user:{bob.pk}": f"erased person {bob.pk}",
        "user:999999": "user:999999",
        "user:x": "user:x",
        "service:checks": "checks",
        "system": "Countersign",
        "": "",
    }
    with django_assert_num_queries(0):
        assert personal.names(["system"]) == {"system": "Countersign"}


@pytest.mark.django_db
def test_entries_are_told_with_the_names_of_actors_and_accounts() -> None:
    ada = get_user_model().objects.create_user("ada")
    with transaction.atomic():
        services.append(action=TOUCHED, subject=ada, by=ADA)
    integrate()
    (entry,) = personal.named(Entry.objects.all())
    assert (entry.who, entry.whom) == ("user:7", "ada")


@pytest.mark.django_db
def test_an_entry_of_the_first_format_is_taken_and_keeps_the_name_it_has() -> None:
    touch(by=ROBOT)
    body = {**bodies()[0], "v": 1, "actor": {"id": "user:7", "name": "ada", "kind": "user", "auth": "", "session": ""}}
    del body["commitments"]
    Inbox.objects.all().delete()
    Inbox.objects.create(canon=json.dumps(body, sort_keys=True, separators=(",", ":")))
    integrate()

    (entry,) = personal.named(Entry.objects.all())
    assert (entry.actor_name, entry.who) == ("ada", "ada"), "there is no account 7 any more"
    assert personal.disclosures([entry]) == []


@pytest.mark.django_db
def test_somebody_without_an_account_has_a_pseudonym_that_can_be_erased() -> None:
    text = "Grace Hopper <grace@example.org>"
    name = personal.pseudonym(text, field="author")

    assert name == personal.pseudonym(text, field="author") != personal.pseudonym("Bob", field="author")
    assert personal.names([name]) == {name: text}
    erase(name)
    assert personal.names([name]) == {name: f"erased {name.replace(':', ' ')}"}


@pytest.mark.django_db(transaction=True)
def test_the_roles_make_and_destroy_keys_and_change_none(signed_in_as: Connect) -> None:
    touch(by=ADA)
    for role in (roles.APP, roles.SEQUENCER):
        session = signed_in_as(role)
        session.execute("SELECT key FROM audit_person FOR SHARE").fetchone()
        for statement in (
            "UPDATE audit_person SET subject = 'user:8'",
            "DELETE FROM audit_person",
            "TRUNCATE audit_person",
            "UPDATE audit_disclosure SET subject = 'user:8'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement)
    app = signed_in_as(roles.APP)
    app.execute("DELETE FROM audit_disclosure WHERE subject = 'user:7'")
    app.execute("UPDATE audit_person SET key = NULL, erased_at = now(), erased_entry = 'e' WHERE subject = 'user:7'")
    assert Person.objects.get().erased_at <= timezone.now()  # type: ignore[operator]
