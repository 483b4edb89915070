"""No way round the gate: look-alikes, freed names, other tiers and policies, SQL of the runtime role."""

import os
from uuid import UUID

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from audit.actors import SYSTEM
from config.errors import Conflict, Invalid, NotAllowed, Refusal
from config.runtime import roles
from governance.models import Permit, PromotionRequest
from governance.services import permits, policies
from registry.models import Alias, ModelVersion, RegisteredModel, User
from registry.roles import Role
from registry.services import catalog, versions
from registry.storage import blobs
from tests.factories import governance as make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]

UNGOVERNED = make.TWO_APPROVERS.replace('"alias:production", "stage:Production"', '"alias:somewhere-else"')


@pytest.fixture
def permit(ready: PromotionRequest, approvers: list[User]) -> Permit:
    """The permit of an approved request; the alias names its version."""
    make.approve(ready, approvers)
    return Permit.objects.get()


LOOK_ALIKES = [
    "Production",
    "PRODUCTION",
    "prod-uction",
    "production_",
    "pr0duction",
    "productlon",
    "próduction",
    "product\u0131on",
]


@pytest.mark.parametrize("alias", [*LOOK_ALIKES, "ｐroduction", "pr𝗼duction"])  # noqa: RUF001 - that is the attack
def test_an_alias_that_looks_like_a_governed_one_is_refused(version: ModelVersion, scientist: User, alias: str) -> None:
    with pytest.raises(Refusal):
        catalog.set_alias(model=version.model, alias=alias, number=version.number, by=make.actor(scientist))
    assert not Alias.objects.exists()


@pytest.mark.parametrize("alias", ["prоduction", "ρroduction"])  # noqa: RUF001 - Cyrillic o, Greek rho
def test_an_alias_in_two_alphabets_is_refused(version: ModelVersion, scientist: User, alias: str) -> None:
    with pytest.raises(Invalid, match="mixes"):
        catalog.set_alias(model=version.model, alias=alias, number=version.number, by=make.actor(scientist))


@pytest.mark.parametrize("alias", ["pre-production", "production-2", "candidate", "blau-grün"])
def test_names_of_their_own_stay_free(version: ModelVersion, scientist: User, alias: str) -> None:
    catalog.set_alias(model=version.model, alias=alias, number=version.number, by=make.actor(scientist))


def test_two_policies_do_not_govern_names_that_look_alike(house: object) -> None:
    other = make.TWO_APPROVERS.replace("policy: house", "policy: other").replace("alias:production", "alias:Production")
    with pytest.raises(Conflict, match="already governs"):
        policies.adopt(document=other.replace(', "stage:Production"', ""), by=SYSTEM)


def test_a_less_strict_tier_does_not_free_a_permitted_name(permit: Permit, scientist: User) -> None:
    policies.adopt(document=make.TWO_APPROVERS.replace("[1, 2, 3]", "[1]"), by=SYSTEM)
    assessor = make.person("assessor", Role.VALIDATOR)
    catalog.update_model(model=permit.model, by=make.actor(assessor), tier=3)
    other = make.sealed_version(permit.model, scientist)
    with pytest.raises(NotAllowed):
        catalog.set_alias(model=permit.model, alias="production", number=other.number, by=make.actor(scientist))
    with pytest.raises(NotAllowed):
        catalog.delete_alias(model=permit.model, alias="production", by=make.actor(scientist))


def test_a_policy_that_lets_go_does_not_free_a_permitted_name(
    permit: Permit, scientist: User, approvers: list[User]
) -> None:
    policies.adopt(document=UNGOVERNED, by=SYSTEM)
    other = make.sealed_version(permit.model, scientist)
    with pytest.raises(NotAllowed):
        catalog.set_alias(model=permit.model, alias="production", number=other.number, by=make.actor(scientist))
    permits.revoke(permit=permit, reason="The policy lets go.", by=make.actor(approvers[0]))
    catalog.set_alias(model=permit.model, alias="production", number=other.number, by=make.actor(scientist))


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.VALIDATOR, Role.APPROVER, Role.AUDITOR])
def test_only_an_administrator_adopts_a_policy(house: object, role: Role) -> None:
    with pytest.raises(NotAllowed):
        policies.adopt(document=UNGOVERNED, by=make.actor(make.person("somebody", role)))


def test_a_copy_of_a_permitted_version_has_no_permit(permit: Permit, scientist: User) -> None:
    assert permit.version.manifest is not None
    stored = {row.path: blobs().path(row.blob_id) for row in permit.version.manifest.files.all()}
    files = {name: path.read_bytes() for name, path in stored.items() if path is not None}
    copy = make.sealed_version(permit.model, scientist, files)
    assert copy.manifest_digest == permit.manifest_digest
    with pytest.raises(NotAllowed):
        versions.set_stage(version=copy, stage="Production", archive_existing=True, by=make.actor(scientist))


# SQL, as the owner of the tables: what refuses the owner refuses everybody


def refused(statement: str, *values: "int | UUID | str", names: str) -> None:
    with pytest.raises(DatabaseError, match=names), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


INSERT = "INSERT INTO registry_alias (model_id, name, version_id, set_at) VALUES (%s, %s, %s, now())"


@pytest.mark.parametrize("alias", ["Production", "PRODUCTION", "ｐroduction"])  # noqa: RUF001 - that is the attack
def test_sql_sets_no_look_alike(version: ModelVersion, alias: str) -> None:
    refused(INSERT, version.model_id, alias, version.pk, names="no active permit")


def test_sql_sets_no_look_alike_beside_a_permitted_name(permit: Permit) -> None:
    refused(INSERT, permit.model_id, "Production", permit.version_id, names="no active permit")


def test_sql_sets_no_stage_that_looks_governed(version: ModelVersion) -> None:
    refused("UPDATE registry_modelversion SET stage = 'production'", names="no active permit")


def test_sql_does_not_free_a_permitted_name_by_tier_or_policy(permit: Permit, scientist: User) -> None:
    other = make.sealed_version(permit.model, scientist)
    policies.adopt(document=UNGOVERNED, by=SYSTEM)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE registry_registeredmodel SET tier = 3")
    refused("UPDATE registry_alias SET version_id = %s", other.pk, names="no active permit")
    refused("DELETE FROM registry_alias", names="revoke the permit first")


def test_sql_names_no_version_of_another_model(version: ModelVersion, scientist: User) -> None:
    other = make.sealed_version(make.registered_model(scientist), scientist)
    refused(INSERT, version.model_id, "candidate", other.pk, names="another model")


def test_sql_neither_renames_nor_deletes_a_permitted_model(permit: Permit) -> None:
    refused("UPDATE registry_registeredmodel SET name = 'another'", names="keeps its name")
    refused("UPDATE registry_registeredmodel SET deleted_at = now()", names="keeps its name")


def test_sql_takes_no_policy_out_of_force(house: object) -> None:
    refused("UPDATE governance_policy SET current_id = NULL", names="goes on to a newer version")
    refused("UPDATE governance_policy SET name = 'another'", names="keeps its name")
    refused("DELETE FROM governance_policy", names="never deleted")
    second = policies.adopt(document=UNGOVERNED, by=SYSTEM)
    first = second.policy.versions.get(number=1)
    refused("UPDATE governance_policy SET current_id = %s", first.pk, names="goes on to a newer version")


@pytest.mark.django_db(transaction=True)
def test_tables_of_ones_own_do_not_stand_before_the_real_ones(version: ModelVersion) -> None:
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f'GRANT TEMPORARY ON DATABASE "{name}" TO {roles.APP}')
    with psycopg.connect(os.environ["DATABASE_URL"], dbname=name) as session:
        session.execute("CREATE TEMPORARY TABLE governance_policy (LIKE public.governance_policy)")
        with pytest.raises(psycopg.errors.IntegrityError, match="no active permit"):
            session.execute(INSERT, (version.model_id, "production", version.pk))


def test_a_freed_name_brings_no_permit_along(permit: Permit, scientist: User, approvers: list[User]) -> None:
    name = permit.model.name
    with pytest.raises(Conflict):
        catalog.rename_model(model=permit.model, new_name="another", by=make.actor(scientist))
    permits.revoke(permit=permit, reason="Over.", by=make.actor(approvers[0]))
    catalog.rename_model(model=permit.model, new_name="another", by=make.actor(scientist))
    again = RegisteredModel.objects.get(pk=make.registered_model(scientist, name=name).pk)
    fresh = make.sealed_version(again, scientist)
    with pytest.raises(NotAllowed):
        catalog.set_alias(model=again, alias="production", number=fresh.number, by=make.actor(scientist))
