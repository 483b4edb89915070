"""Keys: made once, private, never overwritten."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import CommandError, call_command

from audit import keys


def test_both_pairs_are_made_and_the_private_ones_are_private(
    keys_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("ensure_keys")
    assert sorted(path.name for path in keys_dir.iterdir()) == [
        "ledger.ed25519.pem", "ledger.ed25519.pub.pem", "permit.p256.pem", "permit.p256.pub.pem",
    ]  # fmt: skip
    for name in (keys.LEDGER, keys.PERMIT):
        assert stat.S_IMODE((keys_dir / f"{name}.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(keys_dir.stat().st_mode) == 0o700
    assert keys.fingerprint(keys.ledger_key().public_key()) == keys.fingerprint(keys.ledger_public_key())
    assert isinstance(keys.permit_key().curve, ec.SECP256R1)
    assert keys.fingerprint(keys.ledger_public_key()) in capsys.readouterr().out


def test_a_key_that_exists_is_never_touched(keys_dir: Path) -> None:
    keys.ensure_keys(keys_dir)
    before = {path.name: path.read_bytes() for path in keys_dir.iterdir()}
    assert keys.ensure_keys(keys_dir) == []
    (keys_dir / "ledger.ed25519.pub.pem").unlink()
    assert keys.ensure_keys(keys_dir) == []
    assert {path.name: path.read_bytes() for path in keys_dir.iterdir()} == before


def test_a_lost_private_key_is_not_replaced_in_silence(keys_dir: Path) -> None:
    keys.ensure_keys(keys_dir)
    (keys_dir / "permit.p256.pem").unlink()
    with pytest.raises(CommandError, match=r"permit\.p256\.pem is gone: restore it"):
        call_command("ensure_keys")


def test_two_processes_at_once_agree_on_one_key(keys_dir: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: keys.ensure_keys(keys_dir), range(4)))
    assert keys.fingerprint(keys.ledger_key().public_key()) == keys.fingerprint(keys.ledger_public_key())
    assert not [path for path in keys_dir.iterdir() if path.name.startswith(".")]


def test_a_missing_or_wrong_key_is_named_with_the_remedy(keys_dir: Path) -> None:
    with pytest.raises(keys.KeyProblem, match=r"ledger\.ed25519\.pem: No such file.*ensure_keys"):
        keys.ledger_key()
    keys.ensure_keys(keys_dir)
    for kind in (".pem", ".pub.pem"):
        (keys_dir / f"permit.p256{kind}").rename(keys_dir / f"swapped{kind}")
        (keys_dir / f"ledger.ed25519{kind}").rename(keys_dir / f"permit.p256{kind}")
        (keys_dir / f"swapped{kind}").rename(keys_dir / f"ledger.ed25519{kind}")
    with pytest.raises(keys.KeyProblem, match="no Ed25519 key"):
        keys.ledger_key()
    with pytest.raises(keys.KeyProblem, match="no Ed25519 key"):
        keys.ledger_public_key()
    with pytest.raises(keys.KeyProblem, match="no ECDSA P-256 key"):
        keys.permit_key()
