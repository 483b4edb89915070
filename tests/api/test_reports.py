"""Reports over REST: what there is, asking, reading, files."""

import hashlib
from collections.abc import Callable

import pytest

from governance import tasks
from governance.documents.catalogue import REPORTS
from governance.models import ReportJob
from registry.models import User
from tests.api.calls import Api
from tests.api.conftest import token_of
from tests.factories.governance import integrate


@pytest.fixture
def auditor(person: Callable[..., User]) -> Api:
    return Api(token_of(person("audrey", "auditor")))


def test_the_kinds_say_what_they_need_and_answer_to(auditor: Api) -> None:
    found = {one["name"]: one for one in auditor.get("reports/kinds").json()}

    assert set(found) == {report.name for report in REPORTS}
    assert found["request"]["needs"] == ["request"]
    assert "17 April 2026" in found["sr-26-2-inventory"]["source"]["effective"]


def test_a_report_is_asked_for_made_and_downloaded(auditor: Api) -> None:
    integrate()
    answer = auditor.call("POST", "reports", {"report": "separation-of-duties", "parameters": {"until": "2026-11-21"}})
    assert answer.status_code == 201, answer.content
    job = answer.json()
    assert job["state"] == "queued"
    assert job["parameters"] == {"until": "2026-11-21"}
    assert answer["Location"].endswith(f"/reports/{job['id']}")

    tasks.make_report(job["id"])

    done = auditor.get(f"reports/{job['id']}").json()
    assert done["state"] == "finished"
    assert done["problem"] == ""
    assert {one["name"] for one in done["files"]} == {"report.pdf", "pack.json", "tables.zip"}
    for one in done["files"]:
        file = auditor.get(one["url"])
        assert hashlib.sha256(file.content).hexdigest() == one["sha256"]
        assert len(file.content) == one["size"]
    assert [one["id"] for one in auditor.get("reports").json()["results"]] == [job["id"]]


def test_the_same_key_asks_once(auditor: Api) -> None:
    body = {"report": "iso-42001-map"}
    first = auditor.call("POST", "reports", body, Idempotency_Key="once")
    again = auditor.call("POST", "reports", body, Idempotency_Key="once")

    assert first.json() == again.json()
    assert ReportJob.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"report": "no-such"}, 404),
        ({"report": "request"}, 422),
        ({"report": "request", "parameters": {"request": "REQ-9999"}}, 404),
        ({"report": "iso-42001-map", "parameters": {"model": "x"}}, 422),
        ({"report": "iso-42001-map", "parameters": {"unknown": "x"}}, 400),
        ({"report": "sr-26-2-inventory", "parameters": {"tier": 4}}, 400),
        ({"report": "separation-of-duties", "parameters": {"since": "x"}}, 400),
    ],
)
def test_what_is_wrong_is_refused_by_name(body: dict[str, object], status: int, auditor: Api) -> None:
    assert auditor.call("POST", "reports", body).status_code == status
    assert not ReportJob.objects.exists()


def test_a_contributor_asks_for_no_auditors_report(contributor: Api) -> None:
    answer = contributor.call("POST", "reports", {"report": "iso-42001-map"})

    assert answer.status_code == 403
    assert answer.json()["code"] == "report.no_auditor"


def test_nobody_finds_the_report_of_another(auditor: Api, contributor: Api) -> None:
    job = auditor.call("POST", "reports", {"report": "iso-42001-map"}).json()

    assert contributor.get(f"reports/{job['id']}").status_code == 404
    assert contributor.get(f"reports/{job['id']}/files/report.pdf").status_code == 404
    assert contributor.get("reports").json()["results"] == []
