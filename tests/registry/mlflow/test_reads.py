"""The hot reads: few statements, the same documents as the rows say, and nothing for whoever may not see a model."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from guardian.shortcuts import assign_perm

from audit.actors import SYSTEM
from registry import reach
from registry.models import Alias, ApiToken, ModelTag, ModelVersion, RegisteredModel, User, VersionTag
from registry.roles import Role
from registry.selectors import mlflow_reads as reads
from registry.selectors.access import token_by_prefix
from registry.services import access
from tests.factories import registry as make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]
API = "/api/2.0/mlflow"
CALLS = [
    ("registered-models/get", {"name": "credit-default"}),
    ("registered-models/alias", {"name": "credit-default", "alias": "champion"}),
    ("registered-models/alias", {"name": "credit-default", "alias": "latest"}),
    ("model-versions/get", {"name": "credit-default", "version": "1"}),
    ("registered-models/get-latest-versions", {"name": "credit-default"}),
    ("model-versions/search", {"filter": "name = 'credit-default'"}),
]


def client_of(user: User) -> Client:
    """The account's client, with a token that was used just now: the first use in a minute is noted."""
    _, text = access.issue_token(user=user, name="t", by=SYSTEM)
    ApiToken.objects.filter(user=user).update(last_used_at=timezone.now())
    return Client(headers={"authorization": f"Bearer {text}"})


@pytest.fixture
def version(model: RegisteredModel, sealed: ModelVersion, scientist: User) -> ModelVersion:
    """Sealed, with all that a document can show; and a second one behind it."""
    VersionTag.objects.bulk_create(
        [VersionTag(version=sealed, key=key, value=value) for key, value in (("b", 'é"\\\n'), ("a", ""), ("B", "x"))]
    )
    ModelTag.objects.create(model=model, key="team", value="risk")
    Alias.objects.bulk_create([Alias(model=model, name=name, version=sealed) for name in ("champion", "Best", "a")])
    ModelVersion.objects.filter(pk=sealed.pk).update(description="“good”\t", run_link="http://x/", stage="Staging")
    make.pending_version(model, scientist)
    sealed.refresh_from_db()
    return sealed


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def document(version: ModelVersion) -> dict[str, Any]:
    """What the rows of a version say, as MLflow writes it."""
    fields = {
        "name": version.model.name,
        "version": str(version.number),
        "creation_timestamp": milliseconds(version.created_at),
        "last_updated_timestamp": milliseconds(version.updated_at),
        "user_id": version.registered_by.username,
        "current_stage": version.stage,
        "description": version.description,
        "source": version.source,
        "run_id": version.run_id,
        "status": version.status,
        "status_message": version.status_message,
        "tags": [{"key": tag.key, "value": tag.value} for tag in sorted(version.tags.all(), key=lambda tag: tag.key)],
        "run_link": version.run_link,
        "aliases": sorted(alias.name for alias in version.aliases.all()),
        "model_id": version.logged_model_id,
    }
    return {name: value for name, value in fields.items() if value not in ("", [])}


def test_the_documents_are_what_the_rows_say(version: ModelVersion, model: RegisteredModel, scientist: User) -> None:
    newest = model.versions.get(number=2)
    model.refresh_from_db()

    for found, row in (
        (reads.version_json(scientist, model.name, 1), version),
        (reads.version_json_by_alias(scientist, model.name, "Best"), version),
        (reads.newest_version_json(scientist, model.name), newest),
    ):
        assert found is not None
        assert json.loads(found) == document(row)
    assert json.loads(reads.latest_versions_json(scientist, model.name, ["Staging"]) or "") == [document(version)]
    assert reads.latest_versions_json(scientist, model.name, ["Production"]) == ""
    assert json.loads(reads.model_json(scientist, model.name) or "") == {
        "name": model.name,
        "creation_timestamp": milliseconds(model.created_at),
        "last_updated_timestamp": milliseconds(model.updated_at),
        "latest_versions": [document(version), document(newest)],
        "tags": [{"key": "team", "value": "risk"}],
        "aliases": [{"alias": name, "version": "1"} for name in ("Best", "a", "champion")],
    }


@pytest.mark.parametrize("number", [0, -1, 3, 2**31, 2**80])
def test_no_such_version_is_told_from_no_such_model(number: int, version: ModelVersion, scientist: User) -> None:
    assert reads.version_json(scientist, version.model.name, number) == ""
    assert reads.version_json(scientist, "nothing", number) is None
    assert reads.version_json_by_alias(scientist, version.model.name, "none") == ""


def test_what_is_deleted_is_gone(version: ModelVersion, model: RegisteredModel, scientist: User) -> None:
    ModelVersion.objects.filter(pk=version.pk).update(deleted_at=timezone.now())
    assert reads.version_json(scientist, model.name, 1) == ""
    assert reads.version_json_by_alias(scientist, model.name, "champion") == ""
    RegisteredModel.objects.filter(pk=model.pk).update(deleted_at=timezone.now())
    assert reads.version_json(scientist, model.name, 2) is None
    assert reads.model_json(scientist, model.name) is None


@pytest.mark.parametrize(("call", "query"), CALLS)
def test_a_hot_call_is_few_statements_whoever_asks(
    call: str, query: dict[str, str], version: ModelVersion, model: RegisteredModel, scientist: User
) -> None:
    reader = make.person(Role.AUDITOR, model=model)
    allowed = 3 if call.endswith("search") else 2  # a search also finds out the key of the model it is for

    for user in (scientist, reader):
        client = client_of(user)
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(f"{API}/{call}", query)
        assert answer.status_code == 200, answer.content
        assert len(queries) <= allowed, [query["sql"] for query in queries]


@pytest.mark.parametrize(("call", "query"), CALLS)
def test_who_may_not_see_a_model_is_told_that_there_is_none(
    call: str, query: dict[str, str], version: ModelVersion, stranger: User
) -> None:
    answer = client_of(stranger).get(f"{API}/{call}", query)

    if call.endswith("search"):
        assert answer.json() == {}
    else:
        assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert answer.json()["message"] == client_of(stranger).get(f"{API}/{call}", query).json()["message"]


def _nothing(user: User, model: RegisteredModel) -> None:
    pass


def _own(user: User, model: RegisteredModel) -> None:
    RegisteredModel.objects.filter(pk=model.pk).update(owner=user)


def _by_team(user: User, model: RegisteredModel) -> None:
    team = access.create_team(name="seers", by=SYSTEM)
    access.add_member(team=team, user=user, by=SYSTEM)
    access.grant_role(team=team, role=Role.AUDITOR, model=model, by=SYSTEM)


def _by_person(user: User, model: RegisteredModel) -> None:
    assign_perm("view_registeredmodel", user, model)


def _another_permission(user: User, model: RegisteredModel) -> None:
    assign_perm("audit_registeredmodel", user, model)


def _on_another(user: User, model: RegisteredModel) -> None:
    assign_perm("view_registeredmodel", user, make.registered_model(model.owner, "another"))


def _everywhere(user: User, model: RegisteredModel) -> None:
    user.user_permissions.add(Permission.objects.get(codename="view_registeredmodel"))


def _superuser(user: User, model: RegisteredModel) -> None:
    User.objects.filter(pk=user.pk).update(is_superuser=True)


def _inactive(user: User, model: RegisteredModel) -> None:
    _own(user, model)
    _everywhere(user, model)
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize(
    "grant",
    [_nothing, _own, _by_team, _by_person, _another_permission, _on_another, _everywhere, _superuser, _inactive],
)
def test_the_statements_see_what_the_querysets_see(
    grant: Callable[[User, RegisteredModel], None], version: ModelVersion, model: RegisteredModel, stranger: User
) -> None:
    grant(stranger, model)
    visible = RegisteredModel.objects.visible_to(User.objects.get(pk=stranger.pk)).filter(pk=model.pk).exists()
    user = User.objects.get(pk=stranger.pk)

    assert (reads.model_json(user, model.name) is not None) == visible
    assert (reads.version_json(user, model.name, 1) is not None) == visible
    assert visible == (grant in {_own, _by_team, _by_person, _everywhere, _superuser})


@pytest.mark.parametrize("role", [None, *Role])
def test_a_tokens_account_comes_with_what_it_holds_everywhere(role: Role | None) -> None:
    user = make.person(*([role] if role else []))
    token, _ = access.issue_token(user=user, name="t", by=SYSTEM)

    found = token_by_prefix(token.prefix)
    assert found is not None
    with CaptureQueriesContext(connection) as queries:
        held = reach.everywhere(found.user)
    assert not queries
    assert held == reach.everywhere(User.objects.get(pk=user.pk))
    assert found == token
    assert found.secret_sha256 == token.secret_sha256
    assert "password" not in found.user.__dict__


def test_a_role_that_is_taken_away_is_gone_with_the_next_call(version: ModelVersion, model: RegisteredModel) -> None:
    user = make.person(Role.AUDITOR)
    client = client_of(user)
    assert client.get(f"{API}/registered-models/get", {"name": model.name}).status_code == 200

    access.revoke_role(grant=user.groups.get().role_grants.get(), by=SYSTEM)

    assert client.get(f"{API}/registered-models/get", {"name": model.name}).status_code == 404


def test_a_token_that_is_revoked_is_refused_with_the_next_call(version: ModelVersion, scientist: User) -> None:
    client = client_of(scientist)
    assert client.get(f"{API}/registered-models/search").status_code == 200

    access.revoke_token(token=scientist.tokens.get(), by=SYSTEM)

    for path in (f"{API}/registered-models/search", "/api/v1/models"):
        assert client.get(path).status_code == 401, path


def test_an_account_that_is_deactivated_is_refused_with_the_next_call(version: ModelVersion, scientist: User) -> None:
    client = client_of(scientist)
    access.update_user(user=scientist, is_active=False, by=SYSTEM)

    for path in (f"{API}/registered-models/search", "/api/v1/models"):
        assert client.get(path).status_code == 401, path
