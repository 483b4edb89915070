"""What may change of a version: its description, tags, stage, and that it is listed."""

import pytest

from config.errors import Invalid, NotAllowed, NotFound
from registry.models import Alias, ModelVersion, RegisteredModel, User, VersionTag
from registry.services import catalog, versions
from tests.factories import registry as make


def test_each_change_has_its_entry(sealed: ModelVersion, scientist: User) -> None:
    by, before = make.actor(scientist), len(make.entries())

    versions.update_version(version=sealed, description="Second try.", by=by)
    versions.set_version_tag(version=sealed, key="kind", value="challenger", by=by)
    versions.delete_version_tag(version=sealed, key="kind", by=by)
    versions.delete_version_tag(version=sealed, key="kind", by=by)
    versions.set_stage(version=sealed, stage="staging", archive_existing=False, by=by)

    assert make.actions(before) == [
        "version.changed", "version.tag_set", "version.tag_deleted", "version.stage_changed",
    ]  # fmt: skip
    assert make.entries(before)[-1]["diff"] == {"stage": {"before": "None", "after": "Staging"}}
    assert not VersionTag.objects.exists()
    sealed.refresh_from_db()
    assert (sealed.description, sealed.stage) == ("Second try.", "Staging")


def test_the_one_that_was_in_the_stage_is_archived_if_asked(
    model: RegisteredModel, sealed: ModelVersion, scientist: User
) -> None:
    by, second = make.actor(scientist), make.sealed_version(model, scientist)
    versions.set_stage(version=sealed, stage="Staging", archive_existing=True, by=by)
    before = len(make.entries())

    versions.set_stage(version=second, stage="Staging", archive_existing=True, by=by)

    sealed.refresh_from_db()
    assert sealed.stage == "Archived"
    assert [entry["diff"]["stage"]["after"] for entry in make.entries(before)] == ["Archived", "Staging"]


@pytest.mark.parametrize("stage", ["", "Live", "production ", "None\x00"])
def test_an_unknown_stage_is_refused(sealed: ModelVersion, scientist: User, stage: str) -> None:
    with pytest.raises(Invalid) as refused:
        versions.set_stage(version=sealed, stage=stage, archive_existing=False, by=make.actor(scientist))

    assert refused.value.field == "stage"


def test_a_deleted_version_takes_its_aliases_along_and_is_gone_for_every_verb(
    model: RegisteredModel, sealed: ModelVersion, scientist: User
) -> None:
    by = make.actor(scientist)
    catalog.set_alias(model=model, alias="champion", number=sealed.number, by=by)
    before = len(make.entries())

    versions.delete_version(version=sealed, by=by)

    assert make.actions(before) == ["alias.deleted", "version.deleted"]
    assert not Alias.objects.exists()
    assert ModelVersion.objects.filter(pk=sealed.pk).exists(), "the row stays"
    for attempt in (
        lambda: versions.delete_version(version=sealed, by=by),
        lambda: versions.update_version(version=sealed, description="x", by=by),
        lambda: versions.set_stage(version=sealed, stage="Staging", archive_existing=False, by=by),
        lambda: catalog.set_alias(model=model, alias="champion", number=sealed.number, by=by),
    ):
        with pytest.raises(NotFound):
            attempt()


def test_a_stranger_changes_nothing(sealed: ModelVersion, stranger: User) -> None:
    by, before = make.actor(stranger), make.entries()

    for attempt in (
        lambda: versions.update_version(version=sealed, description="x", by=by),
        lambda: versions.delete_version(version=sealed, by=by),
        lambda: versions.set_stage(version=sealed, stage="Staging", archive_existing=False, by=by),
        lambda: versions.set_version_tag(version=sealed, key="a", value="b", by=by),
        lambda: versions.delete_version_tag(version=sealed, key="a", by=by),
    ):
        with pytest.raises(NotAllowed):
            attempt()

    assert make.entries() == before
