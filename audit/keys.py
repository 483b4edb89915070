"""The two signing keys of an installation: made once, read by the processes that sign, never overwritten."""

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from django.conf import settings

from audit.notes import fingerprint, origin
from config.files import write_once

__all__ = [
    "LEDGER", "PERMIT", "KeyProblem", "directory", "ensure_keys", "fingerprint", "ledger_key", "ledger_public_key", "origin",
    "permit_key", "public_pem", "publish_public",
]  # fmt: skip

LEDGER: Final = "ledger.ed25519"
PERMIT: Final = "permit.p256"


class KeyProblem(RuntimeError):
    """A key file is missing or is not what it should be. The message names the file and the remedy."""


def directory() -> Path:
    """Return where the keys of this installation are."""
    return Path(settings.KEYS_DIR)


def ensure_keys(place: Path) -> list[str]:
    """Make what is missing of both key pairs; return the names of the pairs that were made.

    Private files are 0600 in a directory that is 0700. An existing private key is never replaced: losing it would
    orphan every checkpoint or permit it signed. Raises ``KeyProblem`` for a public half without its private one.
    """
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    for name in (LEDGER, PERMIT):
        private, public = place / f"{name}.pem", place / f"{name}.pub.pem"
        # Asked in this order, because another process may be making the same pair, private half first.
        public_exists = public.exists()
        if not private.exists():
            if public_exists:
                raise KeyProblem(f"{public} is there but {private.name} is gone: restore it, or move both away")
            key = _generate(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            if write_once(private, key, 0o600):
                made.append(name)
        if not public_exists:
            half = load_pem_private_key(private.read_bytes(), None).public_key()
            write_once(public, half.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return made


def ledger_key() -> Ed25519PrivateKey:
    """Return the key that signs checkpoints. Raises ``KeyProblem``."""
    key = load_pem_private_key(_read(f"{LEDGER}.pem"), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyProblem(f"{directory() / LEDGER}.pem is no Ed25519 key")
    return key


def publish_public() -> Path:
    """Copy the public half of the checkpoint key to DATA_DIR/public, for processes that the keys' directory is kept from."""
    copy = _published()
    copy.parent.mkdir(parents=True, exist_ok=True)
    draft = copy.with_name(f".{copy.name}.{os.getpid()}")
    draft.write_bytes(_read(f"{LEDGER}.pub.pem"))
    draft.chmod(0o644)
    draft.replace(copy)
    return copy


def _published() -> Path:
    return Path(settings.DATA_DIR) / "public" / f"{LEDGER}.pub.pem"


def ledger_public_key() -> Ed25519PublicKey:
    """Return the public half of the checkpoint key, from beside the private one or from its copy. Raises ``KeyProblem``."""
    beside = directory() / f"{LEDGER}.pub.pem"
    content = _published().read_bytes() if not beside.exists() and _published().exists() else _read(beside.name)
    key = load_pem_public_key(content)
    if not isinstance(key, Ed25519PublicKey):
        raise KeyProblem(f"{directory() / LEDGER}.pub.pem is no Ed25519 key")
    return key


def permit_key() -> ec.EllipticCurvePrivateKey:
    """Return the key that signs permits. Raises ``KeyProblem``."""
    key = load_pem_private_key(_read(f"{PERMIT}.pem"), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyProblem(f"{directory() / PERMIT}.pem is no ECDSA P-256 key")
    return key


def public_pem(key: Ed25519PublicKey | ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _generate(name: str) -> Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
    return Ed25519PrivateKey.generate() if name == LEDGER else ec.generate_private_key(ec.SECP256R1())


def _read(name: str) -> bytes:
    path = directory() / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyProblem(f"cannot read {path}: {error.strerror}; `manage.py ensure_keys` makes the keys") from error
