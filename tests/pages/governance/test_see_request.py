"""The decision screen: who sees it, what it says in each state, and its regions."""

from http import HTTPStatus

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.models import Challenge, PromotionRequest
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.pages.governance.conftest import Browser

HTMX = {"HX-Request": "true"}
BUDGET = 25
REGIONS = ["progress", "checks", "metrics", "fairness", "drivers", "requirements", "signatures", "activity", "panel"]


def test_a_visitor_is_sent_to_the_sign_in_page_and_back(ready: PromotionRequest, client: object) -> None:
    answer = client.get(f"/requests/{ready.ref}/")  # type: ignore[attr-defined]
    assert answer.status_code == HTTPStatus.FOUND
    assert answer["Location"] == f"/sign-in/?next=/requests/{ready.ref}/"


def test_a_region_asked_for_without_a_session_leaves_the_whole_page(ready: PromotionRequest, client: object) -> None:
    answer = client.get(f"/requests/{ready.ref}/checks/", headers=HTMX)  # type: ignore[attr-defined]
    assert answer.status_code == HTTPStatus.NO_CONTENT
    assert answer["HX-Redirect"].startswith("/sign-in/")


@pytest.mark.parametrize(
    "path", ["", "sign/", "checks/", "progress/", "evidence.zip"], ids=["page", "sign", "checks", "progress", "bundle"]
)
def test_a_stranger_gets_404_everywhere(ready: PromotionRequest, stranger: User, as_person: Browser, path: str) -> None:
    assert as_person(stranger).get(f"/requests/{ready.ref}/{path}").status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("path", ["sign/", "comment/", "withdraw/", "run-again/", "waivers/ask/"])
def test_a_strangers_post_gets_404_and_changes_nothing(
    ready: PromotionRequest, stranger: User, as_person: Browser, path: str
) -> None:
    assert as_person(stranger).post(f"/requests/{ready.ref}/{path}").status_code == HTTPStatus.NOT_FOUND
    ready.refresh_from_db()
    assert (ready.state, ready.comments.count(), ready.decisions.count()) == ("ready", 0, 0)


@pytest.mark.parametrize("ref", ["REQ-9999", "nonsense", "REQ-0", "0", "-1", "REQ-99999999999"])
def test_a_reference_that_names_nothing_gets_404(
    house: object, officers: list[User], as_person: Browser, ref: str
) -> None:
    assert as_person(officers[0]).get(f"/requests/{ref}/").status_code == HTTPStatus.NOT_FOUND


def test_the_bare_number_leads_to_the_reference(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    answer = as_person(officers[0]).get(f"/requests/{ready.number}/")
    assert answer["Location"] == f"/requests/{ready.ref}/"


def test_an_officer_sees_a_form_to_sign_with_nothing_picked(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    text = as_person(officers[0]).get(f"/requests/{ready.ref}/").content.decode()
    assert '<form class="sign" id="sign"' in text
    assert 'value="approve"' in text
    assert "checked" not in text
    assert ready.evidence_digest in text


def test_the_page_stays_within_its_queries(ready: PromotionRequest, officers: list[User], as_person: Browser) -> None:
    browser = as_person(officers[0])
    make.sign(ready, officers[1])
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert browser.get(f"/requests/{ready.ref}/").status_code == HTTPStatus.OK
    assert len(queries) <= BUDGET, "\n".join(query["sql"][:150] for query in queries)


def test_the_trail_in_the_log_is_offered_to_those_who_may_read_it(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    trail = f'/audit/?about=governance.promotionrequest:{ready.pk}">Audit trail'
    auditor, administrator = make.person("auditor", Role.AUDITOR), make.person("root", is_superuser=True)
    for person, offered in ((officers[0], False), (auditor, True), (administrator, True)):
        browser = as_person(person)
        assert (trail in browser.get(f"/requests/{ready.ref}/").content.decode()) is offered
        assert (browser.get("/audit/").status_code == HTTPStatus.OK) is offered


def test_who_asked_reads_why_they_may_not_sign(ready: PromotionRequest, scientist: User, as_person: Browser) -> None:
    text = as_person(scientist).get(f"/requests/{ready.ref}/").content.decode()
    assert "You asked for this promotion, so your vote cannot count on it." in text
    assert 'id="sign"' in text
    assert '<form class="sign"' not in text


def test_a_request_whose_checks_run_says_how_far_and_that_no_worker_runs(
    checking: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    text = as_person(officers[0]).get(f"/requests/{checking.ref}/").content.decode()
    assert "Checks are running: 0 of 2 jobs done" in text
    assert "No worker is running" in text
    assert "Nothing is lost" in text
    assert "Signing opens when all checks are final" in text


def test_a_stopped_request_names_figure_interval_and_way_out(
    stopped: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    text = as_person(officers[0]).get(f"/requests/{stopped.ref}/").content.decode()
    assert "Stopped before the review: AUC is not met." in text
    assert "0.600" in text
    assert 'id="ask-waiver"' in text
    assert 'value="approve"' not in text
    assert 'value="reject"' in text


def test_a_check_that_ended_in_error_is_no_failed_check(
    checking: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    make.finish_all(checking, auc=None)
    text = as_person(officers[0]).get(f"/requests/{checking.ref}/").content.decode()
    assert "The model raised in predict: no." in text
    assert "1 of 1 not judged" in text


@pytest.mark.parametrize("name", REGIONS)
def test_a_region_is_the_same_markup_as_in_the_page(
    stopped: PromotionRequest, scientist: User, as_person: Browser, name: str
) -> None:
    browser = as_person(scientist)
    whole = browser.get(f"/requests/{stopped.ref}/").content.decode()
    part = browser.get(f"/requests/{stopped.ref}/{name}/", headers=HTMX).content.decode()
    assert "<html" not in part
    assert part.strip() in whole
    assert "<html" in browser.get(f"/requests/{stopped.ref}/{name}/").content.decode()


def test_polling_goes_on_while_checks_run_and_ends_with_them(
    checking: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    browser = as_person(officers[0])
    going = browser.get(f"/requests/{checking.ref}/progress/", headers=HTMX)
    assert going.status_code == HTTPStatus.OK
    assert 'hx-trigger="every 3s"' in going.content.decode()
    make.finish_all(checking)
    ended = browser.get(f"/requests/{checking.ref}/progress/", headers=HTMX)
    assert ended.status_code == 286
    assert ended["HX-Trigger"] == "checks-changed"
    assert "every 3s" not in ended.content.decode()
    assert browser.get(f"/requests/{checking.ref}/checks/", headers=HTMX).status_code == 286


def test_an_unknown_region_gets_404(ready: PromotionRequest, officers: list[User], as_person: Browser) -> None:
    assert as_person(officers[0]).get(f"/requests/{ready.ref}/secrets/").status_code == HTTPStatus.NOT_FOUND


def test_a_region_never_spends_a_challenge(ready: PromotionRequest, officers: list[User], as_person: Browser) -> None:
    as_person(officers[0]).get(f"/requests/{ready.ref}/activity/", headers=HTMX)
    assert Challenge.objects.count() == 0
