"""The head of the log's page: what the last verification said, and having it verified now."""

from http import HTTPStatus
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from audit import keys
from audit.guard import Guard
from audit.health import log_status
from audit.models import Verification
from registry.roles import Role
from tests.factories import audit as ledger
from tests.factories import governance as make
from tests.pages.audit.test_see_log import HTMX, browser_of

pytestmark = pytest.mark.django_db
BUDGET = 30


@pytest.fixture
def auditor(db: None, keys_dir: Path, settings: Settings, tmp_path: Path) -> Client:
    """An auditor's browser, before a log of thirty entries."""
    settings.DATA_DIR = tmp_path
    settings.WITNESS_POLICY = tmp_path / "witnesses" / "policy"
    keys.ensure_keys(keys_dir)
    for number in range(30):
        ledger.touch(str(number))
    browser = browser_of(make.person("auditor", Role.AUDITOR))
    ledger.integrate(Guard.default(), keys.ledger_key())
    return browser


def looked(state: str, **more: object) -> Verification:
    now = timezone.now()
    done = {"finished_at": now} if state not in {"waiting", "running"} else {}
    return Verification.objects.create(
        **{"kind": "full", "asked_by": "user:1", "asked_at": now, "started_at": now, "state": state, **done, **more}
    )


def test_to_verify_is_asked_for_by_a_form_that_needs_no_script(auditor: Client) -> None:
    assert 'action="/audit/verify/"' in auditor.get("/audit/").content.decode()
    answer = auditor.post("/audit/verify/")
    assert (answer.status_code, answer["Location"]) == (HTTPStatus.SEE_OTHER, "/audit/")
    asked = Verification.objects.get()
    assert (asked.state, asked.kind) == ("waiting", "full")
    text = auditor.get("/audit/").content.decode()
    assert "a worker takes it within seconds" in text
    assert "Verify now" not in text
    auditor.post("/audit/verify/")
    assert Verification.objects.count() == 1


def test_htmx_gets_the_region_and_asks_again_while_it_goes_on(auditor: Client) -> None:
    text = auditor.post("/audit/verify/", headers=HTMX).content.decode()
    assert text.strip().startswith('<section class="treehead')
    assert 'hx-trigger="every 2s"' in text
    Verification.objects.update(state="running", started_at=timezone.now(), done=10, size=40)
    with CaptureQueriesContext(connection) as queries:
        text = auditor.get("/audit/head/", headers=HTMX).content.decode()
    assert len(queries) <= BUDGET
    assert "Verifying: 10 of 40 entries re-hashed." in text
    assert '<progress max="100" value="25"' in text
    Verification.objects.update(state="sound", finished_at=timezone.now(), done=40)
    text = auditor.get("/audit/head/", headers=HTMX).content.decode()
    assert "hx-trigger" not in text
    assert "The log is whole" in text
    assert auditor.get("/audit/head/")["Location"] == "/audit/"


def test_what_a_verification_found_stands_there_until_every_entry_verifies_again(auditor: Client) -> None:
    looked("broken", broken=7, problems=[{"where": f"entry {n}", "what": "changed <b>"} for n in range(7)], size=30)
    for _ in range(2):
        text = auditor.get("/audit/").content.decode()
        assert "The log does not verify" in text
        assert "found 7 problems" in text
        assert "<strong>entry 4</strong>: changed &lt;b&gt;" in text
        assert "and 2 more" in text
        assert log_status().broken
        looked("sound", kind="incremental", size=31)
    looked("sound", size=31)
    assert "The log is whole" in auditor.get("/audit/").content.decode()
    assert not log_status().broken


def test_a_verification_that_could_not_be_done_says_so_and_breaks_nothing(auditor: Client) -> None:
    looked("failed", error="The worker ended.")
    text = auditor.get("/audit/").content.decode()
    assert "could not be done and says nothing of the log: The worker ended." in text
    assert "The signed root holds" in text
    assert not log_status().broken


def test_the_page_costs_a_fixed_number_of_queries(auditor: Client) -> None:
    looked("sound", size=30)
    looked("failed", error="x")
    looked("running")
    with CaptureQueriesContext(connection) as queries:
        auditor.get("/audit/")
    assert len(queries) <= BUDGET


@pytest.mark.parametrize(("method", "path"), [("get", "/audit/head/"), ("post", "/audit/verify/")])
def test_only_auditors_verify(auditor: Client, method: str, path: str, client: Client) -> None:
    officer = browser_of(make.person("officer", Role.APPROVER))
    assert getattr(officer, method)(path).status_code == HTTPStatus.FORBIDDEN
    assert getattr(client, method)(path)["Location"].startswith("/sign-in/")
    assert auditor.get("/audit/verify/").status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert not Verification.objects.exists()


def test_the_api_tells_the_same_and_has_it_verified(auditor: Client) -> None:
    status = auditor.get("/api/v1/audit/status/").json()
    assert (status["state"], status["verification"], status["under_way"]) == ("whole", None, None)
    assert status["size"] >= 30
    assert status["room"] > 0
    asked = auditor.post("/api/v1/audit/verifications/", {"kind": "incremental"}, content_type="application/json")
    assert asked.status_code == HTTPStatus.ACCEPTED
    found = auditor.get(f"/api/v1/audit/verifications/{asked.json()['id']}/").json()
    assert (found["state"], found["kind"]) == ("waiting", "incremental")
    assert auditor.get("/api/v1/audit/status/").json()["under_way"] == found
    assert auditor.get("/api/v1/audit/verifications/999999/").status_code == HTTPStatus.NOT_FOUND
    wrong = auditor.post("/api/v1/audit/verifications/", {"kind": "some"}, content_type="application/json")
    assert wrong.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
