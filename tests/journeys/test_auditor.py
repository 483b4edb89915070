"""The auditor's journey: is the log whole, who touched it, does the bundle hold without us."""

import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.journeys.doors import signed_in
from tests.journeys.house import ROOT, House

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
PROGRAM = ROOT / "audit" / "exports" / "verify.py"


@pytest.fixture(scope="module")
def bundle(house: House, signed: str) -> bytes:
    """The evidence of the signed request, downloaded from its page."""
    with signed_in(house, "auditor-1") as browser:
        return browser.download(f"/requests/{signed}/evidence.zip")


def verify(folder: Path, bundle: bytes, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run the program of the release, isolated from this project and from the network of variables around it."""
    path = folder / "bundle.zip"
    path.write_bytes(bundle)
    command = [sys.executable, "-I", str(PROGRAM), str(path), *options]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, check=False)


def test_the_bundle_verifies_with_a_key_from_elsewhere(house: House, bundle: bytes, tmp_path: Path) -> None:
    told = verify(tmp_path, bundle, "--key", str(house.data_dir / "keys" / "ledger.ed25519.pub.pem"))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "VERIFIED" in told.stdout
    assert any(name.startswith("lineage/") for name in zipfile.ZipFile(io.BytesIO(bundle)).namelist())


def test_a_key_of_somebody_else_does_not_do(house: House, bundle: bytes, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "k"], check=True)  # noqa: S607
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "k", "-pubout", "-out", other], check=True)  # noqa: S607
    told = verify(tmp_path, bundle, "--key", str(other))
    assert told.returncode == 1
    assert "VERIFIED" not in told.stdout


def test_one_changed_byte_is_refused_and_its_member_named(bundle: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, content in members.items():
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for other, kept in members.items():
                archive.writestr(other, bytes(changed) if other == name else kept)
        told = verify(tmp_path, out.getvalue())
        assert told.returncode != 0, name
        named = "manifest" if name == "manifest.json" else name
        assert named in told.stderr, (name, told.stderr)


def test_the_log_is_whole_and_a_forger_with_every_right_is_found(house: House, signed: str) -> None:
    sound = house.manage("audit_verify")
    assert sound.returncode == 0, sound.stdout
    assert "Sound:" in sound.stdout

    with house.superuser() as server:
        found = server.execute("SELECT index, canon FROM audit_entry WHERE action = 'decision.signed' ORDER BY index")
        index, canon = found.fetchall()[0]
    forged = re.sub(r'"user:\d+"', '"user:999"', str(canon))  # somebody else signed it, says the forger
    assert forged != canon
    _rewrite(house, int(str(index)), forged)
    try:
        broken = house.manage("audit_verify")
    finally:
        _rewrite(house, int(str(index)), str(canon))
    assert broken.returncode == 1, broken.stdout
    assert _names(broken.stdout, int(str(index))), broken.stdout
    assert "BROKEN" in broken.stdout
    assert house.manage("audit_verify").returncode == 0, "what was put back is whole again"


def _names(told: str, index: int) -> bool:
    """Whether the report names the entry; in the newest block of 256 it names the batch that was signed together."""
    batches = re.findall(r"entries (\d+) to (\d+), or", told)
    return f"entry {index}:" in told or any(int(first) <= index <= int(last) for first, last in batches)


def _rewrite(house: House, index: int, canon: str) -> None:
    """As a superuser who switches the protection off, writes, and switches it on again so that nobody sees."""
    with house.superuser() as server:
        triggers = server.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'audit_entry'::regclass AND NOT tgisinternal"
        ).fetchall()
        server.execute("ALTER TABLE audit_entry DISABLE TRIGGER USER")
        server.execute("UPDATE audit_entry SET canon = %s WHERE index = %s", [canon, index])
        for (name,) in triggers:
            server.execute(f'ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER "{name}"')
