"""A copy of a sealed version is sealed at once, from what is known of the original."""

import pytest

from registry.models import ModelVersion, RegisteredModel, User
from registry.services import ingest, versions
from tests.factories import registry as make

pytestmark = pytest.mark.django_db


def copy_of(original: ModelVersion, model: RegisteredModel, by: User) -> ModelVersion:
    source = f"models:/{original.model.name}/{original.number}"
    return versions.register_version(model=model, by=make.actor(by), source=source)


def test_a_copy_has_the_same_bytes_and_the_same_description(
    sealed: ModelVersion, model: RegisteredModel, scientist: User
) -> None:
    copy = copy_of(sealed, model, scientist)
    assert ingest.seal_copy(copy.pk)
    copy.refresh_from_db()
    assert copy.status == ModelVersion.Status.READY
    assert copy.manifest_digest == sealed.manifest_digest
    assert (copy.flavours, copy.signature) == (sealed.flavours, sealed.signature)
    assert not ingest.seal_copy(copy.pk), "it is sealed"
    assert not ingest.ingest(copy.pk), "the worker finds nothing to do"


def test_a_copy_of_what_is_gone_fails_with_the_reason(
    sealed: ModelVersion, model: RegisteredModel, scientist: User
) -> None:
    copy = copy_of(sealed, model, scientist)
    versions.delete_version(version=sealed, by=make.actor(scientist))
    assert ingest.seal_copy(copy.pk)
    copy.refresh_from_db()
    assert copy.status == ModelVersion.Status.FAILED
    assert "not a sealed version" in copy.status_message


def test_a_version_that_a_worker_reads_is_left_to_it(
    sealed: ModelVersion, model: RegisteredModel, scientist: User
) -> None:
    copy = copy_of(sealed, model, scientist)
    assert ingest._take(copy.pk)
    assert not ingest.seal_copy(copy.pk)
