"""What was done behind the log's back, by a superuser with the triggers off, is found and named."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from uuid import UUID

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from audit import reconcile, tasks
from audit.actors import SYSTEM
from audit.governed import governed_models
from audit.models import Entry
from audit.reconcile import DIFFERS, LEFT, LOST, OPEN, UNSAID
from audit.services import append
from audit.subjects import mention, migrated
from config.runtime import roles
from governance.models import Policy, PromotionRequest
from registry.models import Alias, ModelVersion
from registry.roles import Role
from registry.services import access, catalog, experiments, versions
from tests.audit.conftest import Connect
from tests.factories import governance, pages
from tests.factories import registry as make
from tests.factories.audit import integrate

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("artifact_root", "keys_dir")]


GIVE = """
    INSERT INTO {table} ({column}, permission_id) SELECT min(h.id), max(p.id) FROM {holder} h, auth_permission p
"""


@pytest.fixture
def approved() -> PromotionRequest:
    """A house in which everything happened once: models, versions, lineage, a policy, a request, its permit, an alias."""
    governance.policy()
    owner, *signers = (
        governance.person("owner", Role.CONTRIBUTOR),
        governance.person("one", Role.APPROVER),
        governance.person("two", Role.APPROVER),
    )
    version = governance.sealed_version(governance.registered_model(owner), owner)
    pages.record_lineage(version)
    versions.set_version_tag(version=version, key="team", value="risk", by=make.actor(owner))
    request = governance.approve(governance.finish_all(governance.request(version, owner)), signers)
    assert Alias.objects.count() == 1
    access.issue_token(user=owner, name="work", by=make.actor(owner))
    experiments.record_experiment(tracking_id="7", name="trials", artifact_root="", by=make.actor(owner))
    return request


@contextmanager
def behind_the_log() -> Iterator[None]:
    """As a superuser would: every trigger off, and on again."""
    connection.check_constraints()
    tables = sorted({one.table for one in governed_models()})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A'"
        )
        off = [(table, name) for table, name in cursor.fetchall() if table in tables]
        for table, name in off:
            cursor.execute(f'ALTER TABLE {table} DISABLE TRIGGER "{name}"')
        yield
        connection.check_constraints()
        for table, name in off:
            cursor.execute(f'ALTER TABLE {table} ENABLE ALWAYS TRIGGER "{name}"')


def sql(statement: str, *parameters: int | str | UUID) -> None:
    with behind_the_log(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        assert cursor.rowcount > 0, "nothing was tampered with"


def found() -> set[tuple[str, str]]:
    return {(one.kind, one.type) for one in reconcile.reconcile(step=3).differences}


def test_what_the_services_did_agrees_with_the_log(approved: PromotionRequest) -> None:
    assert [str(one) for one in reconcile.reconcile().differences] == []
    integrate()
    report = reconcile.reconcile(step=2)
    assert [str(one) for one in report.differences] == []
    assert report.rows > 20
    assert report.objects >= report.rows
    assert report.earlier == 0


@pytest.mark.parametrize(
    ("statement", "label"),
    [
        ("UPDATE registry_modelversion SET source = 's3://elsewhere'", "registry.modelversion"),
        ("UPDATE registry_modelversion SET metrics = '{\"auc\": 0.99}'", "registry.modelversion"),
        ("UPDATE registry_versiontag SET value = 'other'", "registry.modelversion"),
        ("DELETE FROM registry_versiontag", "registry.modelversion"),
        ("UPDATE registry_manifestfile SET path = path || '.exe'", "registry.manifest"),
        ("UPDATE registry_edge SET context = 'other'", "registry.node"),
        ("UPDATE registry_node SET digests = '{}'", "registry.node"),
        ("UPDATE registry_registeredmodel SET tier = 3", "registry.registeredmodel"),
        ("UPDATE registry_registeredmodel SET owner_id = (SELECT max(id) FROM registry_user)", "registry.registeredmodel"),
        ("UPDATE registry_alias SET set_at = now() - interval '1 year'", "registry.alias"),
        ("UPDATE registry_user SET password = 'md5$$0' WHERE username LIKE 'one%%'", "registry.user"),
        ("UPDATE registry_user SET is_superuser = true", "registry.user"),
        ("UPDATE registry_user SET email = 'mallory@example.org'", "registry.user"),
        (GIVE.format(table="registry_user_user_permissions", column="user_id", holder="registry_user"), "registry.user"),
        ("DELETE FROM registry_user_groups", "auth.group"),
        (GIVE.format(table="auth_group_permissions", column="group_id", holder="auth_group"), "auth.group"),
        ("UPDATE registry_apitoken SET scope = 'read'", "registry.apitoken"),
        ("UPDATE registry_apitoken SET expires_at = expires_at + interval '1 year'", "registry.apitoken"),
        ("UPDATE registry_experiment SET restricted = true", "registry.experiment"),
        ("UPDATE registry_dataset SET description = 'other'", "registry.dataset"),
        ("UPDATE registry_datasetversion SET role = 'train'", "registry.datasetversion"),
        ("UPDATE governance_policyversion SET document = document || ' '", "governance.policyversion"),
        ("UPDATE governance_policy SET created_at = now() - interval '1 year'", "governance.policy"),
        ("UPDATE governance_promotionrequest SET intended_use = 'anything'", "governance.promotionrequest"),
        ("UPDATE governance_evidencesnapshot SET document = '{}'", "governance.promotionrequest"),
        ("UPDATE governance_checkrun SET summary = 'All is well.'", "governance.checkrun"),
        ("UPDATE governance_decision SET comment = 'I disagree.'", "governance.decision"),
        ("UPDATE governance_permit SET expires_at = expires_at + interval '1 year'", "governance.permit"),
    ],
)  # fmt: skip
def test_an_edited_row_differs_from_its_last_entry(approved: PromotionRequest, statement: str, label: str) -> None:
    integrate()
    sql(statement)
    assert found() == {(DIFFERS, label)}


def test_a_row_without_an_entry_is_named(approved: PromotionRequest) -> None:
    integrate()
    version = ModelVersion.objects.get()
    sql(
        "INSERT INTO registry_alias (model_id, name, version_id, set_at) VALUES (%s, 'sly', %s, now())",
        version.model_id,
        version.pk,
    )
    sly = Alias.objects.get(name="sly")
    (only,) = reconcile.reconcile().differences
    assert (only.kind, only.type, only.id, only.entry) == (UNSAID, "registry.alias", str(sly.pk), None)
    assert str(sly.pk) in str(only)


def test_a_row_that_is_gone_and_one_that_is_back_are_named(approved: PromotionRequest) -> None:
    integrate()
    alias = Alias.objects.get()
    last = Entry.objects.filter(object_type="registry.alias", object_id=str(alias.pk)).latest("index").index
    sql("DELETE FROM registry_alias")
    (lost,) = reconcile.reconcile().differences
    assert (lost.kind, lost.id, lost.entry) == (LOST, str(alias.pk), last)
    with behind_the_log():
        alias.save(force_insert=True)
        Alias.objects.filter(pk=alias.pk).update(set_at=alias.set_at)
    model = alias.model
    with transaction.atomic():
        owner = make.actor(model.owner)
        catalog.set_alias(model=model, alias="candidate", number=1, by=owner)
        candidate = Alias.objects.get(name="candidate")
        catalog.delete_alias(model=model, alias="candidate", by=owner)
    with behind_the_log():
        Alias.objects.bulk_create([candidate])
    assert (LEFT, "registry.alias") in found()


def test_a_disabled_trigger_is_named(approved: PromotionRequest) -> None:
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'registry_alias'::regclass AND tgname LIKE 'ledger%'"
        )
        cursor.execute(f'ALTER TABLE registry_alias DISABLE TRIGGER "{cursor.fetchone()[0]}"')
    assert found() == {(OPEN, "registry_alias")}


def test_what_says_nothing_of_the_row_is_passed_over(approved: PromotionRequest) -> None:
    """A refusal is about a model that may not even have come to be."""
    with transaction.atomic():
        append(action="gate.refused", subject=mention(approved.version), by=SYSTEM)
        append(action="gate.refused", subject=mention(ModelVersion(model=approved.model)), by=SYSTEM)
    integrate()
    assert found() == set()


def test_a_row_that_a_migration_changed_is_counted_until_its_next_change(approved: PromotionRequest) -> None:
    with transaction.atomic():
        ModelVersion.objects.update(run_link="https://new.example.org")
        append(action="version.changed", subject=migrated(approved.version), by=SYSTEM, reason="Migrated.")
    integrate()
    report = reconcile.reconcile()
    assert (report.whole, report.earlier) == (True, 1)
    versions.set_version_tag(version=approved.version, key="a", value="", by=make.actor(approved.requested_by))
    report = reconcile.reconcile()
    assert (report.whole, report.earlier) == (True, 0)


def test_tables_are_compared_one_by_one_and_from_where_one_stopped(approved: PromotionRequest) -> None:
    integrate()
    steps: list[reconcile.Step] = []
    whole = reconcile.reconcile(tables=["registry.user"], step=1, progress=steps.append)
    middle = next(step.after for step in steps if step.table == "registry.user")
    rest = reconcile.reconcile(tables=["registry.user"], after=middle)
    assert (whole.rows, rest.rows) == (3, 2)
    with pytest.raises(ValueError, match=r"registry\.versiontag is no kind of object"):
        reconcile.reconcile(tables=["registry.versiontag"])


def test_the_log_of_a_past_size_is_compared_with_rows_of_then(approved: PromotionRequest) -> None:
    size = Entry.objects.count()
    integrate()
    then = Entry.objects.latest("index").index + 1
    assert reconcile.reconcile(below=then).whole
    versions.set_version_tag(version=approved.version, key="later", value="", by=make.actor(approved.requested_by))
    integrate()
    assert [one.kind for one in reconcile.reconcile(below=then).differences] == [DIFFERS]
    assert size < then


@pytest.mark.django_db(transaction=True)
def test_each_step_is_one_snapshot_and_the_runtime_roles_may_ask(
    signed_in_as: Connect, approved: PromotionRequest
) -> None:
    """Not inside a transaction of the test's: half in the inbox, half in the log, and read as workers read."""
    integrate()
    versions.set_version_tag(version=approved.version, key="later", value="", by=make.actor(approved.requested_by))
    assert reconcile.reconcile(step=2).whole
    assert not connection.in_atomic_block
    for role in (roles.APP, roles.SEQUENCER):
        session = signed_in_as(role)
        ask = "SELECT digest, index FROM audit_last_said('registry.modelversion', %s, 1000000, true)"
        ((digest, index),) = session.execute(ask, [[str(approved.version_id)]]).fetchall()
        assert (str(digest)[:2], index) == ("2:", None), "that of the inbox"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        signed_in_as(roles.APP).execute("SELECT canon FROM audit_inbox")


def test_the_task_logs_what_it_found(approved: PromotionRequest, caplog: pytest.LogCaptureFixture) -> None:
    tasks.reconcile_tables()
    integrate()
    last = reconcile.last_result()
    assert last is not None
    assert (last.facts["whole"], last.facts["differences"]) == (True, 0)
    sql("UPDATE registry_registeredmodel SET tier = 3")
    tasks.reconcile_tables()
    integrate()
    last = reconcile.last_result()
    assert last is not None
    assert last.facts["whole"] is False
    assert "registry.registeredmodel" in str(last.facts["first"])
    assert "registry.registeredmodel" in caplog.text


def test_the_command_says_what_differs_and_fails(approved: PromotionRequest) -> None:
    integrate()
    out = StringIO()
    call_command("audit_reconcile", stdout=out)
    assert "no difference" in out.getvalue()
    sql("UPDATE registry_registeredmodel SET tier = 3")
    with pytest.raises(CommandError, match="differ"):
        call_command("audit_reconcile", "--table", "registry.registeredmodel", stdout=out)
    assert "DIFFERS registry.registeredmodel" in out.getvalue()
    with pytest.raises(CommandError, match="no kind of object"):
        call_command("audit_reconcile", "--table", "nonsense", stdout=out)


def test_rows_of_an_earlier_release_are_taken_over_once(approved: PromotionRequest) -> None:
    integrate()
    sql("INSERT INTO governance_policy (name, created_at) VALUES ('old', now())")
    assert found() == {(UNSAID, "governance.policy")}
    assert reconcile.adopt() == 1
    integrate()
    assert found() == set()
    adopted = Entry.objects.get(action="ledger.row_adopted")
    assert adopted.object_id == str(Policy.objects.get(name="old").pk)
    sql("INSERT INTO governance_policy (name, created_at) VALUES ('new', now())")
    assert reconcile.adopt() is None
    assert found() == {(UNSAID, "governance.policy")}


def test_what_is_digested_is_not_told(approved: PromotionRequest) -> None:
    integrate()
    for canon in Entry.objects.values_list("canon", flat=True):
        body = json.loads(canon)
        assert body["object"]["digest"] == "" or len(body["object"]["digest"]) < 70
