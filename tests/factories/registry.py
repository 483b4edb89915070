"""People with roles, models, versions and uploads, made by the services of the registry; and what they left in the ledger."""

import hashlib
import io
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.test import override_settings

from audit.actors import SYSTEM, Actor
from audit.models import Inbox
from config.errors import NotAllowed
from registry.digests import SealedFile
from registry.gates import gatekeeper
from registry.models import DatasetVersion, ModelVersion, RegisteredModel, Upload, User
from registry.roles import Role
from registry.services import access, artifacts, catalog, datasets, versions
from registry.storage import blobs

PASSWORD = "correct horse battery staple"
MLMODEL = b"""\
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.9}
  sklearn: {pickled_model: model.skops}
signature:
  inputs: '[{"name": "age", "type": "double"}]'
"""
_numbers = itertools.count(1)


def person(*roles: Role, name: str = "", model: RegisteredModel | None = None, **fields: Any) -> User:
    """An account whose team holds ``roles``, on every model or on one."""
    number = next(_numbers)
    user = access.create_user(username=name or f"person-{number}", password=PASSWORD, by=SYSTEM, **fields)
    if roles:
        team = access.create_team(name=f"team-{number}", by=SYSTEM)
        access.add_member(team=team, user=user, by=SYSTEM)
        for role in roles:
            access.grant_role(team=team, role=role, model=model, by=SYSTEM)
    return user


def actor(user: User) -> Actor:
    """The person, as a new request would know them: nothing is cached."""
    return Actor.person(User.objects.get(pk=user.pk), auth="session")


def registered_model(owner: User, name: str = "", **fields: Any) -> RegisteredModel:
    """A model."""
    return catalog.create_model(name=name or f"model-{next(_numbers)}", by=actor(owner), **fields)


def pending_version(model: RegisteredModel, by: User, **fields: Any) -> ModelVersion:
    """A version without bytes."""
    return versions.register_version(model=model, by=actor(by), **fields)


def stored(contents: Mapping[str, bytes]) -> list[SealedFile]:
    """The contents in the store, as files to seal."""
    return [SealedFile(path, len(content), blobs().put(io.BytesIO(content))[0]) for path, content in contents.items()]


def sealed_version(model: RegisteredModel, by: User, contents: Mapping[str, bytes] | None = None) -> ModelVersion:
    """A version sealed over these contents."""
    version = pending_version(model, by)
    files = stored(contents or {"MLmodel": MLMODEL, "model.bin": f"{version.pk}".encode()})
    return versions.seal_version(version_id=version.pk, files=files, by=SYSTEM, flavours=["sklearn"])


def sha256(content: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def upload(
    target: ModelVersion | DatasetVersion,
    by: User,
    content: bytes,
    path: str = "MLmodel",
    *,
    declared: bytes | None = None,
) -> Upload:
    """An upload that has received ``content`` and waits to be completed; ``declared`` is what was announced instead."""
    said = content if declared is None else declared
    found = artifacts.open_upload(
        target, path=path, declared_sha256=sha256(said), declared_size=len(said), by=actor(by)
    )
    return artifacts.append_chunk(upload=found, offset=0, stream=io.BytesIO(content), by=actor(by))


def uploaded(target: ModelVersion | DatasetVersion, by: User, content: bytes, path: str = "MLmodel") -> Upload:
    """The same, completed."""
    return artifacts.complete_upload(upload=upload(target, by, content, path), by=actor(by))


def finished_dataset(by: User, content: bytes, name: str = "", **columns: Any) -> DatasetVersion:
    """A data set version whose file is there and which waits for the worker."""
    version = datasets.register_dataset(
        name=name or f"data-{next(_numbers)}", role="test", by=actor(by), columns=columns
    )
    uploaded(version, by, content, path="data")
    return datasets.finish_dataset(dataset_version=version, by=actor(by))


def entries(since: int = 0) -> list[dict[str, Any]]:
    """What was logged, oldest first, leaving out the first ``since``."""
    return [json.loads(canon) for canon in Inbox.objects.order_by("pk").values_list("canon", flat=True)][since:]


def actions(since: int = 0) -> list[str]:
    """The actions that were logged."""
    return [entry["action"] for entry in entries(since)]


class _Closed:
    """A gate that lets nothing pass."""

    def _refuse(self, **_: object) -> None:
        raise NotAllowed("The gate is closed.", code="gate.closed")

    check_alias = check_stage = check_tag = check_change = _refuse

    def exemptions(self) -> dict[str, datetime]:
        """None."""
        return {}


@contextmanager
def closed_gate() -> Iterator[None]:
    """Put a gate that refuses everything in the place of governance's."""
    with override_settings(GATEKEEPER=f"{__name__}.{_Closed.__name__}"):
        gatekeeper.cache_clear()
        try:
            yield
        finally:
            gatekeeper.cache_clear()
