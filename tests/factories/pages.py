"""People, models, versions and lineage, all made by the services that people use, so that the ledger knows of them."""

import io
from collections.abc import Mapping
from typing import Any

from audit.actors import SYSTEM, Actor
from registry.digests import SealedFile
from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from registry.services import access, catalog, lineage, versions
from registry.services.lineage import CodeInput, DatasetInput, EnvironmentInput, LineageInput, RunInput
from registry.storage import blobs

PASSWORD = "correct horse battery staple"
MLMODEL = b"""\
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.9}
  sklearn: {pickled_model: model.skops, serialization_format: skops}
"""
FILES = {"MLmodel": MLMODEL, "model.skops": b"the weights", "requirements.txt": b"scikit-learn==1.8.0\n"}
SIGNATURE = {
    "inputs": [
        {"name": "age", "type": "double", "required": True},
        {"name": "bmi", "type": "double", "required": False},
    ],
    "outputs": [{"type": "long"}],
}


def person(username: str, *roles: Role, on: RegisteredModel | None = None, display_name: str = "") -> User:
    """An account with PASSWORD, in a team of its own that holds ``roles`` on every model, or on one."""
    user = access.create_user(username=username, password=PASSWORD, display_name=display_name, by=SYSTEM)
    if roles:
        team = access.create_team(name=f"{username}'s team", by=SYSTEM)
        access.add_member(team=team, user=user, by=SYSTEM)
        for role in roles:
            access.grant_role(team=team, role=role, model=on, by=SYSTEM)
    return user


def actor(user: User) -> Actor:
    """The person, signed in."""
    return Actor.person(User.objects.get(pk=user.pk), auth="session")


def model(owner: User, name: str = "credit-default", **fields: Any) -> RegisteredModel:
    """A model of ``owner``, who must be a contributor on every model."""
    return catalog.create_model(name=name, by=actor(owner), **fields)


def pending_version(of: RegisteredModel, by: User, **fields: Any) -> ModelVersion:
    """A version whose files have not arrived."""
    return versions.register_version(model=of, by=actor(by), **fields)


def sealed_version(of: RegisteredModel, by: User, files: Mapping[str, bytes] = FILES, **fields: Any) -> ModelVersion:
    """A version of exactly these files, stored and sealed."""
    version = pending_version(of, by, **fields)
    stored = [(path, *blobs().put(io.BytesIO(content))) for path, content in files.items()]
    return versions.seal_version(
        version_id=version.pk,
        files=[SealedFile(path, size, sha256) for path, sha256, size in stored],
        flavours=["python_function", "sklearn"],
        signature=SIGNATURE,
        by=SYSTEM,
    )


def record_lineage(version: ModelVersion, *, dataset: str = "accounts", run: str = "run-1", **inputs: Any) -> None:
    """A training run with data, code at a commit, an environment; ``inputs`` adds base models."""
    lineage.record(
        version=version,
        inputs=LineageInput(
            datasets=(DatasetInput(name=dataset, context="training", sha256="ab" * 32),),
            code=CodeInput(commit="c0ffee" + "0" * 34, repository="https://git.example.org/credit", dirty=False),
            environment=EnvironmentInput(python="3.11.9", files={"requirements.txt": "cd" * 32}),
            run=RunInput(id=run),
            **inputs,
        ),
        by=SYSTEM,
    )
