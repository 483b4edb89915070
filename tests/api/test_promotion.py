"""One promotion over REST: asked, checked, signed in a session, live, and taken away as evidence."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import SYSTEM
from governance.models import Decision, Permit, PromotionRequest, Waiver
from governance.permits import verifier
from governance.selectors.permits import trust_root
from governance.services.policies import adopt
from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from tests.api.calls import Api
from tests.api.conftest import PASSWORD, POLICY, Person, session_of, token_of
from tests.factories import governance as made

QUERIES = 12
"""Token or session, account, permissions, the request and its rows; the same however many there are."""


@pytest.fixture
def owner(db: None) -> User:
    return made.person("owner", Role.CONTRIBUTOR)


@pytest.fixture
def review(owner: User) -> PromotionRequest:
    """A request whose checks have passed."""
    made.policy()
    version = made.sealed_version(made.registered_model(owner, name="scorecard"), owner)
    return made.finish_all(made.request(version, owner))


def _sign(session: Api, request: PromotionRequest, **change: object) -> Any:
    challenge = session.post(f"requests/{request.ref}/challenges").json()
    return session.post(
        f"requests/{request.ref}/decisions",
        {
            "outcome": "approve",
            "meaning": "approval",
            "comment": "Fine.",
            "challenge": challenge["id"],
            "evidence_digest": challenge["evidence_digest"],
            "password": PASSWORD,
            **change,
        },
    )


def test_a_promotion_is_asked_for_and_says_what_it_waits_for(contributor: Api, sealed_version: ModelVersion) -> None:
    adopt(document=POLICY, by=SYSTEM)

    asked = contributor.post(
        "requests", {"model": "credit-default", "version": 1, "target": "alias:production"}, idempotency_key="p1"
    )

    assert asked.status_code == 201, asked.content
    body = asked.json()
    assert asked["Location"] == f"/api/v1/requests/{body['ref']}"
    assert (body["state"], body["model"], body["version"]) == ("checking", "credit-default", 1)
    assert body["manifest_digest"] == sealed_version.manifest_digest
    assert {node["key"] for node in body["requirements"]["children"]} == {"checks", "card", "review"}
    actions = {row["action"]: row for row in body["allowed_actions"]}
    assert actions["withdraw"] == {"action": "withdraw", "allowed": True, "reason": ""}
    assert not actions["sign"]["allowed"]
    assert "asked for this promotion" in actions["sign"]["reason"]

    again = contributor.post(
        "requests", {"model": "credit-default", "version": 1, "target": "alias:production"}, idempotency_key="p1"
    )
    assert again.json() == body
    assert (
        contributor.post(
            "requests", {"model": "credit-default", "version": 1, "target": "alias:production"}
        ).status_code
        == 409
    )
    assert PromotionRequest.objects.count() == 1


@pytest.mark.parametrize(
    ("data", "status", "field"),
    [
        ({}, 400, "model"),
        ({"model": "credit-default", "version": 1, "target": "production"}, 422, "target"),
        ({"model": "credit-default", "version": 1, "target": "alias:unheard-of"}, 422, "target"),
        ({"model": "credit-default", "version": 1, "target": "alias:a\x00"}, 400, "target"),
        ({"model": "credit-default", "version": 7, "target": "alias:production"}, 404, ""),
        ({"model": "nothing", "version": 1, "target": "alias:production"}, 404, ""),
    ],
    ids=str,
)
@pytest.mark.usefixtures("sealed_version")
def test_a_bad_request_for_promotion_is_refused_by_name(
    contributor: Api, data: object, status: int, field: str
) -> None:
    adopt(document=POLICY, by=SYSTEM)

    answer = contributor.post("requests", data)

    assert answer.status_code == status, answer.content
    assert not field or field in {error["field"] for error in answer.json()["errors"]}
    assert not PromotionRequest.objects.exists()


def test_a_governed_alias_is_refused_with_the_address_to_ask_at(contributor: Api, sealed_version: ModelVersion) -> None:
    adopt(document=POLICY, by=SYSTEM)

    answer = contributor.call("PUT", "models/credit-default/aliases/production", {"version": 1})

    assert answer.status_code in {403, 409}
    assert "http" in str(answer.json())
    assert not sealed_version.aliases.exists()


def test_two_officers_sign_and_the_alias_the_permit_and_the_envelope_are_there(
    review: PromotionRequest, owner: User, person: Person
) -> None:
    first, second = person("olga", "approver"), person("omar", "approver")

    signed = _sign(session_of(first), review)
    assert signed.status_code == 201, signed.content
    assert (signed.json()["person"], signed.json()["outcome"]) == ("olga", "approve")
    assert not Permit.objects.exists()
    assert _sign(session_of(second), review).status_code == 201

    api = Api(token_of(owner))
    body = api.get(f"requests/{review.ref}").json()
    assert (body["state"], body["permit"], body["issuance"]["state"]) == ("approved", None, "waiting")
    assert api.get("models/scorecard").json()["aliases"] == {}
    made.issue()
    made.publish()
    body = api.get(f"requests/{review.ref}").json()
    assert body["issuance"]["state"] == "issued"
    assert api.get("models/scorecard").json()["aliases"] == {"production": review.version.number}
    permit = api.get(f"permits/{body['permit']}").json()
    assert (permit["state"], permit["manifest_digest"]) == ("active", review.manifest_digest)
    assert len(permit["key_ids"]) == 2
    file = api.get(permit["file_url"])
    assert file["Content-Type"] == "application/vnd.countersign.permit+json"
    assert verifier.verify(json.loads(file.content), json.loads(trust_root()))[0]["permit"] == permit["id"]
    envelope = api.get(permit["envelope_url"])
    assert envelope["Content-Type"] == "application/vnd.in-toto+json"
    assert envelope.content.decode() == Permit.objects.get().envelope
    assert [row["person"] for row in api.get(f"requests/{review.ref}/decisions").json()["results"]] == ["olga", "omar"]

    paused = session_of(first).post(f"permits/{permit['id']}/suspend", {"reason": "Look first."})
    assert (paused.json()["state"], paused.json()["suspended_reason"]) == ("suspended", "Look first."), paused.content
    assert api.get("models/scorecard").json()["aliases"] == {}
    assert api.post(f"permits/{permit['id']}/resume", {"reason": "I asked for it."}).status_code == 403
    again = session_of(second).post(f"permits/{permit['id']}/resume", {"reason": "Looked."})
    assert again.json()["state"] == "active", again.content
    assert api.get("models/scorecard").json()["aliases"] == {"production": review.version.number}
    revoked = session_of(first).post(f"permits/{permit['id']}/revoke", {"reason": "Drift."})
    assert revoked.json()["state"] == "revoked", revoked.content
    assert api.post(f"permits/{permit['id']}/revoke", {"reason": "Me too."}).status_code == 403
    assert api.get("models/scorecard").json()["aliases"] == {}


def test_a_token_signs_nothing_and_is_told_why(review: PromotionRequest, person: Person) -> None:
    api = Api(token_of(person("olga", "approver")))

    for path in ("challenges", "decisions"):
        answer = api.post(f"requests/{review.ref}/{path}", {})
        assert (answer.status_code, answer.json()["code"]) == (403, "token.not_enough")
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("change", "statuses", "field"),
    [
        ({"password": "wrong"}, {403, 422}, ""),
        ({"evidence_digest": "0" * 64}, {409}, ""),
        ({"challenge": "6f9a7a1c-6a53-4b61-8a40-0c61b47a1c11"}, {404, 409, 422}, ""),
        ({"challenge": "x"}, {400}, "challenge"),
        ({"outcome": "maybe"}, {400}, "outcome"),
        ({"meaning": "fun"}, {400}, "meaning"),
        ({"outcome": "reject", "comment": ""}, {400, 422}, ""),
        ({"comment": "\x00"}, {400}, "comment"),
        ({"person": "somebody"}, {400}, "person"),
    ],
    ids=str,
)
def test_a_signature_that_is_not_right_is_refused_and_none_is_made(
    review: PromotionRequest, person: Person, change: dict[str, object], statuses: set[int], field: str
) -> None:
    answer = _sign(session_of(person("olga", "approver")), review, **change)

    assert answer.status_code in statuses, answer.content
    assert not field or field in {error["field"] for error in answer.json()["errors"]}
    assert not Decision.objects.exists()


def test_the_person_who_asked_cannot_sign(review: PromotionRequest, owner: User) -> None:
    answer = _sign(session_of(owner), review)

    assert answer.status_code == 403
    assert not Decision.objects.exists()


def test_a_request_is_talked_about_withdrawn_and_then_closed(review: PromotionRequest, owner: User) -> None:
    api = Api(token_of(owner))

    said = api.post(f"requests/{review.ref}/comments", {"text": "Please look at age."}, idempotency_key="c1")
    assert said.status_code == 201
    api.post(f"requests/{review.ref}/comments", {"text": "Please look at age."}, idempotency_key="c1")
    assert [row["text"] for row in api.get(f"requests/{review.ref}/comments").json()["results"]] == [
        "Please look at age."
    ]

    assert api.post(f"requests/{review.ref}/run-again").json()["round"] == 2
    assert api.post(f"requests/{review.ref}/withdraw", {"reason": "Retrained."}).json()["state"] == "withdrawn"
    late = api.post(f"requests/{review.ref}/withdraw", {})
    assert (late.status_code, late.json()["code"]) == (409, "promotion.state")


def test_a_check_that_failed_can_be_waived_by_two(owner: User, person: Person) -> None:
    made.policy()
    version = made.sealed_version(made.registered_model(owner), owner)
    stopped = made.finish_all(made.request(version, owner), auc=0.5)
    api = Api(token_of(owner))
    failed = next(
        row
        for row in api.get(f"requests/{stopped.ref}/checks").json()["results"]
        if row["key"].startswith("performance")
    )
    until = (timezone.now() + timedelta(days=10)).isoformat()

    asked = api.post(
        f"requests/{stopped.ref}/waivers", {"check_run_id": failed["id"], "reason": "Known outage.", "until": until}
    )
    assert asked.status_code == 201, asked.content
    waiver = asked.json()["id"]
    assert api.post(f"waivers/{waiver}/sign", {"password": PASSWORD}).status_code == 403
    for name in ("olga", "omar"):
        signed = session_of(person(name, "approver")).post(f"waivers/{waiver}/sign", {"password": PASSWORD})
        assert signed.status_code == 200, signed.content

    listed = api.get(f"requests/{stopped.ref}/waivers").json()["results"]
    assert [one["person"] for one in listed[0]["signatures"]] == ["olga", "omar"]
    assert Waiver.objects.get().granted_at is not None


def test_checks_are_listed_and_read_in_a_fixed_number_of_queries(
    review: PromotionRequest, owner: User, django_assert_max_num_queries: Any
) -> None:
    api = Api(token_of(owner))

    with django_assert_max_num_queries(QUERIES):
        rows = api.get(f"requests/{review.ref}/checks").json()["results"]
    assert rows
    assert {row["state"] for row in rows} == {"finished"}
    detail = api.get(f"checks/{rows[-1]['id']}").json()
    assert (detail["request"], detail["verdict"]) == (review.ref, "pass")
    assert detail["result"] is not None
    assert api.get(f"requests/{review.ref}/checks?round=9").json()["results"] == []


def test_every_list_takes_a_fixed_number_of_queries(owner: User, django_assert_max_num_queries: Any) -> None:
    made.policy()
    asked = [
        made.request(made.sealed_version(made.registered_model(owner, name=f"m{number}"), owner), owner)
        for number in range(5)
    ]
    api = Api(token_of(owner))

    with django_assert_max_num_queries(QUERIES):
        assert len(api.get("requests").json()["results"]) == 5
    with django_assert_max_num_queries(QUERIES):
        assert len(api.get("requests?model=m1&state=checking&target=alias:production&version=1").json()["results"]) == 1
    for address in ("permits", "policies", "policies/house/versions", f"requests/{asked[-1].ref}/waivers",
                    f"requests/{asked[-1].ref}/decisions", f"requests/{asked[-1].ref}/comments", "tokens"):  # fmt: skip
        with django_assert_max_num_queries(QUERIES + 4):
            api.get(address)


def test_a_policy_is_read_byte_for_byte(stranger: Api) -> None:
    version = made.policy()

    listed = stranger.get("policies").json()["results"]
    assert [row["name"] for row in listed] == ["house"]
    document = stranger.get(listed[0]["current"]["document_url"])
    assert document.content.decode() == version.document
    assert document["ETag"] == f'"{version.digest}"'
    assert stranger.get("policies/nothing/versions").status_code == 404


def test_a_request_without_a_permit_has_evidence_too(owner: User, review: PromotionRequest) -> None:
    made.integrate()
    answer = Api(token_of(owner)).get(f"requests/{review.ref}/evidence.zip")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/zip"
    assert b"".join(answer.streaming_content).startswith(b"PK")


@pytest.mark.parametrize("role", ["", "contributor"])
def test_a_request_about_a_model_one_may_not_see_is_not_there(
    review: PromotionRequest, person: Person, role: str, model: RegisteredModel
) -> None:
    assert model.pk != review.model_id
    api = Api(token_of(person("carl", role)))

    expected = 200 if role else 404
    assert api.get(f"requests/{review.ref}").status_code == expected
    assert len(api.get("requests").json()["results"]) == (1 if role else 0)
