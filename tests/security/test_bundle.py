"""Forged bundles: whoever has a genuine one and no key of ours must not be able to make another that verifies."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from audit import keys, sequencer
from audit.exports import bundle
from audit.guard import Guard
from governance.models import Permit, PromotionRequest
from governance.services import evidence, permits
from registry.models import User
from registry.services.lineage import CodeInput, LineageInput, record
from tests.factories import governance as make

pytestmark = pytest.mark.django_db
VERIFIER = Path(bundle.__file__).with_name("verify.py")
Members = dict[str, bytes]


def repacked(content: bytes, change: Callable[[Members], object]) -> bytes:
    """The bundle with its members changed and a manifest that agrees."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members)
    manifest["members"] = {n: {"sha256": hashlib.sha256(d).hexdigest(), "size": len(d)} for n, d in members.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {**members, "manifest.json": json.dumps(manifest).encode()}.items():
            archive.writestr(name, data)
    return out.getvalue()


def verify(content: bytes, folder: Path) -> tuple[int, str]:
    (folder / "bundle.zip").write_bytes(content)
    (folder / "key.pem").write_bytes(keys.public_pem(keys.ledger_public_key()))
    command = [sys.executable, "-I", str(VERIFIER), str(folder / "bundle.zip"), "--key", str(folder / "key.pem")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def sequence(folder: Path) -> None:
    sequencer.run_once(key=keys.ledger_key(), guard=Guard(folder / "guard.json", adopt=True))


@pytest.fixture
def genuine(scientist: User, approvers: list[User], checking: PromotionRequest, tmp_path: Path) -> bytes:
    """The bundle of an approval, with lineage."""
    record(version=checking.version, inputs=LineageInput(code=CodeInput(commit="0123456789")), by=make.actor(scientist))
    approved = make.approve(make.finish_all(checking), approvers)
    sequence(tmp_path)
    return evidence.bundle_bytes(request=approved, by=make.actor(scientist))


def told(name: str, value: object) -> Callable[[Members], object]:
    def change(members: Members) -> None:
        members["request.json"] = json.dumps({**json.loads(members["request.json"]), name: value}).encode()

    return change


def test_the_genuine_one_verifies(genuine: bytes, tmp_path: Path) -> None:
    code, said = verify(genuine, tmp_path)
    assert code == 0, said
    assert "since then" not in said


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.update({"lineage/prov.json": b"{}"}), "lineage/prov.json is not what the signers saw"),
        (lambda m: m.pop("lineage/prov.json"), "lineage/prov.json is not what the signers saw"),
        (told("model", "another"), "another model"),
        (told("version", 99), "another version"),
        (told("target", "alias:everywhere"), "another target"),
        (told("intended_use", "Everything."), "another intended_use"),
        (told("permit", "00000000-0000-0000-0000-000000000000"), "another permit"),
        (lambda m: m.update({"approval-by-the-board.pdf": b"%PDF"}), "nothing that a bundle has"),
        (lambda m: m.update({"decisions/a/b.json": b"{}"}), "nothing that a bundle has"),
    ],
    ids=["lineage", "no lineage", "model", "version", "target", "use", "permit", "stranger", "nested"],
)
def test_what_nobody_signed_is_refused(
    genuine: bytes, tmp_path: Path, change: Callable[[Members], object], complaint: str
) -> None:
    code, said = verify(repacked(genuine, change), tmp_path)
    assert code == 1, said
    assert complaint in said


def test_a_bomb_is_refused_before_it_is_unpacked(genuine: bytes, tmp_path: Path) -> None:
    out = io.BytesIO(genuine)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"checks/{number}", b"")
    data = bytearray(out.getvalue())
    for number in range(3):  # the sizes that the central directory claims
        place = data.rindex(b"PK\x01\x02", 0, data.rindex(f"checks/{number}".encode()))
        data[place + 24 : place + 28] = (2**30).to_bytes(4, "little")
    code, said = verify(bytes(data), tmp_path)
    assert code == 1
    assert "2 GiB together" in said


def test_a_permit_that_was_revoked_since_is_said_to_be(genuine: bytes, approvers: list[User], tmp_path: Path) -> None:
    permit = Permit.objects.get()
    permits.revoke(permit=permit, reason="The data was wrong.", by=make.actor(approvers[0]))
    sequence(tmp_path)
    code, said = verify(evidence.bundle_bytes(request=permit.request, by=make.actor(approvers[0])), tmp_path)
    assert code == 0, said
    assert "since then: permit.revoked" in said
