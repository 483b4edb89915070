"""The identity of an artifact: the SHA-256 of the canonical list of its files. Pure: no database, no storage."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from audit.canonical import LARGEST, canonical
from config.errors import Invalid

LONGEST_PATH: Final = 1024
MOST_FILES: Final = 100_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cs"})


def check_sha256(value: str, *, field: str = "sha256") -> None:
    """Refuse what is not 64 lower-case hexadecimal digits. Raises ``Invalid``."""
    if not _SHA256.fullmatch(value):
        raise Invalid(f"{field} must be 64 lower-case hexadecimal digits.", code="digest.malformed", field=field)


def check_path(path: str, *, field: str = "path") -> None:
    """Refuse what is not a relative POSIX path in normal form C without ``.``, ``..`` or empty parts.

    Raises ``Invalid`` naming what is wrong.
    """
    problem = _problem_of_path(path)
    if problem:
        shown = ascii(path[:120])
        raise Invalid(f"The path {shown} {problem}.", code="path.unsafe", field=field)


def _problem_of_path(path: str) -> str:  # noqa: PLR0911 - one per problem
    if not path:
        return "is empty"
    if len(path) > LONGEST_PATH:
        return f"has {len(path)} characters; the limit is {LONGEST_PATH}"
    if "\x00" in path:
        return "holds a null byte"
    if "\\" in path:
        return "holds a backslash; use '/'"
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in path):
        return "holds a control character"
    if path.startswith("/"):
        return "is absolute; it must be relative"
    parts = path.split("/")
    if ".." in parts:
        return "leaves its directory with '..'"
    if "" in parts or "." in parts:
        return "has an empty part or a '.'"
    if any(len(part.encode()) > 255 for part in parts):
        return "has a part longer than 255 bytes"
    if not unicodedata.is_normalized("NFC", path):
        return "is not in Unicode normal form C"
    return ""


@dataclass(frozen=True, slots=True, order=True)
class SealedFile:
    """One file of an artifact. Cannot be made with an unsafe path, a negative size or a malformed digest."""

    path: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        """Raise ``Invalid`` for the field that is wrong."""
        check_path(self.path)
        check_sha256(self.sha256)
        if not 0 <= self.size <= LARGEST:
            raise Invalid(f"The size of {self.path!r} must lie between 0 and {LARGEST}.", code="size", field="size")


def manifest_document(files: Iterable[SealedFile]) -> str:
    """Return the canonical JSON ``{"files": [{"path", "sha256", "size"}, …]}``, sorted by path.

    The order of ``files`` does not matter. Raises ``Invalid`` for no files, too many, a path given twice, and a path
    that is a file and a directory at once.
    """
    ordered = sorted(files)
    if not ordered:
        raise Invalid("There are no files to seal.", code="manifest.empty", field="files")
    if len(ordered) > MOST_FILES:
        raise Invalid(f"{len(ordered)} files; the limit is {MOST_FILES}.", code="manifest.many", field="files")
    paths: set[str] = set()
    for file in ordered:
        if file.path in paths:
            raise Invalid(f"The path {file.path!r} is given twice.", code="manifest.twice", field="files")
        paths.add(file.path)
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent:
            if parent in paths:
                raise Invalid(
                    f"{parent!r} is a file and also the directory of {path!r}.", code="manifest.twice", field="files"
                )
            parent = parent.rpartition("/")[0]
    return canonical(
        {"files": [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in ordered]}
    ).decode()


def manifest_digest(document: str) -> str:
    """Return the SHA-256 of the document's UTF-8 bytes: the identity of what it lists."""
    return hashlib.sha256(document.encode()).hexdigest()
