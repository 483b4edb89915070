"""The bytes that a reference names, opened once by a worker. Nothing else of the platform reads other people's files.

Paths are walked directory by directory without following symbolic links, so nothing outside of the allowed directory is
reached whatever changes meanwhile. S3 goes to the endpoint of the settings with the credentials of the worker's
environment, which are in no row and in no log.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from django.conf import settings

from config.errors import Invalid
from registry.references import Reference
from registry.storage import Readable

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREDENTIALS: Final = {
    "aws_access_key_id": "DATASET_S3_ACCESS_KEY_ID",
    "aws_secret_access_key": "DATASET_S3_SECRET_ACCESS_KEY",
    "aws_session_token": "DATASET_S3_SESSION_TOKEN",
}
_FIELD: Final = "reference"


@dataclass(frozen=True, slots=True)
class Found:
    """A stream, and what is known of the file or object: size, etag, version, time of its last change."""

    stream: Readable
    origin: dict[str, str]


@contextmanager
def opened_reference(reference: Reference, *, environment: Mapping[str, str] = os.environ) -> Iterator[Found]:
    """Open what is named. Raises ``Invalid`` (field ``reference``): not there, no file, unreadable, changed meanwhile."""
    with _path(reference) if reference.kind == "path" else _s3(reference, environment) as found:
        yield found


@contextmanager
def _path(reference: Reference) -> Iterator[Found]:
    _check_apart(Path(reference.root))
    descriptor = -1
    try:
        descriptor = _walk(reference)
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise _problem("It is no ordinary file.", "reference.no_file")
        os.set_blocking(descriptor, True)
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            origin = {"size": str(before.st_size), "modified": str(before.st_mtime_ns)}
            yield Found(stream, origin)
        after = os.fstat(descriptor)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise _problem("It changed while it was read.", "reference.changed", "Register it again once it is whole.")
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _walk(reference: Reference) -> int:
    """A descriptor of the file, reached from the allowed directory without a symbolic link."""
    try:
        here = os.open(reference.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for position, part in enumerate(reference.parts):
            last = position == len(reference.parts) - 1
            try:
                below = os.open(part, _FILE if last else _DIRECTORY, dir_fd=here)
            finally:
                os.close(here)
            here = below
    except OSError as error:
        raise _problem(
            "There is no file that the worker can read, or a symbolic link leads to it.",
            "reference.not_there",
            "Check the path on the worker's machine; links are not followed.",
        ) from error
    return here


def _check_apart(root: Path) -> None:
    """The allowed directory holds nothing of this installation, nor lies in it."""
    own = [Path(one).resolve() for one in (settings.ARTIFACT_ROOT, settings.KEYS_DIR, settings.DATA_DIR)]
    resolved = root.resolve()
    if any(resolved == one or resolved in one.parents or one in resolved.parents for one in own):
        raise _problem(
            "The operator's setting allows a directory in which this installation keeps its own files.",
            "reference.own_files",
            "Ask the operator to allow another one.",
        )


@contextmanager
def _s3(reference: Reference, environment: Mapping[str, str]) -> Iterator[Found]:
    import boto3  # noqa: PLC0415 - in the workers' lock only
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    credentials = {key: environment[name] for key, name in _CREDENTIALS.items() if environment.get(name)}
    if "aws_access_key_id" not in credentials or "aws_secret_access_key" not in credentials:
        raise _problem(
            "The worker has no credentials for S3.",
            "reference.no_credentials",
            "Ask the operator to set DATASET_S3_ACCESS_KEY_ID and DATASET_S3_SECRET_ACCESS_KEY for the worker.",
        )
    client: Any = boto3.client(
        "s3",
        endpoint_url=settings.DATASET_S3_ENDPOINT or None,
        region_name=settings.DATASET_S3_REGION or "us-east-1",
        config=Config(
            connect_timeout=10,
            read_timeout=60,
            retries={"max_attempts": 3, "mode": "standard"},
            s3={"addressing_style": "path" if settings.DATASET_S3_ENDPOINT else "auto"},
        ),
        **credentials,
    )
    try:
        answer = client.get_object(Bucket=reference.root, Key=reference.key)
        origin = {
            "size": str(answer["ContentLength"]),
            "etag": str(answer.get("ETag", "")).strip('"'),
            "version": str(answer.get("VersionId", "")),
            "modified": answer["LastModified"].isoformat(),
        }
        body = answer["Body"]
        try:
            yield Found(cast(Readable, body), {key: value for key, value in origin.items() if value})
        finally:
            with suppress(OSError):
                body.close()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))[:40]
        raise _problem(
            f"S3 does not give the object ({code}).",
            "reference.not_there",
            "Check bucket and key, and that the worker's credentials may read it.",
        ) from None
    except (BotoCoreError, OSError) as error:
        raise _problem(
            f"S3 could not be read ({type(error).__name__}).", "reference.unreachable", "Register it again."
        ) from None
    finally:
        client.close()


def _problem(sentence: str, code: str, remedy: str = "") -> Invalid:
    return Invalid(f"The reference cannot be read: {sentence}", code=code, field=_FIELD, remedy=remedy)
