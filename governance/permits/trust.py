"""The trust root: which keys sign permits, which log and which witnesses count, until when. Signed by offline keys.

After The Update Framework's root role (https://theupdateframework.github.io/specification/latest/, 4.3 and 5.3): a new
version is signed by the threshold of the version before and by its own, so that whoever trusts one version can walk to
the newest. JSON in DSSE. Pure: keys and documents in, documents out.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from governance.permits import signed
from governance.permits.dsse import TRUST_ROOT, canonical, envelope, signature
from governance.permits.signed import Refused, fingerprint

ROOT_TYPE: Final = "https://countersign.dev/trust-root/v1"
ROLES: Final = ("root", "permit", "status", "permit-v1")
MICROSECONDS_A_DAY: Final = 86_400_000_000

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a trust root names. ``keys`` by role; thresholds default to all keys of the role."""

    keys: Mapping[str, Sequence[ec.EllipticCurvePublicKey]]
    ledger_origin: str
    ledger_vkey: str
    witnesses: Sequence[str] = ()
    witness_quorum: int = 0
    timestamp_authorities: Sequence[str] = ()
    thresholds: Mapping[str, int] = field(default_factory=dict)


def document(contents: Contents, *, version: int, now: int, days: int) -> Document:
    """The document of a version, checked. Raises ``Refused`` for one that could not stand."""
    made: Document = {
        "_type": ROOT_TYPE,
        "version": version,
        "issued_at": now,
        "expires_at": now + days * MICROSECONDS_A_DAY,
        "keys": {fingerprint(key): pem(key) for keys in contents.keys.values() for key in keys},
        "roles": {
            role: {
                "keyids": sorted(fingerprint(key) for key in keys),
                "threshold": contents.thresholds.get(role, len(keys)),
            }
            for role, keys in contents.keys.items()
        },
        "ledger": {"origin": contents.ledger_origin, "vkey": contents.ledger_vkey},
        "witnesses": {"vkeys": list(contents.witnesses), "quorum": contents.witness_quorum},
        "timestamp_authorities": list(contents.timestamp_authorities),
    }
    signed.check_root(made)
    return made


def pem(key: ec.EllipticCurvePublicKey) -> str:
    """A public key as PEM text."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def add_key(old: Document, role: str, key: ec.EllipticCurvePublicKey) -> Document:
    """A draft with the key in the role. Raises ``Refused`` for a role that there is not."""
    if role not in ROLES:
        raise Refused(f"there is no role {role!r}; the roles are {', '.join(ROLES)}")
    made = deepcopy(old)
    made["keys"][fingerprint(key)] = pem(key)
    found = made["roles"].setdefault(role, {"keyids": [], "threshold": 1})
    found["keyids"] = sorted({*found["keyids"], fingerprint(key)})
    return made


def remove_key(old: Document, role: str, prefix: str) -> Document:
    """A draft without the key of that id (its beginning is enough) in the role. Raises ``Refused``."""
    made = deepcopy(old)
    ids = made["roles"].get(role, {"keyids": []})["keyids"]
    gone = [keyid for keyid in ids if keyid.startswith(prefix)]
    if len(gone) != 1:
        raise Refused(f"{len(gone)} keys of the role {role!r} begin with {prefix!r}; name exactly one")
    ids.remove(gone[0])
    used = {keyid for one in made["roles"].values() for keyid in one["keyids"]}
    made["keys"] = {keyid: text for keyid, text in made["keys"].items() if keyid in used}
    return made


def following(old: Document, *, now: int, days: int) -> Document:
    """The next version, as a draft: the same contents, a new number and a new end."""
    return {
        **deepcopy(old),
        "version": old["version"] + 1,
        "issued_at": now,
        "expires_at": now + days * MICROSECONDS_A_DAY,
    }


def read(text: str | bytes) -> Document:
    """The document in an envelope, checked for itself. Its signatures are not. Raises ``Refused``."""
    outer = signed.load(text, "the trust root")
    made = signed.load(signed.opened(outer, TRUST_ROOT, "the trust root")[0], "the trust root")
    signed.check_root(made)
    return made


def draft(made: Document) -> str:
    """The document in an envelope that nobody has signed yet."""
    return envelope(TRUST_ROOT, canonical(made), {})


def sign(text: str, *keys: ec.EllipticCurvePrivateKey) -> str:
    """The envelope with the signatures of ``keys`` added; one that is there already is made anew. Raises ``Refused``."""
    outer = signed.load(text, "the trust root")
    payload, _, signatures = signed.opened(outer, TRUST_ROOT, "the trust root")
    made = {keyid: value for keyid, value in signatures if keyid}
    for key in keys:
        made[fingerprint(key.public_key())] = signature(TRUST_ROOT, payload, key)
    return envelope(TRUST_ROOT, payload, made)


def walk(chain: Sequence[str], *, now: int) -> Document:
    """The newest document of a chain whose first version is trusted. Raises ``Refused``: unsigned, gap, expired."""
    if not chain:
        raise Refused("there is no trust root")
    envelopes = [json.loads(text) for text in chain]
    return signed.check_chain(envelopes[0], envelopes[1:], now)
