"""The evidence bundle of real requests, judged by the verifier that auditors run (invariant 16)."""

import hashlib
import io
import json
from datetime import timedelta

import pytest
from django.utils import timezone
from guardian.shortcuts import assign_perm

from audit.actors import SYSTEM
from audit.models import Entry, Inbox
from config.errors import Conflict, NotAllowed, NotFound
from governance.bundles import questions
from governance.bundles.rooms import Damaged
from governance.models import CheckRun, Decision, PromotionRequest
from governance.services import evidence, permits, policies, promotions, waivers
from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from registry.services import catalog, versions
from registry.services.lineage import CodeInput, LineageInput, record
from registry.storage import blobs
from tests.factories import governance as make
from tests.governance.bundle.conftest import Verify, members_of, told

pytestmark = pytest.mark.django_db


def taken(request: PromotionRequest, by: User) -> bytes:
    """The bundle after everything was given its place in the log."""
    make.integrate()
    return evidence.bundle_bytes(request=request, by=make.actor(by))


def test_the_verifier_accepts_what_the_server_calls_active(
    approved: PromotionRequest, approvers: list[User], verify: Verify
) -> None:
    said = verify(taken(approved, approvers[0]))
    assert "the quorum is complete, as policies/" in said
    assert "itself asks: 2 approver" in said
    assert f"for {approved.target}, signed by 2 distinct keys of version 1 of the trust root IN THE BUNDLE" in said
    logged = json.loads(Inbox.objects.get().canon)
    assert logged["action"] == "evidence.exported"
    assert logged["facts"]["log_size"] == Entry.objects.count()


def test_the_digest_of_what_left_is_logged(approved: PromotionRequest, approvers: list[User]) -> None:
    content = taken(approved, approvers[0])
    assert json.loads(Inbox.objects.get().canon)["facts"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_it_accepts_a_second_round_and_a_waiver(
    checking: PromotionRequest, scientist: User, approvers: list[User], verify: Verify
) -> None:
    failed = make.finish_all(checking, auc=0.5)
    again = promotions.run_again(request=failed, by=make.actor(scientist))
    run = again.checks.get(key="performance.binary", round=2)
    until = timezone.now() + timedelta(days=9)
    waiver = waivers.ask(request=again, check_run_id=run.pk, reason="Known.", until=until, by=make.actor(scientist))
    for approver in approvers:
        waivers.sign(waiver_id=waiver.pk, password=make.PASSWORD, by=make.actor(approver))
    verify(taken(make.approve(again, approvers), scientist))


@pytest.mark.parametrize("state", ["checking", "checks_failed", "ready", "in_review", "rejected", "withdrawn"])
def test_every_state_has_its_bundle(
    state: str, checking: PromotionRequest, scientist: User, approvers: list[User], verify: Verify
) -> None:
    request = (
        checking if state == "checking" else make.finish_all(checking, auc=0.5 if state == "checks_failed" else 0.9)
    )
    if state == "in_review":
        make.sign(request, approvers[0])
    if state == "rejected":
        make.sign(request, approvers[0], Decision.Outcome.REJECT, comment="The data are old.")
    if state == "withdrawn":
        promotions.withdraw(request=request, by=make.actor(scientist), reason="A better one comes.")
    content = taken(request, scientist)
    said = verify(content)
    assert f": {state}\n" in said
    assert told(content, request)["state"] == state
    assert ("1 signatures" in said) is (state in {"in_review", "rejected"})
    assert ("permits/" in " ".join(members_of(content))) is False


def test_a_revoked_permit_still_proves_what_was_allowed_then(
    approved: PromotionRequest, approvers: list[User], verify: Verify
) -> None:
    permits.revoke(permit=approved.permit, reason="Wrong data.", by=make.actor(approvers[0]))
    assert "since then: permit.revoked" in verify(taken(approved, approvers[0]))


def test_the_same_question_at_the_same_checkpoint_has_the_same_answer_whatever_comes_after(
    approved: PromotionRequest, approvers: list[User], scientist: User
) -> None:
    make.integrate()
    size = Entry.objects.count()
    first = evidence.bundle_bytes(request=approved, by=make.actor(approvers[0]))  # and is itself logged
    promotions.comment(request=approved, text="Well done.", by=make.actor(scientist))
    catalog.update_model(model=approved.model, card={"intended_use": "Another."}, by=make.actor(scientist))
    permits.revoke(permit=approved.permit, reason="Wrong data.", by=make.actor(approvers[0]))
    make.integrate()
    again = evidence.bundle_bytes(request=approved, by=make.actor(scientist), size=size)
    assert again == first
    now = evidence.bundle_bytes(request=approved, by=make.actor(scientist))
    assert now != first
    actions = [one["action"] for one in told(now, approved)["events"]]
    assert actions[-2:] == ["evidence.exported", "promotion.commented"]


def test_the_card_of_the_day_is_there_though_it_changed(
    approved: PromotionRequest, scientist: User, approvers: list[User], verify: Verify
) -> None:
    catalog.update_model(model=approved.model, card={"intended_use": "Another."}, by=make.actor(scientist))
    content = taken(approved, scientist)
    verify(content)
    cards = [data for name, data in members_of(content).items() if name.startswith("cards/")]
    assert cards == [b'{"intended_use":"Tests."}']


def test_one_changed_byte_is_refused(approved: PromotionRequest, scientist: User, verify: Verify) -> None:
    content = bytearray(taken(approved, scientist))
    content[content.index(b"promotion.requested")] ^= 1
    assert "log/entries/000000.txt" in verify(bytes(content), code=2)


def test_before_the_log_has_the_signature_there_is_no_bundle(ready: PromotionRequest, approvers: list[User]) -> None:
    make.integrate()
    make.sign(ready, approvers[0])
    with pytest.raises(Conflict) as caught:
        evidence.bundle_bytes(request=ready, by=make.actor(approvers[0]))
    assert caught.value.code == "evidence.not_sequenced"


def test_a_stranger_gets_404(approved: PromotionRequest) -> None:
    stranger = make.actor(make.person("stranger"))
    with pytest.raises(NotFound):
        evidence.bundle_bytes(request=approved, by=stranger)
    with pytest.raises(NotFound):
        evidence.export_version(version=approved.version, by=stranger, out=io.BytesIO())
    with pytest.raises(NotFound):
        evidence.export_model(model=approved.model, by=stranger, out=io.BytesIO())
    assert not Inbox.objects.filter(canon__contains="evidence.exported").exists()


def test_a_version_and_a_model_bring_all_their_requests_and_names(
    approved: PromotionRequest, model: RegisteredModel, scientist: User, approvers: list[User], verify: Verify
) -> None:
    second = make.finish_all(make.request(make.sealed_version(model, scientist), scientist))
    make.sign(second, approvers[0], Decision.Outcome.REJECT, comment="No better.")
    catalog.update_model(model=model, description="Two versions.", by=make.actor(scientist))
    for one in (approved.version, second.version):
        versions.set_version_tag(version=one, key="seen", value="yes", by=make.actor(scientist))
    make.integrate()
    out = io.BytesIO()
    evidence.export_version(version=approved.version, by=make.actor(scientist), out=out)
    said = verify(out.getvalue())
    assert approved.ref in said
    assert second.ref not in said
    assert "registry.alias" in said
    out = io.BytesIO()
    evidence.export_model(model=model, by=make.actor(scientist), out=out)
    said = verify(out.getvalue())
    assert approved.ref in said
    assert f"{second.ref} ({second.pk})" in said
    assert ": rejected" in said


def test_a_period_is_complete_and_for_auditors_only(
    approved: PromotionRequest, scientist: User, verify: Verify
) -> None:
    make.integrate()
    auditor = make.person("auditor", Role.AUDITOR)
    moments = list(Entry.objects.order_by("index").values_list("at", flat=True))
    question = questions.about_period(auditor, moments[2], moments[-1])
    out = io.BytesIO()
    evidence.write(question, by=make.actor(auditor), out=out)
    said = verify(out.getvalue())
    assert f"every entry from 2 to {len(moments) - 2} is here: {len(moments) - 3}, none left out" in said
    with pytest.raises(NotAllowed):
        questions.about_period(scientist, moments[2], moments[-1])


def test_lineage_of_models_one_may_not_see_is_left_out_and_said_to_be(
    checking: PromotionRequest, scientist: User, approvers: list[User], verify: Verify
) -> None:
    base = make.sealed_version(make.registered_model(make.person("other"), name="secret-base"), make.person("other"))
    inputs = LineageInput(
        code=CodeInput(commit="0123456789"), base_models=(f"models:/{base.model.name}/{base.number}",)
    )
    record(version=checking.version, inputs=inputs, by=make.actor(scientist))
    approved = make.approve(make.finish_all(checking), approvers)
    narrow = make.person("narrow")
    assign_perm("registry.view_registeredmodel", narrow, approved.model)
    whole, part = taken(approved, approvers[0]), taken(approved, narrow)
    assert b"secret-base" in whole
    assert [name for name, data in members_of(part).items() if b"secret-base" in data] == []
    assert "left out" not in verify(whole)
    assert "left out: lineage/" in verify(part)


def test_a_policy_may_ask_for_independent_validators(
    version: ModelVersion, scientist: User, approvers: list[User], verify: Verify
) -> None:
    policies.adopt(document=make.VALIDATOR_THEN_APPROVER, by=SYSTEM)
    validator = make.person("validator", Role.VALIDATOR)
    request = make.finish_all(make.request(version, scientist))
    said = verify(taken(make.approve(request, [validator, approvers[0]]), scientist))
    assert "itself asks: 1 validator, 1 approver" in said


def test_evidence_that_was_changed_in_the_database_never_leaves_as_if_it_were_whole(
    approved: PromotionRequest, scientist: User
) -> None:
    run = CheckRun.objects.filter(request=approved, result_blob__isnull=False).first()
    assert run is not None
    assert run.result_blob_id is not None
    stored = blobs().path(run.result_blob_id)
    assert stored is not None
    stored.chmod(0o600)
    stored.write_bytes(b"{}")
    make.integrate()
    with pytest.raises(Damaged, match="Stored evidence was changed"):
        evidence.bundle_bytes(request=approved, by=make.actor(scientist))
