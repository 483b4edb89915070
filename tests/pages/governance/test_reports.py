"""Pages of reports: what there is, asking, waiting, the report itself and its files."""

import hashlib
from http import HTTPStatus

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance import tasks
from governance.documents.catalogue import REPORTS
from governance.models import PromotionRequest, ReportJob
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.pages.governance.conftest import Browser

BUDGET = 25


@pytest.fixture
def auditor(house: object) -> User:
    """Audits every model."""
    return make.person("auditor", Role.AUDITOR)


@pytest.fixture
def made(ready: PromotionRequest, officers: list[User], auditor: User, as_person: Browser) -> ReportJob:
    """The report of an approved request, asked for on the page and made."""
    make.approve(ready, officers)
    make.integrate()
    answer = as_person(auditor).post("/reports/new/request/", {"request": ready.ref})
    assert answer.status_code == HTTPStatus.SEE_OTHER, answer.content.decode()
    job = ReportJob.objects.get()
    assert answer["Location"] == f"/reports/{job.pk}/"
    tasks.make_report(str(job.pk))
    return ReportJob.objects.get()


def test_the_list_says_what_each_answers_for_whom_and_under_which_rule(auditor: User, as_person: Browser) -> None:
    client = as_person(auditor)
    with CaptureQueriesContext(connection) as queries:
        text = client.get("/reports/").content.decode()

    assert len(queries) <= BUDGET
    for report in REPORTS:
        assert report.title in text
    assert "2 December 2027" in text
    assert "You have asked for none yet" in text


@pytest.mark.parametrize("name", [report.name for report in REPORTS])
def test_each_report_has_a_form_with_its_own_fields(name: str, auditor: User, as_person: Browser) -> None:
    report = next(one for one in REPORTS if one.name == name)
    text = as_person(auditor).get(f"/reports/new/{name}/").content.decode()

    for field in ("request", "model", "version", "tier", "view", "since", "until"):
        assert (f'name="{field}"' in text) == (field in {*report.needs, *report.takes}), field


def test_fields_can_be_filled_in_by_the_address(auditor: User, as_person: Browser) -> None:
    assert 'value="REQ-0007"' in as_person(auditor).get("/reports/new/request/?request=REQ-0007").content.decode()


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("request", {}, (422, "This field is required")),
        ("request", {"request": "REQ-9999"}, (404, "There is no such request")),
        ("sr-26-2-inventory", {"tier": "9"}, (422, "Select a valid choice")),
        ("separation-of-duties", {"since": "never"}, (422, "Enter a valid date")),
        ("separation-of-duties", {"since": "2026-02-02", "until": "2026-01-01"}, (422, "must begin before it ends")),
    ],
)
def test_what_is_wrong_is_said_beside_the_form(
    name: str, given: dict[str, str], expected: tuple[int, str], auditor: User, as_person: Browser
) -> None:
    answer = as_person(auditor).post(f"/reports/new/{name}/", given)

    status, said = expected
    assert answer.status_code == status
    assert said in answer.content.decode()
    assert not ReportJob.objects.exists()


def test_who_may_not_have_it_is_told_why(scientist: User, as_person: Browser) -> None:
    answer = as_person(scientist).post("/reports/new/iso-42001-map/", {})

    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "for auditors and compliance officers" in answer.content.decode()


def test_while_it_waits_the_page_asks_again_by_itself(auditor: User, as_person: Browser) -> None:
    client = as_person(auditor)
    client.post("/reports/new/iso-42001-map/", {})
    job = ReportJob.objects.get()

    text = client.get(f"/reports/{job.pk}/").content.decode()

    assert 'hx-trigger="every 2s"' in text
    assert "No worker is alive" in text
    region = client.get(f"/reports/{job.pk}/", headers={"HX-Request": "true"}).content.decode()
    assert region.lstrip().startswith('<div id="report"')


def test_a_job_that_failed_says_why(auditor: User, as_person: Browser) -> None:
    client = as_person(auditor)
    client.post("/reports/new/iso-42001-map/", {})
    job = ReportJob.objects.get()
    tasks.make_report(str(job.pk))

    text = client.get(f"/reports/{job.pk}/").content.decode()

    assert "The log has no checkpoint yet" in text
    assert "every 2s" not in text


def test_the_report_is_shown_with_its_files_and_their_digests(
    made: ReportJob, auditor: User, as_person: Browser
) -> None:
    client = as_person(auditor)
    with CaptureQueriesContext(connection) as queries:
        text = client.get(f"/reports/{made.pk}/").content.decode()

    assert len(queries) <= BUDGET
    for part in ("What was asked", "Checks", "Signatures", "Permit", "What it does not say", "0.880 to 0.920"):
        assert part in text
    for name in ("report.pdf", "pack.json", "tables.zip"):
        answer = client.get(f"/reports/{made.pk}/files/{name}")
        digest = hashlib.sha256(answer.content).hexdigest()
        assert answer["ETag"] == f'"{digest}"'
        assert " ".join(digest[place : place + 4] for place in range(0, 64, 4)) in text
    assert client.get(f"/reports/{made.pk}/files/no-such").status_code == HTTPStatus.NOT_FOUND
    assert made.title in client.get("/reports/").content.decode()


def test_words_of_people_are_escaped(made: ReportJob, auditor: User, as_person: Browser) -> None:
    from governance.models import ReportFile  # noqa: PLC0415

    pack = ReportFile.objects.get(name="pack.json")
    content = bytes(pack.content).replace(b'"Tests."', b'"<script>alert(1)</script>"')
    ReportFile.objects.filter(pk=pack.pk).update(content=content)

    text = as_person(auditor).get(f"/reports/{made.pk}/").content.decode()

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert(1)" not in text


def test_another_person_does_not_find_it(made: ReportJob, officers: list[User], as_person: Browser) -> None:
    client = as_person(officers[0])

    for path in ("", "files/report.pdf"):
        assert client.get(f"/reports/{made.pk}/{path}").status_code == HTTPStatus.NOT_FOUND
    assert client.get("/reports/new/no-such/").status_code == HTTPStatus.NOT_FOUND
