"""A finding in the evidence bundle: judged by the verifier that auditors run, like any other result."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from governance.models import CheckRun, PromotionRequest
from governance.recheck_cli import main
from governance.services import evidence, findings
from governance.services.findings import Attachment
from registry.models import User
from tests.factories import governance as make
from tests.governance.bundle.conftest import Verify, members_of, verify

__all__ = ["verify"]

pytestmark = pytest.mark.django_db

PDF = b"%PDF-1.7 a memo"


def test_result_and_file_are_members_and_the_verifier_accepts_them(
    awaited: CheckRun, validator: User, approvers: list[User], verify: Verify
) -> None:
    run = findings.record(
        run_id=awaited.pk,
        finding="pass",
        words="The method is right.",
        attachment=Attachment("memo.pdf", io.BytesIO(PDF)),
        by=make.actor(validator),
    )
    approved = make.approve(PromotionRequest.objects.get(pk=run.request_id), approvers)
    make.integrate()
    content = evidence.bundle_bytes(request=approved, by=make.actor(approvers[0]))
    verify(content)
    members = members_of(content)
    result = json.loads(members[f"checks/{run.result_digest}.json"])
    assert result["findings"] == ["The method is right."]
    (file,) = result["files"]
    assert members[f"checks/files/{file['sha256']}"] == PDF


def test_a_file_that_is_a_sealed_hold_out_is_left_out_and_said_to_be(
    awaited: CheckRun, validator: User, scientist: User, approvers: list[User], verify: Verify
) -> None:
    """Whoever attached it had the rows; the bundle does not hand them on, and its verifier knows that they are missing."""
    run = findings.record(
        run_id=awaited.pk,
        finding="pass",
        words="The rows that I looked at are attached.",
        attachment=Attachment("rows.pdf", io.BytesIO(PDF)),
        by=make.actor(validator),
    )
    held_out = make.dataset(scientist, PDF, role="holdout")
    approved = make.approve(PromotionRequest.objects.get(pk=run.request_id), approvers)
    make.integrate()
    content = evidence.bundle_bytes(request=approved, by=make.actor(approvers[0]))
    members = members_of(content)
    assert f"checks/files/{held_out.digest}" not in members
    assert PDF not in members.values()
    assert json.loads(members["left-out.json"]) == [
        {
            "what": f"checks/files/{held_out.digest}",
            "sha256": held_out.digest,
            "why": "It is the bytes of a sealed hold-out, which only the worker opens.",
        }
    ]
    assert f"left out: checks/files/{held_out.digest}: It is the bytes of a sealed hold-out" in verify(content)


def test_a_bundle_whose_results_were_changed_is_not_rechecked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr(f"checks/{'0' * 64}.json", b"{}")
    assert main([str(path)]) == 2
    assert "was changed" in capsys.readouterr().err
