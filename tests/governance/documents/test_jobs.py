"""Reports as jobs: asked for with an entry, made once, kept for a while, and only for who asked."""

import hashlib
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from audit.models import Inbox
from config.errors import NotAllowed, NotFound, TooMany
from governance import tasks
from governance.documents import job as jobs
from governance.documents.catalogue import build
from governance.models import PromotionRequest, ReportFile, ReportJob
from governance.services import reports
from governance.states import CheckState
from registry.models import User
from tests.factories import governance as make
from tests.governance.documents.packs import attachments


def logged(action: str) -> list[dict[str, object]]:
    """Entries of that action that wait for their place."""
    found = [json.loads(canon) for canon in Inbox.objects.order_by("pk").values_list("canon", flat=True)]
    return [one for one in found if one["action"] == action]


@pytest.fixture
def asked(approved: PromotionRequest, auditor: User) -> ReportJob:
    """Somebody asked for the report of the approved request."""
    return reports.ask(report="request", parameters={"request": approved.ref}, by=make.actor(auditor))


def test_asking_is_logged_with_what_was_asked(asked: ReportJob, auditor: User) -> None:
    [entry] = logged("report.asked")

    assert entry["actor"]["id"] == f"user:{auditor.pk}"  # type: ignore[index]
    assert entry["object"]["id"] == str(asked.pk)  # type: ignore[index]
    assert entry["facts"] == {"parameters": asked.parameters}
    assert asked.state == CheckState.QUEUED


def test_a_worker_makes_it_and_the_log_keeps_the_digests(asked: ReportJob, auditor: User) -> None:
    tasks.make_report(str(asked.pk))

    asked.refresh_from_db()
    files = {one.name: bytes(one.content) for one in asked.files.all()}
    assert asked.made
    assert set(files) == {"report.pdf", "pack.json", "tables.zip"}
    assert attachments(files["report.pdf"])["pack.json"] == files["pack.json"]
    [entry] = logged("report.made")
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert entry["facts"] == {
        "log_size": asked.log_size,
        "digests": {"report": digests["report.pdf"], "pack": digests["pack.json"], "tables": digests["tables.zip"]},
    }
    pack = json.loads(files["pack.json"])
    assert pack["log"]["size"] == asked.log_size
    assert asked.title == "Report of a promotion: " + pack["title"]


def test_delivered_twice_it_is_made_once(asked: ReportJob) -> None:
    held = reports.claim(asked.pk, owner="one")
    assert held is not None

    assert reports.claim(asked.pk, owner="two") is None
    tasks.make_report(str(asked.pk))

    assert not ReportFile.objects.exists()
    assert reports.finish(held, title="t", answer="a", log_size=1, files=[])
    assert not reports.finish(held, title="t", answer="a", log_size=1, files=[])


def test_who_lost_the_job_writes_nothing(asked: ReportJob) -> None:
    slow = reports.claim(asked.pk, owner="slow")
    assert slow is not None
    ReportJob.objects.filter(pk=asked.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    quick = reports.claim(asked.pk, owner="quick")
    assert quick is not None

    made = reports.Made("report.pdf", "application/pdf", b"%PDF")
    assert not reports.finish(slow, title="slow", answer="", log_size=1, files=[made])
    assert not reports.fail(slow, "no")
    assert reports.finish(quick, title="quick", answer="", log_size=1, files=[made])
    assert ReportJob.objects.get(pk=asked.pk).title == "quick"


def test_what_kills_its_worker_three_times_is_given_up(asked: ReportJob) -> None:
    for _ in range(3):
        assert reports.claim(asked.pk, owner="dies") is not None
        ReportJob.objects.filter(pk=asked.pk).update(lease_until=timezone.now() - timedelta(seconds=1))

    assert reports.claim(asked.pk, owner="no more") is None
    assert reports.sweep() == []
    asked.refresh_from_db()
    assert asked.problem.startswith("Its worker died each time")


def test_the_sweeper_rings_for_what_waits_once_a_minute(asked: ReportJob) -> None:
    assert reports.sweep() == [], "the one who asked has rung"
    ReportJob.objects.update(rung_at=timezone.now() - timedelta(minutes=2))

    assert reports.sweep() == [asked.pk]
    assert reports.sweep() == []


def test_a_right_that_was_lost_meanwhile_ends_the_job_with_its_reason(
    approved: PromotionRequest, auditor: User
) -> None:
    job = reports.ask(report="part-11-copy", parameters={"request": approved.ref}, by=make.actor(auditor))
    auditor.groups.clear()

    tasks.make_report(str(job.pk))

    job.refresh_from_db()
    assert not job.made
    assert "may not see it" in job.problem
    assert not ReportFile.objects.exists()


def test_who_may_not_have_it_cannot_ask(approved: PromotionRequest, scientist: User) -> None:
    with pytest.raises(NotAllowed):
        reports.ask(report="iso-42001-map", parameters={}, by=make.actor(scientist))

    assert not ReportJob.objects.exists()
    assert logged("report.asked") == []


def test_twenty_may_wait_and_no_more(auditor: User) -> None:
    by = make.actor(auditor)
    for _ in range(reports.MOST_WAITING):
        reports.ask(report="iso-42001-map", parameters={}, by=by)

    with pytest.raises(TooMany, match="20 of your reports"):
        reports.ask(report="iso-42001-map", parameters={}, by=by)


def test_the_reports_of_others_are_not_found(asked: ReportJob, approvers: list[User], auditor: User) -> None:
    assert reports.job_of(make.actor(auditor), asked.pk) == asked
    for by, which in ((approvers[0], asked.pk), (auditor, uuid4())):
        with pytest.raises(NotFound):
            reports.job_of(make.actor(by), which)


def test_files_are_removed_after_their_time_and_the_job_stays(asked: ReportJob, settings: Settings) -> None:
    tasks.make_report(str(asked.pk))
    assert reports.forget() == 0
    ReportJob.objects.update(finished_at=timezone.now() - timedelta(days=settings.REPORT_KEEP_DAYS, seconds=1))

    assert reports.forget() == 3
    asked.refresh_from_db()
    assert asked.made
    with pytest.raises(NotFound, match="removed after its time"):
        reports.file_of(asked, "report.pdf")


def test_csv_archives_of_equal_packs_are_equal(approved: PromotionRequest, auditor: User) -> None:
    pack = build("request", {"request": approved.ref}, reader=auditor)

    assert jobs.csv_archive(pack) == jobs.csv_archive(build("request", {"request": approved.ref}, reader=auditor))


def test_the_command_writes_document_or_data(approved: PromotionRequest, auditor: User, tmp_path: object) -> None:
    pdf, data = tmp_path / "r.pdf", tmp_path / "r.json"  # type: ignore[operator]
    for out in (pdf, data):
        call_command(
            "report", "request", f"request={approved.ref}", "--as", auditor.username, "--out", str(out), verbosity=0
        )

    assert attachments(pdf.read_bytes())["pack.json"] == data.read_bytes()
    for arguments, why in (
        (["request", "request=REQ-9999", "--as", auditor.username], "no such request"),
        (["request", "request=1", "--as", "nobody"], "no account"),
    ):
        with pytest.raises(CommandError, match=why):
            call_command("report", *arguments, "--out", str(pdf), verbosity=0)
