"""The files of a witness: its key, its memory, and how both are written so that no crash leaves half of one.

Pure of Django.
"""

import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from audit import notes
from audit.witnessing.cosignatures import Cosigner, PrivateKey

ALGORITHMS: Final[Mapping[str, Callable[[], PrivateKey]]] = {
    "ed25519": Ed25519PrivateKey.generate,
    "ml-dsa-44": MLDSA44PrivateKey.generate,
}


class FileProblem(RuntimeError):
    """A file is missing or is not what it should be. The message names it and the remedy."""


def make_key(path: Path, name: str, algorithm: str = "ed25519") -> Cosigner:
    """Make a witness key, readable by its owner only, and its public line beside it (``.vkey``).

    The first line of the key file is the witness's name. Raises ``FileProblem``; never replaces a key.
    """
    try:
        notes.sign("\n\n", name, Ed25519PrivateKey.generate())
    except notes.BadNote as bad:
        raise FileProblem(f"a witness cannot be called {name!r}: {bad}") from bad
    cosigner = Cosigner(name, ALGORITHMS[algorithm]())
    pem = cosigner.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        create(path, f"{name}\n".encode() + pem, 0o600)
    except FileExistsError:
        raise FileProblem(f"{path} exists, and no key is ever replaced: move it away first") from None
    replace(path.with_suffix(".vkey"), f"{cosigner.verifier}\n".encode(), 0o644)
    return cosigner


def read_key(path: Path) -> Cosigner:
    """Return the witness's name and key. Raises ``FileProblem``, also when others may read the file."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except OSError as error:
        raise FileProblem(f"cannot read {path}: {error.strerror}; `countersign witness-keygen` makes a key") from error
    if mode & 0o077:
        raise FileProblem(f"other users may read {path} (mode {mode:o}): chmod 600, or retire the key")
    name, _, pem = content.partition(b"\n")
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise FileProblem(f"{path} holds no private key after its first line, the name") from error
    return Cosigner(name.decode("utf-8", "replace").strip(), _usable(key, path))


def _usable(key: object, path: Path) -> PrivateKey:
    if not isinstance(key, Ed25519PrivateKey | MLDSA44PrivateKey):
        raise FileProblem(f"{path} holds a key of another kind than {', '.join(ALGORITHMS)}")
    return key


def create(path: Path, content: bytes, mode: int) -> None:
    """Write a new file whole or not at all. Raises ``FileExistsError`` rather than replace one."""
    draft = _draft(path, content, mode)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()
    sync_directory(path.parent)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all over an earlier one, on disk when this returns."""
    swap(_draft(path, content, mode), path)
    sync_directory(path.parent)


def swap(draft: Path, path: Path) -> None:
    """Put a finished draft in the place of a file, or remove the draft."""
    try:
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _draft(path: Path, content: bytes, mode: int) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return draft


def draft(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """Return a finished, synchronised draft of ``path``, to be put in place with ``swap``."""
    return _draft(path, content, mode)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hold(path: Path) -> IO[str]:
    """Take the lock file beside a state file until the process ends. Raises ``FileProblem`` if somebody has it."""
    file = path.with_name(f"{path.name}.lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise FileProblem(
            f"another witness works on {path}: two memories of one key could sign two histories"
        ) from None
    return file
