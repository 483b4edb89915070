"""Erasure, holds and rules of retention over REST."""

from audit import keeping, personal
from audit.actors import SYSTEM
from audit.retention import LegalHold, RetentionRule
from registry.models import User
from tests.api.calls import Api
from tests.api.conftest import Person, session_of, token_of


def test_a_person_is_erased_in_a_session(person: Person) -> None:
    admin, bob = session_of(person("root", "administrator")), person("bob")
    address = f"accounts/{bob.pk}/erasure"

    assert admin.get(address).json() == {"person": f"user:{bob.pk}", "erased": False, "needs": []}
    wrong = admin.post(address, {"username": "rob", "reason": "Request 9"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "person.username")
    done = admin.post(address, {"username": "bob", "reason": "Request 9"})
    assert done.status_code == 201, done.content
    assert done.json()["commitments"] == 1
    assert admin.get(address).json()["erased"] is True
    assert User.objects.get(pk=bob.pk).username == f"erased-{bob.pk}"


def test_what_stands_against_it_is_told_as_data(person: Person) -> None:
    admin, bob = session_of(person("root", "administrator")), person("bob")
    keeping.set_hold(of="person", object_id=f"user:{bob.pk}", reason="Case 12", by=SYSTEM)

    refused = admin.post(f"accounts/{bob.pk}/erasure", {"username": "bob", "reason": "Request 9"})
    assert (refused.status_code, refused.json()["code"]) == (409, "person.needed")
    assert refused.json()["needs"] == admin.get(f"accounts/{bob.pk}/erasure").json()["needs"]
    assert not personal.is_erased(f"user:{bob.pk}")


def test_a_token_erases_nobody_and_others_do_not_look(person: Person) -> None:
    root, bob = person("root", "administrator"), person("bob")
    address, given = f"accounts/{bob.pk}/erasure", {"username": "bob", "reason": "Request 9"}

    refused = Api(token_of(root)).post(address, given)
    assert (refused.status_code, refused.json()["code"]) == (403, "token.not_enough")
    for api in (session_of(bob), session_of(person("carl", "auditor"))):
        assert api.get(address).status_code == 404
        assert api.post(address, given).status_code == 404
    assert session_of(root).get("accounts/999999/erasure").status_code == 404
    assert not personal.is_erased(f"user:{bob.pk}")


def test_holds_are_set_listed_and_released(person: Person) -> None:
    admin, auditor = session_of(person("root", "administrator")), session_of(person("aud", "auditor"))
    made = admin.post("audit/holds/", {"of": "person", "object_id": "user:7", "reason": "Case 12"})
    assert made.status_code == 201, made.content
    assert auditor.get("audit/holds/").json()[0]["reason"] == "Case 12"
    address = f"audit/holds/{made.json()['id']}/release/"
    assert auditor.post(address, {"reason": "Settled"}).status_code == 403
    assert admin.post(address, {}).status_code == 400
    assert admin.post(address, {"reason": "Settled"}).json()["released_by"].startswith("user:")
    assert admin.post(address, {"reason": "Settled"}).status_code == 409
    assert admin.post("audit/holds/", {"of": "period", "reason": "x"}).status_code == 422
    assert LegalHold.objects.count() == 1


def test_rules_are_set_listed_and_taken_away(person: Person) -> None:
    admin, stranger = session_of(person("root", "administrator")), session_of(person("bob"))
    rule = {"of": "action", "prefix": "check.", "days": 400, "basis": "House rule 7"}
    made = admin.call("PUT", "/api/v1/audit/retention/", rule)
    assert made.status_code == 200, made.content
    assert admin.get("audit/retention/").json() == [made.json()]
    assert stranger.get("audit/retention/").status_code == 403
    address = f"/api/v1/audit/retention/{made.json()['id']}/"
    assert stranger.call("DELETE", address).status_code == 403
    assert admin.call("DELETE", address).status_code == 204
    assert admin.call("DELETE", address).status_code == 404
    assert not RetentionRule.objects.exists()
