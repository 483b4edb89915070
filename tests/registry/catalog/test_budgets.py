"""What a write may cost: how many statements each verb sends inside its transaction, however many versions there are."""

# ruff: noqa: ARG005 - every verb is given the same

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoCaptureOnCommitCallbacks

from audit.actors import Actor
from governance.services.policies import adopt_built_in
from registry.models import ModelVersion, RegisteredModel, User
from registry.services import catalog, versions
from tests.factories import registry as make

pytestmark = pytest.mark.usefixtures("by_hand")

TRANSACTION = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE SAVEPOINT")

Verb = Callable[[RegisteredModel, ModelVersion, Actor], object]
BUDGETS: dict[str, tuple[int, Verb]] = {
    # lock and number and row, entry
    "register_version": (
        2,
        lambda model, version, by: versions.register_version(model=model, by=by, source="runs:/a/b"),
    ),
    # … and all tags
    "register_version with tags": (
        3,
        lambda model, version, by: versions.register_version(model=model, by=by, tags={"a": "1", "b": "2", "c": "3"}),
    ),
    "create_model": (2, lambda model, version, by: catalog.create_model(name="another", by=by)),
    # lock, version with what the alias names, the gate's question, alias, entry
    "set_alias": (5, lambda model, version, by: catalog.set_alias(model=model, alias="candidate", number=1, by=by)),
    "set_alias that is as it was": (
        3,
        lambda model, version, by: catalog.set_alias(model=model, alias="old", number=1, by=by),
    ),
    "delete_alias": (5, lambda model, version, by: catalog.delete_alias(model=model, alias="old", by=by)),
    "delete_alias that is not there": (
        2,
        lambda model, version, by: catalog.delete_alias(model=model, alias="x", by=by),
    ),
    "set_model_tag": (3, lambda model, version, by: catalog.set_model_tag(model=model, key="a", value="b", by=by)),
    "delete_model_tag": (4, lambda model, version, by: catalog.delete_model_tag(model=model, key="old", by=by)),
    # lock of model and version, tag, entry
    "set_version_tag": (
        4,
        lambda model, version, by: versions.set_version_tag(version=version, key="a", value="b", by=by),
    ),
    "delete_version_tag": (
        5,
        lambda model, version, by: versions.delete_version_tag(version=version, key="old", by=by),
    ),
    # lock of model and version, the gate's question, description, entry
    "update_version": (5, lambda model, version, by: versions.update_version(version=version, description="d", by=by)),
    # lock of model and version, the gate's question, moment of the model, stage, entry
    "set_stage": (
        6,
        lambda model, version, by: versions.set_stage(version=version, stage="Staging", archive_existing=False, by=by),
    ),
}


@pytest.mark.parametrize("verb", BUDGETS)
def test_a_verb_keeps_its_budget(
    verb: str,
    model: RegisteredModel,
    sealed: ModelVersion,
    scientist: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    adopt_built_in()
    by = make.actor(scientist)
    # As if it were committed: the second entry of a person costs no look at who they are.
    with django_capture_on_commit_callbacks(execute=True):
        catalog.set_alias(model=model, alias="old", number=1, by=by)
    catalog.set_model_tag(model=model, key="old", value="", by=by)
    versions.set_version_tag(version=sealed, key="old", value="", by=by)
    ModelVersion.objects.bulk_create(
        [ModelVersion(model=model, number=number, registered_by=scientist) for number in range(10, 200)]
    )
    sealed = ModelVersion.objects.select_related("model").get(pk=sealed.pk)
    budget, call = BUDGETS[verb]

    with CaptureQueriesContext(connection) as sent:
        call(model, sealed, by)

    statements = [query["sql"] for query in sent if not query["sql"].startswith(TRANSACTION)]
    assert len(statements) <= budget, "\n".join(statements)


def test_savepoints_are_those_of_the_test_alone(model: RegisteredModel, sealed: ModelVersion, scientist: User) -> None:
    by = make.actor(scientist)

    with CaptureQueriesContext(connection) as sent:
        versions.register_version(model=model, by=by)
        catalog.create_model(name="another", by=by)
        catalog.set_alias(model=model, alias="candidate", number=1, by=by)

    assert sum(query["sql"].startswith("SAVEPOINT") for query in sent) == 3, "one for each verb's own transaction"
