"""Comments, withdrawal, another round, waivers, the bundle; and asking for a promotion."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.utils import timezone

from governance.models import PromotionRequest, Waiver
from registry.models import ModelVersion, User
from tests.factories import audit as ledger
from tests.factories import governance as make
from tests.pages.governance.conftest import Browser

HTMX = {"HX-Request": "true"}


def test_a_comment_joins_the_thread(ready: PromotionRequest, officers: list[User], as_person: Browser) -> None:
    answer = as_person(officers[0]).post(f"/requests/{ready.ref}/comment/", {"text": "What of §4?"}, headers=HTMX)
    assert answer.status_code == HTTPStatus.OK
    assert "What of §4?" in answer.content.decode()
    assert (
        as_person(officers[0]).post(f"/requests/{ready.ref}/comment/", {"text": "x"}).status_code
        == HTTPStatus.SEE_OTHER
    )


def test_an_empty_comment_is_refused_beside_the_field(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    answer = as_person(officers[0]).post(f"/requests/{ready.ref}/comment/", {"text": " "}, headers=HTMX)
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "Write something first." in answer.content.decode()
    assert ready.comments.count() == 0


def test_markup_in_a_comment_is_text(ready: PromotionRequest, officers: list[User], as_person: Browser) -> None:
    text = as_person(officers[0]).post(f"/requests/{ready.ref}/comment/", {"text": "<script>x</script>"}, headers=HTMX)
    assert "<script>x" not in text.content.decode()
    assert "&lt;script&gt;x" in text.content.decode()


def test_who_asked_withdraws(ready: PromotionRequest, scientist: User, as_person: Browser) -> None:
    assert as_person(scientist).post(f"/requests/{ready.ref}/withdraw/", {"reason": "Wrong data."}).status_code == 303
    ready.refresh_from_db()
    assert ready.state == "withdrawn"
    assert "Closed: withdrawn" in as_person(scientist).get(f"/requests/{ready.ref}/").content.decode()


def test_an_officer_cannot_withdraw_and_reads_why(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    answer = as_person(officers[0]).post(f"/requests/{ready.ref}/withdraw/", {"reason": ""})
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "Only the person who asked can withdraw it." in answer.content.decode()
    ready.refresh_from_db()
    assert ready.state == "ready"


def test_another_round_begins(stopped: PromotionRequest, scientist: User, as_person: Browser) -> None:
    assert as_person(scientist).post(f"/requests/{stopped.ref}/run-again/").status_code == HTTPStatus.SEE_OTHER
    stopped.refresh_from_db()
    assert stopped.round == 2


def test_another_round_is_refused_to_an_officer_with_the_reason(
    stopped: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    answer = as_person(officers[0]).post(f"/requests/{stopped.ref}/run-again/")
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "You are no contributor" in answer.content.decode()


def _ask(stopped: PromotionRequest, **given: str) -> dict[str, str]:
    run = stopped.checks.exclude(category="scoring").get()
    until = (timezone.localdate() + timedelta(days=30)).isoformat()
    return {"check": str(run.pk), "reason": "Reviewed by hand until then.", "until": until, **given}


def test_a_waiver_is_asked_for_signed_twice_and_lets_the_request_on(
    stopped: PromotionRequest, scientist: User, officers: list[User], as_person: Browser
) -> None:
    assert as_person(scientist).post(f"/requests/{stopped.ref}/waivers/ask/", _ask(stopped)).status_code == 303
    waiver = Waiver.objects.get()
    for officer in officers:
        browser = as_person(officer)
        assert f'id="waiver-sign-{waiver.pk}"' in browser.get(f"/requests/{stopped.ref}/").content.decode()
        signed = browser.post(f"/requests/{stopped.ref}/waivers/{waiver.pk}/sign/", {"secret": make.PASSWORD})
        assert signed.status_code == HTTPStatus.SEE_OTHER
    stopped.refresh_from_db()
    assert stopped.state == "ready"


def test_a_waiver_is_not_signed_with_a_wrong_password(
    stopped: PromotionRequest, scientist: User, officers: list[User], as_person: Browser
) -> None:
    as_person(scientist).post(f"/requests/{stopped.ref}/waivers/ask/", _ask(stopped))
    waiver = Waiver.objects.get()
    answer = as_person(officers[0]).post(f"/requests/{stopped.ref}/waivers/{waiver.pk}/sign/", {"secret": "wrong"})
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "The password is wrong" in answer.content.decode()
    assert waiver.signatures.count() == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reason": ""}, "Write the reason."),
        ({"until": "2001-01-01"}, "The waiver must end in the future."),
        ({"until": "2999-01-01"}, "The policy allows at most 90 days."),
        ({"until": "someday"}, "Write a day, such as 2026-06-10."),
        ({"check": "7"}, "7 is not one of the available choices"),
    ],
    ids=["no reason", "past", "too long", "no day", "no check"],
)
def test_a_waiver_with_bad_input_names_the_field_and_keeps_the_rest(
    stopped: PromotionRequest, scientist: User, as_person: Browser, given: dict[str, str], said: str
) -> None:
    asked = _ask(stopped, **given)
    answer = as_person(scientist).post(f"/requests/{stopped.ref}/waivers/ask/", asked)
    text = answer.content.decode()
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert said in text
    assert asked["reason"] in text
    assert Waiver.objects.count() == 0


def test_the_bundle_of_an_approved_request_is_a_zip(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    make.approve(ready, officers)
    ledger.integrate()
    answer = as_person(officers[0]).get(f"/requests/{ready.ref}/evidence.zip")
    assert answer.status_code == HTTPStatus.OK
    assert answer["Content-Type"] == "application/zip"
    assert b"".join(answer.streaming_content)[:2] == b"PK"  # type: ignore[attr-defined]


def test_the_bundle_of_an_open_request_is_a_zip_too(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    make.integrate()
    answer = as_person(officers[0]).get(f"/requests/{ready.ref}/evidence.zip")
    assert answer.status_code == HTTPStatus.OK
    assert b"".join(answer.streaming_content)[:2] == b"PK"  # type: ignore[attr-defined]


# asking


def _promote(version: ModelVersion) -> str:
    return f"/models/{version.model.name}/versions/{version.number}/promote/"


def test_a_contributor_asks_for_a_promotion(version: ModelVersion, scientist: User, as_person: Browser) -> None:
    browser = as_person(scientist)
    assert 'id="promote"' in browser.get(_promote(version)).content.decode()
    answer = browser.post(_promote(version), {"target": "alias:production", "intended_use": "Rank."})
    made = PromotionRequest.objects.get()
    assert answer.status_code == HTTPStatus.SEE_OTHER
    assert answer["Location"] == f"/requests/{made.ref}/"
    assert made.intended_use == "Rank."


def test_asking_twice_names_the_open_request_and_keeps_the_words(
    checking: PromotionRequest, scientist: User, as_person: Browser
) -> None:
    given = {"target": "alias:production", "intended_use": "Again."}
    answer = as_person(scientist).post(_promote(checking.version), given)
    assert answer.status_code == HTTPStatus.CONFLICT
    assert f"{checking.ref} already asks for this version and target." in answer.content.decode()
    assert "Again." in answer.content.decode()


def test_a_target_that_nothing_governs_is_refused(version: ModelVersion, scientist: User, as_person: Browser) -> None:
    answer = as_person(scientist).post(_promote(version), {"target": "alias:canary"})
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "alias:canary is not one of the available choices" in answer.content.decode()


def test_an_officer_reads_why_they_may_not_ask(version: ModelVersion, officers: list[User], as_person: Browser) -> None:
    browser = as_person(officers[0])
    assert "You are no contributor" in browser.get(_promote(version)).content.decode()
    assert browser.post(_promote(version), {"target": "alias:production"}).status_code == HTTPStatus.FORBIDDEN
    assert PromotionRequest.objects.count() == 0


def test_a_stranger_gets_404_for_the_form(version: ModelVersion, stranger: User, as_person: Browser) -> None:
    assert as_person(stranger).get(_promote(version)).status_code == HTTPStatus.NOT_FOUND
