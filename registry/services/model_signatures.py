"""Verifying the OpenSSF model signatures that come along with a version's files."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from audit.actors import Actor
from audit.services import append
from registry.formats import model_signing
from registry.models import ManifestFile, ModelSignature, ModelVersion
from registry.selectors.model_signatures import newest
from registry.services.versions import lock_version
from registry.storage import CHUNK, blobs

_SIGNATURE: Final = re.compile(r"[^/]+\.(sig|sigstore|sigstore\.json)")
_NAMED: Final = Q(path__regex=r"^[^/]+\.(sig|sigstore|sigstore\.json)$")
MOST: Final = 5
"""More signatures than these are not looked at."""
MOST_NAMED: Final = 20
"""Of the files that differ, so many are named."""
State = ModelSignature.State
Finding = dict[str, Any]


def signers() -> Path:
    """Where the operator puts the keys and authorities whose model signatures count, as ``*.pem``."""
    return settings.MODEL_SIGNERS_DIR or Path(settings.KEYS_DIR) / "model-signers"


def among(version_id: UUID) -> QuerySet[ManifestFile]:
    """The files of a sealed version that are signatures by their name: ``model.sig`` and the like, beside MLmodel."""
    files = ManifestFile.objects.filter(_NAMED, manifest__versions__pk=version_id)
    return files.select_related("blob").order_by("path")[:MOST]


def unchecked(*, since: datetime, before: datetime) -> QuerySet[ModelVersion, UUID]:
    """Ids of versions sealed in between that bring a signature at which nobody has looked."""
    signed = ManifestFile.objects.filter(_NAMED, manifest_id=OuterRef("manifest_id"))
    looked = ModelSignature.objects.filter(version_id=OuterRef("pk"))
    versions = ModelVersion.objects.alive().filter(Exists(signed), ~Exists(looked))
    return versions.filter(sealed_at__gt=since, sealed_at__lt=before).values_list("pk", flat=True)


def check(*, version: ModelVersion, by: Actor) -> Sequence[ModelSignature]:
    """Look at each signature among the files of a sealed version; keep and log what differs from the look before."""
    files = {file.path: file for file in version.manifest.files.select_related("blob")} if version.manifest else {}
    trusted = model_signing.trusted_in(signers())
    looks = [
        ModelSignature(version=version, path=path, blob=files[path].blob, **_look(path, files, trusted))
        for path in [path for path in sorted(files) if _SIGNATURE.fullmatch(path)][:MOST]
    ]
    with transaction.atomic():
        version = lock_version(version)
        known = {one.path: one for one in newest(version)}
        made = [look for look in looks if look.path not in known or _told(look) != _told(known[look.path])]
        for look in made:
            look.save(force_insert=True)
            append(action="version.signature_checked", subject=version, by=by, facts=_told(look))
    return made


def _told(look: ModelSignature) -> dict[str, Any]:
    names = ("path", "state", "signer", "subject", "fingerprint", "root_digest", "covered", "problems")
    return {name: getattr(look, name) for name in names} | {"sha256": look.blob_id}


def _look(path: str, files: Mapping[str, ManifestFile], trusted: Sequence[model_signing.Trusted]) -> Finding:
    """The fields of a look."""
    blob = files[path].blob
    if blob.size > model_signing.LARGEST:
        return {"state": State.INVALID, "problems": [f"It has {blob.size} bytes, which no model signature needs."]}
    with blobs().open(blob.sha256) as stream:
        content = stream.read()
    try:
        bundle, statement = model_signing.read(content)
    except model_signing.Malformed as error:
        return {"state": State.INVALID, "problems": [f"{path}: {error}."]}
    found: Finding = {"root_digest": statement.root}
    try:
        signer = model_signing.verify(bundle, trusted)
    except model_signing.NotTrusted as error:
        return found | {"state": State.UNTRUSTED, "problems": [str(error)]}
    except model_signing.NotGenuine as error:
        return found | {"state": State.INVALID, "problems": [str(error)]}
    found |= {"signer": signer.name, "subject": signer.subject, "fingerprint": signer.fingerprint}
    sizes = {name: file.blob.size for name, file in files.items()}
    try:
        coverage = model_signing.compare(statement, sizes, _Digests(files), itself=path)
    except model_signing.NotComparable as error:
        return found | {"state": State.UNCOMPARED, "problems": [str(error)]}
    return found | _compared(coverage)


def _compared(coverage: model_signing.Coverage) -> Finding:
    state = State.VERIFIED
    if coverage.uncovered:
        state = State.PARTIAL
    if coverage.differing or coverage.missing:
        state = State.DIFFERS
    problems = [
        *(f"{name} is not as it was signed." for name in coverage.differing[:MOST_NAMED]),
        *(f"{name} was signed, and is not here." for name in coverage.missing[:MOST_NAMED]),
        *(f"{name} was not signed." for name in coverage.uncovered[:MOST_NAMED]),
    ]
    more = sum(max(0, len(names) - MOST_NAMED) for names in (coverage.differing, coverage.missing, coverage.uncovered))
    if more:
        problems.append(f"And {more} more files.")
    return {"state": state, "covered": coverage.covered, "problems": problems}


class _Digests:
    """Digests of parts of the sealed files; that of a whole file by SHA-256 is known and not computed again."""

    def __init__(self, files: Mapping[str, ManifestFile]) -> None:
        self._files = files

    def __call__(self, path: str, algorithm: str, start: int, end: int | None) -> str:
        blob = self._files[path].blob
        if algorithm == "sha256" and end is None:
            return blob.sha256
        made = model_signing.hasher(algorithm)
        with blobs().open(blob.sha256) as stream:
            stream.seek(start)
            left = blob.size - start if end is None else end - start
            while left > 0 and (piece := stream.read(min(left, CHUNK))):
                made.update(piece)
                left -= len(piece)
        return made.hexdigest()
