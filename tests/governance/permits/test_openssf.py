"""OpenSSF signatures over what a permit allows: only while it is in force, over every file, and on record."""

import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import CommandError, call_command
from model_signing import verifying

from governance.models import Permit, PromotionRequest
from governance.permits import openssf
from governance.services import permits
from registry.digests import SealedFile
from registry.formats import model_signing
from registry.models import User
from registry.storage import blobs
from tests.factories import governance as make
from tests.registry.formats.signed_models import private, public

pytestmark = pytest.mark.django_db
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def permit(ready: PromotionRequest, approvers: list[User]) -> Permit:
    make.approve(ready, approvers)
    return Permit.objects.get()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    (tmp_path / "key.pem").write_bytes(private(KEY))
    (tmp_path / "key.pub").write_bytes(public(KEY))
    return tmp_path / "key.pem"


def test_what_is_signed_is_what_is_permitted_and_the_reference_accepts_it(
    permit: Permit, key: Path, tmp_path: Path
) -> None:
    call_command("sign_openssf", str(permit.pk), "--key", str(key), "--out", str(tmp_path / "model.sig"), verbosity=0)
    assert permit.version.manifest is not None
    files = [SealedFile(one.path, one.blob.size, one.blob_id) for one in permit.version.manifest.files.all()]
    model = blobs().local_directory(files, tmp_path / "model")
    verifying.Config().use_elliptic_key_verifier(public_key=key.with_name("key.pub")).verify(
        model, tmp_path / "model.sig"
    )
    _, statement = model_signing.read((tmp_path / "model.sig").read_bytes())
    assert statement.root == openssf.root({file.path: file.sha256 for file in files})
    [entry] = [entry for entry in make.log() if entry["action"] == "permit.openssf_signed"]
    assert (entry["object"]["id"], entry["facts"]["root_digest"]) == (str(permit.pk), statement.root)


def test_nothing_is_signed_over_what_is_permitted_no_more(
    permit: Permit, approvers: list[User], key: Path, tmp_path: Path
) -> None:
    permits.revoke(permit=permit, reason="It drifted.", by=make.actor(approvers[0]))
    with pytest.raises(CommandError, match="The permit is revoked"):
        call_command("sign_openssf", str(permit.pk), "--key", str(key), "--out", str(tmp_path / "model.sig"))
    assert not (tmp_path / "model.sig").exists()
    assert not [entry for entry in make.log() if entry["action"] == "permit.openssf_signed"]


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_cannot_be_used_is_an_error_in_words(permit: Permit, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_bytes(content)
    with pytest.raises(CommandError):
        call_command("sign_openssf", str(permit.pk), "--key", str(tmp_path / "bad.pem"), "--out", str(tmp_path / "x"))
    with pytest.raises(CommandError):
        call_command("sign_openssf", str(permit.pk), "--key", str(tmp_path / "none.pem"), "--out", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_without_the_extra_it_says_what_is_missing(
    permit: Permit, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(CommandError, match="the extra `signing`"):
        call_command("sign_openssf", str(permit.pk), "--key", str(key), "--out", str(tmp_path / "x"))
