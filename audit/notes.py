"""C2SP signed notes and checkpoints (https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint), Ed25519 keys.

Pure. Parsing is strict: a note that another implementation could read differently is refused.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ED25519 = b"\x01"
_DASH = "— "
_LONGEST = 1_000_000
_MOST_SIGNATURES = 100
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class BadNote(ValueError):
    """Not a note we accept. The message says why."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: whose it says it is, the first four bytes of the key id, and the signature."""

    name: str
    key_hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note. ``text`` is what is signed and ends in a newline. Nothing is verified yet."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class CheckpointText:
    """The first three lines of a checkpoint: which log, how many leaves, their root."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def raw_key(key: Ed25519PublicKey) -> bytes:
    """Return the 32 bytes of a public key."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_hash(name: str, key: Ed25519PublicKey) -> bytes:
    """Return the four bytes by which a signature line names its key."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + raw_key(key)).digest()[:4]


def verifier_key(name: str, key: Ed25519PublicKey) -> str:
    """Return the key in the one-line form other C2SP tools take: ``name+hash+base64``."""
    return f"{name}+{key_hash(name, key).hex()}+{base64.b64encode(_ED25519 + raw_key(key)).decode()}"


def sign(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """Return ``text`` as a note signed by ``name``. Raises ``BadNote`` for a text or name that no note can have."""
    _check_text(text)
    _check_name(name)
    blob = key_hash(name, key.public_key()) + key.sign(text.encode())
    return f"{text}\n{_DASH}{name} {base64.b64encode(blob).decode()}\n"


def parse(note: str | bytes) -> Note:
    """Split a note into text and signatures. Raises ``BadNote``; verifies nothing."""
    raw = note.encode() if isinstance(note, str) else note
    if len(raw) > _LONGEST:
        raise BadNote(f"longer than {_LONGEST} bytes")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadNote("not UTF-8") from error
    split = whole.rfind("\n\n")
    if split < 0:
        raise BadNote("no blank line between text and signatures")
    text, rest = whole[: split + 1], whole[split + 2 :]
    _check_text(text)
    if not rest.endswith("\n"):
        raise BadNote("no newline at the end, or no signature")
    lines = rest[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise BadNote(f"more than {_MOST_SIGNATURES} signatures")
    return Note(text, tuple(_signature(line) for line in lines))


def verify(note: str | bytes, name: str, key: Ed25519PublicKey) -> str:
    """Return the text of a note that ``name`` signed with ``key``.

    Signatures of other names or keys are ignored, as the specification asks. Raises ``BadNote`` if the note is
    malformed, if this key did not sign it, or if a signature that claims to be this key's is wrong.
    """
    parsed = parse(note)
    expected = key_hash(name, key)
    ours = [line for line in parsed.signatures if line.name == name and line.key_hash == expected]
    if not ours:
        signers = ", ".join(f"{line.name}+{line.key_hash.hex()}" for line in parsed.signatures)
        raise BadNote(f"not signed by {name}+{expected.hex()}, but by {signers}")
    for line in ours:
        try:
            key.verify(line.signature, parsed.text.encode())
        except InvalidSignature:
            raise BadNote(f"the signature of {name}+{expected.hex()} does not fit the text") from None
    return parsed.text


def parse_checkpoint(text: str) -> CheckpointText:
    """Read the text of a checkpoint note. Raises ``BadNote``. Extension lines are allowed and left to their readers."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] != "":
        raise BadNote("a checkpoint has three lines: origin, size, root")
    origin, size, root = lines[:3]
    if not origin:
        raise BadNote("the origin is empty")
    if not _SIZE.fullmatch(size) or int(size) >= 2**63:
        raise BadNote(f"the size {size!r} is no plain decimal number")
    if "" in lines[3:-1]:
        raise BadNote("an extension line is empty")
    decoded = _base64(root, "the root hash")
    if len(decoded) != hashlib.sha256().digest_size:
        raise BadNote(f"the root hash has {len(decoded)} bytes, not 32")
    return CheckpointText(origin, int(size), decoded)


def verify_checkpoint(note: str | bytes, origin: str, key: Ed25519PublicKey) -> CheckpointText:
    """Return the checkpoint of log ``origin`` that ``key`` signed. Raises ``BadNote``."""
    checkpoint = parse_checkpoint(verify(note, origin, key))
    if checkpoint.origin != origin:
        raise BadNote(f"a checkpoint of {checkpoint.origin}, not of {origin}")
    return checkpoint


def _signature(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise BadNote(f"a signature line must begin with an em dash and a space, not {line[:20]!r}")
    name, space, blob = line[len(_DASH) :].partition(" ")
    if not space:
        raise BadNote("a signature line needs a name and a signature")
    _check_name(name)
    decoded = _base64(blob, f"the signature of {name}")
    if len(decoded) < 5:
        raise BadNote(f"the signature of {name} is too short")
    return Signature(name, decoded[:4], decoded[4:])


def _base64(text: str, what: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote(f"{what} is not base64") from error
    if base64.b64encode(decoded).decode() != text:
        raise BadNote(f"{what} is not in the one canonical form of base64")
    return decoded


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise BadNote(f"{name!r} is no key name: it may hold no space and no plus sign, and not be empty")


def _check_text(text: str) -> None:
    if not text.endswith("\n") or text == "\n":
        raise BadNote("the text is empty or does not end in a newline")
    # The specification forbids control characters below U+0020 other than the newline.
    if any(ord(character) < 0x20 and character != "\n" for character in text):
        raise BadNote("the text holds a control character")


def fingerprint(key: Ed25519PublicKey | ec.EllipticCurvePublicKey) -> str:
    """Return the SHA-256 of the key's DER SubjectPublicKeyInfo, in hex: what people compare and permits name."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def origin(key: Ed25519PublicKey) -> str:
    """Return the name of the log: bound to its key, so that it is unique and survives a change of address."""
    return f"countersign/{fingerprint(key)[:16]}"
