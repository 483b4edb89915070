"""The real MLflow client against a live server and a real tracking process."""

import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from audit.actors import SYSTEM, Actor
from registry import gates
from registry.digests import SealedFile
from registry.models import ApiToken, ModelVersion, RegisteredModel, User
from registry.roles import Role
from registry.services import access, ingest, versions
from registry.storage import blobs
from tests.conformance.mlflow.tracking import SECRET, tracking_process

MLMODEL = b"flavors:\n  python_function:\n    loader_module: nothing\n    python_version: 3.11.9\n"


@dataclass(frozen=True)
class Person:
    """An account with a token that may write and one that may read."""

    user: User
    token: str
    reading_token: str

    @property
    def actor(self) -> Actor:
        return Actor.person(self.user)

    @property
    def header(self) -> dict[str, str]:
        return {"HTTP_AUTHORIZATION": f"Bearer {self.token}"}


@pytest.fixture(scope="session")
def tracking_url(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[str]:
    """The address of a tracking process that runs for the whole session, and reads the registry of the tests' database."""
    del django_db_setup
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    directory: Path = tmp_path_factory.mktemp("tracking")
    with tracking_process(directory, f"mlflow_tests_{worker}") as url:
        yield url


@pytest.fixture
def gate(settings: Settings) -> Iterator[None]:
    """The gatekeeper that denies ``production``."""
    settings.GATEKEEPER = "tests.conformance.mlflow.gates.DenyProduction"
    gates.gatekeeper.cache_clear()
    yield
    gates.gatekeeper.cache_clear()


def person(name: str, role: Role | None) -> Person:
    """An account, in a team of its own that holds ``role`` on every model."""
    user = access.create_user(username=name, email=f"{name}@example.org", password="a-long-password-of-mine", by=SYSTEM)
    if role is not None:
        team = access.create_team(name=f"team of {name}", by=SYSTEM)
        access.add_member(team=team, user=user, by=SYSTEM)
        access.grant_role(team=team, role=role, by=SYSTEM)
    _, writing = access.issue_token(user=user, name="work", by=SYSTEM, days=1, scope=ApiToken.Scope.WRITE)
    _, reading = access.issue_token(user=user, name="look", by=SYSTEM, days=1, scope=ApiToken.Scope.READ)
    return Person(user, writing, reading)


@pytest.fixture
def ada(request: pytest.FixtureRequest) -> Person:
    """A contributor, behind the gatekeeper that denies ``production``."""
    for needed in ("db", "gate", "artifact_root"):
        request.getfixturevalue(needed)
    return person("ada", Role.CONTRIBUTOR)


@pytest.fixture
def server(live_server: LiveServer, tracking_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of our server, with the tracking process behind it."""
    settings.TRACKING_URL = tracking_url
    settings.TRACKING_SECRET = SECRET
    # The client keeps its connections; the server's threads must not keep theirs to a database that is dropped.
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    return live_server.url


def sealed(model: RegisteredModel, by: Actor, files: dict[str, bytes] | None = None) -> ModelVersion:
    """A version of ``model`` that is sealed with ``files`` beside its MLmodel."""
    version = versions.register_version(model=model, by=by, source="")
    found = []
    for path, content in {"MLmodel": MLMODEL, **(files or {})}.items():
        sha256, size = blobs().put(io.BytesIO(content))
        assert sha256 == hashlib.sha256(content).hexdigest()
        found.append(SealedFile(path=path, size=size, sha256=sha256))
    return versions.seal_version(version_id=version.pk, files=found, by=by, flavours=["python_function"])


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Iterator[Callable[[], int]]:
    """A worker in a thread: takes every version that waits, until the test ends. Says how many it did."""
    request.getfixturevalue("server")
    ended = threading.Event()
    done: list[bool] = []

    def work() -> None:
        try:
            while not ended.is_set():
                done.extend(ingest.ingest(version.pk) for version in ingest.waiting())
                ended.wait(0.05)
        finally:
            connection.close()

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    yield lambda: sum(done)
    ended.set()
    thread.join()
