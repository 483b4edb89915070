"""Making OpenSSF model signatures over what a permit allows, for tools that know these and not our permits.

Such a signature says who vouches for bytes and nothing of until when, as what and where, so one is made only while the
permit is in force, with a key of its own. Made by the reference implementation (the package ``model-signing``, an optional
extra, and no part of a web process).
"""

import hashlib
import tempfile
from pathlib import Path
from typing import Final

from django.db import transaction

from audit.actors import Actor
from audit.canonical import Json
from audit.services import append
from config.errors import Conflict
from governance.models import Permit
from governance.selectors.permits import in_force
from governance.services.transitions import locked
from registry.digests import SealedFile
from registry.formats import model_signing as reading
from registry.models import ModelVersion
from registry.storage import blobs

SIGNATURE: Final = "model.sig"


class NoLibrary(RuntimeError):
    """The package that makes the signatures is not installed."""


def sign(*, permit: Permit, key: Path, out: Path, by: Actor) -> str:
    """Sign the version's sealed bytes with an elliptic-curve key, write the bundle to ``out``, return its SHA-256.

    The bytes are hashed while they are laid out. Raises ``Conflict`` for a permit that is not in force, ``BlobDamaged`` for
    bytes that changed, ``NoLibrary``, and ``ValueError`` for a key that cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="countersign-sign-") as place:
        model = Path(place, "model")
        files = _files(permit.version)
        blobs().local_directory(files, model)
        bundle = _signed(model, Path(place, SIGNATURE), key)
    _, statement = reading.read(bundle)
    digests = {file.path: file.sha256 for file in files}
    signed = {one.path: one.digest for one in statement.resources}
    if signed != digests:
        raise RuntimeError("the library signed other files than those that are sealed")
    digest = hashlib.sha256(bundle).hexdigest()
    with transaction.atomic():
        locked(permit.request_id)
        permit = Permit.objects.select_for_update(of=("self",)).get(pk=permit.pk)
        if not in_force(permit):
            raise Conflict(
                f"The permit is {permit.get_state_display().lower()}: nothing is signed over what is not permitted.",
                code="permit.not_in_force",
            )
        out.write_bytes(bundle)
        facts: dict[str, Json] = {"sha256": digest, "root_digest": statement.root, "files": len(files)}
        append(action="permit.openssf_signed", subject=permit, by=by, facts=facts)
    return digest


def _files(version: ModelVersion) -> list[SealedFile]:
    if version.manifest is None:
        raise Conflict(f"{version} is not sealed.", code="version.not_sealed")
    return [
        SealedFile(file.path, file.blob.size, file.blob_id)
        for file in version.manifest.files.select_related("blob").order_by("path")
    ]


def _signed(model: Path, out: Path, key: Path) -> bytes:
    try:
        from model_signing import hashing, signing  # noqa: PLC0415 - an optional extra, and slow to load
    except ImportError as error:
        raise NoLibrary(
            "making OpenSSF signatures needs the extra `signing` (the packages model-signing and pyopenssl)"
        ) from error
    maker = signing.Config().use_elliptic_key_signer(private_key=key)
    # Nothing is left out of it: by default the library passes over .git and the like.
    maker.set_hashing_config(hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False))
    maker.sign(model, out)
    return out.read_bytes()
