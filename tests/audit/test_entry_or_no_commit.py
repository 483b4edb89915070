"""No COMMIT without its entry: real transactions of the runtime roles, by every way a write can come."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, connection, transaction
from psycopg import IsolationLevel

from audit.actors import SYSTEM
from audit.governed import governed_models
from audit.models import Inbox
from audit.services import append
from audit.triggers import PREFIX, apply_triggers, missing
from config.runtime import roles
from config.runtime.postgres import Cluster
from config.runtime.secretfiles import SecretFiles
from registry.models import ModelVersion, RegisteredModel, User, VersionTag
from registry.roles import Role
from registry.services import access, catalog, versions
from tests.audit.conftest import Connect
from tests.factories import registry as make
from tests.factories.audit import by_hand, integrate

Session = "psycopg.Connection[tuple[object, ...]]"
pytestmark = pytest.mark.django_db(transaction=True)
TAG = "INSERT INTO registry_versiontag (version_id, key, value) VALUES (%s, %s, 'by hand')"


@pytest.fixture
def version() -> ModelVersion:
    owner = make.person(Role.CONTRIBUTOR)
    return make.pending_version(make.registered_model(owner, "credit"), owner)


def canon(about: str, key: object) -> str:
    """An entry about an object, as the app would write it."""
    body = json.loads(Inbox.objects.order_by("pk").values_list("canon", flat=True)[0])
    return json.dumps({**body, "object": {**body["object"], "type": about, "id": str(key)}})


def entry(session: Any, about: str, key: object) -> None:
    session.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [canon(about, key)])


def superuser() -> "psycopg.Connection[tuple[object, ...]]":
    """The superuser of the tests' own server."""
    home = Path(os.environ["DATA_DIR"]).parent
    if not (home / "postgres").exists():
        pytest.skip("the superuser of this server is somebody else's")
    port = int(connection.settings_dict["PORT"])
    server = Cluster(home / "postgres", SecretFiles(home / "secrets"), port=port, durable=False)
    return server.connect(str(connection.settings_dict["NAME"]))


@contextmanager
def refused(*named: object) -> Iterator[None]:
    """The COMMIT is refused, and the message names all of this and the way out."""
    with pytest.raises(psycopg.errors.RestrictViolation) as caught:
        yield
    for word in (*named, "needs an entry of the ledger about", "audit.services.append"):
        assert str(word) in str(caught.value)


def tags(version: ModelVersion) -> set[str]:
    return set(VersionTag.objects.filter(version=version).values_list("key", flat=True))


@pytest.mark.parametrize("role", [roles.APP, roles.SEQUENCER])
def test_sql_of_a_runtime_role_needs_the_entry(signed_in_as: Connect, role: str, version: ModelVersion) -> None:
    session = signed_in_as(role)
    with refused("registry_versiontag", "INSERT", f"registry.modelversion:{version.pk}"), session.transaction():
        session.execute(TAG, [version.pk, "without"])
    with session.transaction():
        session.execute(TAG, [version.pk, "with"])
        entry(session, "registry.modelversion", version.pk)
    assert tags(version) == {"with"}


def test_the_entry_may_come_first(signed_in_as: Connect, version: ModelVersion) -> None:
    session = signed_in_as(roles.APP)
    with session.transaction():
        entry(session, "registry.modelversion", version.pk)
        session.execute(TAG, [version.pk, "after"])
    assert tags(version) == {"after"}


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_it_holds_in_every_isolation_level(signed_in_as: Connect, level: IsolationLevel, version: ModelVersion) -> None:
    session = signed_in_as(roles.APP)
    session.isolation_level = level
    with refused(version.pk), session.transaction():
        session.execute(TAG, [version.pk, "without"])
    with session.transaction():
        session.execute(TAG, [version.pk, "with"])
        entry(session, "registry.modelversion", version.pk)
    assert tags(version) == {"with"}


def test_serializable_writers_do_not_fail_each_other(signed_in_as: Connect, version: ModelVersion) -> None:
    """What the triggers read of the inbox is the transaction's own, so no other writer is in the way."""
    model = version.model
    others = [make.pending_version(model, model.owner) for _ in range(4)]
    sessions = [signed_in_as(roles.APP) for _ in others]
    for session, one in zip(sessions, others, strict=True):
        session.isolation_level = IsolationLevel.SERIALIZABLE
        session.autocommit = False
        session.execute(TAG, [one.pk, "mine"])
        entry(session, "registry.modelversion", one.pk)
    for session in sessions:
        session.commit()
    assert VersionTag.objects.filter(key="mine").count() == len(others)


def test_an_entry_of_another_transaction_does_not_do(signed_in_as: Connect, version: ModelVersion) -> None:
    one, other = signed_in_as(roles.APP), signed_in_as(roles.APP)
    entry(other, "registry.modelversion", version.pk)
    with refused(version.pk), one.transaction():
        one.execute(TAG, [version.pk, "late"])
    other.autocommit = False
    entry(other, "registry.modelversion", version.pk)
    with refused(version.pk), one.transaction():
        one.execute(TAG, [version.pk, "meanwhile"])
    other.commit()
    assert tags(version) == set()


def test_a_savepoint_that_takes_the_entry_back_takes_the_commit_with_it(
    signed_in_as: Connect, version: ModelVersion
) -> None:
    session = signed_in_as(roles.APP)
    with refused(version.pk), session.transaction():
        session.execute(TAG, [version.pk, "kept"])
        with session.transaction(force_rollback=True):
            entry(session, "registry.modelversion", version.pk)
    with session.transaction():
        with session.transaction(force_rollback=True):
            session.execute(TAG, [version.pk, "taken back"])
        with session.transaction():
            session.execute(TAG, [version.pk, "kept"])
            entry(session, "registry.modelversion", version.pk)
    assert tags(version) == {"kept"}


def test_one_entry_is_for_one_object(signed_in_as: Connect, version: ModelVersion) -> None:
    other = make.pending_version(version.model, version.registered_by)
    session = signed_in_as(roles.APP)
    with refused(f"registry.modelversion:{other.pk}"), session.transaction():
        session.execute(TAG, [version.pk, "one"])
        session.execute(TAG, [other.pk, "two"])
        entry(session, "registry.modelversion", version.pk)
    with refused(f"registry.modelversion:{version.pk}"), session.transaction():
        session.execute(TAG, [version.pk, "one"])
        entry(session, "registry.registeredmodel", version.model_id)


def test_a_row_that_moves_to_another_object_is_a_change_of_both(signed_in_as: Connect, version: ModelVersion) -> None:
    other = make.pending_version(version.model, version.registered_by)
    versions.set_version_tag(version=version, key="moved", value="x", by=make.actor(version.registered_by))
    session = signed_in_as(roles.APP)
    with refused(f"registry.modelversion:{version.pk}"), session.transaction():
        session.execute("UPDATE registry_versiontag SET version_id = %s WHERE key = 'moved'", [other.pk])
        entry(session, "registry.modelversion", other.pk)
    assert tags(version) == {"moved"}


def test_copy_needs_the_entry(signed_in_as: Connect, version: ModelVersion) -> None:
    session = signed_in_as(roles.APP)
    command = "COPY registry_versiontag (version_id, key, value) FROM STDIN"
    with refused(version.pk), session.transaction(), session.cursor() as cursor, cursor.copy(command) as copy:
        for number in range(3):
            copy.write_row([version.pk, f"copied {number}", ""])
    assert tags(version) == set()


def test_a_cascade_needs_the_entries_of_what_it_takes_along(version: ModelVersion) -> None:
    team = access.create_team(name="risk", by=SYSTEM)
    access.grant_role(team=team, role=Role.VALIDATOR, model=version.model, by=SYSTEM)
    with pytest.raises(IntegrityError, match=r"needs an entry of the ledger about auth\.group"):
        run("DELETE FROM registry_registeredmodelgroupobjectpermission")
    access.add_member(team=team, user=version.registered_by, by=SYSTEM)
    with pytest.raises(IntegrityError, match="needs an entry of the ledger"), transaction.atomic():
        team.user_set.clear()
    versions.set_version_tag(version=version, key="k", value="", by=make.actor(version.registered_by))
    with pytest.raises(IntegrityError, match="needs an entry of the ledger"):
        ModelVersion.objects.filter(pk=version.pk).delete()
    assert tags(version) == {"k"}


def test_the_orm_bulk_writes_and_the_admin_are_no_way_around(version: ModelVersion) -> None:
    model, owner = version.model, version.registered_by
    kind = ContentType.objects.get_for_model(RegisteredModel)
    permission = Permission.objects.create(codename="anything", content_type=kind)
    for write in (
        lambda: RegisteredModel.objects.filter(pk=model.pk).update(description="by hand"),
        lambda: VersionTag.objects.bulk_create(
            [VersionTag(version=version, key="a"), VersionTag(version=version, key="b")]
        ),
        lambda: ModelVersion.objects.bulk_update([_changed(version)], ["description"]),
        lambda: User.objects.create_superuser("mallory", password="a-long-password-of-mine"),
        lambda: owner.user_permissions.add(permission),
        lambda: Group.objects.create(name="mallory's"),
        lambda: VersionTag.objects.create(version=version, key="plain", value="autocommit"),
    ):
        with pytest.raises(IntegrityError, match="needs an entry of the ledger"):
            write()
    model.refresh_from_db()
    assert (model.description, tags(version), Group.objects.filter(name="mallory's").exists()) == ("", set(), False)


def _changed(version: ModelVersion) -> ModelVersion:
    version.description = "by hand"
    return version


def run(*statements: str) -> None:
    """As the owner of the tables, in one transaction."""
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_neither_replica_role_nor_settings_switch_it_off(version: ModelVersion) -> None:
    """As the owner of the tables and as a superuser, with whatever a session can say of itself."""
    tag = f"INSERT INTO public.registry_versiontag (version_id, key, value) VALUES ('{version.pk}', 'sly', '')"
    for trick in (
        "SET LOCAL pgtrigger.ignore = 'registry_versiontag'",
        "SET CONSTRAINTS ALL DEFERRED",
        "SET LOCAL search_path = pg_temp",
        "CREATE TEMP TABLE audit_inbox (txid bigint, about text)",
    ):
        with pytest.raises(IntegrityError, match="needs an entry of the ledger"):
            run(tag, trick)
    with superuser() as session, refused(version.pk), session.transaction():
        session.execute("SET LOCAL session_replication_role = replica")
        session.execute(tag)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tgenabled::text, tgdeferrable, tginitdeferred FROM pg_trigger "
            "WHERE starts_with(tgname, 'ledger_entry_')"
        )
        assert cursor.fetchall() == [("A", True, True)]


def test_what_changes_nothing_governed_needs_no_entry(signed_in_as: Connect, version: ModelVersion) -> None:
    session = signed_in_as(roles.APP)
    session.execute("UPDATE registry_modelversion SET ingest_lease_until = now(), ingest_attempts = 1")
    session.execute("UPDATE registry_modelversion SET description = description")
    session.execute("UPDATE registry_user SET last_login = now()")
    with refused(version.pk):
        session.execute("UPDATE registry_modelversion SET description = 'by hand', ingest_attempts = 2")


def test_every_governed_table_has_its_triggers_and_a_disabled_one_is_named() -> None:
    assert missing(connection) == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = 'registry_alias'::regclass AND NOT tgisinternal")
        names = [row[0] for row in cursor.fetchall() if row[0].startswith(PREFIX)]
        assert len(names) == 2
        cursor.execute(f'ALTER TABLE registry_alias DISABLE TRIGGER "{names[0]}"')
        assert missing(connection) == ["registry_alias"]
        apply_triggers(connection)
        assert missing(connection) == []
        cursor.execute(f'DROP TRIGGER "{names[1]}" ON registry_alias')
        assert missing(connection) == ["registry_alias"]
        cursor.execute("CREATE FUNCTION stray() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        cursor.execute(
            "CREATE TRIGGER ledger_entry_stray AFTER INSERT ON registry_alias FOR EACH ROW EXECUTE FUNCTION stray()"
        )
        apply_triggers(connection)
        assert missing(connection) == []
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE starts_with(tgname, 'ledger_entry_')")
        assert cursor.fetchone()[0] == 2 * len(governed_models())
        cursor.execute("DROP FUNCTION stray()")


def test_no_runtime_role_disables_it(signed_in_as: Connect) -> None:
    session = signed_in_as(roles.APP)
    for statement in (
        "ALTER TABLE registry_alias DISABLE TRIGGER ALL",
        "DROP FUNCTION ledger_entry_of_registry_alias() CASCADE",
        "CREATE OR REPLACE FUNCTION ledger_entry_of_registry_alias() RETURNS trigger LANGUAGE sql AS ''",
        "SET session_replication_role = replica",
        "TRUNCATE registry_versiontag",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement)


def test_services_pass_and_what_they_wrote_stays_after_integration(version: ModelVersion) -> None:
    catalog.set_alias(
        model=version.model, alias="candidate", number=version.number, by=make.actor(version.registered_by)
    )
    assert integrate() > 0
    with pytest.raises(IntegrityError, match=r"registry_alias: DELETE of the row \d+ needs"), transaction.atomic():
        version.model.aliases.all().delete()


def test_a_migration_logs_what_it_changes_or_is_refused(version: ModelVersion) -> None:
    """The owner writes too: a data migration puts its entry, by the system, into its own transaction."""
    with pytest.raises(IntegrityError, match="needs an entry"), transaction.atomic():
        ModelVersion.objects.filter(pk=version.pk).update(run_link="https://new.example.org")
    with transaction.atomic():
        ModelVersion.objects.filter(pk=version.pk).update(run_link="https://new.example.org")
        version.refresh_from_db()
        append(action="version.changed", subject=version, by=SYSTEM, reason="Migrated: links have another host.")
    with by_hand():
        ModelVersion.objects.filter(pk=version.pk).update(run_link="")
    version.refresh_from_db()
    assert version.run_link == ""
