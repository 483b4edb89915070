"""Salted commitments to what is personal, and the sealing of what opens them. Pure: no database, no clock.

The form is that of the disclosures of RFC 9901 (Selective Disclosure for JSON Web Tokens), section 4.2.1: the JSON array
``[salt, field, value]`` in base64url, and as its digest the base64url SHA-256 over that text. So any library for SD-JWT
checks ours. One thing is more strict: the array is canonical JSON (RFC 8785), so that a value has one disclosure.

A subject has one random key of 32 bytes. Two others are derived from it by HKDF-SHA256 (RFC 5869): the salts are
HMAC-SHA256 under the first (128 bits, as RFC 9901 section 9.3 wants them), which makes the same field and value of the same
subject the same commitment in every process; the second seals disclosures with AES-256-GCM (NIST SP 800-38D). Without the
key of the subject a digest says nothing, and nothing opens.
"""

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audit.canonical import NotCanonical, canonical, parse

KEY_LENGTH: Final = 32
_SALT_LENGTH: Final = 16
_NONCE_LENGTH: Final = 12


class BadDisclosure(ValueError):
    """The text is no disclosure, or what was sealed does not open under this key in this place."""


@dataclass(frozen=True, slots=True)
class Personal:
    """Something about a person that an entry vouches for and must not say: whose (``user:7``), which field, its value."""

    subject: str
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Keys:
    """What is derived from a subject's key."""

    salts: bytes
    seals: AESGCM

    @classmethod
    def of(cls, key: bytes) -> "Keys":
        """Derive. Raises ``ValueError`` for a key of another length."""
        if len(key) != KEY_LENGTH:
            raise ValueError(f"the key of a subject has {KEY_LENGTH} bytes, not {len(key)}")
        return cls(
            _derived(key, b"countersign personal v1 salts"), AESGCM(_derived(key, b"countersign personal v1 seals"))
        )


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=None, info=purpose).derive(key)


def new_key() -> bytes:
    """Return a key for a new subject."""
    return os.urandom(KEY_LENGTH)


def disclosure_of(personal: Personal, keys: Keys) -> str:
    """Return the text that opens the commitment to ``personal``."""
    about = canonical([personal.subject, personal.field, personal.value])
    salt = hmac.digest(keys.salts, about, hashlib.sha256)[:_SALT_LENGTH]
    return _base64url(canonical([_base64url(salt), personal.field, personal.value]))


def digest_of(disclosure: str) -> str:
    """Return the commitment that a disclosure opens (RFC 9901, section 4.2.3)."""
    return _base64url(hashlib.sha256(disclosure.encode("ascii")).digest())


def read(disclosure: str) -> tuple[str, str]:
    """Return field and value of a disclosure. Raises ``BadDisclosure``."""
    try:
        content = parse(base64.b64decode(disclosure + "=" * (-len(disclosure) % 4), altchars=b"-_", validate=True))
    except (NotCanonical, ValueError, binascii.Error) as error:
        raise BadDisclosure(f"this is no disclosure: {error}") from error
    match content:
        case [str(), str(field), str(value)]:
            return field, value
    raise BadDisclosure("this is no disclosure of a field and its text")


def seal(disclosure: str, keys: Keys, *, place: str) -> bytes:
    """Encrypt a disclosure for its place (subject and digest): in another it does not open."""
    nonce = os.urandom(_NONCE_LENGTH)
    return nonce + keys.seals.encrypt(nonce, disclosure.encode("ascii"), place.encode())


def unseal(sealed: bytes, keys: Keys, *, place: str) -> str:
    """Return the disclosure. Raises ``BadDisclosure``."""
    try:
        opened = keys.seals.decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], place.encode())
    except (InvalidTag, ValueError) as error:
        raise BadDisclosure("what was sealed does not open under the key of this person") from error
    return opened.decode("ascii")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
