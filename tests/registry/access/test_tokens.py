"""API tokens: the secret is shown once, only its hash is kept; expired and revoked ones are refused, on record."""

import base64
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.test import RequestFactory
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from audit.actors import SYSTEM, Actor
from config.errors import Invalid, NotAllowed, Unauthenticated
from registry.api.authentication import TokenAuthentication, authenticate_request
from registry.models import ApiToken, User
from registry.roles import Role
from registry.services import access
from tests.factories import registry as make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]


@pytest.fixture
def ada() -> User:
    """Contributes."""
    return make.person(Role.CONTRIBUTOR, name="ada")


@pytest.fixture
def token(ada: User) -> tuple[ApiToken, str]:
    """A token of ada's, and its text."""
    return access.issue_token(user=ada, name="laptop", days=30, by=make.actor(ada))


def test_a_token_names_its_account_and_is_kept_as_a_hash(ada: User, token: tuple[ApiToken, str]) -> None:
    row, text = token

    assert text.startswith(f"csn_{row.prefix}.")
    assert access.authenticate_token(text).user == ada
    secret = text.partition(".")[2]
    assert secret not in str(ApiToken.objects.values().get())
    assert secret not in str(make.entries())
    assert make.entries()[-1]["facts"] == {"user": f"user:{ada.pk}", "scope": "write", "days": 30}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda _: "csn_",
        lambda _: "x" * 10_000,
        lambda text: text.removeprefix("csn_"),
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: text.upper(),
        lambda text: text.replace(".", ".\x00"),
        lambda text: f"csn_{'0' * 12}.{text.partition('.')[2]}",
        lambda _: "csn_é.ü",
    ],
)
def test_any_other_text_is_unknown_and_leaves_no_entry(
    token: tuple[ApiToken, str], spoil: Callable[[str], str]
) -> None:
    before = make.entries()

    with pytest.raises(Unauthenticated) as refused:
        access.authenticate_token(spoil(token[1]))

    assert refused.value.code == "token.unknown"
    assert make.entries() == before


def test_use_is_noted_once_a_minute_and_not_in_the_ledger(token: tuple[ApiToken, str]) -> None:
    row, text = token
    before = make.entries()
    start = timezone.now()
    seen = []

    for seconds in (0, 30, 61):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            access.authenticate_token(text)
        row.refresh_from_db()
        seen.append(row.last_used_at)

    assert seen[0] == seen[1]
    assert seen[2] == start + timedelta(seconds=61)
    assert make.entries() == before


def _expire(token: ApiToken, ada: User) -> None:
    ApiToken.objects.filter(pk=token.pk).update(
        created_at=timezone.now() - timedelta(days=2), expires_at=timezone.now() - timedelta(days=1)
    )


def _revoke(token: ApiToken, ada: User) -> None:
    access.revoke_token(token=token, by=make.actor(ada))


def _deactivate(token: ApiToken, ada: User) -> None:
    access.update_user(user=ada, is_active=False, by=SYSTEM)


@pytest.mark.parametrize(("end", "why"), [(_expire, "expired"), (_revoke, "revoked"), (_deactivate, "inactive")])
def test_a_token_that_has_ended_is_refused_and_that_is_on_record_once_a_minute(
    ada: User, token: tuple[ApiToken, str], end: Callable[[ApiToken, User], None], why: str
) -> None:
    row, text = token
    end(row, ada)
    before, start = len(make.entries()), timezone.now()

    for seconds in (0, 30, 61):
        with (
            time_machine.travel(start + timedelta(seconds=seconds), tick=False),
            pytest.raises(Unauthenticated) as refused,
        ):
            access.authenticate_token(text)
        assert refused.value.code == f"token.{why}"

    logged = make.entries(before)
    assert [entry["action"] for entry in logged] == ["token.refused"] * 2
    assert logged[0]["facts"] == {"why": why}
    assert (logged[0]["actor"]["id"], logged[0]["actor"]["auth"]) == (f"user:{ada.pk}", f"token:{row.prefix}")
    row.refresh_from_db()
    assert row.last_used_at is None


def test_revoking_twice_is_no_error_and_is_logged_once(ada: User, token: tuple[ApiToken, str]) -> None:
    for _ in range(2):
        access.revoke_token(token=token[0], by=make.actor(ada))

    assert make.actions().count("token.revoked") == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"days": 0}, "days"),
        ({"days": 366}, "days"),
        ({"scope": "all"}, "scope"),
    ],
    ids=str,
)
def test_bad_input_is_refused_by_field(ada: User, given: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        access.issue_token(user=ada, by=make.actor(ada), **{"name": "laptop", **given})  # type: ignore[arg-type]

    assert refused.value.field == field
    assert not ApiToken.objects.exists()


def test_a_person_makes_their_own_tokens_and_administrators_those_of_services(ada: User) -> None:
    admin, robot = (
        make.person(Role.ADMINISTRATOR),
        access.create_user(username="robot", password=None, is_service=True, by=SYSTEM),
    )

    for by in (make.actor(make.person()), make.actor(admin), Actor.service("visitor")):
        with pytest.raises(NotAllowed):
            access.issue_token(user=ada, name="borrowed", by=by)
    assert not ApiToken.objects.exists()

    access.issue_token(user=robot, name="pipeline", by=make.actor(admin))
    with pytest.raises(NotAllowed):
        access.revoke_token(token=robot.tokens.get(), by=make.actor(ada))
    access.revoke_token(token=robot.tokens.get(), by=make.actor(admin))


def test_the_database_itself_refuses_what_is_no_hash(token: tuple[ApiToken, str]) -> None:
    with pytest.raises(IntegrityError, match="apitoken_hash_is_sha256"), transaction.atomic():
        ApiToken.objects.update(secret_sha256="secret")


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_bearer_and_basic_are_understood(ada: User, token: tuple[ApiToken, str], rf: RequestFactory) -> None:
    for header in (f"Bearer {token[1]}", f"bearer  {token[1]} ", _basic("ada", token[1]), _basic("", token[1])):
        assert authenticate_request(rf.get("/", HTTP_AUTHORIZATION=header)) == (ada, token[0])
    assert authenticate_request(rf.get("/")) is None


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer x", "Digest x", "Basic", "Basic %%%", "Basic /w==", _basic("ada", "password"), "\xe9"],
)
def test_any_other_header_is_refused(token: tuple[ApiToken, str], rf: RequestFactory, header: str) -> None:
    with pytest.raises(Unauthenticated):
        authenticate_request(rf.get("/", HTTP_AUTHORIZATION=header))


def test_a_token_under_another_name_is_refused(token: tuple[ApiToken, str], rf: RequestFactory) -> None:
    with pytest.raises(Unauthenticated, match="another account"):
        authenticate_request(rf.get("/", HTTP_AUTHORIZATION=_basic("eve", token[1])))


def test_a_read_token_reads_and_does_not_write(ada: User, rf: RequestFactory) -> None:
    _, text = access.issue_token(user=ada, name="dashboard", scope="read", by=make.actor(ada))

    for method in ("GET", "HEAD", "OPTIONS"):
        found = TokenAuthentication().authenticate(
            Request(rf.generic(method, "/", HTTP_AUTHORIZATION=f"Bearer {text}"))
        )
        assert found is not None
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        with pytest.raises(NotAllowed, match="may only read"):
            TokenAuthentication().authenticate(Request(rf.generic(method, "/", HTTP_AUTHORIZATION=f"Bearer {text}")))


def test_rest_tells_an_expired_token_from_an_unknown_one(
    ada: User, token: tuple[ApiToken, str], rf: RequestFactory
) -> None:
    _expire(token[0], ada)
    request = Request(rf.get("/", HTTP_AUTHORIZATION=f"Bearer {token[1]}"))

    with pytest.raises(AuthenticationFailed) as refused:
        TokenAuthentication().authenticate(request)

    assert refused.value.default_code == "token.expired"
    assert TokenAuthentication().authenticate_header(request).startswith("Bearer")
