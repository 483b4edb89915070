"""A person's finding on the pages: where it waits, the form without scripts, what is refused, the file beside it."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from governance.models import CheckRun, PromotionRequest
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.governance.findings.conftest import POLICY
from tests.pages.governance.conftest import Browser

PDF = b"%PDF-1.7 a memo"
MOST_QUERIES = 25
GOOD = {"finding": "pass", "words": "The method is right."}


@pytest.fixture
def validator(house: object) -> User:
    return make.person("validator", Role.VALIDATOR)


@pytest.fixture
def waiting(house: object, scientist: User) -> PromotionRequest:
    make.policy(POLICY)
    model = make.registered_model(scientist)
    return make.finish_all(make.request(make.sealed_version(model, scientist), scientist))


@pytest.fixture
def awaited(waiting: PromotionRequest) -> CheckRun:
    return waiting.checks.get(category="manual")


@pytest.fixture
def page(awaited: CheckRun) -> str:
    return f"/requests/{awaited.request.ref}/checks/{awaited.pk}/"


def test_the_request_says_what_it_waits_for_and_links_there(
    waiting: PromotionRequest, page: str, validator: User, as_person: Browser
) -> None:
    text = as_person(validator).get(f"/requests/{waiting.ref}/").content.decode()
    assert "It waits for a person&#x27;s finding" in text
    assert f'href="{page}"' in text
    assert "No worker is running" not in text
    assert "waits for a person&#x27;s finding" in text


def test_the_inbox_of_who_may_record_it_lists_it_and_of_others_not(
    *, waiting: PromotionRequest, page: str, validator: User, officers: list[User], scientist: User, as_person: Browser
) -> None:
    text = as_person(validator).get("/").content.decode()
    assert "One finding waits to be recorded by you." in text
    assert f'href="{page}"' in text
    assert "Findings to record" not in as_person(officers[0]).get("/").content.decode()
    own = as_person(scientist).get("/").content.decode()
    assert "Findings to record" not in own
    assert "It waits for a person&#x27;s finding: Conceptual soundness." in own


def test_it_is_recorded_with_a_plain_form(page: str, awaited: CheckRun, validator: User, as_person: Browser) -> None:
    browser = as_person(validator)
    shown = browser.get(page).content.decode()
    assert "Read the design document." in shown
    assert 'enctype="multipart/form-data"' in shown
    answer = browser.post(f"{page}record/", {**GOOD, "attachment": SimpleUploadedFile("memo.pdf", PDF)})
    assert (answer.status_code, answer["Location"]) == (303, page)
    after = browser.get(page).content.decode()
    assert "Your finding on" in after
    assert "The method is right." in after
    assert "memo.pdf" in after
    assert "record-finding" not in after
    awaited.refresh_from_db()
    assert awaited.verdict == "pass"


def test_the_file_is_a_download(page: str, validator: User, stranger: User, as_person: Browser) -> None:
    browser = as_person(validator)
    browser.post(f"{page}record/", {**GOOD, "attachment": SimpleUploadedFile("Memo ü.pdf", PDF)})
    run = CheckRun.objects.get(category="manual")
    assert run.result is not None
    where = f"{page}files/{run.result['files'][0]['sha256']}"
    got = browser.get(where)
    assert got.status_code == 200, got.content
    assert b"".join(got.streaming_content) == PDF  # type: ignore[attr-defined]
    assert got["Content-Disposition"].startswith("attachment;")
    assert got["Content-Type"] == "application/octet-stream"
    assert as_person(stranger).get(where).status_code == 404
    assert browser.get(f"{page}files/{'0' * 64}").status_code == 404


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Pick the finding."),
        ({"finding": "pass"}, "Write what was found."),
        ({"finding": "great", "words": "x"}, "Select a valid choice"),
        ({"finding": "pass", "words": "x" * 10_001}, "at most 10000"),
    ],
)
def test_what_is_missing_stands_beside_its_field_and_nothing_is_lost(
    *, page: str, awaited: CheckRun, validator: User, as_person: Browser, given: dict[str, str], said: str
) -> None:
    answer = as_person(validator).post(f"{page}record/", {"words": "", **given})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    awaited.refresh_from_db()
    assert awaited.state == "awaited"


def test_a_file_of_another_kind_is_refused_and_the_words_are_kept(
    page: str, awaited: CheckRun, validator: User, as_person: Browser
) -> None:
    given = {**GOOD, "attachment": SimpleUploadedFile("page.html", b"<script>alert(1)</script>")}
    answer = as_person(validator).post(f"{page}record/", given)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "cannot be attached" in text
    assert "The method is right." in text
    awaited.refresh_from_db()
    assert awaited.state == "awaited"


def test_who_may_not_reads_why_instead_of_a_form(
    *, page: str, awaited: CheckRun, scientist: User, officers: list[User], stranger: User, as_person: Browser
) -> None:
    for person, said in ((scientist, "You asked for this promotion"), (officers[0], "with the role “validator”")):
        shown = as_person(person).get(page).content.decode()
        assert said in shown
        assert "record-finding" not in shown
        assert as_person(person).post(f"{page}record/", GOOD).status_code == 403
    assert as_person(stranger).post(f"{page}record/", GOOD).status_code == 404
    assert Client().post(f"{page}record/", GOOD).status_code == 302
    awaited.refresh_from_db()
    assert awaited.state == "awaited"


def test_a_second_finding_is_a_conflict(page: str, validator: User, as_person: Browser) -> None:
    browser = as_person(validator)
    assert browser.post(f"{page}record/", GOOD).status_code == 303
    again = browser.post(f"{page}record/", {**GOOD, "finding": "fail"})
    assert again.status_code == 409
    assert "recorded already" in again.content.decode()


def test_without_the_csrf_token_nothing_is_recorded(page: str, awaited: CheckRun, validator: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(validator)
    assert client.post(f"{page}record/", GOOD).status_code == 403
    awaited.refresh_from_db()
    assert awaited.state == "awaited"


def test_markup_in_policy_and_words_is_text(page: str, validator: User, as_person: Browser) -> None:
    browser = as_person(validator)
    browser.post(f"{page}record/", {**GOOD, "words": "<script>x</script>"})
    text = browser.get(page).content.decode()
    assert "<script>x" not in text
    assert "&lt;script&gt;x" in text


def test_the_pages_ask_the_database_no_more_than_they_may(
    page: str, waiting: PromotionRequest, validator: User, as_person: Browser,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    browser = as_person(validator)
    for where in (page, f"/requests/{waiting.ref}/", "/"):
        browser.get(where)
        with django_assert_max_num_queries(MOST_QUERIES if where != "/" else MOST_QUERIES + 5):
            assert browser.get(where).status_code == 200


def test_the_policys_page_says_it_in_words(waiting: PromotionRequest, validator: User, as_person: Browser) -> None:
    text = as_person(validator).get("/policies/house/").content.decode()
    assert "Conceptual soundness" in text
    assert "An independent validator examines it and records the finding. Read the design document." in text
