"""Anchors in S3 with Object Lock: a copy of the checkpoint that not even its owner can delete before a date.

Object Lock must have been switched on when the bucket was made. In COMPLIANCE mode nobody can shorten the retention.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from audit.witnessing import anchors, records
from audit.witnessing.models import Anchor
from audit.witnessing.records import Failed

NAME: Final = "worm"
_ABSENT: Final = frozenset({"NoSuchKey", "404", "NotFound"})


def put(size: int) -> Anchor:
    """Put the checkpoint of ``size`` there, locked, and see that it is. Raises ``Failed`` and ``Contradicted``."""
    slug, note = anchors.content(size)
    bucket = _Bucket(slug)
    last = records.of(NAME).size
    if last and (before := bucket.read(last)) is not None:
        anchors.check(before, bucket.place(last))
    if (beyond := bucket.first_beyond(size)) is not None:
        anchors.check(bucket.read_key(beyond) or b"", f"s3://{bucket.name}/{beyond}")
    if (same := bucket.read(size)) is not None:
        anchors.check(same, bucket.place(size))
    until = (timezone.now() + timedelta(days=int(str(settings.ANCHOR_S3["days"])))).replace(microsecond=0)
    version = bucket.write(size, note.encode(), until)
    return anchors.keep(NAME, size, f"{bucket.place(size)}?versionId={version}", until)


class _Bucket:
    """The few calls we make, with their failures as ``Failed``. Never says its credentials."""

    def __init__(self, slug: str) -> None:
        try:
            import boto3  # noqa: PLC0415 - in the workers' lock only
            from botocore.config import Config  # noqa: PLC0415
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        except ImportError as error:
            raise Failed("boto3 is not installed here: run the notary from the image of its own") from error
        given = {key: str(value) for key, value in settings.ANCHOR_S3.items()}
        self.name, self._mode, self._prefix = given["bucket"], given["mode"], f"{given['prefix']}{slug}/"
        self._errors = (BotoCoreError, ClientError)
        limits = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2}, proxies={})
        try:
            self._client: Any = boto3.client(
                "s3",
                endpoint_url=given["endpoint"] or None,
                region_name=given["region"] or None,
                aws_access_key_id=given["access_key_id"] or None,
                aws_secret_access_key=given["secret_access_key"] or None,
                config=limits,
            )
        except (*self._errors, ValueError) as error:
            raise Failed(f"S3 cannot be used like that: {error}") from error

    def key(self, size: int) -> str:
        """Names sort as the sizes do."""
        return f"{self._prefix}{size:020d}.txt"

    def place(self, size: int) -> str:
        return f"s3://{self.name}/{self.key(size)}"

    def _call(self, verb: str, **arguments: object) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, verb)(Bucket=self.name, **arguments)
        except self._errors as error:
            told = getattr(error, "response", {}).get("Error", {})
            if str(told.get("Code")) in _ABSENT:
                raise LookupError from error
            words = f"{told.get('Code')}: {told.get('Message')}" if told else str(error)
            raise Failed(f"S3 refused {verb.replace('_', ' ')}: {words}") from error
        return answer

    def read_key(self, key: str) -> bytes | None:
        try:
            return bytes(self._call("get_object", Key=key)["Body"].read(65536))
        except LookupError:
            return None

    def read(self, size: int) -> bytes | None:
        return self.read_key(self.key(size))

    def first_beyond(self, size: int) -> str | None:
        """A checkpoint of this log that is larger than ``size``."""
        try:
            told = self._call("list_objects_v2", Prefix=self._prefix, StartAfter=self.key(size), MaxKeys=1)
        except LookupError as error:
            raise Failed(f"there is no bucket {self.name}") from error
        return next((str(one["Key"]) for one in told.get("Contents", [])), None)

    def write(self, size: int, body: bytes, until: datetime) -> str:
        """Write it under a lock, and read back that it is locked. Returns the version."""
        try:
            told = self._call(
                "put_object", Key=self.key(size), Body=body, ContentType="text/plain; charset=utf-8",
                ChecksumAlgorithm="SHA256", ObjectLockMode=self._mode, ObjectLockRetainUntilDate=until,
            )  # fmt: skip
            version = str(told.get("VersionId") or "")
            locked = self._call("head_object", Key=self.key(size), VersionId=version) if version else {}
        except LookupError as error:
            raise Failed(f"there is no bucket {self.name}") from error
        kept: object = locked.get("ObjectLockRetainUntilDate")
        if locked.get("ObjectLockMode") != self._mode or not isinstance(kept, datetime) or kept.astimezone(UTC) < until:
            raise Failed(f"what was written to {self.place(size)} is not locked: the bucket has no Object Lock")
        return version
