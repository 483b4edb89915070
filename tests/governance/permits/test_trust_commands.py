"""``countersign trust …``: from new keys to the third version, and what it refuses on the way."""

import base64
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from config.cli import main
from governance.permits import keyfiles, signed, trust
from tests.governance.permits.made import NOW


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two keys of permits and the log's, public halves; ``root1.json`` signed by two new offline keys."""
    monkeypatch.chdir(tmp_path)
    for name in ("issuer", "countersigner", "third"):
        keyfiles.make(tmp_path / f"{name}.pem")
    public = Ed25519PrivateKey.generate().public_key()
    Path("log.pub").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert init() == 0
    return tmp_path


def init(*more: str) -> int:
    keys = ("--root-key", "r1.pem", "--root-key", "r2.pem", "--ledger-key", "log.pub")
    signers = ("--permit-key", "issuer.pem.pub", "--permit-key", "countersigner.pem.pub")
    return main(["trust", "init", "root1.json", *keys, *signers, *more])


def key_id(name: str) -> str:
    return signed.fingerprint(keyfiles.public(Path(name)))


def test_a_root_is_made_signed_and_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trust", "show", "root1.json"]) == 0
    said = capsys.readouterr().out
    assert "signatures of its own root keys: 2 of 2" in said
    assert "HOLDS: version 1" in said
    assert Path("r1.pem").stat().st_mode & 0o077 == 0


def test_an_offline_key_and_a_signer_are_rotated_out_with_the_threshold_of_both(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keyfiles.make(folder / "r3.pem")
    changes = ["--add", "root=r3.pem.pub", "--remove", f"root={key_id('r1.pem.pub')[:12]}"]
    changes += ["--add", "permit=third.pem.pub", "--remove", f"permit={key_id('issuer.pem.pub')[:12]}"]
    assert main(["trust", "rotate", "root1.json", "root2.json", *changes]) == 0
    assert main(["trust", "show", "root1.json", "root2.json"]) == 1
    assert "asked of the keys before it" in capsys.readouterr().err
    assert main(["trust", "sign", "root2.json", "--key", "r1.pem", "--key", "r2.pem", "--previous", "root1.json"]) == 0
    assert "its own root keys: 1 of 2" in capsys.readouterr().out
    assert main(["trust", "sign", "root2.json", "--key", "r3.pem"]) == 0
    assert main(["trust", "show", "root1.json", "root2.json"]) == 0
    assert main(["trust", "show", "root2.json"]) == 0
    made = trust.read(Path("root2.json").read_text())
    assert key_id("issuer.pem.pub") not in made["roles"]["permit"]["keyids"]
    assert key_id("issuer.pem.pub") in made["keys"], "it still signs status lists until it is removed there, too"


def test_keys_are_added_to_a_draft_and_not_to_what_is_signed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add = ["trust", "add-key", "root1.json", "third.pem.pub", "--role", "permit"]
    assert main(add) == 1
    assert "what is signed stays as it is" in capsys.readouterr().err
    assert main(["trust", "rotate", "root1.json", "root2.json"]) == 0
    add[2] = "root2.json"
    assert main([*add, "--threshold", "3"]) == 0
    assert trust.read(Path("root2.json").read_text())["roles"]["permit"]["threshold"] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threshold", "permit=1"], "threshold of the role 'permit' cannot stand"),
        (["--remove", "permit=zz"], "0 keys of the role 'permit' begin with 'zz'"),
        (["--add", "permit=r1.pem.pub"], "offline root key has the role 'permit'"),
        (["--add", "nonsense=third.pem.pub"], "there is no role 'nonsense'"),
        (["--add", "permit"], "not of the form ROLE=VALUE"),
        (["--quorum", "1"], "quorum of witnesses cannot be met"),
    ],
)
def test_a_change_that_could_not_stand_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["trust", "rotate", "root1.json", "root2.json", *arguments]) == 1
    assert words in capsys.readouterr().err
    assert not Path("root2.json").exists()


def test_files_that_are_not_what_they_should_be(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trust", "sign", "root1.json", "--key", "log.pub"]) == 2
    assert main(["trust", "show", "nowhere.json"]) == 2
    Path("junk.json").write_text("[]")
    assert main(["trust", "show", "junk.json"]) == 1
    assert "no JSON object" in capsys.readouterr().err
    assert main(["trust", "sign", "root1.json", "--key", "third.pem", "--previous", "root1.json"]) == 1
    assert "root key neither of this version nor of the one before" in capsys.readouterr().err


def test_one_permit_key_is_too_few(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["--root-key", "r1.pem", "--ledger-key", "log.pub", "--permit-key", "issuer.pem.pub"]
    assert main(["trust", "init", "one.json", *keys]) == 1
    assert "threshold of the role 'permit' cannot stand" in capsys.readouterr().err


def test_openssl_signs_a_root_as_well_for_a_key_in_hardware(folder: Path) -> None:
    # What a PKCS#11 token would do: openssl signs the pre-authentication encoding, and the signature is put in.
    assert main(["trust", "rotate", "root1.json", "root2.json"]) == 0
    envelope = json.loads(Path("root2.json").read_text())
    _, encoded, _ = signed.opened(envelope, signed.ROOT, "it")
    Path("pae").write_bytes(encoded)
    for name in ("r1", "r2"):
        command = ["openssl", "dgst", "-sha256", "-sign", f"{name}.pem", "-out", "sig", "pae"]
        subprocess.run(command, check=True, capture_output=True)
        signature = base64.b64encode(Path("sig").read_bytes()).decode()
        envelope["signatures"].append({"keyid": key_id(f"{name}.pem.pub"), "sig": signature})
    chain = [Path("root1.json").read_text(), json.dumps(envelope)]
    assert trust.walk(chain, now=NOW)["version"] == 2
