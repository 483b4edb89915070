"""Forged bundles: whoever has a genuine one and no key of ours must not be able to make another that verifies."""

import hashlib
import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from audit import keys
from audit.exports import bundle
from governance.models import Permit, PromotionRequest
from governance.services import evidence, permits
from registry.models import User
from registry.services.lineage import CodeInput, LineageInput, record
from tests.factories import governance as make

pytestmark = pytest.mark.django_db
VERIFIER = Path(bundle.__file__).with_name("verify.py")
Members = dict[str, bytes]


def opened(content: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def repacked(content: bytes, change: Callable[[Members], object]) -> bytes:
    """The bundle with its members changed and a manifest that agrees."""
    members = opened(content)
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


@pytest.fixture
def genuine(scientist: User, approvers: list[User], checking: PromotionRequest) -> bytes:
    """The bundle of an approval, with lineage."""
    record(version=checking.version, inputs=LineageInput(code=CodeInput(commit="0123456789")), by=make.actor(scientist))
    approved = make.approve(make.finish_all(checking), approvers)
    make.integrate()
    return evidence.bundle_bytes(request=approved, by=make.actor(scientist))


def named(members: Members, room: str) -> str:
    return next(name for name in members if name.startswith(f"{room}/"))


def told(name: str, value: object) -> Callable[[Members], object]:
    def change(members: Members) -> None:
        place = named(members, "requests")
        members[place] = json.dumps({**json.loads(members[place]), name: value}).encode()

    return change


def other(room: str, data: bytes) -> Callable[[Members], object]:
    """The member of a room, under its own name, with other content; or under the name that the content has."""

    def change(members: Members) -> None:
        members[named(members, room)] = data

    return change


def added(room: str, data: bytes) -> Callable[[Members], object]:
    return lambda members: members.update({f"{room}/{hashlib.sha256(data).hexdigest()}.json": data})


def test_the_genuine_one_verifies(genuine: bytes, tmp_path: Path) -> None:
    code, said = verify(genuine, tmp_path)
    assert code == 0, said
    assert "since then" not in said


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (other("lineage", b"{}"), "other content than its name says"),
        (lambda m: m.pop(named(m, "lineage")), "which the evidence snapshot names, is neither here"),
        (lambda m: m.pop(named(m, "cards")), "which the evidence snapshot names, is neither here"),
        (lambda m: m.pop(named(m, "checks")), "is neither here nor said to be left out"),
        (lambda m: m.pop(named(m, "snapshots")), "is neither here nor said to be left out"),
        (added("checks", b"{}"), "no entry of the log here leads to it"),
        (added("decisions", b'{"person":"user:1"}'), "no entry of the log here leads to it"),
        (told("state", "rejected"), "another state than the log"),
        (told("ref", "REQ-9999"), "another ref than the log"),
        (told("target", "alias:everywhere"), "another target than the log"),
        (told("events", []), "another events than the log"),
        (told("approved_by", "the board"), "another approved_by than the log"),
        (lambda m: m.update({"approval-by-the-board.pdf": b"%PDF"}), "nothing that a bundle has"),
        (lambda m: m.update({"decisions/a/b.json": b"{}"}), "nothing that a bundle has"),
        (lambda m: m.pop("trust/roots.json"), "no trust root"),
        (lambda m: m.update({"trust/roots.json": b"[]"}), "trust/roots.json is empty"),
        (lambda m: m.pop(named(m, "permits")), "is missing"),
        (lambda m: m.update({"question.json": b'{"kind":"model","log_size":1,"model":"1"}'}), "asks something else"),
    ],
)  # fmt: skip
def test_what_nobody_signed_is_refused(
    genuine: bytes, tmp_path: Path, change: Callable[[Members], object], complaint: str
) -> None:
    code, said = verify(repacked(genuine, change), tmp_path)
    assert code == 1, said
    assert complaint in said


def test_one_of_two_signatures_of_the_permit_does_not_do(genuine: bytes, tmp_path: Path) -> None:
    def alone(members: Members) -> None:
        place = named(members, "permits")
        envelope = json.loads(members[place])
        members[place] = json.dumps({**envelope, "signatures": envelope["signatures"][:1]}).encode()

    def doubled(members: Members) -> None:
        place = named(members, "permits")
        envelope = json.loads(members[place])
        members[place] = json.dumps({**envelope, "signatures": envelope["signatures"][:1] * 2}).encode()

    for change in (alone, doubled):
        code, said = verify(repacked(genuine, change), tmp_path)
        assert (code, "has 1 of 2 signatures that count" in said) == (1, True), said


def test_a_permit_that_was_revoked_since_is_said_to_be(genuine: bytes, approvers: list[User], tmp_path: Path) -> None:
    permit = Permit.objects.get()
    permits.revoke(permit=permit, reason="The data was wrong.", by=make.actor(approvers[0]))
    make.integrate()
    code, said = verify(evidence.bundle_bytes(request=permit.request, by=make.actor(approvers[0])), tmp_path)
    assert code == 0, said
    assert "since then: permit.revoked" in said


# The archive itself. Whoever can make two programs see different members can show one bundle to the verifier and
# another to the reader.


def deflated(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in opened(content).items():
            archive.writestr(name, data)
    return out.getvalue()


def with_more(content: bytes, info: zipfile.ZipInfo, data: bytes = b"x") -> bytes:
    out = io.BytesIO(content)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(info, data)
    return out.getvalue()


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("requests/link.json")
    info.external_attr = 0o120777 << 16
    return info


def central(content: bytes, name: str, offset: int, value: bytes) -> bytes:
    """Overwrite a field of a member's record in the central directory."""
    place = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode()))
    return content[: place + offset] + value + content[place + offset + len(value) :]


def local(content: bytes, name: str, offset: int, value: bytes) -> bytes:
    """Overwrite a field in front of a member."""
    place = content.rindex(b"PK\x03\x04", 0, content.index(name.encode()) + 1)
    return content[: place + offset] + value + content[place + offset + len(value) :]


def zip64_lie(content: bytes) -> bytes:
    """A ZIP64 end that tells of another directory than the plain one."""
    end = content.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", content[end + 16 : end + 20])[0]
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, end - start, start)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    return content[:end] + record + locator + content[end:]


@pytest.mark.parametrize(
    ("trap", "complaint"),
    [
        (deflated, "is compressed"),
        (lambda c: with_more(c, link()), "no plain file but a link"),
        (lambda c: with_more(c, zipfile.ZipInfo("../evil")), "unsafe name"),
        (lambda c: with_more(c, zipfile.ZipInfo("/etc/passwd")), "unsafe name"),
        (lambda c: with_more(c, zipfile.ZipInfo("requests/")), "unsafe name"),
        (lambda c: with_more(c, zipfile.ZipInfo("a\\b")), "unsafe name"),
        (lambda c: b"MZ a program in front" + c, "bytes that are no member|has no header|Bad"),
        (lambda c: c + b"trailing", "something is behind or between"),
        (lambda c: c[:-2] + struct.pack("<H", 4) + b"note", "has a comment"),
        (lambda c: local(c, "README.txt", 30, b"REEDME.txt"), "another name in front of it|differ"),
        (lambda c: local(c, "README.txt", 14, b"\0\0\0\0"), "two different headers"),
        (lambda c: local(c, "README.txt", 22, b"\1\0\0\0"), "two different headers"),
        (lambda c: central(c, "verify.py", 8, b"\x01\x00"), "encrypted"),
        (lambda c: central(c, "verify.py", 42, b"\0\0\0\0"), "members overlap|Overlapped|differ"),
        (lambda c: central(c, "verify.py", 20, b"\xff\xff\xff\x7f\xff\xff\xff\x7f"), "larger than 256 MiB"),
        (zip64_lie, "something is behind or between"),
        (lambda c: c[: len(c) // 2], "CANNOT READ"),
        (lambda _: b"", "CANNOT READ"),
        (lambda _: b"no zip", "CANNOT READ"),
    ],
)
def test_an_archive_that_two_programs_could_read_differently_is_refused(
    genuine: bytes, tmp_path: Path, trap: Callable[[bytes], bytes], complaint: str
) -> None:
    code, said = verify(trap(genuine), tmp_path)
    assert code in {1, 2}, said
    assert any(part in said for part in complaint.split("|")), said
    assert "VERIFIED" not in said


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"format":1,"format":2}', "repeats a key"),
        (b'{"format":"x","kind":"log"}', "unknown format"),
        (b'{"format":"countersign-bundle/2","kind":"x"}', "unknown kind"),
        (b'{"format":"countersign-bundle/2","kind":"log"}', "malformed"),
    ],
)
def test_a_hostile_manifest_is_refused(genuine: bytes, tmp_path: Path, text: bytes, complaint: str) -> None:
    members = opened(genuine)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {**members, "manifest.json": text}.items():
            archive.writestr(name, data)
    code, said = verify(out.getvalue(), tmp_path)
    assert code == 1, said
    assert complaint in said
