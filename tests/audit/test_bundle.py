"""The bundle, and the program an auditor runs on it: on what we wrote and on what was tampered with."""

import ast
import base64
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import keys, notes
from audit.canonical import canonical
from audit.exports import verify as program
from audit.exports.bundle import BadMember, write_bundle
from config.errors import NotFound
from tests.audit.promotion import Promotion, envelope, pack, sha256, unpack
from tests.factories.audit import integrate, touch

pytestmark = pytest.mark.django_db
Verify = Callable[[bytes], str]


@pytest.fixture(autouse=True)
def _keys(keys_dir: Path) -> None:
    keys.ensure_keys(keys_dir)


@pytest.fixture
def guard(tmp_path: Path) -> Path:
    return tmp_path / "guard.json"


@pytest.fixture
def verify(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Run the verifier's ``main`` in this process; return its complaint, or nothing."""

    def run(bundle: bytes) -> str:
        path = tmp_path / "bundle.zip"
        path.write_bytes(bundle)
        monkeypatch.setattr(sys, "argv", ["verify.py", str(path)])
        code = program.main()
        out, err = capsys.readouterr()
        assert (code == 0) is out.endswith("VERIFIED\n") is (err == "")
        return err

    return run


def test_the_program_accepts_what_we_wrote_and_says_what_it_proved(guard: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(Promotion().build(guard))
    script = tmp_path / "verify.py"
    script.write_bytes(unpack(bundle.read_bytes())["verify.py"])
    key = tmp_path / "ledger.pub.pem"
    key.write_bytes(keys.public_pem(keys.ledger_public_key()))
    done = subprocess.run(
        [sys.executable, "-I", str(script), str(bundle), "--key", str(key)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert "the key you gave" in done.stdout
    assert "signed by user:3, user:4, user:5" in done.stdout
    assert "governance.promotionrequest req-1: complete from number 1 to 4" in done.stdout
    assert "Not proved" in done.stdout
    assert done.stdout.endswith("VERIFIED\n")


def test_it_needs_the_standard_library_and_cryptography_only() -> None:
    script = (
        "import sys; before = set(sys.modules); import runpy; runpy.run_path(sys.argv[1]);"
        "print(sorted({m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, program.__file__], capture_output=True, text=True, check=True
    )
    assert set(ast.literal_eval(done.stdout)) <= {"cryptography", "_cffi_backend", "_openssl"}


def test_a_key_from_elsewhere_must_be_the_bundles(
    guard: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, key = tmp_path / "b.zip", tmp_path / "other.pem"
    path.write_bytes(Promotion().build(guard))
    key.write_bytes(keys.public_pem(Ed25519PrivateKey.generate().public_key()))
    with pytest.raises(program.Broken, match="another ledger key than yours"):
        program.verify(str(path), str(key))
    program.verify(str(path), None)
    assert "the key IN THE BUNDLE" in capsys.readouterr().out


def test_the_same_question_at_the_same_checkpoint_gives_the_same_bytes(guard: Path) -> None:
    Promotion().build(guard)
    outs = [io.BytesIO(), io.BytesIO()]
    for out in outs:
        write_bundle(out, members=[("b", b"2"), ("a", b"1")], entry_indices=[2, 0], kind="log")
    assert outs[0].getvalue() == outs[1].getvalue()
    assert unpack(outs[0].getvalue())["a"] == b"1"


def test_a_bundle_of_the_log_alone_verifies_and_admits_its_gaps(guard: Path, verify: Verify) -> None:
    Promotion().build(guard)
    out = io.BytesIO()
    write_bundle(out, members=[], entry_indices=[0, 2], kind="log")
    assert verify(out.getvalue()) == ""
    assert json.loads(unpack(out.getvalue())["log/proofs.json"])["streams"][0]["complete"] is False


MEMBERS = sorted(
    ["manifest.json", *program.LOG, *program.PROMOTION, "checks/performance.json", "decisions/d0.json",
     "decisions/d1.json",
     "decisions/d2.json", "lineage/prov.json", "checks/files"]
)  # fmt: skip


@pytest.mark.parametrize("member", MEMBERS)
def test_one_flipped_bit_in_any_member_is_noticed(guard: Path, verify: Verify, member: str) -> None:
    members = unpack(Promotion().build(guard))
    name = next(name for name in members if name.startswith(member))
    for place in {0, len(members[name]) // 2, len(members[name]) - 1}:
        data = bytearray(members[name])
        data[place] ^= 1
        assert verify(pack({**members, name: bytes(data)}, honest_manifest=False)) != ""


@pytest.mark.parametrize(
    "member", sorted(set(MEMBERS) - {"README.txt", "verify.py", "manifest.json", "lineage/prov.json"})
)
def test_one_flipped_bit_is_noticed_even_if_the_manifest_agrees(guard: Path, verify: Verify, member: str) -> None:
    members = unpack(Promotion().build(guard))
    name = next(name for name in members if name.startswith(member))
    data = bytearray(members[name])
    data[len(data) // 2] ^= 1
    assert verify(pack({**members, name: bytes(data)})) != ""


@pytest.mark.parametrize("member", sorted({*program.LOG, *program.PROMOTION, "manifest.json", "decisions/d0.json"}))
def test_a_missing_member_is_noticed(guard: Path, verify: Verify, member: str) -> None:
    members = unpack(Promotion().build(guard))
    del members[member]
    assert verify(pack(members)) != ""


def lines_of(members: dict[str, bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in members["log/entries.jsonl"].splitlines()]


def with_lines(members: dict[str, bytes], lines: list[dict[str, Any]]) -> dict[str, bytes]:
    proofs = json.loads(members["log/proofs.json"])
    proofs["proofs"] = {str(line["index"]): proofs["proofs"][str(line["index"])] for line in lines}
    text = b"".join(canonical(line) + b"\n" for line in lines)
    return {**members, "log/entries.jsonl": text, "log/proofs.json": canonical(proofs)}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda lines: lines[:1] + lines[2:], "missing or out of place"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "not in order"),
        (lambda lines: [lines[0], *lines], "occurs twice"),
        (lambda lines: [{**lines[0], "leaf": lines[1]["leaf"]}, *lines[1:]], "does not lead to the signed root"),
        (
            lambda lines: [*lines[:-1], {**lines[-1], "leaf": lines[-1]["leaf"].replace("user:5", "user:6")}],
            "does not lead",
        ),
        (lambda lines: lines[:-1], "streams do not match"),
    ],
)
def test_omitted_swapped_doubled_and_changed_entries_are_noticed(
    guard: Path, verify: Verify, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], complaint: str
) -> None:
    members = unpack(Promotion().build(guard))
    assert complaint in verify(pack(with_lines(members, change(lines_of(members)))))


def test_a_stream_cut_at_its_end_is_noticed_by_what_the_permit_needs(guard: Path, verify: Verify) -> None:
    members = with_lines(unpack(Promotion().build(guard)), [])
    assert verify(pack(members)) != ""


def test_a_checkpoint_by_somebody_elses_key_is_noticed(guard: Path, verify: Verify) -> None:
    members = unpack(Promotion().build(guard))
    text = members["log/checkpoint.txt"].decode().rpartition("\n\n")[0] + "\n"
    forged = notes.sign(text, text.split("\n")[0], Ed25519PrivateKey.generate())
    assert "not signed by the ledger key" in verify(pack({**members, "log/checkpoint.txt": forged.encode()}))


def test_a_permit_by_somebody_elses_key_is_noticed(guard: Path, verify: Verify) -> None:
    members = unpack(Promotion().build(guard))
    other = ec.generate_private_key(ec.SECP256R1())
    payload = base64.b64decode(json.loads(members["permit/permit.dsse.json"])["payload"])
    forged = {**members, "permit/permit.dsse.json": envelope(payload, other)}
    assert "a signature is wrong" in verify(pack(forged))
    forged["keys/permit.pub.pem"] = keys.public_pem(other.public_key())
    assert "another key_id" in verify(pack(forged))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (Promotion(signers=[(3, 0, "validator"), (4, 1, "approver")]), "stage 1 needs 2 approver, 1 signed"),
        (Promotion(signers=[(3, 0, "validator"), (4, 1, "approver"), (4, 1, "approver")]), "user:4 signed twice"),
        (Promotion(signers=[(3, 0, "validator"), (1, 1, "approver"), (5, 1, "approver")]), "user:1 signed, but is"),
        (Promotion(signers=[(2, 0, "validator"), (4, 1, "approver"), (5, 1, "approver")]), "user:2 signed, but is"),
        (Promotion(signers=[]), "names no quorum or no approvals"),
        (Promotion(quorum=[]), "names no quorum or no approvals"),
        (Promotion(quorum=[{"stage": 0, "role": "validator", "n": 0}]), "stage 0 needs 0"),
        (Promotion(outcome="reject"), "reject is no approval"),
        (Promotion(record_changes={"person": "user:9"}), "signed by another person than the log says"),
        (Promotion(record_changes={"manifest_digest": "00" * 32}), "signed for another manifest_digest"),
        (Promotion(record_changes={"evidence_digest": "00" * 32}), "signed for another evidence_digest"),
        (Promotion(fact_changes={"policy_digest": "00" * 32}), "signed for another policy_digest"),
        (Promotion(fact_changes={"request": "other"}), "signed for another request"),
        (Promotion(fact_changes={"record_digest": "00" * 32}), "the log has another digest of this record"),
        (Promotion(fact_changes={"role": "approver"}), "role differs"),
        (Promotion(opened_changes={"manifest_digest": "00" * 32}), "opened with another manifest_digest"),
        (Promotion(predicate_changes={"evidence_digest": "00" * 32}), "another evidence snapshot"),
        (Promotion(predicate_changes={"policy": {"name": "x", "digest": "00" * 32}}), "another policy"),
        (Promotion(predicate_changes={"permit": "other"}), "began governance.permit other is not here"),
        (Promotion(logged_changes={"payload_digest": "00" * 32}), "another payload_digest"),
        (Promotion(members={"artifact/manifest.json": b"{}"}), "another artifact"),
        (Promotion(members={"policy/policy.yaml": b"policy: lax\n"}), "another policy"),
        (Promotion(members={"request.json": b'{"id":"other"}'}), "another request"),
        (Promotion(members={"checks/fairness.json": b"{}"}), "check results and snapshot differ"),
        (Promotion(members={"checks/files/" + "0" * 64: b"x"}), "other content than its name"),
        (Promotion(members={f"checks/files/{sha256(b'x')}": b"x"}), "differ from those the results name"),
        (Promotion(members={"decisions/stray.json": b'{"person":"user:8"}'}), "stray.json is in no log entry"),
        (Promotion(subjects=[("governance.permit", "permit-1")]), "began governance.promotionrequest"),
        (Promotion(subjects=[("governance.permit", "permit-1")], indices=[0, 2, 3]), "the request is not complete"),
    ],
)  # fmt: skip
def test_a_promotion_that_broke_the_rules_is_refused_though_all_of_it_is_logged_and_signed(
    guard: Path, verify: Verify, wrong: Promotion, complaint: str
) -> None:
    assert complaint in verify(wrong.build(guard))


def test_what_is_no_bundle_is_refused(verify: Verify) -> None:
    cases = [
        (b"", "CANNOT READ"),
        (b"no zip", "CANNOT READ"),
        (pack({}), "no manifest.json"),
        (pack({"manifest.json": b"{"}, honest_manifest=False), "REFUSED"),
        (pack({"manifest.json": b"\xff"}, honest_manifest=False), "REFUSED"),
        (pack({"manifest.json": b"[]"}, honest_manifest=False), "REFUSED"),
        (pack({"manifest.json": b"[" * 100_000}, honest_manifest=False), "REFUSED"),
        (pack({"manifest.json": b'{"format":1,"format":2}'}, honest_manifest=False), "repeats a key"),
        (pack({"manifest.json": b'{"format":"x","kind":"log"}'}, honest_manifest=False), "unknown format"),
        (pack({"../evil": b"", "manifest.json": b"{}"}), "unsafe name"),
        (pack({"/etc/passwd": b"", "manifest.json": b"{}"}), "unsafe name"),
    ]
    for bundle, complaint in cases:
        assert complaint in verify(bundle)


def test_a_name_that_occurs_twice_is_refused(guard: Path, verify: Verify) -> None:
    out = io.BytesIO(Promotion().build(guard))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(out, "a") as archive:
        archive.writestr("request.json", b"{}")
    assert "occurs twice" in verify(out.getvalue())


@pytest.mark.parametrize("name", ["manifest.json", "verify.py", "log/entries.jsonl", "../x", "/x", "a//b", "a b", ""])
def test_reserved_and_unsafe_member_names_are_not_written(name: str) -> None:
    touch()
    integrate()
    with pytest.raises(BadMember):
        write_bundle(io.BytesIO(), members=[(name, b"")])


def test_what_is_not_logged_cannot_be_bundled() -> None:
    with pytest.raises(NotFound, match="no checkpoint"):
        write_bundle(io.BytesIO(), members=[])
    touch()
    integrate()
    with pytest.raises(NotFound, match="no entry 1"):
        write_bundle(io.BytesIO(), members=[], entry_indices=[0, 1])
