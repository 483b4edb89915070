"""Reports as of a moment: the same question gives the same bytes, in every process, whatever was written since."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import InternalError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from audit.actors import SYSTEM
from audit.history.moments import NotAMoment
from audit.models import Checkpoint, Inbox
from config import as_of
from config.errors import Conflict, NotFound
from governance import tasks
from governance.documents import catalogue, render
from governance.documents.catalogue import REPORTS
from governance.documents.job import at_moment
from governance.models import PromotionRequest, ReportJob
from governance.services import permits, promotions, reports
from registry.models import RegisteredModel, User
from registry.roles import Role
from registry.services import access, catalog
from tests.api.calls import Api
from tests.factories import governance as make
from tests.time_travel.moments import Visit, here


@pytest.fixture
def approvers() -> list[User]:
    """Two compliance officers."""
    return [make.person("approver", Role.APPROVER), make.person("approver", Role.APPROVER)]


@pytest.fixture
def approved(scientist: User, approvers: list[User]) -> PromotionRequest:
    """A request with its permit, committed and in the log."""
    make.policy()
    version = make.sealed_version(make.registered_model(scientist, name="scorecard"), scientist)
    return make.approve(make.finish_all(make.request(version, scientist)), approvers)


def change_everything(approved: PromotionRequest, scientist: User) -> None:
    """What happens to a request, its model, version and permit later on."""
    signer = approved.decisions.all()[0].person
    model = RegisteredModel.objects.get(pk=approved.model_id)
    promotions.comment(request=approved, text="Well done.", by=make.actor(scientist))
    catalog.update_model(model=model, use_case="Another.", card={"intended_use": "Another."}, by=make.actor(scientist))
    permits.revoke(permit=approved.permit, reason="Wrong data.", by=make.actor(signer))
    make.sealed_version(model, scientist)
    make.registered_model(scientist, name="newcomer")
    make.person("late", Role.VALIDATOR)


def parameters_of(approved: PromotionRequest) -> dict[str, dict[str, Any]]:
    model = {"model": approved.model.name}
    needs: dict[str, dict[str, Any]] = {"request": {"request": approved.ref}, "model": model}
    return {one.name: needs[one.needs[0]] if one.needs else {} for one in REPORTS}


def packs(approved: PromotionRequest, size: int, reader: User) -> dict[str, bytes]:
    """The pack of each report as of the moment, for somebody who just signed in."""
    made = {}
    for name, given in parameters_of(approved).items():
        with at_moment(size):
            made[name] = catalogue.build(name, given, reader=User.objects.get(pk=reader.pk)).content
    return made


def test_every_report_is_the_same_at_the_same_moment_and_another_at_another(
    approved: PromotionRequest, scientist: User, auditor: User
) -> None:
    then = here()
    first = packs(approved, then.size, auditor)

    change_everything(approved, scientist)
    now = here()

    assert packs(approved, then.size, auditor) == first
    later = packs(approved, now.size, auditor)
    assert [name for name in first if later[name] == first[name]] == []
    told = json.loads(first["request"])
    assert told["log"]["size"] == then.size
    assert told["log"]["root"] == then.root.hex()
    assert told["as_of"] == then.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert told["verdict"] == "pass"
    assert "was revoked" in json.loads(later["request"])["sections"][8]["finding"]
    assert json.loads(first["sr-26-2-inventory"])["answer"].startswith("1 model, ")
    assert json.loads(later["sr-26-2-inventory"])["answer"].startswith("2 models, ")


def test_the_same_question_in_two_processes_with_writes_in_between_has_the_same_bytes(
    approved: PromotionRequest, scientist: User, auditor: User, settings: Settings, tmp_path: Path
) -> None:
    then = here()

    def made(name: str) -> bytes:
        database, out = connection.settings_dict, tmp_path / name
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.governance.bundle.process_settings",
            "TEST_KEYS_DIR": str(settings.KEYS_DIR),
            "TEST_ARTIFACT_ROOT": str(settings.ARTIFACT_ROOT),
            "TEST_DATABASE": str(database["NAME"]),
            **{f"TEST_DATABASE_{key}": str(database[key]) for key in ("HOST", "PORT", "USER", "PASSWORD")},
        }
        command = [sys.executable, "manage.py", "report", "request", f"request={approved.ref}"]
        command += ["--as", auditor.username, "--as-of", then.name, "--out", str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert f"log of {then.size}" in done.stdout
        return out.read_bytes()

    first = made("first.pdf")
    change_everything(approved, scientist)
    here()

    assert made("second.pdf") == first
    assert first.startswith(b"%PDF")


def test_asked_for_by_nobody_in_particular_it_is_as_of_the_newest_moment(
    approved: PromotionRequest, auditor: User
) -> None:
    job = reports.ask(report="request", parameters={"request": approved.ref}, by=make.actor(auditor))
    newest = here()
    promotions.comment(request=approved, text="Committed, and not in the log yet.", by=make.actor(auditor))

    tasks.make_report(str(job.pk))

    job.refresh_from_db()
    pack = bytes(job.files.get(name="pack.json").content)
    assert (job.made, job.log_size, job.as_of, job.moment) == (True, newest.size, "", None), job.problem
    assert b"not in the log yet." not in pack
    with at_moment(newest.size):
        again = catalogue.build("request", {"request": approved.ref}, reader=User.objects.get(pk=auditor.pk))
    assert again.content == pack
    assert render("request", again.data, at=again.log.at, files=again.files) == bytes(
        job.files.get(name="report.pdf").content
    )


def test_what_was_asked_for_is_settled_when_it_is_asked(approved: PromotionRequest, auditor: User) -> None:
    then = here()
    words = {"day": timezone.localdate(then.at).isoformat(), "time": then.at.isoformat(), "size": then.name}
    asked = {
        name: reports.ask(report="model", parameters={"model": "scorecard"}, by=make.actor(auditor), as_of=word)
        for name, word in words.items()
    }
    promotions.comment(request=approved, text="Later.", by=make.actor(auditor))
    here()

    for name, job in asked.items():
        assert (job.as_of, job.moment) == (words[name], then.size)
        tasks.make_report(str(job.pk))
        job.refresh_from_db()
        assert job.log_size == then.size, job.problem
    facts = [json.loads(canon)["facts"] for canon in Inbox.objects.values_list("canon", flat=True)]
    assert all(one.get("moment") in {then.size, None} for one in facts)


def test_what_was_not_there_then_is_not_found_when_asked(approved: PromotionRequest, auditor: User) -> None:
    then = here()
    make.registered_model(make.person("other"), name="newcomer")
    here()

    with pytest.raises(NotFound):
        reports.ask(report="model", parameters={"model": "newcomer"}, by=make.actor(auditor), as_of=then.name)
    reports.ask(report="model", parameters={"model": "newcomer"}, by=make.actor(auditor))


def test_a_period_ends_with_the_day_that_is_shown(approved: PromotionRequest, auditor: User) -> None:
    then = here()

    with at_moment(then.size):
        pack = catalogue.build("separation-of-duties", {}, reader=auditor)

    until = pack.parameters["until"]
    assert until == (then.at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def test_a_right_of_then_is_none_of_today(approved: PromotionRequest) -> None:
    once = make.person("once", Role.AUDITOR)
    then = here()
    for team in once.groups.all():
        access.remove_member(team=team, user=once, by=SYSTEM)

    with at_moment(then.size), pytest.raises(NotFound):
        catalogue.build("request", {"request": approved.ref}, reader=User.objects.get(pk=once.pk))


def test_it_is_read_in_one_transaction_that_cannot_write(approved: PromotionRequest) -> None:
    then = here()

    with at_moment(then.size):
        current = as_of.current()
        assert current is not None
        assert current.size == then.size
        with pytest.raises(InternalError, match="read-only transaction"), transaction.atomic():
            ReportJob.objects.create(report="request", asked_by_id=1)
    assert as_of.current() is None


def test_before_the_first_checkpoint_there_is_none(auditor: User) -> None:
    assert not Checkpoint.objects.exists()

    with pytest.raises(Conflict, match="rest on nothing"), at_moment():
        pass


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("yesterday", "is no moment"),
        ("2999-01-01", "has not begun yet"),
        ("1999-01-01", "the history begins at"),
        ("2026-01-01T00:00", "does not say in which time zone"),
        ("entry:99999999", "still to come"),
    ],
)
def test_what_is_no_moment_is_said_beside_the_field(
    asked: str, said: str, approved: PromotionRequest, auditor: User, visit: Visit
) -> None:
    here()
    _, secret = access.issue_token(user=auditor, name="w", scope="write", days=1, by=make.actor(auditor))

    page = visit(auditor).post("/reports/new/iso-42001-map/", {"as_of": asked})
    answer = Api(secret).post("reports", {"report": "iso-42001-map", "as_of": asked})

    assert page.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
    field = page.content.decode().partition('name="as_of"')
    assert said in field[0] + field[2]
    assert 'aria-invalid="true"' in page.content.decode()
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert [one["field"] for one in answer.json()["errors"]] == ["as_of"]
    assert said in answer.json()["detail"]
    assert not ReportJob.objects.exists()
    with pytest.raises(NotAMoment):
        reports.ask(report="iso-42001-map", parameters={}, by=make.actor(auditor), as_of=asked)


@pytest.mark.parametrize("given", [" ", "x" * 65, 17, None, ["entry:1"]])
def test_rest_takes_nothing_else_for_a_moment(given: object, auditor: User) -> None:
    make.integrate()
    _, secret = access.issue_token(user=auditor, name="w", scope="write", days=1, by=make.actor(auditor))

    answer = Api(secret).post("reports", {"report": "iso-42001-map", "as_of": given})

    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert answer.json()["errors"][0]["field"] == "as_of"
    assert not ReportJob.objects.exists()


def test_page_and_rest_say_of_which_moment(approved: PromotionRequest, auditor: User, visit: Visit) -> None:
    then = here()
    _, secret = access.issue_token(user=auditor, name="w", scope="write", days=1, by=make.actor(auditor))
    browser = visit(auditor)

    form = browser.get(f"/reports/new/request/?request={approved.ref}&at={then.name}").content.decode()
    assert f'value="{then.name}"' in form
    answer = browser.post("/reports/new/request/", {"request": approved.ref, "as_of": then.name})
    job = ReportJob.objects.get()
    assert answer["Location"] == f"/reports/{job.pk}/"
    assert f"as of {then.name}" in browser.get("/reports/").content.decode()
    body: Mapping[str, Any] = Api(secret).post("reports", {"report": "iso-42001-map", "as_of": then.name}).json()
    assert (body["as_of"], body["moment"], body["log_size"]) == (then.name, then.size, None)


def test_a_page_of_the_past_leads_to_the_report_of_then(
    approved: PromotionRequest, auditor: User, visit: Visit
) -> None:
    then = here()

    page = visit(auditor).get(f"/requests/{approved.ref}/", {"as_of": then.name}).content.decode()

    assert f'/reports/new/request/?request={approved.ref}&amp;at={then.name}"' in page


@pytest.mark.parametrize("asked", ["yesterday", "entry:99999999"])
def test_the_command_says_what_is_no_moment(
    asked: str, approved: PromotionRequest, auditor: User, tmp_path: Path
) -> None:
    here()
    options = ["--as", auditor.username, "--as-of", asked, "--out", str(tmp_path / "r.json")]

    with pytest.raises(CommandError, match=r"no moment|still to come"):
        call_command("report", "iso-42001-map", *options)
    assert not (tmp_path / "r.json").exists()
