"""DSSE envelopes with several signatures, ECDSA P-256 over the pre-authentication encoding.

https://github.com/secure-systems-lab/dsse/blob/master/protocol.md. Reading them is ``verifier``'s part, so that the
server judges with the very code that is handed out.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from governance.permits import signed

PERMIT: Final = signed.PERMIT
TRUST_ROOT: Final = signed.ROOT
STATUS: Final = signed.STATUS

Signatures = Mapping[str, bytes]
"""Signatures by the id of the key."""


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """DSSE's PAE: what is signed, so that a payload cannot be taken for one of another type."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def signature(payload_type: str, payload: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The signature of one key, in DER."""
    return key.sign(pre_authentication(payload_type, payload), ec.ECDSA(SHA256()))


def envelope(payload_type: str, payload: bytes, signatures: Signatures) -> str:
    """The envelope as text: keys sorted, no white space, signatures by key id."""
    made = {
        "payloadType": payload_type,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {"keyid": keyid, "sig": base64.b64encode(signatures[keyid]).decode()} for keyid in sorted(signatures)
        ],
    }
    return json.dumps(made, sort_keys=True, separators=(",", ":"))


def sign(payload_type: str, payload: bytes, *keys: ec.EllipticCurvePrivateKey) -> str:
    """The envelope signed by all ``keys``, for whoever holds them all."""
    made = {signed.fingerprint(key.public_key()): signature(payload_type, payload, key) for key in keys}
    return envelope(payload_type, payload, made)


def canonical(document: Mapping[str, object]) -> bytes:
    """Sorted keys and no white space, so that equal documents are equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(payload: bytes) -> str:
    """SHA-256 of a payload, as ledger entries name it."""
    return hashlib.sha256(payload).hexdigest()
