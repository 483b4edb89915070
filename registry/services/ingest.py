"""Reading the bytes of a version registered over MLflow from the tracking process, and sealing them.

The row is the job (DESIGN §10): a claim is a conditional UPDATE with a lease, renewed while bytes flow. A worker that
dies loses its lease, and somebody else begins again; blobs already stored are found, not doubled. After
``JOB_MAX_ATTEMPTS`` the version fails with the reason.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from audit.actors import Actor
from config.errors import Invalid, Refusal
from registry import sources
from registry.digests import MOST_FILES, SealedFile
from registry.formats import mlmodel
from registry.models import ManifestFile, ModelVersion, User
from registry.selectors.experiments import closed_among
from registry.services.versions import fail_version, seal_version
from registry.sources import Source
from registry.storage import Readable, blobs
from registry.tracking import LoggedModel, NotThere, Run, TrackingClient, TrackingDown, TrackingError

BY: Final = Actor.service("ingest")
Connect = Callable[[], TrackingClient]


class ClaimLost(Exception):
    """Somebody else has taken the version over, or it is no longer pending. Stop."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A version this process may work on, until the lease runs out."""

    version: ModelVersion
    attempt: int

    def renew(self) -> None:
        """Keep the claim for another lease. Raises ``ClaimLost``."""
        kept = _pending().filter(pk=self.version.pk, ingest_attempts=self.attempt)
        if not kept.update(ingest_lease_until=timezone.now() + settings.JOB_LEASE):
            raise ClaimLost(f"{self.version} is not ours any more")


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where the bytes lie, and which run and logged model they belong to."""

    root: str
    run_id: str
    model_id: str
    experiment_id: str = ""


def waiting() -> QuerySet[ModelVersion]:
    """Pending versions that nobody works on."""
    return _pending().filter(Q(ingest_lease_until=None) | Q(ingest_lease_until__lt=timezone.now()))


def ingest(version_id: UUID, connect: Connect = TrackingClient) -> bool:
    """Read, digest and seal one version; return whether it was ours to do.

    A version whose bytes cannot be accepted fails, with the reason for its author. If the tracking process is down the
    claim is given back, with the problem noted, for the sweeper to try again. Other errors are raised; the lease then
    runs out and the sweeper tries again.
    """
    claim = _take(version_id)
    if claim is None:
        return False
    version = claim.version
    try:
        files, origin = _fetch(claim, connect)
        described = _described(files)
        claim.renew()
        with transaction.atomic():  # of what it was found to come from, the entry of the seal speaks
            _pending().filter(pk=version.pk).update(
                run_id=origin.run_id,
                logged_model_id=origin.model_id,
                artifact_path=origin.root,
                experiment_id=origin.experiment_id,
                status_message="",
            )
            seal_version(
                version_id=version.pk,
                files=files,
                by=BY,
                flavours=list(described.flavours),
                signature=described.signature,
            )
    except ClaimLost:
        return False
    except TrackingDown as error:
        _give_back(claim, str(error))
    except (TrackingError, Refusal, sources.BadSource, mlmodel.BadMLmodel) as error:
        fail_version(version_id=version.pk, message=str(error), by=BY)
    return True


def seal_copy(version_id: UUID) -> bool:
    """Seal at once a version whose source is another sealed one; return whether it was ours to do.

    Its bytes are here and their digests known, so nothing is read: the client's ``copy_model_version`` can be used when it
    returns, as with MLflow's own server.
    """
    claim = _take(version_id)
    if claim is None:
        return False
    version = claim.version
    try:
        original = _original(version, sources.parse(version.source))
        _pending().filter(pk=version.pk).update(artifact_path="", experiment_id="")
        seal_version(
            version_id=version.pk,
            files=_files_of(original),
            by=BY,
            flavours=original.flavours,
            signature=original.signature,
        )
    except (TrackingError, Refusal, sources.BadSource) as error:
        fail_version(version_id=version.pk, message=str(error), by=BY)
    return True


def unlocated() -> QuerySet[ModelVersion]:
    """Sealed versions of which it is not on record where their bytes were read: sealed before that was kept, or uploads."""
    return ModelVersion.objects.filter(artifact_path=None, sealed_at__isnull=False)


def locate(connect: Connect = TrackingClient, *, most: int = 100) -> int:
    """Put on record where the bytes of sealed versions were read, for some of which it is not; return for how many.

    One whose run is gone has no place that could be written to. Raises ``TrackingDown``.
    """
    done = 0
    with connect() as tracking:
        for version in unlocated().order_by("sealed_at").select_related("model")[:most]:
            try:
                place = _place(tracking, version)
            except (NotThere, TrackingError, sources.BadSource) as error:
                if isinstance(error, TrackingDown):
                    raise
                place = _Origin("", version.run_id, version.logged_model_id)
            done += (
                unlocated().filter(pk=version.pk).update(artifact_path=place.root, experiment_id=place.experiment_id)
            )
    return done


def _place(tracking: TrackingClient, version: ModelVersion) -> _Origin:
    nowhere = _Origin("", version.run_id, version.logged_model_id)
    if not version.source:
        return nowhere
    source = sources.parse(version.source)
    return nowhere if source.kind in {"version", "sealed"} else _origin(tracking, version, source)


def give_up(version: ModelVersion) -> None:
    """Fail a version whose attempts are used up, with the last problem if one was noted."""
    last = f" The last problem: {version.status_message}" if version.status_message else ""
    fail_version(
        version_id=version.pk,
        message=f"Its artifacts could not be read in {version.ingest_attempts} attempts.{last} Register it again.",
        by=BY,
    )


def _pending() -> QuerySet[ModelVersion]:
    return ModelVersion.objects.filter(status=ModelVersion.Status.PENDING, deleted_at=None).exclude(source="")


def _take(version_id: UUID) -> _Claim | None:
    free = waiting().filter(pk=version_id, ingest_attempts__lt=settings.JOB_MAX_ATTEMPTS)
    lease = timezone.now() + settings.JOB_LEASE
    if not free.update(ingest_lease_until=lease, ingest_attempts=F("ingest_attempts") + 1):
        return None
    version = ModelVersion.objects.select_related("model").get(pk=version_id)
    return _Claim(version, version.ingest_attempts)


def _give_back(claim: _Claim, problem: str) -> None:
    mine = _pending().filter(pk=claim.version.pk, ingest_attempts=claim.attempt)
    mine.update(ingest_lease_until=timezone.now() + settings.JOB_LEASE, status_message=problem[:2000])


def _fetch(claim: _Claim, connect: Connect) -> tuple[list[SealedFile], _Origin]:
    version = claim.version
    source = sources.parse(version.source)
    if source.kind == "version":
        return _files_of(_original(version, source)), _Origin("", version.run_id, version.logged_model_id)
    with connect() as tracking:
        origin = _origin(tracking, version, source)
        _check_may_read(version.registered_by, origin.experiment_id)
        return list(_stored(claim, tracking, origin.root)), origin


def _check_may_read(person: User, experiment_id: str) -> None:
    """Raise ``TrackingError`` if who registered the version may not see where its bytes are: no way around the door."""
    if closed_among(person, [experiment_id], write=False) is not None:
        raise TrackingError(
            f"The experiment {experiment_id} is restricted, and {person} may not see it, so nothing is registered from it."
        )


def _original(version: ModelVersion, source: Source) -> ModelVersion:
    """The sealed version that a source means, if who registered may see it. Raises ``TrackingError``."""
    seen = ModelVersion.objects.alive().visible_to(version.registered_by)
    origin = seen.filter(model__name=source.id, number=source.number).exclude(pk=version.pk)
    sealed = origin.filter(status=ModelVersion.Status.READY).first()
    if sealed is None:
        raise TrackingError(f"{version.source} is not a sealed version, so it cannot be copied.")
    return sealed


def _files_of(sealed: ModelVersion) -> list[SealedFile]:
    """The files of a sealed version: the same bytes, so nothing is read or hashed again."""
    files = ManifestFile.objects.filter(manifest=sealed.manifest_id).select_related("blob")
    return [SealedFile(path=file.path, size=file.blob.size, sha256=file.blob_id) for file in files]


def _origin(tracking: TrackingClient, version: ModelVersion, source: Source) -> _Origin:
    """Find the directory a source means. Raises ``TrackingError`` if the run or model given does not hold it."""
    model = tracking.logged_model(version.logged_model_id) if version.logged_model_id else None
    run = tracking.run(version.run_id) if version.run_id else None
    if model and run and model.run_id and model.run_id != run.id:
        raise TrackingError(f"The logged model {model.id} belongs to run {model.run_id}, not to run {run.id}.")
    run_id = version.run_id or (model.run_id if model else "")
    experiment_id = model.experiment_id if model else run.experiment_id if run else ""
    if source.kind == "logged_model" and model:
        return _Origin(model.artifact_path, run_id, model.id, experiment_id)
    if source.kind == "run" and run:
        return _in_run(tracking, run, source.path)
    owner = model or run
    if owner is None or not _within(source.path, owner.artifact_path):
        raise TrackingError(
            f"{version.source} does not lie in the artifacts of {_told(owner)}, with which the version was registered."
        )
    return _Origin(source.path, run_id, version.logged_model_id, experiment_id)


def _in_run(tracking: TrackingClient, run: Run, path: str) -> _Origin:
    """``runs:/<run>/<path>``: the run's own artifacts, or since MLflow 3 its logged model of that name."""
    root = f"{run.artifact_path}/{path}"
    if any(file.path == f"{root}/{mlmodel.FILE}" for file in tracking.files(root)):
        return _Origin(root, run.id, "", run.experiment_id)
    model = tracking.logged_model_of_run(run, path)
    if model is None:
        raise NotThere(f"The run {run.id} has neither an MLflow model at {path!r} nor a logged model of that name.")
    return _Origin(model.artifact_path, run.id, model.id, run.experiment_id)


def _stored(claim: _Claim, tracking: TrackingClient, root: str) -> Iterator[SealedFile]:
    """Bring every file below ``root`` into the blob store. Raises ``Invalid`` for too many or too large ones."""
    total = 0
    for count, file in enumerate(tracking.files(root), start=1):
        total += file.size
        if count > MOST_FILES or total > settings.MAX_UPLOAD_BYTES:
            raise Invalid(
                f"The artifacts are too large: more than {MOST_FILES} files or {settings.MAX_UPLOAD_BYTES} bytes "
                "(MAX_UPLOAD_BYTES).",
                code="version.too_large",
            )
        with tracking.download(file.path) as content:
            sha256, size = blobs().put(_Renewing(content, claim))
        total += size - file.size
        yield SealedFile(path=file.path.removeprefix(f"{root}/"), size=size, sha256=sha256)


class _Renewing:
    """Reads on, and renews the lease while it does."""

    def __init__(self, content: Readable, claim: _Claim) -> None:
        self._content = content
        self._claim = claim
        self._pause = settings.JOB_LEASE.total_seconds() / 3
        self._next = time.monotonic() + self._pause
        claim.renew()

    def read(self, size: int, /) -> bytes:
        if time.monotonic() > self._next:
            self._claim.renew()
            self._next = time.monotonic() + self._pause
        return self._content.read(size)


def _described(files: list[SealedFile]) -> mlmodel.MLmodel:
    found = next((file for file in files if file.path == mlmodel.FILE), None)
    if found is None:
        named = ", ".join(file.path for file in files[:5]) or "nothing"
        raise mlmodel.BadMLmodel(f"There is no MLmodel file at the root, so this is no MLflow model (found: {named}).")
    if found.size > mlmodel.LARGEST:
        raise mlmodel.BadMLmodel(f"MLmodel is larger than {mlmodel.LARGEST} bytes.")
    with blobs().open(found.sha256) as content:
        return mlmodel.parse(content.read())


def _within(path: str, root: str) -> bool:
    return bool(root) and (path == root or path.startswith(f"{root}/"))


def _told(owner: LoggedModel | Run | None) -> str:
    if owner is None:
        return "a run or logged model"
    return f"{'logged model' if isinstance(owner, LoggedModel) else 'run'} {owner.id}"
