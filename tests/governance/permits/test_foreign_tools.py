"""Formats that are not ours alone: DSSE against its own vectors, securesystemslib and openssl; OpenSSF's root against its package."""

# ruff: noqa: E501 - the tables are read line by line
import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from model_signing import hashing
from model_signing._signing.signing import Payload
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._key import Key, SSlibKey

from governance.permits import dsse, openssf, signed, trust
from tests.governance.permits.made import SCOPE, House, key, loaded

HOUSE = House()
ENVELOPE = HOUSE.permit()

# https://github.com/secure-systems-lab/dsse/blob/master/testvectors/vectors.json, keys of RFC 8032 section 7.1
KEYS: dict[str, signed.PublicKey] = {
    "A": Ed25519PublicKey.from_public_bytes(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")),
    "B": Ed25519PublicKey.from_public_bytes(bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")),
}  # fmt: skip
IN_TOTO = "application/vnd.in-toto+json"
STATEMENT = "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ=="
BY_A = "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA=="
BY_B = "c1+67/aT0yqEpwx8PsVY3MLHsj9D0CZ014/Fv/QlG59P+9CobUZ7xECJ/V3USG0Ob9CiE5LjReEZUzNF2l7eBw=="
VECTORS: list[tuple[str, str, str, list[dict[str, str]], str, int, tuple[str, ...], bool]] = [
    ("single-signature", STATEMENT, IN_TOTO, [{"sig": BY_A, "keyid": "A"}], "A", 1, (IN_TOTO,), True),
    ("url-safe-base64", "-_-_Pj8=", IN_TOTO, [{"sig": "P-_KHICeR7tI6S_YyejJTRtrXhcQyQ2LYPaL8h90KjC9qN8HU_svOQ6TuDOT1HIrsGW886DbWNWcCmX5twLrAw==", "keyid": "A"}], "A", 1, (IN_TOTO,), True),
    ("payload-type-swapped", STATEMENT, "application/vnd.example.other+json", [{"sig": BY_A, "keyid": "A"}], "A", 1, (IN_TOTO, "application/vnd.example.other+json"), False),
    ("non-ascii-payload-type", STATEMENT, "application/vnd.exämple+json", [{"sig": "xmSk/ug66ysT7ayhkCIjhAq42zgZXSsEWuzUaNL7w2eGAdF/NU6/fRXPtmfN+5DNSAs5/i2lUnHjbbjPsu0tAw==", "keyid": "A"}], "A", 1, ("application/vnd.exämple+json",), True),
    ("empty-payload", "", IN_TOTO, [{"sig": "gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg==", "keyid": "A"}], "A", 1, (IN_TOTO,), True),
    ("empty-payload-type", STATEMENT, "", [{"sig": "iC3q/+3Rm0+lpAJRueDmDh15PnwCfxKmS0NAfKsbv+zgulXQC/WM9trc+j1XEqlwDIg/vf/uNfebeD6sxInrDg==", "keyid": "A"}], "A", 1, (IN_TOTO,), False),
    ("threshold-two-distinct-keys", STATEMENT, IN_TOTO, [{"sig": BY_A, "keyid": "A"}, {"sig": BY_B, "keyid": "B"}], "AB", 2, (IN_TOTO,), True),
    ("threshold-two-one-key-twice", STATEMENT, IN_TOTO, [{"sig": BY_A, "keyid": "A"}, {"sig": BY_A, "keyid": "A"}], "AB", 2, (IN_TOTO,), False),
    ("threshold-two-without-keyids", STATEMENT, IN_TOTO, [{"sig": BY_A}, {"sig": BY_B}], "AB", 2, (IN_TOTO,), True),
]  # fmt: skip


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector[0])
def test_the_vectors_of_the_dsse_specification(vector: Any) -> None:
    _, payload, kind, signatures, trusted, threshold, supported, accepted = vector
    envelope = {"payload": payload, "payloadType": kind, "signatures": signatures}
    keys = {name: KEYS[name] for name in trusted}

    def accepts(supported_kind: str) -> bool:
        try:
            signed.check_threshold(envelope, supported_kind, keys, threshold, "it")
        except signed.Refused:
            return False
        return True

    assert any(accepts(one) for one in supported) == accepted


def test_the_example_of_the_dsse_protocol_which_is_ecdsa() -> None:
    # https://github.com/secure-systems-lab/dsse/blob/master/protocol.md: there the signature is r and s, raw.
    numbers = ec.EllipticCurvePublicNumbers(
        46950820868899156662930047687818585632848591499744589407958293238635476079160,
        5640078356564379163099075877009565129882514886557779369047442380624545832820,
        ec.SECP256R1(),
    )
    raw = base64.b64decode("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    encoded = dsse.pre_authentication("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert signed.holds(numbers.public_key(), der, encoded)


def _theirs(signers: list[ec.EllipticCurvePrivateKey]) -> list[Key]:
    return [
        SSlibKey(
            signed.fingerprint(one.public_key()),
            "ecdsa",
            "ecdsa-sha2-nistp256",
            {"public": trust.pem(one.public_key())},
        )
        for one in signers
    ]


def test_securesystemslib_verifies_our_envelopes_at_the_same_threshold() -> None:
    envelope = Envelope.from_dict(loaded(json.dumps(ENVELOPE)))
    assert len(envelope.verify(_theirs(HOUSE.signers), 2)) == 2
    with pytest.raises(VerificationError):
        envelope.verify(_theirs([HOUSE.signers[0], key()]), 2)
    for one in (HOUSE.root(), HOUSE.status()):
        signers = HOUSE.roots if "trust-root" in one["payloadType"] else HOUSE.signers
        assert len(Envelope.from_dict(loaded(json.dumps(one))).verify(_theirs(signers), 2)) == 2


def test_we_verify_what_securesystemslib_encodes() -> None:
    envelope = Envelope(b'{"a": 1}', dsse.PERMIT, {})
    assert envelope.pae() == dsse.pre_authentication(dsse.PERMIT, b'{"a": 1}')


def test_openssl_verifies_each_signature(tmp_path: Path) -> None:
    payload, encoded, signatures = signed.opened(ENVELOPE, dsse.PERMIT, "it")
    assert json.loads(payload)["predicateType"] == "https://countersign.dev/permit/v2"
    (tmp_path / "pae").write_bytes(encoded)
    by_id = {signed.fingerprint(one.public_key()): one for one in HOUSE.signers}
    for keyid, signature in signatures:
        (tmp_path / "sig").write_bytes(signature)
        (tmp_path / "pub").write_text(trust.pem(by_id[keyid].public_key()))
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", "pub", "-signature", "sig", "pae"],  # noqa: S607
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stdout == "Verified OK\n", done.stderr


# OpenSSF model signing


def _root_of(folder: Path) -> str:
    manifest = hashing.Config().hash(folder)
    return str(Payload(manifest).statement.pb.subject[0].digest["sha256"])


def _written(folder: Path, contents: dict[str, bytes]) -> dict[str, str]:
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}


def test_our_root_is_that_of_the_model_signing_package_even_where_names_sort_differently(tmp_path: Path) -> None:
    # As text "a-b" comes before "a/c", as a path after it; and "a.b" before "a/c", too.
    files = _written(
        tmp_path, {"a-b": b"1", "a/c": b"2", "a.b": b"3", "a/C": b"4", "Z": b"5", "ä/é": b"6", "a/c.d/e": b"7"}
    )
    assert openssf.root(files) == _root_of(tmp_path)


_NAME = st.text(st.sampled_from("ab-./Z_0 ~"), min_size=1, max_size=6).map(lambda text: "/".join(part.strip(". ") or "x" for part in text.split("/")))  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(_NAME, st.binary(max_size=3), min_size=1, max_size=6))
def test_our_root_is_theirs_for_any_names(tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]) -> None:
    usable = {
        path: content
        for path, content in contents.items()
        if not any(other.startswith(f"{path}/") for other in contents)
    }
    folder = tmp_path_factory.mktemp("model")
    assert openssf.root(_written(folder, usable)) == _root_of(folder)


def test_the_root_ignores_names_so_a_permit_never_names_it_alone(tmp_path: Path) -> None:
    assert openssf.root({"a": "1" * 64, "b": "2" * 64}) == openssf.root({"weights": "1" * 64, "x/y": "2" * 64})
    subjects = SCOPE.subjects()
    assert subjects[0] == {"name": "credit/3", "digest": {"sha256": SCOPE.manifest_digest}}
    assert subjects[1]["digest"]["sha256"] == openssf.root(SCOPE.files)
    assert [one["name"] for one in subjects[2:]] == ["file:MLmodel", "file:data/model.bin"]
