"""The export centre: what one can take, what it will hold, how far it is; samples, planned and drawn."""

import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from http import HTTPStatus

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.models import Export, PromotionRequest, Sample
from governance.models.exports import ExportState
from governance.services import exports
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.pages.governance.conftest import Browser

pytestmark = pytest.mark.django_db
BUDGET = 25
TODAY = date.today()  # noqa: DTZ011 - a day in a form
SEED = "nobody knows"


@pytest.fixture
def auditor(house: object) -> User:
    return make.person("auditor", Role.AUDITOR)


@pytest.fixture
def approved(ready: PromotionRequest, officers: list[User]) -> PromotionRequest:
    request = make.approve(ready, officers)
    make.integrate()
    return request


def counted(browser: Client, path: str) -> str:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = browser.get(path)
    assert answer.status_code == HTTPStatus.OK, answer.content
    assert len(queries) <= BUDGET, "\n".join(one["sql"][:150] for one in queries)
    return answer.content.decode()


def days(**more: object) -> dict[str, object]:
    return {"since": str(TODAY - timedelta(days=1)), "until": str(TODAY + timedelta(days=1)), **more}


def test_a_request_is_seen_first_and_then_taken(
    approved: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    browser = as_person(officers[0])
    text = counted(browser, f"/exports/?kind=request&request={approved.ref}")
    assert "Make the bundle" in text
    assert re.search(r"Signatures</dt><dd>2<", text)
    assert not Export.objects.exists()
    answer = browser.post("/exports/", {"kind": "request", "request": approved.ref})
    made = Export.objects.get()
    assert (answer.status_code, answer["Location"]) == (HTTPStatus.SEE_OTHER, f"/exports/{made.pk}/")
    page = counted(browser, f"/exports/{made.pk}/")
    assert "Download" in page
    assert "hx-trigger" not in page.partition('id="export"')[2][:200]
    file = browser.get(f"/exports/{made.pk}/bundle.zip")
    content = b"".join(file.streaming_content)  # type: ignore[attr-defined]
    assert hashlib.sha256(content).hexdigest() == made.sha256
    assert "verify.py" in zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert f'filename="request-{approved.ref}-evidence.zip"' in file["Content-Disposition"]
    assert approved.ref in counted(browser, "/exports/")


@pytest.mark.parametrize("state", [ExportState.QUEUED, ExportState.RUNNING, ExportState.FAILED, ExportState.EXPIRED])
def test_each_state_says_what_it_is(
    state: str, approved: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    browser = as_person(officers[0])
    browser.post("/exports/", {"kind": "request", "request": approved.ref})
    changes: dict[str, dict[str, object]] = {
        "queued": {"sha256": "", "expires_at": None},
        "running": {"sha256": "", "expires_at": None, "owner": "w", "lease_until": "2099-01-01T00:00Z"},
        "failed": {"sha256": "", "expires_at": None, "problem": "Stored evidence was changed."},
        "expired": {},
    }
    Export.objects.update(state=state, progress_done=3, progress_total=9, **changes[state])
    made = Export.objects.get()
    text = counted(browser, f"/exports/{made.pk}/")
    words = {
        "queued": "No worker is alive",
        "running": "3 of 9 entries",
        "failed": "was changed",
        "expired": "was removed",
    }
    assert words[state] in text
    assert ('hx-trigger="every 2s"' in text) is (state in {"queued", "running"})
    assert browser.get(f"/exports/{made.pk}/bundle.zip").status_code == HTTPStatus.CONFLICT


def test_a_large_one_waits_for_a_worker(
    approved: PromotionRequest, officers: list[User], as_person: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[object] = []
    monkeypatch.setattr(exports, "AT_ONCE", 0)
    monkeypatch.setattr("governance.ui.views.exports.ring_export", rung.append)  # the broker of a test is not there
    as_person(officers[0]).post("/exports/", {"kind": "request", "request": approved.ref})
    assert rung == [Export.objects.get().pk]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "request"}, "Say which request."),
        ({"kind": "request", "request": "REQ-9999"}, "There is no such request"),
        ({"kind": "model", "model": "nothing"}, "nothing"),
        ({"kind": "version", "model": "nothing"}, "Say which version."),
        ({"kind": "period", "since": "2026-01-01"}, "Pick a day."),
        ({"kind": "period", "since": "2026-02-01", "until": "2026-01-01"}, "ends before it begins"),
        ({"kind": "mood"}, "mood"),
        ({"kind": ""}, "Pick one."),
    ],
)
def test_what_cannot_be_taken_is_said_and_nothing_is_made(
    given: dict[str, str], said: str, approved: PromotionRequest, auditor: User, as_person: Browser
) -> None:
    for method in ("get", "post"):
        ask: Callable[..., object] = getattr(as_person(auditor), method)
        answer = ask("/exports/", given)
        assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY  # type: ignore[attr-defined]
        assert said in answer.content.decode()  # type: ignore[attr-defined]
    assert not Export.objects.exists()


def test_who_may_not_see_gets_nothing(
    approved: PromotionRequest, officers: list[User], stranger: User, as_person: Browser
) -> None:
    as_person(officers[0]).post("/exports/", {"kind": "request", "request": approved.ref})
    made = Export.objects.get()
    browser = as_person(stranger)
    assert browser.get(f"/exports/{made.pk}/").status_code == HTTPStatus.NOT_FOUND
    assert browser.get(f"/exports/{made.pk}/bundle.zip").status_code == HTTPStatus.NOT_FOUND
    assert browser.post("/exports/", {"kind": "request", "request": approved.ref}).status_code == 422
    assert browser.post("/exports/", {"kind": "period", **days()}).status_code == 422
    assert browser.get("/samples/").status_code == HTTPStatus.FORBIDDEN
    assert Export.objects.count() == 1


def test_an_auditor_takes_a_period(approved: PromotionRequest, auditor: User, as_person: Browser) -> None:
    browser = as_person(auditor)
    assert "Make the bundle" in counted(browser, f"/exports/?kind=period&since={TODAY}&until={TODAY}")
    browser.post("/exports/", {"kind": "period", "since": str(TODAY), "until": str(TODAY)})
    assert Export.objects.get().state == ExportState.FINISHED


def test_a_sample_is_counted_planned_drawn_and_taken(
    approved: PromotionRequest, auditor: User, as_person: Browser
) -> None:
    browser = as_person(auditor)
    query = f"title=Signed%3F&since={TODAY}&until={TODAY}&action=decision.signed"
    text = counted(browser, f"/samples/?{query}")
    assert "2 entries" in text
    assert "the count reconciles to the log" in text
    plan = {"title": "Signed?", "since": str(TODAY), "until": str(TODAY), "action": "decision.signed", "size": "1"}
    answer = browser.post("/samples/", plan)
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "Commit to a seed" in answer.content.decode()
    answer = browser.post("/samples/", {**plan, "seed": hashlib.sha256(SEED.encode()).hexdigest()})
    sample = Sample.objects.get()
    assert answer["Location"] == f"/samples/{sample.pk}/"
    assert "Nobody knows which yet" in counted(browser, f"/samples/{sample.pk}/")
    make.integrate()
    wrong = browser.post(f"/samples/{sample.pk}/", {"seed": "another"})
    assert (wrong.status_code, "not the seed" in wrong.content.decode()) == (422, True)
    browser.post(f"/samples/{sample.pk}/", {"seed": SEED})
    text = counted(browser, f"/samples/{sample.pk}/")
    assert "1 of 2 entries, drawn" in text
    make.integrate()
    assert "Make the bundle" in counted(browser, f"/exports/?kind=sample&sample={sample.pk}")
    browser.post("/exports/", {"kind": "sample", "sample": str(sample.pk)})
    assert Export.objects.get().state == ExportState.FINISHED
    assert "Signed?" in counted(browser, "/samples/")


def test_an_auditor_may_look_at_the_sample_of_another_and_not_draw_it(
    approved: PromotionRequest, auditor: User, as_person: Browser
) -> None:
    plan = {"title": "Signed?", "since": str(TODAY), "until": str(TODAY), "size": "1", "seed": SEED}
    as_person(auditor).post("/samples/", plan)
    sample = Sample.objects.get()
    other = as_person(make.person("auditor", Role.AUDITOR))
    assert "knows the seed" in counted(other, f"/samples/{sample.pk}/")
    assert other.post(f"/samples/{sample.pk}/", {"seed": SEED}).status_code == 422
    assert Sample.objects.get().drawn_at is None
