"""A closed gate: nothing changes, whichever verb is tried, and the refusal is on record."""

# ruff: noqa: ARG005 - every attempt is given the same

from collections.abc import Callable

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from audit.actors import Actor
from config.errors import NotAllowed
from registry.gates import gatekeeper
from registry.models import Alias, ModelTag, ModelVersion, RegisteredModel, User, VersionTag
from registry.services import catalog, versions
from tests.factories import registry as make

Attempt = Callable[[RegisteredModel, ModelVersion, Actor], object]
ATTEMPTS: dict[str, Attempt] = {
    "set_alias": lambda model, version, by: catalog.set_alias(
        model=model, alias="champion", number=version.number + 1, by=by
    ),
    "delete_alias": lambda model, version, by: catalog.delete_alias(model=model, alias="champion", by=by),
    "update_model": lambda model, version, by: catalog.update_model(model=model, description="x", by=by),
    "rename_model": lambda model, version, by: catalog.rename_model(model=model, new_name="x", by=by),
    "delete_model": lambda model, version, by: catalog.delete_model(model=model, by=by),
    "set_model_tag": lambda model, version, by: catalog.set_model_tag(model=model, key="a", value="b", by=by),
    "delete_model_tag": lambda model, version, by: catalog.delete_model_tag(model=model, key="old", by=by),
    "create_model": lambda model, version, by: catalog.create_model(name="other", tags={"a": "b"}, by=by),
    "register_version": lambda model, version, by: versions.register_version(model=model, tags={"a": "b"}, by=by),
    "update_version": lambda model, version, by: versions.update_version(version=version, description="x", by=by),
    "delete_version": lambda model, version, by: versions.delete_version(version=version, by=by),
    "set_stage": lambda model, version, by: versions.set_stage(
        version=version, stage="Production", archive_existing=True, by=by
    ),
    "set_version_tag": lambda model, version, by: versions.set_version_tag(version=version, key="a", value="b", by=by),
    "delete_version_tag": lambda model, version, by: versions.delete_version_tag(version=version, key="old", by=by),
}


def _state() -> list[list[object]]:
    tables = (RegisteredModel, ModelVersion, Alias, ModelTag, VersionTag)
    return [list(table._default_manager.order_by("pk").values()) for table in tables]


@pytest.mark.parametrize("verb", ATTEMPTS)
def test_a_refusal_leaves_nothing_changed_and_one_entry(
    verb: str, model: RegisteredModel, sealed: ModelVersion, scientist: User
) -> None:
    by = make.actor(scientist)
    make.pending_version(model, scientist)
    catalog.set_alias(model=model, alias="champion", number=sealed.number, by=by)
    catalog.set_model_tag(model=model, key="old", value="", by=by)
    versions.set_version_tag(version=sealed, key="old", value="", by=by)
    before, logged = _state(), len(make.entries())

    with make.closed_gate(), pytest.raises(NotAllowed, match="The gate is closed"):
        ATTEMPTS[verb](model, sealed, by)

    assert _state() == before
    [entry] = make.entries(logged)
    assert entry["action"] == "gate.refused"
    assert entry["facts"] == {"verb": verb, "code": "gate.closed"}
    assert entry["actor"]["id"] == f"user:{scientist.pk}"
    assert entry["reason"] == "The gate is closed."


def test_who_may_not_at_all_does_not_come_to_the_gate(
    model: RegisteredModel, sealed: ModelVersion, stranger: User
) -> None:
    logged = len(make.entries())

    with make.closed_gate():
        for verb, attempt in ATTEMPTS.items():
            with pytest.raises(NotAllowed) as refused:
                attempt(model, sealed, make.actor(stranger))
            assert refused.value.code != "gate.closed", verb

    assert make.entries(logged) == []


def test_without_a_gatekeeper_nothing_is_written(model: RegisteredModel, scientist: User, settings: Settings) -> None:
    settings.GATEKEEPER = ""
    gatekeeper.cache_clear()
    try:
        with pytest.raises(ImproperlyConfigured):
            catalog.set_model_tag(model=model, key="a", value="b", by=make.actor(scientist))
    finally:
        gatekeeper.cache_clear()

    assert not ModelTag.objects.exists()
