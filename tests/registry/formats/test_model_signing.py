"""OpenSSF model signatures: what the reference implementation signs is accepted, and what it refuses is refused."""

import base64
import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from model_signing import hashing, signing, verifying

from registry.formats import model_signing
from registry.formats.model_signing import Coverage, Malformed, NotComparable, NotGenuine, NotTrusted, Signer
from tests.registry.formats.signed_models import SIGNATURE, laid_out, private, public, signed

FILES = {"MLmodel": b"flavors: {}\n", "model.skops": bytes(range(256)) * 9, "data/empty": b"", "data/é.txt": b"x"}


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def signers(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    directory = tmp_path / "signers"
    directory.mkdir()
    (directory / "credit-team.pem").write_bytes(public(key))
    return directory


def accepted_by_reference(files: Mapping[str, bytes], bundle: bytes, key: ec.EllipticCurvePrivateKey) -> bool:
    with tempfile.TemporaryDirectory() as place:
        model = laid_out(files, Path(place, "model"))
        (Path(place) / "key.pem").write_bytes(public(key))
        (Path(place) / SIGNATURE).write_bytes(bundle)
        try:
            verifying.Config().use_elliptic_key_verifier(public_key=Path(place) / "key.pem").verify(
                model, Path(place) / SIGNATURE
            )
        except Exception:  # noqa: BLE001 - the reference raises whatever comes up
            return False
    return True


def compared(files: Mapping[str, bytes], bundle: bytes) -> Coverage:
    _, statement = model_signing.read(bundle)

    def digest(path: str, algorithm: str, start: int, end: int | None) -> str:
        made = model_signing.hasher(algorithm)
        made.update(files[path][start:end])
        return made.hexdigest()

    sizes = {path: len(content) for path, content in files.items()}
    return model_signing.compare(statement, sizes, digest, itself=SIGNATURE)


def accepted(files: Mapping[str, bytes], bundle: bytes, key: ec.EllipticCurvePrivateKey) -> bool:
    try:
        read, _ = model_signing.read(bundle)
        model_signing.verify(read, [model_signing.Trusted("it", key=key.public_key())])
        found = compared(files, bundle)
    except (Malformed, NotGenuine, NotTrusted):
        return False
    return not (found.differing or found.missing or found.uncovered)


def test_what_the_reference_signs_is_that_of_a_trusted_signer(key: ec.EllipticCurvePrivateKey, signers: Path) -> None:
    bundle, statement = model_signing.read(signed(FILES, key))
    signer = model_signing.verify(bundle, model_signing.trusted_in(signers))
    assert signer == Signer("credit-team", "key", "credit-team", model_signing.fingerprint(key.public_key()))
    assert statement.name == "model"
    assert compared({**FILES, SIGNATURE: b"itself"}, signed(FILES, key)) == Coverage(len(FILES), (), (), ())


@pytest.mark.parametrize(
    "config",
    [
        hashing.Config().use_file_serialization(hashing_algorithm="blake2"),
        hashing.Config().use_shard_serialization(shard_size=7),
    ],
)
def test_other_digests_and_shards_are_compared_too(config: hashing.Config, key: ec.EllipticCurvePrivateKey) -> None:
    files = {path: content for path, content in FILES.items() if content}  # shards say nothing of empty files
    bundle = signed(files, key, config=config)
    assert compared(files, bundle) == Coverage(len(files), (), (), ())
    longer = {**files, "MLmodel": files["MLmodel"] + b"#"}
    assert compared(longer, bundle).differing == ("MLmodel",)


def test_a_digest_we_do_not_compute_is_said_to_be_one(key: ec.EllipticCurvePrivateKey) -> None:
    bundle = signed(FILES, key, config=hashing.Config().use_file_serialization(hashing_algorithm="blake3"))
    with pytest.raises(NotComparable, match="blake3"):
        compared(FILES, bundle)


def test_what_differs_is_named(key: ec.EllipticCurvePrivateKey) -> None:
    bundle = signed(FILES, key)
    changed = {**FILES, "MLmodel": b"flavors: {x: 1}\n", "extra.py": b""}
    del changed["data/empty"]
    assert compared(changed, bundle) == Coverage(2, ("MLmodel",), ("data/empty",), ("extra.py",))


NAMES = st.text("abc/é.", min_size=1, max_size=8).filter(
    lambda path: all(part.strip(".") for part in path.split("/")) and path != SIGNATURE
)


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(NAMES, min_size=1, max_size=4, unique=True),
    data=st.data(),
    change=st.sampled_from(["nothing", "content", "added", "removed", "bundle"]),
)
def test_we_accept_what_the_reference_accepts(names: list[str], data: st.DataObject, change: str) -> None:
    key = KEY
    files = {
        name: data.draw(st.binary(max_size=9))
        for name in names
        if not any(other != name and other.startswith(f"{name}/") for other in names)
    }
    bundle = signed(files, key)
    victim = data.draw(st.sampled_from(sorted(files)))
    if change == "content":
        files[victim] = data.draw(st.binary(max_size=9))
    elif change == "added":
        files["zz/new"] = b"new"
    elif change == "removed" and len(files) > 1:
        del files[victim]
    elif change == "bundle":
        document = json.loads(bundle)
        payload = bytearray(base64.b64decode(document["dsseEnvelope"]["payload"]))
        payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1
        document["dsseEnvelope"]["payload"] = base64.b64encode(bytes(payload)).decode()
        bundle = json.dumps(document).encode()
    assert accepted(files, bundle, key) == accepted_by_reference(files, bundle, key)


KEY = ec.generate_private_key(ec.SECP256R1())


def test_an_unknown_key_is_not_trusted_and_a_false_claim_not_genuine(
    key: ec.EllipticCurvePrivateKey, signers: Path
) -> None:
    trusted = model_signing.trusted_in(signers)
    stranger = json.loads(signed(FILES, KEY))
    with pytest.raises(NotTrusted):
        model_signing.verify(model_signing.read(json.dumps(stranger).encode())[0], trusted)
    stranger["verificationMaterial"]["publicKey"]["hint"] = model_signing.fingerprint(key.public_key())
    with pytest.raises(NotGenuine, match="credit-team"):
        model_signing.verify(model_signing.read(json.dumps(stranger).encode())[0], trusted)


def broken(change: Mapping[str, Any] | None = None, **envelope: object) -> bytes:
    document = json.loads(signed(FILES, KEY))
    document["dsseEnvelope"] |= envelope
    return json.dumps(document | dict(change or {})).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an OpenSSF"),
        (b"\xff\xfe", "not an OpenSSF"),
        (b"[]", "not an OpenSSF"),
        (b"[" * 100_000, "not an OpenSSF"),
        (broken({"verificationMaterial": None}), "not an OpenSSF"),
        (
            broken({"verificationMaterial": {"x509CertificateChain": {"certificates": [{"rawBytes": "AAAA"}]}}}),
            "not an",
        ),
        (broken(payloadType="text/plain"), "its payload is 'text/plain'"),
        (broken(signatures=[]), "not an OpenSSF"),
        (broken(payload="!"), "not an OpenSSF"),
        (broken(payload=base64.b64encode(b'{"_type": "x", "predicateType": "y"}').decode()), "it states 'y'"),
    ],
)
def test_what_is_no_signature_is_told_as_such(content: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        model_signing.read(content)


def test_a_root_that_is_not_that_of_the_list_is_refused() -> None:
    payload = json.loads(base64.b64decode(json.loads(signed(FILES, KEY))["dsseEnvelope"]["payload"]))
    payload["predicate"]["resources"].pop()
    with pytest.raises(Malformed, match="root digest"):
        model_signing.read(broken(payload=base64.b64encode(json.dumps(payload).encode()).decode()))


def test_a_file_of_the_operator_that_is_neither_key_nor_certificate_is_named(signers: Path) -> None:
    (signers / "slip.pem").write_text("hello")
    with pytest.raises(ValueError, match=r"slip\.pem"):
        model_signing.trusted_in(signers)


# Certificates


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
    signs: bool = True,
) -> x509.Certificate:
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=authority, crl_sign=authority, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=9))
        .add_extension(usage, critical=True)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    return builder.sign(issuer_key, SHA256())


def signed_with_certificate(place: Path, *, signs: bool = True, by: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """A bundle of a chain of three; the authority's certificate is left in ``place``."""
    root, middle, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    chain = {
        "root": certificate("Bank", root, "Bank", root, authority=True),
        "middle": certificate("Bank ML", middle, "Bank", root, authority=True),
        "leaf": certificate("Credit team", leaf, "Bank ML", middle, authority=False, signs=signs),
    }
    for name, one in chain.items():
        (place / f"{name}.pem").write_bytes(one.public_bytes(Encoding.PEM))
    (place / "leaf.key").write_bytes(private(leaf))
    model = laid_out(FILES, place / "model")
    signing.Config().use_certificate_signer(
        private_key=place / "leaf.key",
        signing_certificate=place / "leaf.pem",
        certificate_chain=[place / "middle.pem"],
    ).sign(model, place / SIGNATURE)
    bundle = (place / SIGNATURE).read_bytes()
    if signs:
        verifying.Config().use_certificate_verifier(certificate_chain=[place / "root.pem"]).verify(
            model, place / SIGNATURE
        )
    trust = place / "trust"
    trust.mkdir()
    shutil.copy(place / "root.pem", trust / "bank.pem")
    return bundle


def test_a_certificate_of_a_trusted_authority_is_accepted(tmp_path: Path) -> None:
    bundle, _ = model_signing.read(signed_with_certificate(tmp_path))
    signer = model_signing.verify(bundle, model_signing.trusted_in(tmp_path / "trust"))
    assert (signer.name, signer.method, signer.subject) == ("bank", "certificate", "CN=Credit team")


def test_a_certificate_of_nobody_we_know_one_not_for_signing_and_a_foreign_signature_are_not(
    tmp_path: Path, signers: Path, key: ec.EllipticCurvePrivateKey
) -> None:
    for name in ("good", "not-for-signing"):
        (tmp_path / name).mkdir()
    content = signed_with_certificate(tmp_path / "good")
    good, _ = model_signing.read(content)
    with pytest.raises(NotTrusted, match="CN=Credit team"):
        model_signing.verify(good, model_signing.trusted_in(signers))
    other = json.loads(content)
    other["dsseEnvelope"]["signatures"] = json.loads(signed(FILES, key))["dsseEnvelope"]["signatures"]
    with pytest.raises(NotGenuine, match="has not signed"):
        model_signing.verify(
            model_signing.read(json.dumps(other).encode())[0], model_signing.trusted_in(tmp_path / "good" / "trust")
        )
    bundle, _ = model_signing.read(signed_with_certificate(tmp_path / "not-for-signing", signs=False))
    with pytest.raises(NotGenuine, match="not for signing"):
        model_signing.verify(bundle, model_signing.trusted_in(tmp_path / "not-for-signing" / "trust"))


def test_a_keyless_signature_is_told_as_such(key: ec.EllipticCurvePrivateKey, signers: Path) -> None:
    document = json.loads(signed(FILES, key))
    document["verificationMaterial"] = {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": [{}]}
    bundle, _ = model_signing.read(json.dumps(document).encode())
    with pytest.raises(NotTrusted, match="Sigstore"):
        model_signing.verify(bundle, model_signing.trusted_in(signers))
