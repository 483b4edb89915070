"""What is signed, and whose signatures count: DSSE envelopes, thresholds of keys, the trust root and its rotation.

DSSE: https://github.com/secure-systems-lab/dsse. The trust root follows TUF's root role: a version counts if the threshold of
the one before it and its own signed it. Nothing here knows a database or a setting.
"""

import base64
import hashlib
import json
import time
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

PERMIT, ROOT, STATUS = (
    "application/vnd.in-toto+json",
    "application/vnd.countersign.trust-root+json",
    "application/vnd.countersign.permit-status+json",
)
ROLES = {"https://countersign.dev/permit/v1": "permit-v1", "https://countersign.dev/permit/v2": "permit"}
Json = dict[str, Any]
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class Refused(Exception):
    """The permit does not allow what was asked. The message says why."""


def need(holds: object, complaint: str) -> None:
    """Refuse with ``complaint`` unless it holds."""
    if not holds:
        raise Refused(complaint)


def load(data: str | bytes, what: str) -> Json:
    """A JSON object. One that repeats a key means different things to different readers."""

    def once(pairs: list[tuple[str, Any]]) -> Json:
        need(len(dict(pairs)) == len(pairs), f"{what} repeats a key")
        return dict(pairs)

    try:
        made = json.loads(data, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{what} is not JSON: {error}") from None
    need(isinstance(made, dict), f"{what} is no JSON object")
    return dict(made)


def decode(text: object, what: str) -> bytes:
    """Base64 in either alphabet, as DSSE asks, in the one form that these bytes have."""
    plain = str(text).replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(plain, validate=True)
    except ValueError:
        raise Refused(f"{what} is not base64") from None
    need(base64.b64encode(data) == plain.encode(), f"{what} is not base64 in its one form")
    return data


def public_key(pem: str) -> ec.EllipticCurvePublicKey:
    """Read an ECDSA P-256 key: the only kind that signs permits, status lists and trust roots."""
    try:
        key = load_pem_public_key(str(pem).encode())
    except ValueError:
        raise Refused("the trust root holds something that is no public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refused("the trust root holds a key that is not ECDSA P-256")
    return key


def fingerprint(key: PublicKey) -> str:
    """SHA-256 of the DER SubjectPublicKeyInfo, in hex: the key's id."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def holds(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether ``key`` signed ``data``: ECDSA with SHA-256 in DER, or Ed25519."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            key.verify(signature, data, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def opened(envelope: object, kind: str, what: str) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """The payload of a DSSE envelope, what its signatures cover (PAE), and them. Nothing is verified yet."""
    try:
        outer: Json = dict(envelope)  # type: ignore[call-overload]
        named, payload = outer["payloadType"], decode(outer["payload"], f"the payload of {what}")
        signatures = [
            (str(one.get("keyid", "")), decode(one["sig"], f"a signature of {what}")) for one in outer["signatures"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Refused(f"{what} is no DSSE envelope") from None
    need(named == kind, f"{what}: the payload is {named!r}, not {kind!r}")
    name = kind.encode()
    return payload, b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload), signatures


def check_threshold(envelope: object, kind: str, keys: dict[str, PublicKey], threshold: int, what: str) -> bytes:
    """Return the payload that at least ``threshold`` distinct keys of ``keys`` signed."""
    payload, data, signatures = opened(envelope, kind, what)
    named = [keyid for keyid, _ in signatures if keyid]
    need(len(set(named)) == len(named), f"{what} names the same key for two signatures")
    signers = [keyid for _, signature in signatures for keyid, key in keys.items() if holds(key, signature, data)]
    need(len(set(signers)) == len(signers), f"{what} is signed twice with the same key under two names")
    if len(signers) < threshold:
        bad, strange = sorted(set(named) & set(keys) - set(signers)), sorted(set(named) - set(keys))
        why = [f"the signature of key {one[:16]} does not fit the content" for one in bad]
        why += [f"key {one[:16]} has not this role in the trust root" for one in strange]
        raise Refused(
            f"{what} has {len(signers)} of {threshold} signatures that count" + "".join(f"; {one}" for one in why)
        )
    return payload


def role(root: Json, name: str) -> tuple[dict[str, PublicKey], int]:
    """The keys and the threshold of a role of the trust root."""
    found = root["roles"].get(name)
    need(found, f"the trust root gives nobody the role {name!r}")
    return {keyid: public_key(root["keys"][keyid]) for keyid in found["keyids"]}, found["threshold"]


def check_root(root: Json) -> None:
    """A trust root means what it says: key ids are digests of keys, thresholds can be met, offline keys do nothing else."""
    need(root.get("_type") == "https://countersign.dev/trust-root/v1", "this is no trust root")
    try:
        need(
            all(fingerprint(public_key(pem)) == keyid for keyid, pem in root["keys"].items()),
            "a key of the trust root has another key's id",
        )
        for name, one in root["roles"].items():
            ids, least = one["keyids"], 2 if name in {"permit", "status"} else 1
            need(
                set(ids) <= set(root["keys"]) and len(set(ids)) == len(ids),
                f"the role {name!r} names a key twice, or one that is not there",
            )
            need(
                type(one["threshold"]) is int and least <= one["threshold"] <= len(ids),
                f"the threshold of the role {name!r} cannot stand",
            )
            need(
                name == "root" or not set(ids) & set(root["roles"]["root"]["keyids"]),
                f"an offline root key has the role {name!r} as well",
            )
        need(
            0 <= root["witnesses"]["quorum"] <= len(set(root["witnesses"]["vkeys"])),
            "the quorum of witnesses cannot be met",
        )
        need(
            type(root["version"]) is int
            and type(root["expires_at"]) is int
            and root["ledger"]["vkey"].startswith(root["ledger"]["origin"] + "+"),
            "the trust root lacks its version, its end or its log",
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Refused(f"the trust root is incomplete: {error}") from None


def check_chain(pinned: object, chain: list[Any], now: int) -> Json:
    """From the root one trusts to the newest: each is signed by the threshold of the one before and by its own."""
    found = {}
    for envelope in [*chain, pinned]:
        root = load(opened(envelope, ROOT, "the trust root")[0], "the trust root")
        check_root(root)
        found[root["version"]] = (root, envelope)
    root = load(opened(pinned, ROOT, "the trust root")[0], "the trust root")
    check_threshold(pinned, ROOT, *role(root, "root"), "the trust root")
    while root["version"] + 1 in found:
        following, envelope = found[root["version"] + 1]
        what = f"version {following['version']} of the trust root"
        check_threshold(envelope, ROOT, *role(root, "root"), f"{what}, asked of the keys before it,")
        check_threshold(envelope, ROOT, *role(following, "root"), f"{what}, asked of its own keys,")
        root = following
    need(
        root["version"] == max(found),
        f"the trust root goes up to version {root['version']}, and the next one is missing: versions follow one by one",
    )
    need(
        now < root["expires_at"],
        f"version {root['version']} of the trust root ended {at(root['expires_at'])}: get a newer one",
    )
    return root


def at(microseconds: int) -> str:
    """A moment, for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(microseconds // 1_000_000))
