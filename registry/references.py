"""Where a worker may read a data set: a path below an allowed directory, or an object below an allowed prefix. Pure.

What a client names is only ever compared with the operator's list. Hosts are not named at all: the S3 endpoint is a
setting. Hold-outs have lists of their own, so that nobody registers one's file as an ordinary data set.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from config.errors import Invalid

LONGEST: Final = 2000
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FIELD: Final = "reference"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Directories, and ``bucket/prefix`` of S3."""

    directories: Sequence[Path]
    places: Sequence[str]


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference that is allowed. ``root`` is the directory or bucket, ``parts`` what is below it."""

    kind: Literal["path", "s3"]
    root: str
    parts: tuple[str, ...]

    @property
    def key(self) -> str:
        """The rest, as one text."""
        return "/".join(self.parts)


def parse(text: str, allowed: Allowed) -> Reference:
    """Take a reference apart. Raises ``Invalid`` (field ``reference``): malformed, or not below what is allowed."""
    if not text or len(text) > LONGEST or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise _malformed("It is empty, too long, or holds a control character.")
    if text.startswith("s3://"):
        return _s3(text, allowed)
    if text.startswith("file:///"):
        text = text.removeprefix("file://")
    if not text.startswith("/"):
        raise _malformed("It is neither an absolute path nor s3://bucket/key; other addresses are not read.")
    if "%" in text or "?" in text or "#" in text or "\\" in text:
        raise _malformed("It holds a character (one of % ? # \\) that has no place in one.")
    parts = text[1:].split("/")
    _check(parts)
    for root in allowed.directories:
        above = PurePosixPath(str(root)).parts[1:]
        if len(parts) > len(above) and tuple(parts[: len(above)]) == above:
            return Reference("path", str(root), tuple(parts[len(above) :]))
    raise _refused("path", bool(allowed.directories))


def _s3(text: str, allowed: Allowed) -> Reference:
    bucket, slash, key = text.removeprefix("s3://").partition("/")
    if not _BUCKET.fullmatch(bucket) or not slash:
        raise _malformed("It should look like s3://bucket/key.")
    parts = key.split("/")
    _check(parts)
    for place in allowed.places:
        of, _, prefix = place.partition("/")
        if of == bucket and key.startswith(prefix) and len(key) > len(prefix):
            return Reference("s3", bucket, tuple(parts))
    raise _refused("object", bool(allowed.places))


def _check(parts: Sequence[str]) -> None:
    if any(part in {"", ".", ".."} for part in parts):
        raise _malformed("It has an empty part, '.' or '..'.")


def _malformed(why: str) -> Invalid:
    return Invalid(f"This is no reference to a file. {why}", code="reference.malformed", field=_FIELD)


def _refused(what: str, any_allowed: bool) -> Invalid:  # noqa: FBT001 - one caller each
    if not any_allowed:
        return Invalid(
            f"This installation reads no data sets of this role from a {what}.",
            code="reference.not_allowed",
            field=_FIELD,
            remedy="Upload the file, or ask the operator to allow a directory or bucket (docs/operators/data-sets.md).",
        )
    return Invalid(
        f"The {what} is not below a place that data sets of this role may be read from.",
        code="reference.not_allowed",
        field=_FIELD,
        remedy="Put it there, upload the file, or ask the operator to allow its place.",
    )
