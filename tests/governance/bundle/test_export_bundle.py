"""The evidence bundle of a real approval, judged by the verifier that auditors run (invariant 16)."""

import io
import json
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from audit import keys, sequencer
from audit.exports import bundle
from audit.guard import Guard
from audit.models import Inbox
from config.errors import Conflict, NotFound
from governance.models import PromotionRequest
from governance.services import evidence, permits, promotions, waivers
from registry.models import User
from tests.factories import governance as make

pytestmark = pytest.mark.django_db
VERIFIER = Path(bundle.__file__).with_name("verify.py")


def sequence(tmp_path: Path) -> None:
    """Give every change its place in the log, as the sequencer process does."""
    sequencer.run_once(key=keys.ledger_key(), guard=Guard(tmp_path / "guard.json", adopt=True))


def verify(content: bytes, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "bundle.zip"
    path.write_bytes(content)
    return subprocess.run([sys.executable, str(VERIFIER), str(path)], capture_output=True, text=True, check=False)


@pytest.fixture
def approved(ready: PromotionRequest, approvers: list[User]) -> PromotionRequest:
    """A request with its permit."""
    return make.approve(ready, approvers)


def test_the_verifier_accepts_what_the_server_calls_active(
    approved: PromotionRequest, approvers: list[User], tmp_path: Path
) -> None:
    sequence(tmp_path)
    done = verify(evidence.bundle_bytes(request=approved, by=make.actor(approvers[0])), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "quorum complete" in done.stdout
    assert json.loads(Inbox.objects.get().canon)["action"] == "evidence.exported"


def test_it_accepts_a_second_round_and_a_waiver(
    checking: PromotionRequest, scientist: User, approvers: list[User], tmp_path: Path
) -> None:
    failed = make.finish_all(checking, auc=0.5)
    again = promotions.run_again(request=failed, by=make.actor(scientist))
    run = again.checks.get(key="performance.binary", round=2)
    until = timezone.now() + timedelta(days=9)
    waiver = waivers.ask(request=again, check_run_id=run.pk, reason="Known.", until=until, by=make.actor(scientist))
    for approver in approvers:
        waivers.sign(waiver_id=waiver.pk, password=make.PASSWORD, by=make.actor(approver))
    approved = make.approve(again, approvers)
    sequence(tmp_path)
    done = verify(evidence.bundle_bytes(request=approved, by=make.actor(scientist)), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "member", ["artifact/manifest.json", "policy/policy.yaml", "evidence/snapshot.json", "permit/permit.dsse.json"]
)
def test_it_refuses_a_bundle_with_one_member_changed(
    approved: PromotionRequest, approvers: list[User], tmp_path: Path, member: str
) -> None:
    sequence(tmp_path)
    content = evidence.bundle_bytes(request=approved, by=make.actor(approvers[0]))
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b"0", b"1", 1) if name == member else data)
    assert verify(changed.getvalue(), tmp_path).returncode == 1


def test_before_the_log_has_the_signature_there_is_no_bundle(approved: PromotionRequest, approvers: list[User]) -> None:
    with pytest.raises(Conflict) as caught:
        evidence.bundle_bytes(request=approved, by=make.actor(approvers[0]))
    assert caught.value.code == "evidence.not_sequenced"


def test_without_a_permit_there_is_nothing_to_prove(ready: PromotionRequest, approvers: list[User]) -> None:
    with pytest.raises(Conflict) as caught:
        evidence.bundle_bytes(request=ready, by=make.actor(approvers[0]))
    assert caught.value.code == "evidence.no_permit"


def test_a_stranger_gets_404(approved: PromotionRequest) -> None:
    with pytest.raises(NotFound):
        evidence.bundle_bytes(request=approved, by=make.actor(make.person("stranger")))


def test_a_revoked_permit_still_proves_what_was_allowed_then(
    approved: PromotionRequest, approvers: list[User], tmp_path: Path
) -> None:
    permits.revoke(permit=approved.permit, reason="Wrong data.", by=make.actor(approvers[0]))
    sequence(tmp_path)
    content = evidence.bundle_bytes(request=approved, by=make.actor(approvers[0]))
    assert verify(content, tmp_path).returncode == 0
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert json.loads(archive.read("request.json"))["permit_state_at_export"] == "revoked"
