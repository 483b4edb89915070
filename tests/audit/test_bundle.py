"""The bundle, and the program an auditor runs on it: on what we wrote and on what was tampered with."""

import ast
import base64
import io
import json
import re
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import keys, notes
from audit.exports import verify as program
from audit.exports.bundle import BadMember, Contents, write_bundle
from audit.models import Entry, leaf_text
from audit.witnessing import heads
from config.errors import NotFound
from tests.audit.promotion import REQUEST, Promotion, envelope, pack, sha256, unpack
from tests.factories.audit import integrate, touch

pytestmark = pytest.mark.django_db
Verify = Callable[[bytes], str]
Members = dict[str, bytes]
LOG = Contents("log", {})
PART = "log/entries/000000.txt"


@pytest.fixture(autouse=True)
def _keys(keys_dir: Path) -> None:
    keys.ensure_keys(keys_dir)


@pytest.fixture
def guard(tmp_path: Path) -> Path:
    return tmp_path / "guard.json"


@pytest.fixture
def verify(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Run the verifier's ``main`` in this process; return its complaint, or nothing."""

    def run(bundle: bytes, *options: str) -> str:
        path = tmp_path / "bundle.zip"
        path.write_bytes(bundle)
        monkeypatch.setattr(sys, "argv", ["verify.py", str(path), *options])
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
    assert "signed by user:3 (person3), user:4 (person4), user:5 (person5)" in done.stdout
    assert re.search("quorum is complete, as policies/.*itself asks: 1 validator, 2 approver", done.stdout)
    assert "governance.promotionrequest req-1: complete from number 1 to 4" in done.stdout
    assert "no witness that is known here cosigned it" in done.stdout
    assert "Not proved: " in done.stdout
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


def test_a_key_from_elsewhere_must_be_the_bundles(guard: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(Promotion().build(guard))
    other = keys.public_pem(Ed25519PrivateKey.generate().public_key())
    with pytest.raises(program.Broken, match="another ledger key than yours"):
        program.verify(str(path), program.Options(key=other))
    assert any("the key IN THE BUNDLE" in line for line in program.verify(str(path)))


def test_the_same_question_at_the_same_checkpoint_gives_the_same_bytes(guard: Path) -> None:
    Promotion().build(guard)
    outs = [io.BytesIO(), io.BytesIO()]
    size = write_bundle(outs[0], Contents("log", {}, members=[("sample.json", b"1")], indices=[2, 0])).log_size
    touch()
    integrate(key=keys.ledger_key())  # the log grows, the checkpoint asked for is the same
    write_bundle(outs[1], Contents("log", {}, members=[("sample.json", b"1")], indices=[0, 2]), size=size)
    assert outs[0].getvalue() == outs[1].getvalue()
    assert unpack(outs[0].getvalue())["sample.json"] == b"1"


def test_entries_stand_as_they_were_hashed(guard: Path) -> None:
    for value in ('"quoted"', "back\\slash \\n \\\\", "umlaut ü, emoji 🦆", "tab\tand\nnewline\x01", "", "{'}"):
        touch(value or "empty", text=value)
    integrate(key=keys.ledger_key())
    out = io.BytesIO()
    write_bundle(out, Contents("period", {"begin": 0, "end": 6}, ranges=[(0, 6)]))
    wanted = [
        f"{one.index} {bytes(one.leaf_hash).hex()[:16]} {leaf_text(one.canon, one.stream_n, one.stream_previous)}"
        for one in Entry.objects.order_by("index")
    ]
    assert unpack(out.getvalue())[PART].decode() == "\n".join(wanted) + "\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 300, 600])
def test_every_choice_of_entries_of_a_log_of_any_size_verifies(size: int, verify: Verify) -> None:
    for number in range(size):
        touch(str(number % 7))
    integrate(key=keys.ledger_key())
    for indices in ([0], [size - 1], [0, size - 1], list(range(0, size, 3)), list(range(size // 2, size))):
        out = io.BytesIO()
        write_bundle(out, Contents("log", {}, indices=indices))
        assert verify(out.getvalue()) == ""


def test_streams_are_said_to_be_complete_or_not(guard: Path, verify: Verify) -> None:
    Promotion().build(guard)
    out = io.BytesIO()
    write_bundle(out, Contents("log", {}, subjects=[("governance.permit", "permit-1"), ("nothing", "of this")]))
    stated = json.loads(unpack(out.getvalue())["log/streams.json"])
    assert stated == [{"complete": True, "id": "permit-1", "n": 1, "type": "governance.permit"}]


ROOMS = [
    *("manifest.json", "question.json", "README.txt", "verify.py", "keys/ledger.pub.pem", "keys/permit.pub.pem"),
    *("log/checkpoint.txt", "log/streams.json", PART, "requests/", "permits/", "policies/", "artifacts/", "snapshots/"),
    *("checks/files/", "lineage/", "decisions/"),
]
# What is for people, and bound by nothing but the manifest.
FOR_PEOPLE = {"README.txt", "verify.py", "manifest.json"}


def in_room(members: Members, room: str) -> str:
    return next(name for name in members if name.startswith(room))


@pytest.mark.parametrize("room", ROOMS)
def test_one_flipped_bit_in_any_member_is_noticed(guard: Path, verify: Verify, room: str) -> None:
    members = unpack(Promotion().build(guard))
    name = in_room(members, room)
    for place in {0, len(members[name]) // 2, len(members[name]) - 1}:
        data = bytearray(members[name])
        data[place] ^= 1
        complaint = verify(pack({**members, name: bytes(data)}, honest_manifest=False))
        assert name in complaint or name == "manifest.json", complaint
        assert complaint


@pytest.mark.parametrize("room", sorted(set(ROOMS) - FOR_PEOPLE))
def test_one_flipped_bit_is_noticed_even_if_the_manifest_agrees(guard: Path, verify: Verify, room: str) -> None:
    members = unpack(Promotion().build(guard))
    name = in_room(members, room)
    for place in range(0, len(members[name]), max(1, len(members[name]) // 12)):
        data = bytearray(members[name])
        data[place] ^= 1
        assert verify(pack({**members, name: bytes(data)})) != ""


@pytest.mark.parametrize("room", ROOMS)
def test_a_missing_member_is_noticed(guard: Path, verify: Verify, room: str) -> None:
    members = unpack(Promotion().build(guard))
    name = in_room(members, room)
    del members[name]
    complaint = verify(pack(members))
    assert re.split("[/.]", name)[0].rstrip("s") in complaint or name == PART or "the key" in complaint, complaint


Lines = list[bytes]


def leaf_of(line: bytes) -> bytes:
    return line.split(b" ", 2)[2]


def numbered(index: int, leaf: bytes) -> bytes:
    """The line of a leaf, with the right beginning of its hash: what a careful forger writes."""
    return b"%d %s %s" % (index, sha256(b"\x00" + leaf)[:16].encode(), leaf)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda lines: [lines[0], *lines[2:]], "entry 2 stands where entry 1 is due"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "entry 1 stands where entry 0 is due"),
        (lambda lines: [lines[0], *lines], "line 2: entry 0 stands where entry 1 is due"),
        (lambda lines: lines[:-1], "the log here ends at 4, the checkpoint says 5: it was cut off or added to"),
        (lambda lines: [*lines, numbered(5, leaf_of(lines[4]))], "the log here ends at 6"),
        (lambda lines: lines[:0], "the log here ends at 0"),
        (lambda lines: [lines[0].replace(b'"user:1"', b'"user:9"'), *lines[1:]], "entry 0 was changed"),
        (
            lambda lines: [numbered(0, leaf_of(lines[0]).replace(b'"user:1"', b'"user:9"')), *lines[1:]],
            "does not lead to the signed root",
        ),
        (
            lambda lines: [numbered(0, leaf_of(lines[1])), numbered(1, leaf_of(lines[0])), *lines[2:]],
            "does not lead to the signed root",
        ),
        (lambda lines: [b"^ 1 0 " + b"ab" * 32, *lines[2:]], "does not lead to the signed root"),
        (lambda lines: [b"^ 1 1 " + b"ab" * 32, *lines[2:]], "a hash stands for entries from 2 on, but 0 is due"),
        (lambda lines: [b"^ 1 0 xyz", *lines[2:]], "line 1 is malformed"),
        (lambda lines: [b"0 short", *lines[1:]], "line 1 is malformed"),
    ],
)  # fmt: skip
def test_omitted_swapped_doubled_cut_and_changed_entries_are_named(
    guard: Path, verify: Verify, change: Callable[[Lines], Lines], complaint: str
) -> None:
    members = unpack(Promotion().build(guard))
    lines = change(members[PART].rstrip(b"\n").split(b"\n"))
    forged = {**members, PART: b"".join(line + b"\n" for line in lines)}
    if not lines:
        del forged[PART]
    assert complaint in verify(pack(forged))


def test_an_entry_hidden_behind_the_hash_it_has_is_missed_by_its_stream(guard: Path, verify: Verify) -> None:
    """The tree cannot show that somebody left out an entry and gave its hash instead; the numbers of its stream do."""
    members = unpack(Promotion().build(guard))
    lines = members[PART].rstrip(b"\n").split(b"\n")
    for place in range(4):
        hidden = b"^ 0 %d %s" % (place, sha256(b"\x00" + leaf_of(lines[place])).encode())
        forged = {**members, PART: b"".join(line + b"\n" for line in [*lines[:place], hidden, *lines[place + 1 :]])}
        told = verify(pack(forged))
        assert "governance.promotionrequest req-1" in told, told


def test_a_bundle_of_another_log_is_noticed(guard: Path, verify: Verify, tmp_path: Path, keys_dir: Path) -> None:
    members = unpack(Promotion().build(guard))
    text = members["log/checkpoint.txt"].decode().rpartition("\n\n")[0] + "\n"
    stranger = Ed25519PrivateKey.generate()
    forged = notes.sign(text, text.split("\n")[0], stranger)
    assert "not signed by the ledger key" in verify(pack({**members, "log/checkpoint.txt": forged.encode()}))
    # Of another log with the same key: a checkpoint over another tree.
    size, root = "5", base64.b64encode(b"\x01" * 32).decode()
    other = notes.sign(f"{text.split(chr(10))[0]}\n{size}\n{root}\n", text.split("\n")[0], keys.ledger_key())
    complaint = verify(pack({**members, "log/checkpoint.txt": other.encode()}))
    assert "does not lead to the signed root" in complaint
    assert "of another log" in complaint


def test_a_permit_by_somebody_elses_key_is_noticed(guard: Path, verify: Verify) -> None:
    members = unpack(Promotion().build(guard))
    other = ec.generate_private_key(ec.SECP256R1())
    name = "permits/permit-1.dsse.json"
    payload = base64.b64decode(json.loads(members[name])["payload"])
    forged = {**members, name: envelope(payload, other)}
    assert "a signature is wrong" in verify(pack(forged))
    forged["keys/permit.pub.pem"] = keys.public_pem(other.public_key())
    assert "does not carry the key" in verify(pack(forged))


LAX = b"policy: credit-risk\nreview:\n  - stage: approval\n    all: [{role: approver, n: 2}]\n"
STRICT = b"policy: credit-risk\nreview:\n- stage: validation\n  all:\n  - {role: validator, n: 2}\n- stage: approval\n  all: [{role: approver, n: 2}]\n"  # noqa: E501


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
        (Promotion(policy=LAX), "states another quorum than its policy asks for"),
        (Promotion(policy=STRICT), "states another quorum than its policy asks for"),
        (
            Promotion(
                policy=STRICT,
                quorum=[{"stage": 0, "role": "validator", "n": 2}, {"stage": 1, "role": "approver", "n": 2}],
            ),
            "stage 0 needs 2 validator, 1 signed",
        ),
        (Promotion(independent=False), "1 validator in stage 0, 1 of them independent; 1 signed, 0 independent"),
        (Promotion(policy=b"policy: &x lax\nreview: *x\n"), "--policy-read-by-me"),
        (Promotion(policy=b"policy: lax\n"), "the policy has no review"),
        (Promotion(outcome="reject"), "reject is no approval"),
        (Promotion(record_changes={"person": "user:9"}), "signed by another person than the log says"),
        (Promotion(record_changes={"manifest_digest": "00" * 32}), "the record and the log differ in manifest_digest"),
        (Promotion(record_changes={"evidence_digest": "00" * 32}), "the record and the log differ in evidence_digest"),
        (Promotion(fact_changes={"policy_digest": "00" * 32}), "signed for another policy_digest"),
        (Promotion(fact_changes={"request": "other"}), "signed for another request"),
        (Promotion(fact_changes={"record_digest": "00" * 32}), "is neither here nor said to be left out"),
        (Promotion(fact_changes={"role": "approver"}), "the record and the log differ in role"),
        (Promotion(opened_changes={"manifest_digest": "00" * 32}), "artifacts/0000000000000000…"),
        (Promotion(predicate_changes={"evidence_digest": "00" * 32}), "snapshots/0000000000000000…"),
        (Promotion(predicate_changes={"policy": {"name": "x", "digest": "00" * 32}}), "signed under another policy"),
        (Promotion(predicate_changes={"permit": "other"}), "is another permit"),
        (Promotion(logged_changes={"payload_digest": "00" * 32}), "the log was told of another permit"),
        (Promotion(members={f"artifacts/{sha256(b'{}')}.json": b"{}"}), "no entry of the log here leads to it"),
        (Promotion(members={f"policies/{sha256(b'policy: lax')}.yaml": b"policy: lax"}), "no entry of the log here"),
        (Promotion(members={"requests/req-1.json": b'{"id":"other"}'}), "tells of another id"),
        (Promotion(members={"requests/req-1.json": b'{"id":"req-1","state":"approved"}'}), "another state"),
        (Promotion(members={"requests/req-2.json": b"{}"}), "is of a request that no entry here is about"),
        (Promotion(members={f"checks/{sha256(b'{}')}.json": b"{}"}), "no entry of the log here leads to it"),
        (Promotion(members={"checks/files/" + "0" * 64: b"x"}), "other content than its name"),
        (Promotion(members={f"checks/files/{sha256(b'x')}": b"x"}), "no entry of the log here leads to it"),
        (Promotion(members={f"decisions/{sha256(b'x')}.json": b"x"}), "no entry of the log here leads to it"),
        (Promotion(subjects=[("governance.permit", "permit-1")]), "request that question.json asks about"),
        (Promotion(without=("lineage",)), "lineage/44136fa355b3678a…"),
        (Promotion(without=("decisions",)), "which entry 1 names, is neither here nor said to be left out"),
    ],
)  # fmt: skip
def test_a_promotion_that_broke_the_rules_is_refused_though_all_of_it_is_logged_and_signed(
    guard: Path, verify: Verify, wrong: Promotion, complaint: str
) -> None:
    assert complaint in verify(wrong.build(guard))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"disclosure": "WyJzYWx0IiwidXNlcm5hbWUiLCJNYWxsb3J5Il0"}, "it is not what was committed to"),
        ({"field": "email"}, "it opens another field"),
        ({"subject": "user:99"}, "is committed to by no entry here"),
        ({"disclosure": None}, "neither opened nor said to be erased"),
    ],
)
def test_another_name_for_a_person_is_noticed(
    guard: Path, verify: Verify, change: dict[str, str | None], complaint: str
) -> None:
    members = unpack(Promotion().build(guard))
    rows = json.loads(members["people.json"])
    rows[0] = {name: value for name, value in {**rows[0], **change}.items() if value is not None}
    assert complaint in verify(pack({**members, "people.json": json.dumps(rows).encode()}))


def test_an_erased_person_is_named_as_erased_and_every_proof_holds(guard: Path, tmp_path: Path) -> None:
    members = unpack(Promotion().build(guard))
    rows = json.loads(members["people.json"])
    erased = next(row for row in rows if row["subject"] == "user:3")
    del erased["disclosure"]
    erased["erased"] = {"at": 1, "entry": "x"}
    path = tmp_path / "b.zip"
    path.write_bytes(pack({**members, "people.json": json.dumps(rows).encode()}))
    said = program.verify(str(path))
    assert any("1 are erased" in line for line in said)
    assert any("signed by user:3, user:4 (person4), user:5 (person5)" in line for line in said)


def test_the_head_map_shows_that_an_object_has_no_other_entries(guard: Path, tmp_path: Path, verify: Verify) -> None:
    promotion = Promotion()
    promotion.build(guard)
    assert heads.log_heads() is not None
    integrate(key=keys.ledger_key())
    out = io.BytesIO()
    write_bundle(out, Contents("request", {"request": REQUEST}, members=promotion.packed, subjects=promotion.subjects))
    path = tmp_path / "b.zip"
    path.write_bytes(out.getvalue())
    said = "\n".join(program.verify(str(path)))
    assert "req-1: complete from number 1 to 4; there was no other when the log had 5" in said
    # A stream cut at its end, with the hash of what is missing in its place, is found out by the map alone.
    members = unpack(out.getvalue())
    lines = members[PART].rstrip(b"\n").split(b"\n")
    lines[3] = b"^ 0 3 " + sha256(b"\x00" + leaf_of(lines[3])).encode()
    streams = json.loads(members["log/streams.json"])
    next(one for one in streams if one["id"] == REQUEST)["n"] = 3
    forged = {**members, PART: b"\n".join(lines) + b"\n", "log/streams.json": json.dumps(streams).encode()}
    assert "the map says that it had 4 entries" in verify(pack(forged))
    # Nor can the map be another.
    mapped = json.loads(members["log/heads.json"])
    for field, value in (("n", 3), ("index", 2), ("number", 1), ("hashes", [])):
        changed = {**mapped, "proofs": [{**mapped["proofs"][0], field: value}, *mapped["proofs"][1:]]}
        assert "log/heads.json" in verify(pack({**members, "log/heads.json": json.dumps(changed).encode()}))


def test_what_is_left_out_is_said_to_be(guard: Path, tmp_path: Path) -> None:
    why = {"what": "lineage", "sha256": sha256(b"{}"), "why": "It names a model that the asker may not see."}
    path = tmp_path / "b.zip"
    path.write_bytes(Promotion(without=("lineage",), left_out=[why]).build(guard))
    assert f"--  left out: lineage: {why['why']}" in program.verify(str(path))


def test_a_policy_that_was_read_by_a_person_need_not_be_read_by_the_program(guard: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(Promotion(policy=b"policy: &x lax\nreview: *x\n").build(guard))
    said = program.verify(str(path), program.Options(policy_text=False))
    assert any("that its policy asks for no more is not checked" in line for line in said)


@pytest.mark.parametrize("name", ["manifest.json", "verify.py", PART, "../x", "/x", "a//b", "a b", "", "log/x"])
def test_reserved_and_unsafe_member_names_are_not_written(name: str) -> None:
    touch()
    integrate(key=keys.ledger_key())
    with pytest.raises(BadMember):
        write_bundle(io.BytesIO(), Contents("log", {}, members=[(name, b"")]))


def test_what_is_not_logged_cannot_be_bundled() -> None:
    with pytest.raises(NotFound, match="no checkpoint"):
        write_bundle(io.BytesIO(), LOG)
    touch()
    integrate(key=keys.ledger_key())
    with pytest.raises(NotFound, match="no entry 1"):
        write_bundle(io.BytesIO(), Contents("log", {}, indices=[0, 1]))
    with pytest.raises(NotFound, match="No checkpoint was signed at size 7"):
        write_bundle(io.BytesIO(), LOG, size=7)


def test_a_name_that_occurs_twice_is_refused(guard: Path, verify: Verify) -> None:
    out = io.BytesIO(Promotion().build(guard))
    with warnings.catch_warnings(), zipfile.ZipFile(out, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("question.json", b"{}")
    assert "occurs twice" in verify(out.getvalue())
