"""No governed name moves without a permit, whichever door is used (invariant 15)."""

import os
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audit.actors import SYSTEM
from config.errors import Conflict, NotAllowed
from config.runtime import roles
from governance.gatekeeper import Gatekeeper
from governance.models import Permit, PromotionRequest
from governance.services import permits
from governance.states import PermitState, RequestState
from registry.models import Alias, ModelVersion, RegisteredModel, User
from registry.services import catalog, versions
from tests.factories import governance as make
from tests.factories.audit import settle

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]


@pytest.fixture
def permit(ready: PromotionRequest, approvers: list[User]) -> Permit:
    """The permit of an approved request; the alias names its version."""
    make.approve(ready, approvers)
    return Permit.objects.get()


def test_the_refusal_names_policy_and_address(version: ModelVersion, scientist: User) -> None:
    with pytest.raises(NotAllowed) as caught:
        catalog.set_alias(model=version.model, alias="production", number=version.number, by=make.actor(scientist))
    refusal = caught.value
    assert refusal.extra["policy"] == "house"
    assert f"/models/{version.model.name}/versions/{version.number}/promote/?target=alias%3Aproduction" in str(refusal)
    assert not Alias.objects.exists()


def test_an_alias_that_no_policy_governs_is_free(version: ModelVersion, scientist: User) -> None:
    catalog.set_alias(model=version.model, alias="candidate", number=version.number, by=make.actor(scientist))


def test_a_stage_is_governed_too(version: ModelVersion, scientist: User) -> None:
    with pytest.raises(NotAllowed):
        versions.set_stage(version=version, stage="Production", archive_existing=False, by=make.actor(scientist))


def test_the_permit_is_for_one_version_only(permit: Permit, scientist: User) -> None:
    other = make.sealed_version(permit.model, scientist)
    with pytest.raises(NotAllowed):
        catalog.set_alias(model=permit.model, alias="production", number=other.number, by=make.actor(scientist))


def test_a_governed_alias_under_a_permit_is_not_deleted(permit: Permit, scientist: User) -> None:
    with pytest.raises(NotAllowed):
        catalog.delete_alias(model=permit.model, alias="production", by=make.actor(scientist))


def test_revoking_removes_the_alias_and_is_final(permit: Permit, approvers: list[User]) -> None:
    permits.revoke(permit=permit, reason="The data was wrong.", by=make.actor(approvers[0]))
    permit.refresh_from_db()
    assert permit.state == PermitState.REVOKED
    assert not Alias.objects.exists()
    with pytest.raises(Conflict):
        permits.revoke(permit=permit, reason="Again.", by=make.actor(approvers[0]))


def test_who_only_contributes_does_not_revoke(permit: Permit, scientist: User) -> None:
    with pytest.raises(NotAllowed):
        permits.revoke(permit=permit, reason="No.", by=make.actor(scientist))
    assert Alias.objects.exists()


def test_time_only_removes(permit: Permit, time_machine: object) -> None:
    assert permits.expire_due() == 0
    time_machine.move_to(permit.expires_at)  # type: ignore[attr-defined]
    assert permits.expire_due() == 1
    assert permits.expire_due() == 0
    permit.refresh_from_db()
    assert permit.state == PermitState.EXPIRED
    assert not Alias.objects.exists()


def test_a_newer_permit_supersedes_the_older(permit: Permit, scientist: User, approvers: list[User]) -> None:
    newer = make.sealed_version(permit.model, scientist)
    make.approve(make.finish_all(make.request(newer, scientist)), approvers)
    permit.refresh_from_db()
    assert permit.state == PermitState.SUPERSEDED
    assert permit.superseded_by == Permit.objects.get(version=newer)
    assert Alias.objects.get().version == newer


@pytest.mark.parametrize("verb", ["rename", "delete"])
def test_what_is_permitted_keeps_its_name_and_its_life(permit: Permit, verb: str) -> None:
    with pytest.raises(Conflict):
        Gatekeeper().check_change(model=permit.model, version=None, verb=verb, by=SYSTEM)
    with pytest.raises(Conflict):
        Gatekeeper().check_change(model=permit.model, version=permit.version, verb="describe", by=SYSTEM)


def test_what_is_under_review_is_not_deleted(checking: PromotionRequest) -> None:
    with pytest.raises(Conflict, match=checking.ref):
        Gatekeeper().check_change(model=checking.model, version=checking.version, verb="delete", by=SYSTEM)
    Gatekeeper().check_change(model=checking.model, version=checking.version, verb="describe", by=SYSTEM)


@pytest.mark.parametrize(
    "key",
    ["approved", "Approval", "validation_status", "validation-status", "countersign.permit", "countersign", "signed_off_by",
     "sign-off", "is_approved", "production_ready", "promoted_to", "approve", "ap-proved", "ＡＰＰＲＯＶＥＤ", "аpproved",  # noqa: RUF001
     "аррroved", "vаlidаted", "c-e-r-t-i-f-i-e-d", "áp_prov\u0301ed"],  # noqa: RUF001
)  # fmt: skip
def test_tags_that_look_like_an_approval_are_refused(model: RegisteredModel, key: str) -> None:
    with pytest.raises(NotAllowed):
        Gatekeeper().check_tag(model=model, version=None, key=key, by=SYSTEM)


@pytest.mark.parametrize(
    "key",
    [
        "team",
        "mlflow.note.content",
        "validation_data",
        "dataset",
        "permitted_use",
        "signature",
        "improvement",
        "одобрено",
    ],
)
def test_other_tags_pass(model: RegisteredModel, key: str) -> None:
    Gatekeeper().check_tag(model=model, version=None, key=key, by=SYSTEM)


# SQL


def refused_by_postgresql(statement: str, *values: "int | UUID", names: str) -> None:
    with pytest.raises(DatabaseError, match=names), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


INSERT = "INSERT INTO registry_alias (model_id, name, version_id, set_at) VALUES (%s, 'production', %s, now())"


def test_sql_sets_no_governed_alias_without_a_permit(version: ModelVersion) -> None:
    refused_by_postgresql(INSERT, version.model_id, version.pk, names="no active permit")


def test_sql_renames_no_alias_into_a_governed_one(version: ModelVersion) -> None:
    Alias.objects.create(model=version.model, name="candidate", version=version)
    refused_by_postgresql("UPDATE registry_alias SET name = 'production'", names="no active permit")


def test_sql_moves_no_governed_stage(version: ModelVersion) -> None:
    refused_by_postgresql("UPDATE registry_modelversion SET stage = 'Production'", names="no active permit")


def test_sql_neither_moves_nor_removes_a_permitted_alias(permit: Permit, scientist: User) -> None:
    other = make.sealed_version(permit.model, scientist)
    refused_by_postgresql("UPDATE registry_alias SET version_id = %s", other.pk, names="no active permit")
    refused_by_postgresql("UPDATE registry_alias SET name = 'old'", names="revoke the permit first")
    refused_by_postgresql("DELETE FROM registry_alias", names="revoke the permit first")


def test_an_expired_permit_moves_nothing_even_before_it_is_ended(permit: Permit, version: ModelVersion) -> None:
    with connection.cursor() as cursor:
        connection.check_constraints()
        cursor.execute("ALTER TABLE governance_permit DISABLE TRIGGER governance_permit_guard")
        past = timezone.now() - timedelta(days=9)
        Permit.objects.update(not_before=past, expires_at=past + timedelta(days=1))
        settle()
        cursor.execute("ALTER TABLE governance_permit ENABLE ALWAYS TRIGGER governance_permit_guard")
    refused_by_postgresql("UPDATE registry_alias SET set_at = now()", names="no active permit")


def test_what_has_ended_stays_ended(permit: Permit, ready: PromotionRequest, approvers: list[User]) -> None:
    refused_by_postgresql(
        "UPDATE governance_permit SET expires_at = expires_at + interval '1 day'", names="never changes"
    )
    refused_by_postgresql("DELETE FROM governance_permit", names="never deleted")
    refused_by_postgresql("UPDATE governance_promotionrequest SET state = 'ready', closed_at = NULL", names="is closed")
    refused_by_postgresql("DELETE FROM governance_promotionrequest", names="never deleted")
    permits.revoke(permit=permit, reason="Over.", by=make.actor(approvers[0]))
    refused_by_postgresql("UPDATE governance_permit SET state = 'active', ended_at = NULL", names="has ended")
    ready.refresh_from_db()
    assert ready.state == RequestState.APPROVED


@pytest.mark.django_db(transaction=True)
def test_the_runtime_role_is_refused_as_well(version: ModelVersion) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"]) as session:
        assert session.execute("SELECT current_user").fetchone() == (roles.APP,)
        with pytest.raises(psycopg.errors.IntegrityError, match="no active permit"):
            session.execute(INSERT, (version.model_id, version.pk))


def test_the_triggers_listen_to_no_session_setting(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname, tgenabled FROM pg_trigger WHERE tgname LIKE 'governance\\_%'")
        found = dict(cursor.fetchall())
    names = {"governance_alias_gate", "governance_stage_gate", "governance_request_guard", "governance_permit_guard"}
    names |= {
        "governance_alias_home",
        "governance_model_guard",
        "governance_policy_guard",
        "governance_exemption_guard",
    }
    assert found == dict.fromkeys(names, "A")


def test_while_a_request_is_open_the_refusal_leads_to_it(ready: PromotionRequest, scientist: User) -> None:
    version = ready.version
    with pytest.raises(NotAllowed) as caught:
        catalog.set_alias(model=version.model, alias="production", number=version.number, by=make.actor(scientist))
    assert f"/requests/{ready.ref}/" in str(caught.value)
