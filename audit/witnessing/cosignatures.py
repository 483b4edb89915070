"""Cosignatures of checkpoints (https://c2sp.org/tlog-cosignature): ``cosignature/v1`` with Ed25519, and ML-DSA-44.

Pure. A cosignature is a note signature over the checkpoint and a moment: the cosigner says that, then, this was the
largest head of that log it had seen, and that every earlier one it saw is a beginning of it.
"""

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from audit import notes
from audit.notes import BadNote, Signature

LOG_ED25519: Final = 0x01
ED25519: Final = 0x04
MLDSA44: Final = 0x06
LATEST: Final = 2**63 - 1
_VKEY: Final = re.compile(r"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
_SIGNATURE_SIZE: Final = {ED25519: 64, MLDSA44: 2420}

PublicKey = Ed25519PublicKey | MLDSA44PublicKey
PrivateKey = Ed25519PrivateKey | MLDSA44PrivateKey


class BadKey(ValueError):
    """Not a verifier key that we can use. The message says why."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A pinned public key with the name and the signature type that it speaks under (a C2SP vkey)."""

    name: str
    kind: int
    key: PublicKey

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature line names this key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key.public_bytes_raw()).digest()[
            :4
        ]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.kind]) + self.key.public_bytes_raw()).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def made(self, line: Signature) -> bool:
        """Whether a signature line says that it is of this key. It may still be wrong."""
        return line.name == self.name and line.key_hash == self.key_id


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A private key with its name: what a witness signs with."""

    name: str
    key: PrivateKey

    @property
    def verifier(self) -> Verifier:
        """What others pin."""
        public = self.key.public_key()
        return Verifier(self.name, ED25519 if isinstance(public, Ed25519PublicKey) else MLDSA44, public)

    def cosign(self, text: str, at: int) -> str:
        """Return the signature line over the text of a checkpoint, as of ``at`` (seconds since 1970)."""
        if not 0 < at <= LATEST:
            raise ValueError(f"{at} is no moment of a cosignature")
        verifier = self.verifier
        signature = self.key.sign(message(verifier, text, at))
        blob = verifier.key_id + struct.pack(">Q", at) + signature
        return f"— {self.name} {base64.b64encode(blob).decode()}\n"


def parse_vkey(line: str) -> Verifier:
    """Read a verifier key, ``name+hash+base64``. Raises ``BadKey``, also when its parts do not fit each other."""
    found = _VKEY.fullmatch(line.strip())
    if not found:
        raise BadKey(f"{line.strip()[:60]!r} is no verifier key: it must look like name+8 hex digits+base64")
    name, key_id, material = found.groups()
    try:
        raw = base64.b64decode(material, validate=True)
    except binascii.Error as error:
        raise BadKey(f"the key of {name} is not base64") from error
    if base64.b64encode(raw).decode() != material:
        raise BadKey(f"the key of {name} is not in the one canonical form of base64")
    verifier = Verifier(name, raw[0], _public(name, raw[0], raw[1:]))
    if verifier.key_id.hex() != key_id:
        raise BadKey(f"the key id of {name} should be {verifier.key_id.hex()}, not {key_id}: a part of it was changed")
    return verifier


def _public(name: str, kind: int, raw: bytes) -> PublicKey:
    if kind in {LOG_ED25519, ED25519} and len(raw) == 32:
        return Ed25519PublicKey.from_public_bytes(raw)
    if kind == MLDSA44 and len(raw) == 1312:
        return MLDSA44PublicKey.from_public_bytes(raw)
    raise BadKey(f"the key of {name} is of type {kind:#04x} with {len(raw)} bytes, which we cannot use")


def message(verifier: Verifier, text: str, at: int) -> bytes:
    """Return what is signed. The ML-DSA form also names the cosigner, and leaves out extension lines."""
    if verifier.kind == ED25519:
        return f"cosignature/v1\ntime {at}\n{text}".encode()
    checkpoint = notes.parse_checkpoint(text)
    name, origin = verifier.name.encode(), checkpoint.origin.encode()
    if max(len(name), len(origin)) > 255:
        raise BadNote("a name longer than 255 bytes has no ML-DSA cosignature")
    return (
        b"subtree/v1\n\0" + bytes([len(name)]) + name + struct.pack(">Q", at)
        + bytes([len(origin)]) + origin + struct.pack(">QQ", 0, checkpoint.size) + checkpoint.root
    )  # fmt: skip


def verify(text: str, line: Signature, verifier: Verifier) -> int:
    """Return the moment of a cosignature over ``text`` that ``verifier`` made. Raises ``BadNote``."""
    size = _SIGNATURE_SIZE.get(verifier.kind)
    if size is None or not isinstance(verifier.key, Ed25519PublicKey | MLDSA44PublicKey):
        raise BadNote(f"{verifier.name} has no key for cosignatures")
    if not verifier.made(line):
        raise BadNote(f"not made by {verifier.name}+{verifier.key_id.hex()}")
    if len(line.signature) != 8 + size:
        raise BadNote(f"the cosignature of {verifier.name} has {len(line.signature)} bytes, not {8 + size}")
    (at,) = struct.unpack(">Q", line.signature[:8])
    if not 0 < at <= LATEST:
        raise BadNote(f"the cosignature of {verifier.name} is of no moment")
    try:
        verifier.key.verify(line.signature[8:], message(verifier, text, at))
    except InvalidSignature:
        raise BadNote(f"the cosignature of {verifier.name} does not fit the checkpoint") from None
    return int(at)


def verify_log(note: str | bytes, log: Verifier) -> notes.CheckpointText:
    """Return the checkpoint that the log itself signed. Raises ``BadNote``, also if a line that claims to be its is wrong."""
    if log.kind != LOG_ED25519 or not isinstance(log.key, Ed25519PublicKey):
        raise BadNote(f"{log.name} has no key that signs checkpoints")
    return notes.verify_checkpoint(note, log.name, log.key)
