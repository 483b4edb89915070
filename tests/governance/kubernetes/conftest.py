"""A gate over a real permit: asked for, checked, signed by two, issued by both signers, published."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from governance.kubernetes.permits import FOLDER, ROOTS, STATUS, SUFFIX, Permits, put
from governance.models import Permit
from governance.selectors.permits import micro, permit_file, roots, status_list, trust_root
from registry.models import ModelVersion, RegisteredModel
from registry.roles import Role
from registry.storage import blobs
from tests.factories import governance as make
from tests.governance.kubernetes.asking import NAMESPACE

POLICY = make.TWO_APPROVERS + f"namespaces: [{NAMESPACE}]\n"


@dataclass
class Cluster:
    """What a gate has on its disk, and the clock by which it judges."""

    directory: Path
    permit: Permit
    model: Path
    now: int

    @property
    def digest(self) -> str:
        """Of the model's files."""
        return self.permit.manifest_digest

    @property
    def permits(self) -> Permits:
        """As the gate reads them."""
        return Permits(self.directory, json.loads(trust_root()), lambda: self.now)

    @property
    def file(self) -> Path:
        """The permit's."""
        return self.directory / FOLDER / f"{self.permit.pk}{SUFFIX}"

    def fill(self) -> None:
        """Bring what the registry publishes now."""
        put(self.directory / STATUS, status_list().encode())
        put(self.directory / ROOTS, roots().encode())
        put(self.file, permit_file(self.permit).encode())


def permitted(place: Path) -> Cluster:
    """A version approved for one namespace, its permit and files on disk. Needs a store, keys and a database."""
    make.policy(POLICY)
    scientist = make.person("scientist", Role.CONTRIBUTOR)
    approvers = [make.person("approver", Role.APPROVER) for _ in range(2)]
    model: RegisteredModel = make.registered_model(scientist)
    version: ModelVersion = make.sealed_version(model, scientist)
    make.approve(make.finish_all(make.request(version, scientist)), approvers)
    make.publish()
    permit = Permit.objects.get()
    for file in version.manifest.files.all() if version.manifest else ():
        target = place / "model" / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with blobs().open(file.blob_id) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    cluster = Cluster(place / "permits", permit, place / "model", micro(permit.not_before) + 60_000_000)
    cluster.fill()
    return cluster


@pytest.fixture
def cluster(db: None, artifact_root: Path, signing_keys: Path, tmp_path: Path) -> Cluster:
    """One permit, for the namespace ``credit``."""
    return permitted(tmp_path)
