"""Where bytes live: content-addressed, written once, checked again before they are used."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config.errors import Conflict, Invalid, NotFound
from registry.digests import SealedFile, check_sha256

CHUNK: Final = 1 << 20
_READ_ONLY_FILE: Final = 0o444
_READ_ONLY_DIRECTORY: Final = 0o555


class Readable(Protocol):
    """Anything bytes can be read from, such as a request."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""


class DigestMismatch(Invalid):
    """The bytes are not those that were declared. ``actual`` is what they hash to."""

    code = "digest.mismatch"

    def __init__(self, *, declared: str, actual: str) -> None:
        super().__init__(
            f"The bytes have the SHA-256 {actual}, declared was {declared}.",
            field="sha256",
            extra={"declared": declared, "actual": actual},
        )
        self.actual = actual


class BlobDamaged(Conflict):
    """A stored file no longer has the content it is named by: the disk or a person changed it."""

    code = "blob.damaged"


class BlobStore(Protocol):
    """Contents by SHA-256. Names are never taken from a client: they are computed here."""

    def put(self, stream: Readable, expected_sha256: str | None = None) -> tuple[str, int]:
        """Store what ``stream`` gives and return its SHA-256 and size. Storing the same bytes twice is no error.

        Raises ``DigestMismatch`` if they are not ``expected_sha256``, ``Invalid`` if they exceed MAX_UPLOAD_BYTES; then
        nothing is stored.
        """

    def open(self, sha256: str) -> BinaryIO:
        """Open a blob for reading. Raises ``NotFound``."""

    def path(self, sha256: str) -> Path | None:
        """Return a local path to the blob, or ``None`` if there is none."""

    def exists(self, sha256: str) -> bool:
        """Say whether the blob is here."""

    def size(self, sha256: str) -> int:
        """Return its length in bytes. Raises ``NotFound``."""

    def local_directory(self, files: Iterable[SealedFile], target: Path) -> Path:
        """Lay the files out below ``target`` as a read-only tree, each hashed while it is copied.

        Raises ``NotFound`` for a missing blob and ``BlobDamaged`` naming one whose bytes changed; then ``target`` is
        gone again.
        """


def artifact_root() -> Path:
    """Return the directory of everything stored here."""
    root: Path | None = settings.ARTIFACT_ROOT
    if root is None:
        raise ImproperlyConfigured("ARTIFACT_ROOT is not set.")
    return root


def blobs() -> BlobStore:
    """Return the configured store."""
    return FileBlobStore(artifact_root())


class FileBlobStore:
    """Blobs as read-only files ``blobs/ab/cd/<sha256>`` below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, stream: Readable, expected_sha256: str | None = None) -> tuple[str, int]:
        """See ``BlobStore``. The file appears under its name at once and whole: written aside, synced, renamed."""
        if expected_sha256 is not None:
            check_sha256(expected_sha256)
        with self._aside() as (output, temporary):
            sha256, size = _copy_hashed(stream, output, limit=settings.MAX_UPLOAD_BYTES)
            if expected_sha256 is not None and sha256 != expected_sha256:
                raise DigestMismatch(declared=expected_sha256, actual=sha256)
            output.flush()
            os.fchmod(output.fileno(), _READ_ONLY_FILE)
            os.fsync(output.fileno())
            final = self._place(sha256)
            final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.replace(final)
            _sync_directory(final.parent)
        return sha256, size

    def open(self, sha256: str) -> BinaryIO:
        """See ``BlobStore``."""
        try:
            return self._place(sha256).open("rb")
        except FileNotFoundError:
            raise _missing(sha256) from None

    def path(self, sha256: str) -> Path | None:
        """See ``BlobStore``."""
        place = self._place(sha256)
        return place if place.is_file() else None

    def exists(self, sha256: str) -> bool:
        """See ``BlobStore``."""
        return self._place(sha256).is_file()

    def size(self, sha256: str) -> int:
        """See ``BlobStore``."""
        try:
            return self._place(sha256).stat().st_size
        except FileNotFoundError:
            raise _missing(sha256) from None

    def local_directory(self, files: Iterable[SealedFile], target: Path) -> Path:
        """See ``BlobStore``. Copies, never hard links: whoever reads the tree can then not reach the store's bytes."""
        target.mkdir(parents=True, mode=0o700)
        try:
            for file in files:
                self._lay_out(file, target / file.path)
            for directory, _, _ in os.walk(target, topdown=False):
                Path(directory).chmod(_READ_ONLY_DIRECTORY)
        except BaseException:
            remove_directory(target)
            raise
        return target

    def _lay_out(self, file: SealedFile, destination: Path) -> None:
        destination.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.open(file.sha256) as stored, destination.open("xb") as output:
            actual, size = _copy_hashed(stored, output, limit=None)
            os.fchmod(output.fileno(), _READ_ONLY_FILE)
        if actual != file.sha256 or size != file.size:
            raise BlobDamaged(
                f"The stored blob {file.sha256} ({file.path}) was changed on disk: it now hashes to {actual}.",
                remedy="Restore it from a backup; nothing that rests on it can be run until then.",
                extra={"blob": file.sha256},
            )

    def _place(self, sha256: str) -> Path:
        check_sha256(sha256)
        return self.root / "blobs" / sha256[:2] / sha256[2:4] / sha256

    @contextmanager
    def _aside(self) -> Iterator[tuple[BinaryIO, Path]]:
        """Give a new file in the store's own file system; it is gone afterwards unless it was renamed."""
        directory = self.root / "incoming"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = directory / f"{secrets.token_hex(16)}.part"
        try:
            with temporary.open("xb") as output:
                yield output, temporary
        finally:
            temporary.unlink(missing_ok=True)


def remove_directory(target: Path) -> None:
    """Remove a tree made by ``local_directory``, whose directories are read-only. Nothing there is no error."""
    if not target.exists():
        return
    for directory, _, _ in os.walk(target):
        Path(directory).chmod(0o700)
    shutil.rmtree(target)


def _copy_hashed(stream: Readable, output: BinaryIO, *, limit: int | None) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        if limit is not None and size > limit:
            raise Invalid(
                f"The file is larger than {limit} bytes, the limit of this installation (MAX_UPLOAD_BYTES).",
                code="upload.too_large",
                field="file",
                extra={"limit": limit},
            )
        digest.update(chunk)
        output.write(chunk)
    return digest.hexdigest(), size


def _missing(sha256: str) -> NotFound:
    return NotFound(f"The blob {sha256} is not in the artifact store.", code="blob.missing", extra={"blob": sha256})


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
