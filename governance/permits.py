"""What a permit is, without database and clock: an in-toto Statement v1 in a DSSE envelope, signed with ECDSA P-256.

Formats: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and
https://github.com/secure-systems-lab/dsse/blob/master/protocol.md. The fields are those of docs/auditors/bundle.md.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from audit.keys import fingerprint

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://countersign.dev/permit/v1"


class NotGenuine(ValueError):
    """The envelope is malformed, of another kind, or not signed with this key."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the evidence."""

    key: str
    verdict: str
    digest: str


@dataclass(frozen=True, slots=True)
class Approval:
    """One signature that counts. ``entry_id`` is its entry in the ledger."""

    person: str
    name: str
    stage: int
    role: str
    outcome: str
    meaning: str
    record_digest: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many signatures of a role a stage asks for."""

    stage: int
    role: str
    n: int


@dataclass(frozen=True, slots=True)
class WaiverNote:
    """A waiver that the approval rests on. ``until`` in microseconds."""

    id: str
    key: str
    reason: str
    until: int


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything a permit says. Moments are integer microseconds since 1970."""

    permit: str
    request: str
    model: str
    version: int
    target: str
    manifest_digest: str
    intended_use: str
    not_before: int
    expires_at: int
    policy: Mapping[str, str]
    evidence_digest: str
    checks: Sequence[Check]
    quorum: Sequence[Quorum]
    approvals: Sequence[Approval]
    waivers: Sequence[WaiverNote]
    conditions: Sequence[str]
    supersedes: str

    def predicate(self) -> dict[str, Any]:
        """The predicate: all of the scope but the digest, which is the statement's subject."""
        plain = asdict(self)
        del plain["manifest_digest"]
        return plain


@dataclass(frozen=True, slots=True)
class Signed:
    """An envelope, and the two digests that its ledger entry keeps."""

    envelope: str
    payload_digest: str
    key_id: str


def statement(scope: Scope) -> bytes:
    """The payload: sorted keys, no white space, so that equal scopes give equal bytes."""
    made = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": f"{scope.model}/{scope.version}", "digest": {"sha256": scope.manifest_digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": scope.predicate(),
    }
    return json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """DSSE's PAE: what is signed, so that a payload cannot be taken for one of another type."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(scope: Scope, key: ec.EllipticCurvePrivateKey) -> Signed:
    """Make and sign the permit."""
    payload = statement(scope)
    key_id = fingerprint(key.public_key())
    signature = key.sign(pre_authentication(PAYLOAD_TYPE, payload), ec.ECDSA(SHA256()))
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}],
    }
    text = json.dumps(envelope, sort_keys=True, separators=(",", ":"))
    return Signed(text, hashlib.sha256(payload).hexdigest(), key_id)


def verify(envelope: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """Return the statement of a genuine permit. Raises ``NotGenuine`` saying what is wrong."""
    try:
        outer = json.loads(envelope)
        kind, payload = outer["payloadType"], base64.b64decode(outer["payload"], validate=True)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in outer["signatures"]]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise NotGenuine(f"this is no DSSE envelope: {error}") from error
    if kind != PAYLOAD_TYPE:
        raise NotGenuine(f"the payload is {kind!r}, not {PAYLOAD_TYPE!r}")
    if not any(_signed(key, signature, pre_authentication(kind, payload)) for signature in signatures):
        raise NotGenuine("no signature of the envelope is of this key over this payload")
    made: dict[str, Any] = json.loads(payload)
    if made.get("_type") != STATEMENT_TYPE or made.get("predicateType") != PREDICATE_TYPE:
        raise NotGenuine("the payload is signed, but it is no permit")
    return made


def _signed(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    try:
        key.verify(signature, data, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
