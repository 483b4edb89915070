"""The page of a check that runs: how far it is, and the buttons to stop it and to try errors again."""

from http import HTTPStatus

import pytest

from governance.models import CheckRun, PromotionRequest
from governance.services import checks, stops
from registry.models import User
from tests.factories import governance as make
from tests.pages.governance.conftest import Browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(version: object, scientist: User) -> CheckRun:
    """The scoring job of a request, two fifths done."""
    request = make.request(version, scientist)  # type: ignore[arg-type]
    run = request.checks.get(key="predict.scores")
    held = checks.claim(run.pk, owner="one")
    assert held is not None
    checks.progress(held, 40, 100)
    return run


def test_the_share_that_is_done_is_polled_for_and_the_page_reloads_at_the_end(
    running: CheckRun, scientist: User, as_person: Browser
) -> None:
    browser, url = as_person(scientist), f"/requests/{running.request.ref}/checks/{running.pk}/"
    page = browser.get(url).content.decode()
    assert "40 %" in page
    assert 'hx-select="#check-share"' in page
    assert "HX-Refresh" not in browser.get(url, headers={"HX-Request": "true"}).headers
    held = checks.Claim(running.pk, "one", 1)
    checks.finish(held, make.outcome_of(running, 0.9))
    assert browser.get(url, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert "Cancel this check" not in browser.get(url).content.decode()


def test_a_check_is_cancelled_and_what_ended_so_is_run_again(
    running: CheckRun, scientist: User, as_person: Browser
) -> None:
    browser, place = as_person(scientist), f"/requests/{running.request.ref}"
    assert "Cancel this check" in browser.get(f"{place}/checks/{running.pk}/").content.decode()
    assert browser.post(f"{place}/checks/{running.pk}/cancel/").status_code == HTTPStatus.SEE_OTHER
    page = browser.get(f"{place}/checks/{running.pk}/").content.decode()
    assert "It was cancelled" in page
    assert "Run what ended with an error again" in page
    assert browser.post(f"{place}/retry-errors/").status_code == HTTPStatus.SEE_OTHER
    assert PromotionRequest.objects.get(pk=running.request_id).round == 2


def test_a_stranger_finds_nothing_to_stop(running: CheckRun, stranger: User, as_person: Browser) -> None:
    answer = as_person(stranger).post(f"/requests/{running.request.ref}/checks/{running.pk}/cancel/")
    assert answer.status_code == HTTPStatus.NOT_FOUND


def test_a_result_that_was_used_again_says_from_where(running: CheckRun, scientist: User, as_person: Browser) -> None:
    checks.finish(checks.Claim(running.pk, "one", 1), make.outcome_of(running, 0.9))
    stops.cancel(run_id=running.request.checks.get(key="performance.binary").pk, by=make.actor(scientist))
    request = PromotionRequest.objects.get(pk=running.request_id)
    again = stops.retry_errors(request=request, by=make.actor(scientist))
    run = again.checks.get(key="predict.scores", round=2)
    page = as_person(scientist).get(f"/requests/{again.ref}/checks/{run.pk}/").content.decode()
    assert "This result was used again" in page
    assert f"/checks/{running.pk}/" in page
    assert run.cache_key[:16] in page
