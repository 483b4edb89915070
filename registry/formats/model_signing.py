"""OpenSSF model signatures, read and verified: a Sigstore bundle around a DSSE envelope around an in-toto statement.

Specification: https://github.com/ossf/model-signing-spec (v1.0); the reference implementation is the package
``model-signing``, against which the tests compare. Of its ways to sign, those that need no network are verified: with a
key, and with a certificate whose authority is trusted here. Pure: no database, no storage.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509 import verification

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a bundle; a resource takes about 200."""
_CURVES: Final = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
_SHARD: Final = re.compile(r"(?P<path>.+):(?P<start>\d{1,15}):(?P<end>\d{1,15})", re.DOTALL)
_HASHES: Final = frozenset({"sha256", "blake2b"})


class Malformed(ValueError):
    """The file is no OpenSSF model signature of version 1.0."""


class NotGenuine(ValueError):
    """The signature is not that of the key or certificate it claims, over this payload."""


class NotTrusted(ValueError):
    """Nobody who is trusted here has signed."""


class NotComparable(ValueError):
    """The statement uses a digest that cannot be computed here."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """A signer who is trusted here: a public key, or the certificates of an authority. ``name`` is the operator's."""

    name: str
    key: ec.EllipticCurvePublicKey | None = None
    authority: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Signer:
    """Who has signed. ``fingerprint`` is the SHA-256 of the public key's PEM, as bundles name keys."""

    name: str
    method: str
    subject: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A file, or the bytes from ``start`` to ``end`` of one, and its digest."""

    path: str
    algorithm: str
    digest: str
    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What was signed: the files with their digests, and the digest over these digests."""

    name: str
    root: str
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as read; nothing of it is believed yet."""

    payload: bytes
    signature: bytes
    hint: str
    chain: tuple[x509.Certificate, ...]
    keyless: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """How the signed files compare with the sealed ones."""

    covered: int
    differing: tuple[str, ...]
    missing: tuple[str, ...]
    uncovered: tuple[str, ...]


Digest = Callable[[str, str, int, int | None], str]
"""Path, algorithm, start and end (``None``: to the end) to the hexadecimal digest. Raises ``NotComparable``."""


def read(content: bytes) -> tuple[Bundle, Statement]:
    """Read a bundle and its statement. Raises ``Malformed``, saying what is missing or wrong."""
    try:
        outer = json.loads(content)
        envelope, material = outer["dsseEnvelope"], outer["verificationMaterial"]
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise Malformed(f"its payload is {envelope['payloadType']!r}, not {PAYLOAD_TYPE!r}")
        [signature] = envelope["signatures"]
        chain = material.get("x509CertificateChain", {}).get("certificates", [])
        bundle = Bundle(
            payload=_bytes(envelope["payload"]),
            signature=_bytes(signature["sig"]),
            hint=str(material.get("publicKey", {}).get("hint", "")),
            chain=tuple(x509.load_der_x509_certificate(_bytes(one["rawBytes"])) for one in chain),
            keyless="certificate" in material or bool(material.get("tlogEntries")),
        )
        return bundle, _statement(json.loads(bundle.payload))
    except Malformed:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, binascii.Error) as error:
        raise Malformed(f"it is not an OpenSSF model signature: {type(error).__name__}: {error}") from error


def trusted_in(directory: Path) -> list[Trusted]:
    """The signers of a directory: ``*.pem`` with an elliptic-curve public key or with an authority's certificates.

    Raises ``ValueError`` naming a file that is neither, so that a slip of the operator is not taken for no trust.
    """
    found = []
    for path in sorted(directory.glob("*.pem")):
        content = path.read_bytes()
        if b"BEGIN CERTIFICATE" in content:
            found.append(Trusted(path.stem, authority=tuple(x509.load_pem_x509_certificates(content))))
            continue
        try:
            key = load_pem_public_key(content)
        except ValueError as error:
            raise ValueError(f"{path.name} holds neither a public key nor a certificate: {error}") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
            raise ValueError(f"{path.name}: model signatures are made with the curves {', '.join(_CURVES)}")
        found.append(Trusted(path.stem, key=key))
    return found


def verify(bundle: Bundle, trusted: Iterable[Trusted]) -> Signer:
    """Return the trusted signer of the payload. Raises ``NotGenuine`` and ``NotTrusted``."""
    if bundle.chain:
        return _by_certificate(bundle, [one for one in trusted if one.authority])
    if bundle.keyless:
        raise NotTrusted("It was signed with an identity of Sigstore, which only Sigstore's services can vouch for.")
    keys = [(one.name, one.key) for one in trusted if one.key is not None]
    named = [(name, key) for name, key in keys if not bundle.hint or fingerprint(key) == bundle.hint]
    for name, key in named:
        if _signed(bundle, key):
            return Signer(name, "key", name, fingerprint(key))
    if named and bundle.hint:
        raise NotGenuine(f"It names the key of {named[0][0]}, which has not signed this.")
    raise NotTrusted("The key that signed is not among those trusted here.")


def compare(statement: Statement, files: Mapping[str, int], digest: Digest, *, itself: str) -> Coverage:
    """Compare what was signed with the sealed files (path to size), ``itself`` being the signature's own path.

    A file counts as covered only if every byte of it is. Raises ``NotComparable``.
    """
    pieces: dict[str, list[Resource]] = {}
    for resource in statement.resources:
        pieces.setdefault(resource.path, []).append(resource)
    missing = sorted(set(pieces) - set(files))
    covered, differing, uncovered = 0, [], []
    for path in sorted(set(files) - {itself}):
        if path not in pieces:
            uncovered.append(path)
        elif not _complete(pieces[path], files[path]) or any(
            digest(path, one.algorithm, one.start, one.end) != one.digest for one in pieces[path]
        ):
            differing.append(path)
        else:
            covered += 1
    return Coverage(covered, tuple(differing), tuple(missing), tuple(uncovered))


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """The hint by which bundles name a key: the SHA-256 of its PEM."""
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def hasher(algorithm: str) -> "hashlib._Hash":
    """A new hash of that name. Raises ``NotComparable``."""
    plain = algorithm.partition("-sharded-")[0]
    if plain not in _HASHES:
        raise NotComparable(f"The files were digested with {plain}, which is not computed here.")
    return hashlib.new(plain)


def _complete(pieces: Sequence[Resource], size: int) -> bool:
    """Whether the pieces are the whole file, each byte once."""
    if len(pieces) == 1 and pieces[0].end is None:
        return True
    at = 0
    for piece in sorted(pieces, key=lambda one: one.start):
        if piece.end is None or piece.start != at:
            return False
        at = piece.end
    return at == size


def _statement(made: Any) -> Statement:  # noqa: ANN401 - JSON
    if made["_type"] != STATEMENT_TYPE or made["predicateType"] != PREDICATE_TYPE:
        raise Malformed(f"it states {made['predicateType']!r}, not {PREDICATE_TYPE!r}")
    [subject] = made["subject"]
    sharded = made["predicate"]["serialization"]["method"] == "shards"
    resources = tuple(_resource(one, sharded=sharded) for one in made["predicate"]["resources"])
    root = hashlib.sha256(b"".join(bytes.fromhex(one.digest) for one in resources)).hexdigest()
    if root != subject["digest"]["sha256"]:
        raise Malformed("its root digest is not that of the files it lists")
    if not resources:
        raise Malformed("it lists no file")
    return Statement(str(subject["name"]), root, resources)


def _resource(one: Mapping[str, Any], *, sharded: bool) -> Resource:
    name, algorithm, digest = str(one["name"]), str(one["algorithm"]), str(one["digest"])
    if not sharded:
        return Resource(name, algorithm, digest)
    shard = _SHARD.fullmatch(name)
    if shard is None:
        raise Malformed(f"{name[:200]!r} names no part of a file")
    return Resource(shard["path"], algorithm, digest, int(shard["start"]), int(shard["end"]))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _signed(bundle: Bundle, key: ec.EllipticCurvePublicKey) -> bool:
    """DSSE, https://github.com/secure-systems-lab/dsse/blob/master/protocol.md; the hash goes by the curve."""
    kind = PAYLOAD_TYPE.encode()
    encoded = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(bundle.payload), bundle.payload)
    try:
        key.verify(bundle.signature, encoded, ec.ECDSA(_CURVES[key.curve.name]))
    except InvalidSignature:
        return False
    return True


def _by_certificate(bundle: Bundle, authorities: Sequence[Trusted]) -> Signer:
    """As the reference implementation: the chain as of when the certificate began, and its use for signing."""
    leaf, *between = bundle.chain
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise NotGenuine("Its certificate holds no elliptic-curve key that models are signed with.")
    subject = leaf.subject.rfc4514_string()
    for one in authorities:
        if not _leads_to(one.authority, leaf, between):
            continue
        if not _may_sign(leaf):
            raise NotGenuine(f"The certificate of {subject} is not for signing.")
        if not _signed(bundle, key):
            raise NotGenuine(f"The certificate is that of {subject}, whose key has not signed this.")
        return Signer(one.name, "certificate", subject, fingerprint(key))
    raise NotTrusted(f"The certificate of {subject} leads to no authority that is trusted here.")


def _leads_to(
    authority: Sequence[x509.Certificate], leaf: x509.Certificate, between: Sequence[x509.Certificate]
) -> bool:
    extensions = verification.ExtensionPolicy.permit_all()
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(authority)))
        .time(leaf.not_valid_before_utc.astimezone(UTC).replace(tzinfo=None))
        .extension_policies(ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(), ee_policy=extensions)
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf, list(between))
    except verification.VerificationError:
        return False
    return True


def _may_sign(leaf: x509.Certificate) -> bool:
    try:
        if leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return True
    except x509.ExtensionNotFound:
        pass
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return x509.oid.ExtendedKeyUsageOID.CODE_SIGNING in usage
