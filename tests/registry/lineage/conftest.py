"""A registered version, and a data set version sealed here."""

import pytest
from django.utils import timezone

from audit.actors import Actor
from registry.models import Blob, Dataset, DatasetVersion, ModelVersion, RegisteredModel, User


@pytest.fixture
def ada(request: pytest.FixtureRequest) -> User:
    request.getfixturevalue("by_hand")
    return User.objects.create_user("ada", email="ada@example.org")


@pytest.fixture
def by(ada: User) -> Actor:
    return Actor.person(ada)


@pytest.fixture
def version(ada: User) -> ModelVersion:
    model = RegisteredModel.objects.create(name="credit", owner=ada)
    return ModelVersion.objects.create(model=model, number=1, registered_by=ada)


@pytest.fixture
def holdout(ada: User) -> DatasetVersion:
    digest = "ab" * 32
    return DatasetVersion.objects.create(
        dataset=Dataset.objects.create(name="credit-train", owner=ada),
        number=2,
        digest=digest,
        blob=Blob.objects.create(sha256=digest, size=3),
        created_by=ada,
        status=DatasetVersion.Status.SEALED,
        sealed_at=timezone.now(),
    )
