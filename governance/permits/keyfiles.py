"""Private ECDSA P-256 keys in files of their own: one for the issuer, one for the countersigner, some that are offline."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from config.files import write_once


class NoKey(RuntimeError):
    """A key file is not there, cannot be read, or is not what it should be. The message names file and remedy."""


def make(path: Path) -> bool:
    """Make a key pair, ``path`` and ``path``.pub beside it, unless the private half exists; say whether it was made.

    The private half is 0600, whole or not there at all, and never replaced.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = False
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        made = write_once(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    if not public_path(path).exists():
        write_once(public_path(path), public_pem(private(path).public_key()), 0o644)
    return made


def public_path(path: Path) -> Path:
    """Where the public half of a key lies."""
    return path.with_name(f"{path.name}.pub")


def public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private(path: Path, password: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    """Read a private key. Raises ``NoKey``."""
    try:
        key = load_pem_private_key(_read(path), password)
    except (ValueError, TypeError) as error:
        raise NoKey(f"{_shown(path)} holds no private key that can be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise NoKey(f"{_shown(path)} is no ECDSA P-256 key")
    return key


def public(path: Path) -> ec.EllipticCurvePublicKey:
    """Read a public key. Raises ``NoKey``."""
    try:
        key = load_pem_public_key(_read(path))
    except ValueError as error:
        raise NoKey(f"{_shown(path)} holds no public key that can be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise NoKey(f"{_shown(path)} is no ECDSA P-256 key")
    return key


def _shown(path: Path) -> str:
    """Enough of it to know which: people who see why a permit waits need not know where the server keeps things."""
    return "/".join(path.parts[-2:])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoKey(
            f"cannot read {_shown(path)}: {error.strerror}; restore it, or rotate the key out of the trust root"
        ) from error
