"""Inbox, list of requests, a check, policies, permits; and the frame of every page."""

import hashlib
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from audit.actors import SYSTEM
from governance.models import Permit, PolicyVersion, PromotionRequest
from governance.permits import verifier
from governance.policy import parse
from governance.selectors.permits import issuing_entry
from governance.services import policies
from governance.ui.clauses import clauses
from governance.ui.frame import frame
from registry.models import RegisteredModel, User
from tests.factories import governance as make
from tests.pages.governance.conftest import Browser

HTMX = {"HX-Request": "true"}
BUDGET = 25


def test_an_empty_register_leads_to_the_first_run(
    house: PolicyVersion, officers: list[User], as_person: Browser
) -> None:
    answer = as_person(officers[0]).get("/")
    assert answer.status_code == HTTPStatus.FOUND
    assert answer["Location"] == "/first-run/"


def test_what_is_ready_waits_for_the_officers_signature(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    text = as_person(officers[0]).get("/").content.decode()
    assert "One request waits for your signature" in text
    assert ready.ref in text
    assert 'class="count">1<' in text


def test_what_somebody_signed_waits_no_longer_for_them(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    make.sign(ready, officers[0])
    assert "No requests wait for your signature" in as_person(officers[0]).get("/").content.decode()
    other = as_person(officers[1]).get("/").content.decode()
    assert "One request waits for your signature" in other
    assert "1 of 2" in other


def test_the_asker_sees_their_own_request_and_what_blocks_it(
    stopped: PromotionRequest, scientist: User, as_person: Browser
) -> None:
    text = as_person(scientist).get("/").content.decode()
    assert "No requests wait for your signature" in text
    assert "Your own requests" in text
    assert "asked: at least 0.750" in text


def test_a_stranger_sees_nothing_of_it(ready: PromotionRequest, stranger: User, as_person: Browser) -> None:
    assert ready.ref not in as_person(stranger).get("/").content.decode()
    assert ready.ref not in as_person(stranger).get("/requests/").content.decode()


def test_the_inbox_costs_the_same_with_many_requests(
    ready: PromotionRequest, model: RegisteredModel, scientist: User, officers: list[User], as_person: Browser
) -> None:
    browser = as_person(officers[0])
    with CaptureQueriesContext(connection) as few:
        browser.get("/")
    for _ in range(4):
        other = make.registered_model(scientist)
        make.finish_all(make.request(make.sealed_version(other, scientist), scientist))
    with CaptureQueriesContext(connection) as many:
        assert "Five requests wait" in browser.get("/").content.decode()
    assert len(many) == len(few) <= BUDGET, "\n".join(query["sql"][:150] for query in many)


def test_the_waiting_region_is_the_same_markup(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    browser = as_person(officers[0])
    part = browser.get("/inbox/waiting/", headers=HTMX).content.decode()
    assert "<html" not in part
    assert 'id="waiting"' in part
    assert part.strip() in browser.get("/").content.decode()


def test_requests_are_listed_filtered_and_paged(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    browser = as_person(officers[0])
    assert ready.ref in browser.get("/requests/?state=open").content.decode()
    assert ready.ref not in browser.get("/requests/?state=approved").content.decode()
    assert ready.ref in browser.get(f"/requests/?model={ready.model.name}").content.decode()
    assert ready.ref not in browser.get("/requests/?model=nothing%00").content.decode()
    with CaptureQueriesContext(connection) as queries:
        browser.get("/requests/")
    assert len(queries) <= BUDGET
    assert browser.get("/requests/?after=nonsense").status_code in {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }


def test_a_check_shows_its_figures_and_gives_the_very_bytes(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    run = ready.checks.exclude(category="scoring").get()
    browser = as_person(officers[0])
    with CaptureQueriesContext(connection) as queries:
        text = browser.get(f"/requests/{ready.ref}/checks/{run.pk}/").content.decode()
    assert len(queries) <= BUDGET
    assert "0.880 to 0.920" in text
    assert "AUC: at least 0.750" in text
    evidence = browser.get(f"/requests/{ready.ref}/checks/{run.pk}/evidence.json")
    assert hashlib.sha256(evidence.content).hexdigest() == run.result_digest


def test_a_check_is_404_for_strangers_and_below_another_request(
    ready: PromotionRequest, stranger: User, officers: list[User], as_person: Browser
) -> None:
    run = ready.checks.first()
    assert run is not None
    assert as_person(stranger).get(f"/requests/{ready.ref}/checks/{run.pk}/").status_code == HTTPStatus.NOT_FOUND
    assert as_person(officers[0]).get(f"/requests/REQ-9999/checks/{run.pk}/").status_code == HTTPStatus.NOT_FOUND


def test_a_check_that_waits_says_so(checking: PromotionRequest, officers: list[User], as_person: Browser) -> None:
    run = checking.checks.first()
    assert run is not None
    browser = as_person(officers[0])
    assert "It waits for a worker" in browser.get(f"/requests/{checking.ref}/checks/{run.pk}/").content.decode()
    assert browser.get(f"/requests/{checking.ref}/checks/{run.pk}/evidence.json").status_code == HTTPStatus.NOT_FOUND


def test_policies_are_read_by_everybody_in_words_and_yaml(
    house: PolicyVersion, stranger: User, as_person: Browser
) -> None:
    browser = as_person(stranger)
    assert "house" in browser.get("/policies/").content.decode()
    with CaptureQueriesContext(connection) as queries:
        text = browser.get("/policies/house/").content.decode()
    assert len(queries) <= BUDGET
    assert "On the held-out data: AUC at least 0.75." in text
    assert "require: {auc: {ge: 0.75}}" in text
    assert "two compliance officers sign" in text
    assert browser.get("/policies/house/v1.yaml").content.decode() == house.document


def test_a_policy_or_version_that_does_not_exist_is_404(
    house: PolicyVersion, stranger: User, as_person: Browser
) -> None:
    for path in (
        "/policies/none/",
        "/policies/house/?version=9",
        "/policies/house/?version=x",
        "/policies/house/v9.yaml",
    ):
        assert as_person(stranger).get(path).status_code == HTTPStatus.NOT_FOUND


def test_a_new_version_shows_what_it_changed(house: PolicyVersion, stranger: User, as_person: Browser) -> None:
    policies.adopt(document=make.TWO_APPROVERS.replace("ge: 0.75", "ge: 0.80"), by=SYSTEM)
    text = as_person(stranger).get("/policies/house/").content.decode()
    assert text.count("changed</span>") == 1
    assert "<ins>+     require: {auc: {ge: 0.80}}</ins>" in text
    assert "<del>-     require: {auc: {ge: 0.75}}</del>" in text


def test_every_line_of_a_policy_stands_beside_some_clause() -> None:
    shown = [line.text for one in clauses(make.TWO_APPROVERS, parse(make.TWO_APPROVERS.encode())) for line in one.lines]
    assert shown == make.TWO_APPROVERS.splitlines()


def test_a_permit_shows_who_signed_and_is_revoked_with_a_reason(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    make.approve(ready, officers)
    permit = Permit.objects.get()
    browser = as_person(officers[0])
    with CaptureQueriesContext(connection) as queries:
        text = browser.get(f"/permits/{permit.pk}/").content.decode()
    assert len(queries) <= BUDGET
    assert all(officer.username in text for officer in officers)
    assert browser.get(f"/permits/{permit.pk}/envelope.json").content.decode() == permit.envelope
    missing = browser.post(f"/permits/{permit.pk}/", {"reason": ""})
    assert missing.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "Write the reason" in missing.content.decode()
    assert browser.post(f"/permits/{permit.pk}/", {"reason": "Drift."}).status_code == HTTPStatus.SEE_OTHER
    permit.refresh_from_db()
    assert (permit.state, permit.ended_reason) == ("revoked", "Drift.")


def test_the_parts_that_prove_a_permit_are_shown_and_handed_out(
    ready: PromotionRequest, officers: list[User], as_person: Browser, client: Client, tmp_path: Path
) -> None:
    make.approve(ready, officers)
    make.publish()
    permit = Permit.objects.get()
    browser = as_person(officers[0])
    with CaptureQueriesContext(connection) as queries:
        text = browser.get(f"/permits/{permit.pk}/").content.decode()
    assert len(queries) <= BUDGET
    issued = issuing_entry(permit)
    assert issued is not None
    assert all(words in text for words in (f"entry {issued.index}", "version 1</a>", "OpenSSF root", "good until"))
    file = browser.get(f"/permits/{permit.pk}/permit.json")
    assert file["Content-Type"] == "application/vnd.countersign.permit+json"
    root = client.get("/trust/root.json")
    assert verifier.verify(file.json(), root.json())[0]["permit"] == str(permit.pk)
    for name, content in (("p.json", file), ("root.json", root), ("it.py", client.get("/trust/verify_permit.py"))):
        (tmp_path / name).write_bytes(content.content)
    command = [sys.executable, "-I", "it.py", "p.json", "--trust-root", "root.json"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout[:9]) == (0, "IN FORCE:"), told.stdout + told.stderr


def test_a_permit_is_suspended_and_resumed_with_reasons(
    ready: PromotionRequest, officers: list[User], scientist: User, as_person: Browser
) -> None:
    make.approve(ready, officers)
    address, browser = f"/permits/{Permit.objects.get().pk}/", as_person(officers[0])
    assert browser.post(f"{address}suspend/", {"reason": " "}).status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert browser.post(f"{address}suspend/", {"reason": "Look first."}).status_code == HTTPStatus.SEE_OTHER
    text = browser.get(address).content.decode()
    assert "may not be" in text
    assert "Look first." in text
    assert "Resume the permit" in text
    refused = as_person(scientist).post(f"{address}resume/", {"reason": "Go on."})
    assert refused.status_code == HTTPStatus.FORBIDDEN
    assert "Only an approver of the model can resume a permit." in refused.content.decode()
    assert browser.post(f"{address}resume/", {"reason": "Looked."}).status_code == HTTPStatus.SEE_OTHER
    assert Permit.objects.get().state == "active"


@pytest.mark.parametrize(
    "address", ["root.json", "roots.json", "1.root.json", "permit-status.json", "verify_permit.py"]
)
def test_what_a_verifier_needs_is_there_without_an_account(
    ready: PromotionRequest, officers: list[User], client: Client, address: str
) -> None:
    early = client.get(f"/trust/{address}")
    make.approve(ready, officers)
    make.publish()
    answer = client.get(f"/trust/{address}")
    assert answer.status_code == HTTPStatus.OK
    assert answer["Cache-Control"] == "public, max-age=30"
    assert early.status_code == (
        HTTPStatus.NOT_FOUND if address not in {"roots.json", "verify_permit.py"} else HTTPStatus.OK
    )
    if early.status_code != HTTPStatus.OK:
        assert early["Content-Type"] == "application/problem+json"
    assert client.post(f"/trust/{address}").status_code == HTTPStatus.METHOD_NOT_ALLOWED


def test_who_may_not_revoke_reads_why_and_a_stranger_gets_404(
    ready: PromotionRequest, officers: list[User], scientist: User, stranger: User, as_person: Browser
) -> None:
    make.approve(ready, officers)
    permit = Permit.objects.get()
    answer = as_person(scientist).post(f"/permits/{permit.pk}/", {"reason": "No."})
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "Only an approver or an administrator of the model can revoke a permit." in answer.content.decode()
    assert as_person(stranger).get(f"/permits/{permit.pk}/").status_code == HTTPStatus.NOT_FOUND
    permit.refresh_from_db()
    assert permit.state == "active"


def test_the_frame_costs_at_most_two_queries_and_names_the_role(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.get(pk=officers[0].pk)
    request.user.has_perm("registry.view_registeredmodel")
    offered = frame(request)
    assert offered["account_role"]() == "Compliance officer"
    with CaptureQueriesContext(connection) as queries:
        assert offered["inbox_count"]() == 1
        assert offered["log_status"]().state == "unknown"
        offered["inbox_count"]()
    assert len(queries) <= 2
