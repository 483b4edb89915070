"""Aliases: set, moved, deleted."""

import pytest

from config.errors import Invalid, NotFound
from registry.models import Alias, ModelVersion, RegisteredModel, User
from registry.services import catalog
from tests.factories import registry as make


def test_an_alias_is_set_moved_and_deleted_with_an_entry_each(
    model: RegisteredModel, sealed: ModelVersion, scientist: User
) -> None:
    second = make.sealed_version(model, scientist)
    by, before = make.actor(scientist), len(make.entries())

    for number in (sealed.number, second.number, second.number):
        assert catalog.set_alias(model=model, alias="champion", number=number, by=by).version.number == number
    catalog.delete_alias(model=model, alias="champion", by=by)
    catalog.delete_alias(model=model, alias="champion", by=by)

    assert not Alias.objects.exists()
    assert make.actions(before) == ["alias.set", "alias.set", "alias.deleted"], "what changes nothing says nothing"
    assert [entry["diff"]["version"] for entry in make.entries(before)] == [
        {"before": None, "after": 1},
        {"before": 1, "after": 2},
        {"before": 2, "after": None},
    ]


def test_an_alias_of_a_version_that_is_not_there_is_refused(
    model: RegisteredModel, sealed: ModelVersion, scientist: User
) -> None:
    with pytest.raises(NotFound) as refused:
        catalog.set_alias(model=model, alias="champion", number=7, by=make.actor(scientist))
    with pytest.raises(Invalid):
        catalog.set_alias(model=model, alias="v1", number=sealed.number, by=make.actor(scientist))

    assert refused.value.field == "version"
    assert not Alias.objects.exists()
