"""The page of retention: auditors read it, administrators change it."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit import retention
from audit.retention import LegalHold, RetentionRule
from registry.roles import Role
from tests.factories import governance as make

pytestmark = pytest.mark.django_db
PAGE = "/audit/retention/"
HOLD = {"of": "object", "object_type": "registry.modelversion", "object_id": "7", "reason": "Case 12"}
RULE = {"of": "action", "beginning": "check.", "days": "400", "basis": "House rule 7"}


def browser(*roles: Role) -> Client:
    client = Client()
    client.force_login(make.person("somebody", *roles))
    return client


def test_a_hold_is_set_shown_and_released() -> None:
    admin = browser(Role.ADMINISTRATOR)
    assert admin.post(PAGE, HOLD).status_code == 303
    hold = LegalHold.objects.get()
    assert "registry.modelversion:7" in browser(Role.AUDITOR).get(PAGE).content.decode()
    release = f"{PAGE}holds/{hold.pk}/release/"
    assert "Release hold" in admin.get(release).content.decode()
    assert admin.post(release, {"reason": ""}).status_code == 422
    assert admin.post(release, {"reason": "Settled"}).status_code == 303
    assert retention.standing_holds() == []
    assert admin.post(release, {"reason": "Settled"}).status_code == 409
    assert admin.get(f"{PAGE}holds/{hold.pk + 1}/release/").status_code == 404
    assert "1 released" in admin.get(PAGE).content.decode()


def test_a_rule_is_set_and_taken_away() -> None:
    admin = browser(Role.ADMINISTRATOR)
    assert admin.post(PAGE, RULE).status_code == 303
    assert "House rule 7" in admin.get(PAGE).content.decode()
    rule = RetentionRule.objects.get()
    assert admin.post(f"{PAGE}rules/{rule.pk}/drop/").status_code == 303
    assert admin.post(f"{PAGE}rules/{rule.pk}/drop/").status_code == 404
    assert not RetentionRule.objects.exists()


@pytest.mark.parametrize(
    "given",
    [{**HOLD, "of": "period"}, {**HOLD, "object_id": ""}, {**HOLD, "reason": ""}, {**HOLD, "of": "x"},
     {**RULE, "beginning": "Check"}, {**RULE, "days": "-1"}, {**RULE, "days": "many"}, {**RULE, "basis": ""}],
)  # fmt: skip
def test_what_makes_no_sense_is_answered_at_its_field(given: dict[str, str]) -> None:
    answer = browser(Role.ADMINISTRATOR).post(PAGE, given)
    assert answer.status_code == 422
    assert b"field__error" in answer.content or b'role="alert"' in answer.content
    assert not LegalHold.objects.exists()
    assert not RetentionRule.objects.exists()


def test_auditors_read_others_do_neither() -> None:
    auditor, stranger = browser(Role.AUDITOR), browser(Role.CONTRIBUTOR)
    assert b"A new hold" not in auditor.get(PAGE).content
    assert auditor.post(PAGE, HOLD).status_code == 403
    assert auditor.post(PAGE, RULE).status_code == 403
    assert auditor.get(f"{PAGE}holds/1/release/").status_code == 403
    assert auditor.post(f"{PAGE}rules/1/drop/").status_code == 403
    assert stranger.get(PAGE).status_code == 403
    assert Client().get(PAGE).status_code == 302
    assert not LegalHold.objects.exists()


def test_it_asks_little_however_much_there_is() -> None:
    admin = browser(Role.ADMINISTRATOR)
    for number in range(30):
        admin.post(PAGE, {**HOLD, "of": "person", "object_type": "", "object_id": f"user:{number}"})
    with CaptureQueriesContext(connection) as sent:
        assert admin.get(PAGE).status_code == 200
    assert len(sent) <= 25
