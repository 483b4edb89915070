"""The offline verifier: what holds is accepted, and each way of being wrong is refused with words of its own."""

# ruff: noqa: E501 - the tables are read line by line
import base64
import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from config.cli import main
from governance.permits import dsse, signed, trust, verifier, verify_permit
from governance.permits.statement import Quorum
from tests.governance.permits.made import (
    HOUR,
    NOW,
    ORIGIN,
    SCOPE,
    House,
    Json,
    changed,
    issued,
    key,
    loaded,
    refusal,
    resigned,
)  # fmt: skip

HOUSE = House()
PINNED = HOUSE.root()
FILE = HOUSE.file()
FILE["trust"] = [PINNED]
Wrong = Callable[[], tuple[Json, dict[str, Any]]]


def test_a_permit_in_force_is_accepted_and_what_was_proved_is_told() -> None:
    permit, told = verifier.verify(FILE, PINNED, now=NOW)
    assert (permit["model"], permit["manifest_digest"]) == ("credit", "a" * 64)
    assert "signed with 2 of 2 keys" in told
    assert any("entry 4 of a log of 7" in one and "3 witnesses" in one for one in told)


def _bytes_flipped(text: str, place: int) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[place] ^= 1
    return base64.b64encode(raw).decode()


def file(*path: Any, to: Any) -> Json:
    return changed(FILE, *path, to=to)


def scoped(**changes: Any) -> Json:
    made = HOUSE.file(HOUSE.permit(replace(SCOPE, **changes)))
    made["trust"] = [PINNED]
    return made


def enveloped(envelope: Json) -> Json:
    made = HOUSE.file(envelope)
    made["trust"] = [PINNED]
    return made


def twice_signed() -> Json:
    one = dsse.signature(dsse.PERMIT, base64.b64decode(FILE["envelope"]["payload"]), HOUSE.signers[0])
    other = dsse.signature(dsse.PERMIT, base64.b64decode(FILE["envelope"]["payload"]), HOUSE.signers[0])
    signatures = [{"keyid": name, "sig": base64.b64encode(sig).decode()} for name, sig in (("a", one), ("b", other))]
    return file("envelope", "signatures", to=signatures)


def in_state(state: str) -> Json:
    return file("status", to=HOUSE.status({SCOPE.permit: state}))


OTHER = House()
SIG = FILE["envelope"]["signatures"]
V1 = "https://countersign.dev/permit/v1"

WRONG: dict[str, tuple[Callable[[], Json], str]] = {
    "no permit file": (lambda: file("format", to="zip"), "no permit file"),
    "a part is gone": (lambda: {name: part for name, part in FILE.items() if name != "proof"}, "missing or malformed: KeyError 'proof'"),
    "a flipped bit in the payload": (lambda: file("envelope", "payload", to=_bytes_flipped(FILE["envelope"]["payload"], 40)), "."),
    "a flipped bit in a signature": (lambda: file("envelope", "signatures", 0, "sig", to=_bytes_flipped(SIG[0]["sig"], 20)), "the signature of key .* does not fit the content"),
    "a swapped payload": (lambda: file("envelope", "payload", to=HOUSE.permit(replace(SCOPE, version=4))["payload"]), "0 of 2 signatures that count; the signature of key"),
    "one signature only": (lambda: file("envelope", "signatures", to=SIG[:1]), "1 of 2 signatures that count$"),
    "no signature": (lambda: file("envelope", "signatures", to=[]), "0 of 2 signatures that count$"),
    "the same key id twice": (lambda: file("envelope", "signatures", to=[SIG[0], SIG[0]]), "names the same key for two signatures"),
    "the same key under two names": (twice_signed, "signed twice with the same key under two names"),
    "keys of another house": (lambda: enveloped(OTHER.permit()), "0 of 2 signatures .* has not this role in the trust root"),
    "keys of another role": (lambda: enveloped(HOUSE.permit(keys=HOUSE.roots)), "0 of 2 signatures .* has not this role in the trust root"),
    "another payload type": (lambda: file("envelope", "payloadType", to="text/plain"), "the payload is 'text/plain'"),
    "another statement": (lambda: enveloped(resigned(FILE["envelope"], dsse.PERMIT, HOUSE.signers, "predicateType", to="https://slsa.dev/provenance/v1")), "is no permit of a kind known here"),
    "an old permit where no old key counts": (lambda: enveloped(resigned(FILE["envelope"], dsse.PERMIT, HOUSE.signers, "predicateType", to=V1)), "gives nobody the role 'permit-v1'"),
    "not begun": (lambda: scoped(not_before=NOW + 1), "the permit begins"),
    "ended": (lambda: scoped(expires_at=NOW), "the permit ended"),
    "too few approvals": (lambda: scoped(quorum=[Quorum(0, "approver", 3)]), "lacks approvals: 2 of 3 approver"),
    "no quorum": (lambda: scoped(quorum=[]), "names no quorum"),
    "one person twice": (lambda: scoped(approvals=[SCOPE.approvals[0]] * 2), "one person twice"),
    "an approval after the permit": (lambda: scoped(approvals=[SCOPE.approvals[0], replace(SCOPE.approvals[1], leaf_index=4)]), "later in the log than the permit"),
    "an entry that was changed": (lambda: file("entry", to=FILE["entry"].replace("issued", "issueD")), "does not lead to the signed root"),
    "an entry of another action": (lambda: {**HOUSE.file(entry=issued(FILE["envelope"], action="permit.revoked")), "trust": [PINNED]}, "not that which issued"),
    "an entry of another permit": (lambda: {**HOUSE.file(entry=issued(FILE["envelope"], object={"id": "x"})), "trust": [PINNED]}, "not that which issued"),
    "a log told of other bytes": (lambda: {**HOUSE.file(entry=issued(FILE["envelope"], facts={"payload_digest": "0" * 64})), "trust": [PINNED]}, "told of another permit"),
    "no proof": (lambda: file("proof", to="c2sp.org/tlog-proof@v2\n"), "no C2SP tlog-proof"),
    "a proof that is too short": (lambda: file("proof", to=FILE["proof"].replace(FILE["proof"].split("\n")[2] + "\n", "", 1)), "does not lead to the signed root"),
    "a proof that is too long": (lambda: file("proof", to=FILE["proof"].replace("index 4\n", f"index 4\n{base64.b64encode(bytes(32)).decode()}\n")), "longer than the tree|does not lead"),
    "an index outside the log": (lambda: file("proof", to=FILE["proof"].replace("index 4", "index 9")), "outside the log"),
    "a checkpoint of another log": (lambda: {**HOUSE.file(origin="countersign/other"), "trust": [PINNED]}, "is of the log countersign/other"),
    "a checkpoint by another key": (lambda: {**replace_log().file(), "trust": [PINNED], "envelope": FILE["envelope"]}, "not signed by the log's key"),
    "a changed checkpoint": (lambda: file("proof", to=FILE["proof"].replace(f"{ORIGIN}\n7\n", f"{ORIGIN}\n8\n")), "signature of the log does not fit"),
    "too few cosignatures": (lambda: {**HOUSE.file(cosigners=(1,)), "trust": [PINNED]}, "1 of the 2 cosignatures"),
    "one cosignature twice": (lambda: {**HOUSE.file(cosigners=(1, 1)), "trust": [PINNED]}, "two signatures of one key"),
    "cosignatures of strangers": (lambda: {**strange_witnesses().file(), "trust": [PINNED]}, "0 of the 2 cosignatures"),
    "no status list": (lambda: file("status", to=None), "no status list.*--status"),
    "a stale list": (lambda: file("status", to=HOUSE.status(valid_until=NOW)), "status list is stale: it was good until"),
    "a list of the future": (lambda: file("status", to=HOUSE.status(issued_at=NOW + HOUR)), "of the future"),
    "a list of another log": (lambda: file("status", to=HOUSE.status(origin="countersign/x")), "of another log"),
    "a list of a newer root": (lambda: file("status", to=HOUSE.status(trust_root=2)), "under version 2 of the trust root"),
    "a list without the permit": (lambda: file("status", to=HOUSE.status({})), "does not name this permit"),
    "a list by one key": (lambda: file("status", to=HOUSE.status(keys=HOUSE.signers[:1])), "the status list has 1 of 2"),
    "a permit in place of a list": (lambda: file("status", to=FILE["envelope"]), "the status list: the payload is"),
    **{
        f"a permit that is {state}": (partial(in_state, state), f"the permit is {state}")
        for state in ("suspended", "revoked", "superseded", "expired")
    },
}  # fmt: skip


def replace_log() -> House:
    return House(HOUSE.roots, HOUSE.signers, Ed25519PrivateKey.generate(), HOUSE.witnesses)


def strange_witnesses() -> House:
    return House(HOUSE.roots, HOUSE.signers, HOUSE.log)


@pytest.mark.parametrize("name", list(WRONG))
def test_each_way_of_being_wrong_has_its_words(name: str) -> None:
    make, words = WRONG[name]
    said = refusal(make(), PINNED)
    assert said, name
    assert re.search(words, said), said


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"target": "alias:staging"}, "for the target alias:production, not for alias:staging"),
        ({"model": "fraud"}, "for the model credit, not for fraud"),
        ({"namespace": "test"}, "does not reach the namespace test, only prod"),
    ],
)
def test_what_is_outside_the_scope_is_refused(asked: dict[str, str], words: str) -> None:
    assert words in refusal(FILE, PINNED, **asked)


def test_the_scope_it_has_is_accepted_and_a_star_is_every_namespace() -> None:
    assert not refusal(FILE, PINNED, namespace="prod", target="alias:production", model="credit")
    assert not refusal(scoped(namespaces=["*"]), PINNED, namespace="anything")
    assert "only none" in refusal(scoped(namespaces=[]), PINNED, namespace="prod")


def test_a_newer_status_list_wins_over_the_one_in_the_file() -> None:
    assert "revoked" in refusal(FILE, PINNED, status=HOUSE.status({SCOPE.permit: "revoked"}))
    stale = file("status", to=HOUSE.status(valid_until=NOW))
    assert not refusal(stale, PINNED, status=HOUSE.status())


# the trust root


def rotated(*, signed_by: list[ec.EllipticCurvePrivateKey], new: House) -> Json:
    made = trust.following(trust.read(json.dumps(PINNED)), now=NOW - HOUR, days=365)
    old = [one.public_key() for one in HOUSE.roots]
    for role, gone, come in (
        ("root", old, new.roots),
        ("permit", [s.public_key() for s in HOUSE.signers], new.signers),
    ):
        for one in come:
            made = trust.add_key(made, role, one.public_key())
        for public in gone:
            made = trust.remove_key(made, role, signed.fingerprint(public))
    made["roles"]["status"] = made["roles"]["permit"]
    return loaded(trust.sign(trust.draft(made), *signed_by))


NEW = House(log=HOUSE.log, witnesses=HOUSE.witnesses)


def test_from_a_pinned_root_one_walks_to_the_newest() -> None:
    second = rotated(signed_by=[*HOUSE.roots, *NEW.roots], new=NEW)
    made = {**NEW.file(), "trust": [PINNED, second], "status": NEW.status(trust_root=2)}
    assert not refusal(made, PINNED)
    assert not refusal(made, second), "a newer pin needs no older version"
    without = {**made, "trust": []}
    assert "role in the trust root" in refusal(without, PINNED)
    assert not refusal(without, PINNED, chain=[PINNED, second])
    assert "has not this role" in refusal({**FILE, "trust": [PINNED, second]}, PINNED), "the old keys count no more"


@pytest.mark.parametrize(
    ("signers", "words"),
    [
        ("old", "asked of its own keys"),
        ("new", "asked of the keys before it"),
        ("one of each", "asked of the keys before it, has 1 of 2"),
    ],
)
def test_a_new_root_needs_the_threshold_of_old_and_new(signers: str, words: str) -> None:
    chosen = {"old": HOUSE.roots, "new": NEW.roots, "one of each": [HOUSE.roots[0], NEW.roots[0]]}[signers]
    second = rotated(signed_by=chosen, new=NEW)
    assert words in refusal({**NEW.file(), "trust": [PINNED, second]}, PINNED)


def test_a_root_that_ended_a_gap_and_a_root_without_signatures_are_refused() -> None:
    old = HOUSE.root(days=1, now=NOW - 48 * HOUR)
    assert "ended" in refusal({**FILE, "trust": [old]}, old)
    third = changed(loaded(trust.draft({**trust.read(json.dumps(PINNED)), "version": 3})), "signatures", to=[])
    assert "the next one is missing" in refusal({**FILE, "trust": [PINNED, third]}, PINNED)
    unsigned = changed(PINNED, "signatures", to=PINNED["signatures"][:1])
    assert "the trust root has 1 of 2" in refusal({**FILE, "trust": [unsigned]}, unsigned)


@pytest.mark.parametrize(
    ("path", "to", "words"),
    [
        (("roles", "permit", "threshold"), 1, "threshold of the role 'permit' cannot stand"),
        (("roles", "root", "threshold"), 3, "threshold of the role 'root' cannot stand"),
        (("roles", "permit", "keyids"), ["0" * 64] * 2, "names a key twice, or one that is not there"),
        (("witnesses", "quorum"), 4, "quorum of witnesses cannot be met"),
        (("_type",), "https://example.org/root", "no trust root"),
        (("ledger", "vkey"), "other+1234+AAAA", "lacks its version, its end or its log"),
        (("witnesses",), {}, "incomplete"),
    ],
)
def test_a_trust_root_that_cannot_stand_is_refused(path: tuple[str, ...], to: object, words: str) -> None:
    made = resigned(PINNED, dsse.TRUST_ROOT, HOUSE.roots, *path, to=to)
    assert words in refusal({**FILE, "trust": [made]}, made)


def test_an_offline_key_that_signs_permits_as_well_and_a_key_under_another_id_are_refused() -> None:
    both = House(roots=HOUSE.roots, signers=[HOUSE.roots[0], key()])
    with pytest.raises(signed.Refused, match="offline root key has the role"):
        both.root()
    document = trust.read(json.dumps(PINNED))
    ids = list(document["keys"])
    document["keys"][ids[0]], document["keys"][ids[1]] = document["keys"][ids[1]], document["keys"][ids[0]]
    made = loaded(dsse.sign(dsse.TRUST_ROOT, dsse.canonical(document), *HOUSE.roots))
    assert "another key's id" in refusal({**FILE, "trust": [made]}, made)


def test_a_key_of_another_curve_never_counts() -> None:
    public = trust.pem(ec.generate_private_key(ec.SECP384R1()).public_key())
    with pytest.raises(signed.Refused, match="not ECDSA P-256"):
        signed.public_key(public)


# no bit


@given(st.data())
def test_no_flipped_bit_of_what_is_signed_is_accepted(data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(["envelope", "status", "entry", "proof"]))
    made: Any = FILE[part]
    if part in {"envelope", "status"}:
        raw = bytearray(base64.b64decode(made["payload"]))
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        wrong = changed(FILE, part, "payload", to=base64.b64encode(raw).decode())
    else:
        text = made if part == "entry" else made.rpartition("\n\n")[0]
        place = data.draw(st.integers(0, len(text) - 1))
        other = chr(ord(text[place]) ^ (1 << data.draw(st.integers(0, 6))))
        wrong = changed(FILE, part, to=made[:place] + other + made[place + 1 :])
    assert refusal(wrong, PINNED)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)), st.sampled_from(list(FILE)))  # fmt: skip
def test_whatever_stands_in_place_of_a_part_is_refused_and_never_a_traceback(value: object, part: str) -> None:
    if value == [] and part == "trust":
        return  # the pinned root alone is enough
    assert refusal({**FILE, part: value}, PINNED)


# the command


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A house of now, as files, with an artifact."""
    (tmp_path / "model" / "data").mkdir(parents=True)
    (tmp_path / "model" / "MLmodel").write_bytes(b"flavors: {}\n")
    (tmp_path / "model" / "data" / "model.bin").write_bytes(bytes(1000))
    now = time.time_ns() // 1000
    digest = verifier.manifest(tmp_path / "model")
    scope = replace(SCOPE, manifest_digest=digest, not_before=now - HOUR, expires_at=now + HOUR)
    root = HOUSE.root(now=now)
    made = {**HOUSE.file(HOUSE.permit(scope)), "trust": [root]}
    made["status"] = HOUSE.status(issued_at=now, valid_until=now + HOUR)
    (tmp_path / "p.json").write_text(json.dumps(made))
    (tmp_path / "root.json").write_text(json.dumps(root))
    return tmp_path


def run(folder: Path, *more: str) -> tuple[int, str]:
    """Run the short program as a stranger would: its file alone, no project, no settings."""
    program = folder / "alone" / "verify_permit.py"
    program.parent.mkdir(exist_ok=True)
    program.write_bytes(Path(verify_permit.__file__).read_bytes())
    command = [sys.executable, "-I", str(program), str(folder / "p.json"), "--trust-root", str(folder / "root.json")]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False, cwd=folder, env={})
    return done.returncode, done.stdout + done.stderr


def test_the_program_alone_accepts_and_looks_at_the_bytes(files: Path) -> None:
    code, said = run(files, "--artifact", str(files / "model"))
    assert (code, "IN FORCE: credit version 3" in said) == (0, True), said
    (files / "model" / "data" / "model.bin").write_bytes(bytes(999) + b"\x01")
    code, said = run(files, "--artifact", str(files / "model"))
    assert (code, "are not those that the permit is for" in said) == (1, True), said


def test_the_program_alone_takes_a_newer_status_list(files: Path) -> None:
    now = time.time_ns() // 1000
    revoked = HOUSE.status({SCOPE.permit: "revoked"}, issued_at=now, valid_until=now + HOUR)
    (files / "status.json").write_text(json.dumps(revoked))
    code, said = run(files, "--status", str(files / "status.json"))
    assert (code, "REFUSED: the permit is revoked" in said) == (1, True), said


def asked(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    """Give the command the files."""
    code = main(["permit", "verify", str(folder / "p.json"), "--trust-root", str(folder / "root.json"), *more])
    told = capsys.readouterr()
    return code, told.out + told.err


def test_the_command_tells_what_was_proved_and_compares_the_scope(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = asked(files, capsys, "--artifact", str(files / "model"), "--target", "alias:production")
    assert (code, "IN FORCE: credit version 3" in said, "the files are those" in said) == (0, True, True), said
    code, said = asked(files, capsys, "--target", "alias:staging")
    assert code == 1
    assert "REFUSED: the permit is for the target alias:production, not for alias:staging" in said


@pytest.mark.parametrize("what", ["link", "added", "renamed", "swapped", "hidden", "empty"])
def test_an_artifact_that_differs_in_any_way_is_refused(
    files: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = files / "model"
    match what:
        case "link":
            (model / "MLmodel").rename(files / "real")
            (model / "MLmodel").symlink_to(files / "real")
        case "added":
            (model / "extra").write_bytes(b"")
        case "renamed":
            (model / "MLmodel").rename(model / "mlmodel")
        case "swapped":
            a, b = (model / "MLmodel").read_bytes(), (model / "data" / "model.bin").read_bytes()
            (model / "MLmodel").write_bytes(b)
            (model / "data" / "model.bin").write_bytes(a)
        case "hidden":
            (model / ".git").mkdir()
            (model / ".git" / "config").write_bytes(b"x")
        case _:
            for one in (model / "MLmodel", model / "data" / "model.bin"):
                one.unlink()
    for code, said in (run(files, "--artifact", str(model)), asked(files, capsys, "--artifact", str(model))):
        assert (code, "REFUSED" in said) == (1, True), said


def test_bad_files_are_refused_by_the_program_and_told_from_bad_permits_by_the_command(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = ("--status", str(files / "nowhere"))
    assert (run(files, *nowhere)[0], asked(files, capsys, *nowhere)[0]) == (1, 2)
    for text, words in (("{", "not JSON"), ('{"a": 1, "a": 2}', "repeats a key"), ("[]", "no JSON object")):
        (files / "p.json").write_text(text)
        code, said = asked(files, capsys)
        assert (code, words in said) == (1, True), said
        code, said = run(files)
        assert (code, "REFUSED" in said, "Traceback" in said) == (1, True, False), said


def test_the_digest_of_a_directory_is_that_of_the_registry(files: Path) -> None:
    from registry.digests import SealedFile, manifest_digest, manifest_document  # noqa: PLC0415

    sealed = [
        SealedFile(
            path.relative_to(files / "model").as_posix(),
            path.stat().st_size,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in (files / "model").rglob("*")
        if path.is_file()
    ]
    assert verifier.manifest(files / "model") == manifest_digest(manifest_document(sealed))
