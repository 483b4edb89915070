"""People with roles, their tokens, a sealed version and a request, all made by the services that people use."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from audit.actors import SYSTEM, Actor
from audit.keys import ensure_keys
from governance.models import PromotionRequest
from governance.services.policies import adopt
from governance.services.promotions import request_promotion
from registry.models import ModelVersion, RegisteredModel, User
from registry.services import access, catalog
from tests.api.calls import Api, sha256

PASSWORD = "correct horse battery staple"
POLICY = """\
policy: api-tests
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: security.scan
    require: {refused_findings: {le: 0}}
card: [intended_use]
review:
  - stage: approval
    all: [{role: approver, n: 2}]
valid_for: P180D
waivers: {by: {role: approver, n: 2}, max: P90D}
"""
MLMODEL = b"""\
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.9}
  sklearn: {pickled_model: model.skops, serialization_format: skops}
"""


@pytest.fixture(autouse=True)
def places(artifact_root: Path, keys_dir: Path) -> None:
    """Bytes and keys of this test's own."""
    ensure_keys(keys_dir)


Person = Callable[..., User]


@pytest.fixture
def person(db: None) -> Person:
    """Make somebody, with a role on every model if one is named."""

    def make(username: str, role: str = "") -> User:
        user = access.create_user(username=username, password=PASSWORD, by=SYSTEM)
        if role:
            team = access.create_team(name=f"{username}'s team", by=SYSTEM)
            access.add_member(team=team, user=user, by=SYSTEM)
            access.grant_role(team=team, role=role, by=SYSTEM)
        return user

    return make


def token_of(user: User, scope: str = "write") -> str:
    """A fresh token's text."""
    return str(access.issue_token(user=user, name="test", by=Actor.person(user), days=7, scope=scope)[1])


def session_of(user: User) -> Api:
    """A client that is signed in."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return Api(client=client)


@pytest.fixture
def ada(person: Person) -> User:
    return person("ada", "contributor")


@pytest.fixture
def officer(person: Person) -> User:
    return person("olga", "approver")


@pytest.fixture
def contributor(ada: User) -> Api:
    return Api(token_of(ada))


@pytest.fixture
def stranger(person: Person) -> Api:
    """Signed in, without any role."""
    return Api(token_of(person("stranger")))


@pytest.fixture
def nobody(db: None) -> Api:
    """Without credentials."""
    return Api()


@pytest.fixture
def model(ada: User) -> RegisteredModel:
    card = {"intended_use": "Rank applications for review by a person."}
    return catalog.create_model(name="credit-default", card=card, by=Actor.person(ada))


def upload(api: Api, path: str, content: bytes, *, to: str = "models/credit-default/versions/1/files") -> None:
    """Send one file in two chunks, and close it."""
    opened = api.post(to, {"path": path, "sha256": sha256(content), "size": len(content)})
    assert opened.status_code == 201, opened.content
    url = opened.json()["url"]
    half = len(content) // 2
    for start, chunk in ((0, content[:half]), (half, content[half:])):
        if not chunk:
            continue
        sent = api.send("PUT", url, chunk, kind="application/octet-stream", upload_offset=str(start))
        assert sent.status_code == 200, sent.content
    closed = api.post(opened.json()["complete_url"])
    assert closed.status_code == 200, closed.content


@pytest.fixture
def sealed_version(contributor: Api, model: RegisteredModel) -> ModelVersion:
    """Version 1 of ``credit-default``, uploaded and sealed over REST."""
    assert contributor.post("models/credit-default/versions", {}).status_code == 201
    upload(contributor, "MLmodel", MLMODEL)
    upload(contributor, "model.skops", b"not looked at here")
    assert contributor.post("models/credit-default/versions/1/finish").status_code == 200
    return ModelVersion.objects.get(model=model, number=1)


@pytest.fixture
def promotion(sealed_version: ModelVersion, ada: User) -> PromotionRequest:
    """Ada asks for ``alias:production``; its check waits."""
    adopt(document=POLICY, by=SYSTEM)
    return request_promotion(
        version=sealed_version, target="alias:production", intended_use="Review aid", by=Actor.person(ada)
    )
