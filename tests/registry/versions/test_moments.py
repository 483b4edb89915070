"""When a model or version counts as changed: where MLflow's ``last_updated_timestamp`` moves, and nowhere else.

After mlflow/store/model_registry/sqlalchemy_store.py of 3.17.2.
"""

# ruff: noqa: ARG005 - every verb is given the same

from collections.abc import Callable
from datetime import datetime

import pytest

from audit.actors import SYSTEM, Actor
from registry.models import ModelVersion, RegisteredModel, User
from registry.services import catalog, versions
from tests.factories import registry as make

Verb = Callable[[RegisteredModel, ModelVersion, Actor], object]
MOVES: dict[str, tuple[bool, bool, Verb]] = {
    # verb: the model's moment, the version's moment
    "describe model": (True, False, lambda m, v, by: catalog.update_model(model=m, description="new", by=by)),
    "describe model as before": (True, False, lambda m, v, by: catalog.update_model(model=m, description="", by=by)),
    "rename": (True, True, lambda m, v, by: catalog.rename_model(model=m, new_name="another", by=by)),
    "register": (True, False, lambda m, v, by: versions.register_version(model=m, by=by)),
    "describe version": (False, True, lambda m, v, by: versions.update_version(version=v, description="new", by=by)),
    "describe version as before": (
        False,
        True,
        lambda m, v, by: versions.update_version(version=v, description="", by=by),
    ),
    "stage": (
        True,
        True,
        lambda m, v, by: versions.set_stage(version=v, stage="Staging", archive_existing=False, by=by),
    ),
    "same stage": (
        True,
        True,
        lambda m, v, by: versions.set_stage(version=v, stage="None", archive_existing=False, by=by),
    ),
    "delete version": (True, True, lambda m, v, by: versions.delete_version(version=v, by=by)),
    "set alias": (False, False, lambda m, v, by: catalog.set_alias(model=m, alias="new", number=1, by=by)),
    "delete alias": (False, False, lambda m, v, by: catalog.delete_alias(model=m, alias="old", by=by)),
    "set model tag": (False, False, lambda m, v, by: catalog.set_model_tag(model=m, key="a", value="b", by=by)),
    "delete model tag": (False, False, lambda m, v, by: catalog.delete_model_tag(model=m, key="old", by=by)),
    "set version tag": (False, False, lambda m, v, by: versions.set_version_tag(version=v, key="a", value="b", by=by)),
    "delete version tag": (False, False, lambda m, v, by: versions.delete_version_tag(version=v, key="old", by=by)),
    "fail": (False, False, lambda m, v, by: versions.fail_version(version_id=v.pk, message="No.", by=SYSTEM)),
}


@pytest.mark.parametrize("verb", MOVES)
def test_a_moment_moves_where_it_does_in_mlflow(
    verb: str, model: RegisteredModel, pending: ModelVersion, scientist: User
) -> None:
    by = make.actor(scientist)
    catalog.set_alias(model=model, alias="old", number=1, by=by)
    catalog.set_model_tag(model=model, key="old", value="", by=by)
    versions.set_version_tag(version=pending, key="old", value="", by=by)
    before = _moments(model, pending)
    moves_model, moves_version, call = MOVES[verb]

    call(model, pending, by)

    after = _moments(model, pending)
    assert (before[0] < after[0], before[1] < after[1]) == (moves_model, moves_version)
    if moves_model and moves_version:
        assert after[0] == after[1], "one call, one moment"


def _moments(model: RegisteredModel, version: ModelVersion) -> tuple[datetime, datetime]:
    return (
        RegisteredModel.objects.get(pk=model.pk).updated_at,
        ModelVersion.objects.get(pk=version.pk).updated_at,
    )


def test_what_is_new_was_changed_when_it_was_made(model: RegisteredModel, scientist: User) -> None:
    assert model.created_at == model.updated_at
    version = make.pending_version(model, scientist)
    model.refresh_from_db()
    assert version.created_at == version.updated_at == model.updated_at


def test_sealing_moves_no_moment(model: RegisteredModel, scientist: User) -> None:
    version = make.sealed_version(model, scientist)
    version.refresh_from_db()
    assert version.is_sealed
    assert version.updated_at == version.created_at
