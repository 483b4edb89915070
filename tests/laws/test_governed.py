"""Laws of the log's hold on tables: every model says which entry vouches for its rows, or why none does."""

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from audit.governed import EntryOf, Source, free_models, governed_models
from governance.models import Challenge
from registry.models import Upload, VersionTag


def test_every_table_says_which_entry_vouches_for_it_or_why_none_does() -> None:
    said = {one.label for one in governed_models()} | set(free_models())

    assert said == {model._meta.label_lower for model in apps.get_models(include_auto_created=True)}


def test_a_reason_says_something() -> None:
    reasons = [*free_models().values(), *(one.because for one in governed_models() if one.because)]

    assert [reason for reason in reasons if len(reason.split()) < 4] == []


def test_objects_of_the_log_are_rows_that_are_there() -> None:
    """A row is logged under an object whose own table is governed, too."""
    governed = {one.label: one for one in governed_models()}

    for one in governed.values():
        for source in one.sources:
            assert governed[source.type].is_object, one.label


def test_a_row_says_where_its_object_is() -> None:
    governed = {one.label: one for one in governed_models()}

    assert governed[VersionTag._meta.label_lower].sources == (Source("registry.modelversion", "version_id"),)
    assert governed[Upload._meta.label_lower].sources == (
        Source("registry.modelversion", "version_id"),
        Source("registry.datasetversion", "dataset_id"),
    )


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Challenge, EntryOf()),  # both at once
        (VersionTag, None),
        (VersionTag, EntryOf("registry.modelversion", "model_version_id")),
        (VersionTag, EntryOf("registry.modelversion", "version_id", quiet=("value",))),
    ],
    ids=["both", "neither", "unknown column", "quiet without a reason"],
)
def test_what_is_said_badly_is_refused(
    model: type[models.Model], said: EntryOf | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "ledger_entry_of", said, raising=False)

    with pytest.raises(ImproperlyConfigured, match=model._meta.label_lower):
        governed_models()
