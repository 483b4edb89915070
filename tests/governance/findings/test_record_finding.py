"""A person's finding: the same object as every result, recorded by who may, once, with its entry."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Conflict, Invalid, NotAllowed, NotFound, Refusal
from governance.models import CheckRun, PromotionRequest
from governance.policy import Status
from governance.recheck_cli import main
from governance.services import checks, findings, promotions, waivers
from governance.services.evidence import result_bytes
from governance.services.findings import MOST_BYTES, Attachment
from governance.standing import standing_of
from governance.states import CheckState, RequestState
from registry.models import Blob, ModelVersion, User
from registry.roles import Role
from registry.storage import blobs
from tests.factories import audit as ledger
from tests.factories import governance as make
from tests.governance.findings.conftest import POLICY

pytestmark = pytest.mark.django_db

PDF = b"%PDF-1.7 a memo"


def record(
    run: CheckRun, by: User, finding: str = "pass", words: str = "The method is right.", **more: Any
) -> CheckRun:
    return findings.record(
        run_id=run.pk, finding=finding, words=words, attachment=more.get("attachment"), by=make.actor(by)
    )


def file(name: str = "memo.pdf", content: bytes = PDF) -> Attachment:
    return Attachment(name, io.BytesIO(content))


def test_the_request_waits_for_the_finding_and_no_worker_takes_it(waiting: PromotionRequest, awaited: CheckRun) -> None:
    assert waiting.state == RequestState.CHECKING
    assert awaited.state == CheckState.AWAITED
    assert (awaited.title, awaited.category, awaited.cache_key) == ("Conceptual soundness", "manual", "")
    assert checks.claim(awaited.pk, owner="worker") is None
    assert awaited.pk not in checks.sweep()
    node = standing_of(waiting, at=waiting.created_at).verdict.find("checks/conceptual.soundness")
    assert (node.status, node.reason) == (Status.PENDING, "It waits for a person's finding.")


@pytest.mark.parametrize(
    ("finding", "state", "status"),
    [
        ("pass", RequestState.READY, Status.MET),
        ("fail", RequestState.CHECKS_FAILED, Status.NOT_MET),
        ("inconclusive", RequestState.CHECKS_FAILED, Status.CANNOT_TELL),
    ],
)
def test_it_is_judged_as_it_says(
    awaited: CheckRun, validator: User, finding: str, state: RequestState, status: Status
) -> None:
    run = record(awaited, validator, finding)
    assert (run.state, run.verdict, run.summary) == (CheckState.FINISHED, finding, "The method is right.")
    request = PromotionRequest.objects.get(pk=run.request_id)
    assert request.state == state
    node = standing_of(request, at=request.updated_at).verdict.find("checks/conceptual.soundness")
    assert (node.status, node.reason) == (status, "The method is right.")


def test_its_digests_are_in_the_ledger_the_snapshot_and_the_store(awaited: CheckRun, validator: User) -> None:
    run = record(awaited, validator, attachment=file())
    stored = json.loads(result_bytes(run))
    assert stored["facts"] == {"finding": "pass", "found_by": f"user:{validator.pk}", "role": "validator"}
    (attached,) = stored["files"]
    assert (attached["name"], attached["media_type"], attached["size"]) == ("memo.pdf", "application/pdf", len(PDF))
    with blobs().open(attached["sha256"]) as stream:
        assert stream.read() == PDF
    (entry,) = [one for one in make.log() if one["object"]["id"] == str(run.pk) and one["action"] == "check.finished"]
    assert entry["actor"]["id"] == f"user:{validator.pk}"
    assert entry["facts"]["result_digest"] == run.result_digest == make.digest(result_bytes(run).decode())
    assert entry["facts"]["files"] == [attached["sha256"]]
    assert entry["facts"]["provenance"]["model"] == run.request.manifest_digest
    snapshot = json.loads(PromotionRequest.objects.get(pk=run.request_id).snapshots.get().document)
    assert run.result_digest in [one["result_digest"] for one in snapshot["checks"]]


def test_a_fail_can_be_waived_like_any_other(awaited: CheckRun, validator: User, approvers: list[User]) -> None:
    run = record(awaited, validator, "fail")
    until = timezone.now() + timedelta(days=9)
    waiver = waivers.ask(
        request=run.request, check_run_id=run.pk, reason="Known.", until=until, by=make.actor(validator)
    )
    for one in approvers:
        waivers.sign(waiver_id=waiver.pk, password=make.PASSWORD, by=make.actor(one))
    assert PromotionRequest.objects.get(pk=run.request_id).state == RequestState.READY


def refused(run: CheckRun, by: User, kind: type[Refusal], code: str, **more: Any) -> None:
    """The refusal, and that nothing moved."""
    before, log = Blob.objects.count(), len(make.log())
    with pytest.raises(kind) as caught:
        record(run, by, **more)
    assert caught.value.code == code
    run.refresh_from_db()
    assert run.state == CheckState.AWAITED
    assert (Blob.objects.count(), len(make.log())) == (before, log)


def test_who_asked_for_the_promotion_may_not(awaited: CheckRun, scientist: User) -> None:
    refused(awaited, scientist, NotAllowed, "signing.conflict_of_interest")


def test_who_trained_it_may_not(waiting: PromotionRequest, awaited: CheckRun, validator: User) -> None:
    with ledger.by_hand():
        ModelVersion.objects.filter(pk=waiting.version_id).update(trained_by=validator)
    refused(awaited, validator, NotAllowed, "signing.conflict_of_interest")


@pytest.mark.parametrize("role", [Role.APPROVER, Role.CONTRIBUTOR, Role.AUDITOR])
def test_another_role_may_not(awaited: CheckRun, role: Role) -> None:
    refused(awaited, make.person("other", role), NotAllowed, "finding.no_role")


def test_a_stranger_does_not_even_see_it(awaited: CheckRun) -> None:
    refused(awaited, make.person("stranger"), NotFound, "promotion.unknown")


def test_a_service_account_may_not(awaited: CheckRun) -> None:
    refused(awaited, make.person("robot", Role.VALIDATOR, is_service=True), NotAllowed, "signing.service_account")


def test_the_policy_names_the_role_and_may_want_independence(scientist: User, approvers: list[User]) -> None:
    make.policy(POLICY.replace("      title:", "      role: approver\n      independent: true\n      title:"))
    model = make.registered_model(scientist)
    request = make.finish_all(make.request(make.sealed_version(model, scientist), scientist))
    run = request.checks.get(key="conceptual.soundness")
    both = make.person("both", Role.APPROVER, Role.CONTRIBUTOR)
    refused(run, both, NotAllowed, "finding.not_independent")
    refused(run, make.person("validator", Role.VALIDATOR), NotAllowed, "finding.no_role")
    assert record(run, approvers[0]).verdict == "pass"


def test_it_is_recorded_once(awaited: CheckRun, validator: User) -> None:
    record(awaited, validator)
    with pytest.raises(Conflict, match="recorded already"):
        record(awaited, validator, "fail")


def test_a_computed_check_is_nobodys_to_record(checking: PromotionRequest, validator: User) -> None:
    with pytest.raises(Conflict, match="computed"):
        record(checking.checks.get(key="performance.binary"), validator)


def test_after_a_withdrawal_nothing_is_awaited(waiting: PromotionRequest, awaited: CheckRun, validator: User) -> None:
    promotions.withdraw(request=waiting, by=make.actor(User.objects.get(pk=waiting.requested_by_id)))
    awaited.refresh_from_db()
    assert (awaited.state, awaited.error_code) == (CheckState.FINISHED, "cancelled")
    with pytest.raises(Conflict):
        record(awaited, validator)


def test_of_an_earlier_round_nothing_is_recorded(waiting: PromotionRequest, awaited: CheckRun, validator: User) -> None:
    PromotionRequest.objects.filter(pk=waiting.pk).update(round=2)
    refused(awaited, validator, Conflict, "finding.not_awaited")


def test_what_happens_while_the_file_is_read_counts(
    waiting: PromotionRequest, awaited: CheckRun, validator: User, scientist: User
) -> None:
    """Everything is asked again under the lock: the upload of a file may take minutes."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            promotions.withdraw(request=waiting, by=make.actor(scientist))
            return super().read(size)

    with pytest.raises(Conflict):
        record(awaited, validator, attachment=Attachment("memo.pdf", Slow(PDF)))
    awaited.refresh_from_db()
    assert (awaited.verdict, awaited.error_code) == ("error", "cancelled")


def test_every_round_asks_anew(awaited: CheckRun, validator: User, scientist: User) -> None:
    run = record(awaited, validator, "fail")
    request = promotions.run_again(request=run.request, by=make.actor(scientist))
    again = request.checks.get(key="conceptual.soundness", round=2)
    assert (again.state, again.reused_from) == (CheckState.AWAITED, None)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"finding": "maybe"}, "finding"),
        ({"finding": ""}, "finding"),
        ({"words": "  "}, "words"),
        ({"words": "x" * 10_001}, "words"),
        ({"words": "a\x00b"}, "words"),
        ({"attachment": file(content=b"")}, "attachment"),
        ({"attachment": file(content=b"MZ not a pdf")}, "attachment"),
        ({"attachment": file("run.exe", b"MZ")}, "attachment"),
        ({"attachment": file("page.html", b"<script>")}, "attachment"),
        ({"attachment": file("picture.svg", b"<svg/>")}, "attachment"),
        ({"attachment": file("", PDF)}, "attachment"),
        ({"attachment": file("a\x07.pdf", PDF)}, "attachment"),
        ({"attachment": file("x" * 121 + ".pdf", PDF)}, "attachment"),
        ({"attachment": file("a.txt", b"\xff\xfe")}, "attachment"),
        ({"attachment": file("a.txt", b"\x1b[2J")}, "attachment"),
        ({"attachment": file("a.json", b"{")}, "attachment"),
        ({"attachment": file("a.json", b"[" * 100_000)}, "attachment"),
        ({"attachment": file(content=PDF + b"x" * MOST_BYTES)}, "attachment"),
    ],
)  # fmt: skip
def test_bad_input_is_named_by_its_field(awaited: CheckRun, validator: User, more: dict[str, Any], field: str) -> None:
    if "attachment" in more:
        more["attachment"].stream.seek(0)
    with pytest.raises(Invalid) as caught:
        record(awaited, validator, **more)
    assert caught.value.field == field
    awaited.refresh_from_db()
    assert awaited.state == CheckState.AWAITED


@pytest.mark.parametrize(("wanted", "given_file"), [("required", None), ("none", PDF)])
def test_the_policy_says_whether_a_file_stands_beside(
    scientist: User, validator: User, wanted: str, given_file: bytes | None
) -> None:
    make.policy(POLICY.replace("      title:", f"      attachment: {wanted}\n      title:"))
    model = make.registered_model(scientist)
    request = make.finish_all(make.request(make.sealed_version(model, scientist), scientist))
    attachment = file() if given_file else None
    refused(request.checks.get(category="manual"), validator, Invalid,
            "finding.attachment" if given_file else "finding.no_attachment", attachment=attachment)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "clean"),
    [("../../etc/memo.pdf", "memo.pdf"), ("C:\\Users\\me\\memo.pdf", "memo.pdf"), ("Über.pdf", "Über.pdf")],
)
def test_only_the_last_part_of_a_name_is_kept(name: str, clean: str) -> None:
    assert findings.clean_name(name) == clean


@given(st.text(max_size=200), st.binary(max_size=100))
def test_any_name_and_bytes_are_a_type_of_the_list_or_a_refusal(name: str, content: bytes) -> None:
    try:
        made = findings.media_type_of(findings.clean_name(name), content)
    except Invalid as refusal:
        assert refusal.field == "attachment"  # noqa: PT017
    else:
        assert made in {media_type for media_type, _ in findings.KINDS.values()}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("title: T", "instructions"),
        ("title: ''\n      instructions: I", "title"),
        ("title: T\n      instructions: I\n      role: king", "role"),
        ("title: T\n      instructions: I\n      colour: red", "colour"),
    ],
)
def test_a_policy_without_what_the_check_needs_is_not_adopted(house: object, params: str, said: str) -> None:
    document = POLICY.replace(
        """title: Conceptual soundness
      instructions: Read the design document. Is the method right for its use?""",
        params,
    )
    with pytest.raises(Invalid, match=said):
        make.policy(document)


def test_a_limit_on_it_is_refused_since_it_has_no_figures(house: object) -> None:
    with pytest.raises(Invalid, match="no figure"):
        make.policy(POLICY.replace("card: [", "    require: {verdict: {ge: 1}}\ncard: ["))


def test_a_recheck_says_that_a_person_found_it(
    awaited: CheckRun, validator: User, capsys: pytest.CaptureFixture[str]
) -> None:
    run = record(awaited, validator, attachment=file())
    make.integrate()
    assert main([str(run.pk)]) == 3
    assert "a person's finding" in capsys.readouterr().out
