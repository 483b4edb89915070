"""What the operator exempts from gating, and how nobody else can."""

import io
import os
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from config.errors import Conflict, Invalid, NotAllowed, Refusal
from config.runtime import roles
from governance.models import GateExemption, Permit, PolicyVersion, PromotionRequest
from governance.selectors.exemptions import exemption_of, unpermitted_of
from governance.services import exemptions, permits
from registry.models import Alias, ModelVersion, RegisteredModel, User
from registry.services import catalog, versions
from tests.factories import governance as make
from tests.factories.registry import entries

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]

INSERT = "INSERT INTO registry_alias (model_id, name, version_id, set_at) VALUES (%s, %s, %s, now())"


@pytest.fixture
def house(db: None, artifact_root: Path, signing_keys: Path) -> PolicyVersion:
    """The policy of two approvers, under the name of the one that comes with the product: so the start-up step keeps it."""
    return make.policy(make.TWO_APPROVERS.replace("policy: house", "policy: model-promotion"))


@pytest.fixture
def permit(ready: PromotionRequest, approvers: list[User]) -> Permit:
    """The permit of an approved request; the alias names its version."""
    make.approve(ready, approvers)
    return Permit.objects.get()


def set_production(version: ModelVersion, by: User) -> None:
    catalog.set_alias(model=version.model, alias="production", number=version.number, by=make.actor(by))


def refused_by_postgresql(statement: str, *values: "int | UUID | str", names: str) -> None:
    with pytest.raises(DatabaseError, match=names), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def setup() -> str:
    said = io.StringIO()
    call_command("setup_governance", stdout=said)
    return said.getvalue()


# what it opens


@pytest.mark.parametrize("name", ["its own", "*"])
def test_an_exempt_model_moves_freely_through_the_door(version: ModelVersion, scientist: User, name: str) -> None:
    exemptions.apply(names=[version.model.name if name == "its own" else "*"])
    set_production(version, scientist)
    catalog.set_alias(model=version.model, alias="Production", number=version.number, by=make.actor(scientist))
    versions.set_stage(version=version, stage="Production", archive_existing=True, by=make.actor(scientist))
    versions.set_stage(version=version, stage="Archived", archive_existing=False, by=make.actor(scientist))
    catalog.delete_alias(model=version.model, alias="production", by=make.actor(scientist))
    assert exemption_of(version.model) is not None


def test_the_database_honours_it_too(version: ModelVersion) -> None:
    refused_by_postgresql(INSERT, version.model_id, "production", version.pk, names="no active permit")
    exemptions.apply(names=[version.model.name])
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [version.model_id, "production", version.pk])
        cursor.execute("UPDATE registry_modelversion SET stage = 'Production'")


def test_another_model_stays_gated(version: ModelVersion, scientist: User) -> None:
    other = make.sealed_version(make.registered_model(scientist), scientist)
    exemptions.apply(names=[version.model.name])
    with pytest.raises(NotAllowed):
        set_production(other, scientist)
    refused_by_postgresql(INSERT, other.model_id, "production", other.pk, names="no active permit")


@pytest.mark.parametrize("like", [str.upper, str.title, lambda name: f"{name} ", lambda name: f"{name}x"])
def test_the_name_is_exact(version: ModelVersion, scientist: User, like: "type[str]") -> None:
    name = like(version.model.name)
    if name == version.model.name:
        pytest.skip("this name has no other case")
    GateExemption.objects.create(name=name, began_at=version.created_at)
    with pytest.raises(NotAllowed):
        set_production(version, scientist)


def test_a_model_named_like_the_asterisk_is_no_exemption(house: PolicyVersion, scientist: User) -> None:
    version = make.sealed_version(make.registered_model(scientist, name="*"), scientist)
    with pytest.raises(NotAllowed):
        set_production(version, scientist)


# what it does not open


def test_what_a_permit_holds_stays_held(permit: Permit, scientist: User, approvers: list[User]) -> None:
    exemptions.apply(names=["*"])
    other = make.sealed_version(permit.model, scientist)
    for attempt in (
        lambda: set_production(other, scientist),
        lambda: catalog.delete_alias(model=permit.model, alias="production", by=make.actor(scientist)),
        lambda: catalog.set_alias(
            model=permit.model, alias="Production", number=other.number, by=make.actor(scientist)
        ),
        lambda: catalog.rename_model(model=permit.model, new_name="another", by=make.actor(scientist)),
        lambda: versions.delete_version(version=permit.version, by=make.actor(scientist)),
    ):
        with pytest.raises(Refusal):
            attempt()
    refused_by_postgresql("UPDATE registry_alias SET version_id = %s", other.pk, names="no active permit")
    permits.revoke(permit=permit, reason="Over.", by=make.actor(approvers[0]))
    set_production(other, scientist)


def test_tags_that_look_like_approvals_stay_refused(version: ModelVersion, scientist: User) -> None:
    exemptions.apply(names=["*"])
    with pytest.raises(NotAllowed):
        versions.set_version_tag(version=version, key="approved_by", value="me", by=make.actor(scientist))


def test_one_may_still_ask_and_the_permit_then_governs(
    version: ModelVersion, scientist: User, approvers: list[User]
) -> None:
    exemptions.apply(names=["*"])
    make.approve(make.finish_all(make.request(version, scientist)), approvers)
    assert Alias.objects.get().version == version
    with pytest.raises(NotAllowed):
        set_production(make.sealed_version(version.model, scientist), scientist)


# names come and go


@pytest.mark.parametrize("exempt", ["old", "new"])
def test_no_model_is_renamed_into_an_exempt_name_or_out_of_one(
    version: ModelVersion, scientist: User, exempt: str
) -> None:
    exemptions.apply(names=[version.model.name if exempt == "old" else "playground"])
    with pytest.raises(Conflict) as caught:
        catalog.rename_model(model=version.model, new_name="playground", by=make.actor(scientist))
    assert caught.value.code == "gate.exempt_name"
    refused_by_postgresql("UPDATE registry_registeredmodel SET name = 'playground'", names="exempt from gating")
    version.model.refresh_from_db()
    assert version.model.name != "playground"


@pytest.mark.parametrize("names", [["*"], ["playground", "its own"], []])
def test_between_two_names_of_one_kind_a_model_is_renamed(
    version: ModelVersion, scientist: User, names: list[str]
) -> None:
    exemptions.apply(names=[version.model.name if name == "its own" else name for name in names])
    catalog.rename_model(model=version.model, new_name="playground", by=make.actor(scientist))
    assert (exemption_of(RegisteredModel.objects.get()) is not None) == bool(names)


def test_a_model_made_anew_under_an_exempt_name_is_exempt(version: ModelVersion, scientist: User) -> None:
    name = version.model.name
    exemptions.apply(names=[name])
    catalog.delete_model(model=version.model, by=make.actor(scientist))
    again = make.sealed_version(make.registered_model(scientist, name=name), scientist)
    set_production(again, scientist)


# beginning and end


def test_the_setting_is_applied_at_start_and_each_change_is_logged_once(
    version: ModelVersion, scientist: User, settings: Settings
) -> None:
    logged = len(entries())
    settings.UNGOVERNED_MODELS = (version.model.name, "playground")
    assert "Exempt from gating" in setup()
    setup()
    set_production(version, scientist)
    settings.UNGOVERNED_MODELS = ("playground",)
    said = setup()
    assert f"No longer exempt from gating: {version.model.name}" in said
    assert f"Stands without a permit: alias:production of {version.model.name} (v{version.number})" in said
    settings.UNGOVERNED_MODELS = ()
    setup()
    found = [entry for entry in entries(logged) if entry["action"].startswith("exemption.")]
    assert [(entry["action"], entry["facts"]["name"]) for entry in found] == [
        ("exemption.began", version.model.name),
        ("exemption.began", "playground"),
        ("exemption.ended", version.model.name),
        ("exemption.ended", "playground"),
    ]
    assert found[2]["facts"]["count"] == 1
    with pytest.raises(NotAllowed):
        set_production(make.sealed_version(version.model, scientist), scientist)
    assert Alias.objects.get().version == version, "what was set stays, so that nothing breaks at a restart"
    assert [str(one) for one in unpermitted_of(version.model)] == found[2]["facts"]["unpermitted"]


def test_the_end_of_the_whole_instance_lists_every_name_without_a_permit(
    version: ModelVersion, permit_elsewhere: Permit, scientist: User
) -> None:
    exemptions.apply(names=["*"])
    set_production(version, scientist)
    applied = exemptions.apply(names=[])
    assert [(one.model, one.target) for one in applied.unpermitted] == [(version.model.name, "alias:production")]


@pytest.fixture
def permit_elsewhere(scientist: User, approvers: list[User]) -> Permit:
    """The permit of another model, which stands by right."""
    version = make.sealed_version(make.registered_model(scientist), scientist)
    make.approve(make.finish_all(make.request(version, scientist)), approvers)
    return Permit.objects.get()


@pytest.mark.parametrize("names", [["*", "one"], ["cred*"], ["a/b"], [""], ["x" * 257], [" one"], ["one\x00"]])
def test_what_is_not_understood_exempts_nothing(house: PolicyVersion, settings: Settings, names: list[str]) -> None:
    exemptions.apply(names=["standing"])
    with pytest.raises(Invalid):
        exemptions.apply(names=names)
    settings.UNGOVERNED_MODELS = tuple(names)
    with pytest.raises(CommandError, match="UNGOVERNED_MODELS"):
        setup()
    assert [row.name for row in GateExemption.objects.in_force()] == ["standing"]


# nobody else


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", [roles.APP, roles.SEQUENCER])
def test_the_runtime_roles_read_it_and_no_more(version: ModelVersion, role: str) -> None:
    exemptions.apply(names=["playground"])
    variable = "DATABASE_URL" if role == roles.APP else "DATABASE_SEQUENCER_URL"
    with psycopg.connect(os.environ[variable], dbname=connection.settings_dict["NAME"], autocommit=True) as session:
        assert session.execute("SELECT current_user").fetchone() == (role,)
        assert session.execute("SELECT name FROM governance_gateexemption").fetchall() == [("playground",)]
        for statement in (
            "INSERT INTO governance_gateexemption (name, began_at) VALUES ('*', now())",
            "UPDATE governance_gateexemption SET name = '*'",
            "UPDATE governance_gateexemption SET ended_at = NULL",
            "DELETE FROM governance_gateexemption",
            "TRUNCATE governance_gateexemption",
            "CREATE OR REPLACE FUNCTION governance_exempt_name(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_a_table_of_ones_own_exempts_nothing(version: ModelVersion) -> None:
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f'GRANT TEMPORARY ON DATABASE "{name}" TO {roles.APP}')
    with psycopg.connect(os.environ["DATABASE_URL"], dbname=name) as session:
        like = "LIKE public.governance_gateexemption INCLUDING DEFAULTS"
        session.execute(f"CREATE TEMPORARY TABLE governance_gateexemption ({like})")
        session.execute("INSERT INTO pg_temp.governance_gateexemption (id, name, began_at) VALUES (1, '*', now())")
        with pytest.raises(psycopg.errors.IntegrityError, match="no active permit"):
            session.execute(INSERT, (version.model_id, "production", version.pk))


def test_an_exemption_is_kept_as_it_was(house: PolicyVersion) -> None:
    exemptions.apply(names=["one"])
    refused_by_postgresql("DELETE FROM governance_gateexemption", names="stays on record")
    refused_by_postgresql("UPDATE governance_gateexemption SET name = '*'", names="stays on record")
    refused_by_postgresql(
        "UPDATE governance_gateexemption SET began_at = began_at - interval '1 day'", names="on record"
    )
    exemptions.apply(names=[])
    refused_by_postgresql("UPDATE governance_gateexemption SET ended_at = NULL", names="stays on record")


def test_django_s_admin_does_not_know_it() -> None:
    assert GateExemption not in admin.site._registry
