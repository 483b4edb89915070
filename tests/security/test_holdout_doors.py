"""Every address of the product is asked for a hold-out's bytes. The list is the URLconf's: a new view is in it at once."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from audit.actors import SYSTEM, Actor
from audit.keys import ensure_keys
from registry.models import DatasetVersion, ModelVersion, User
from registry.roles import Role
from registry.services import access, artifacts, datasets, sealing
from registry.storage import blobs
from tests.factories import registry as make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand", "there")]

CANARY = "canary-7781-in-the-mine"
ROWS = f"name,income,bad\n{CANARY},10,0\n{CANARY},11,1\n".encode() * 1 + b"other,12,0\n"
_PART = re.compile(r"<(?:(\w+):)?(\w+)>")
PARTS = 6
"""So many tests, each of a part of all addresses."""


def _routes(patterns: list[Any], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route


ROUTES = sorted({route for route in _routes(get_resolver().url_patterns) if not re.search(r"[\^$\\(]", route)})


@pytest.fixture
def there(artifact_root: Path, keys_dir: Path, db: None) -> dict[str, Any]:
    """A hold-out; and a version of a model of that name with that number, which carries the same bytes in a file."""
    ensure_keys(keys_dir)
    officer, scientist = make.person(Role.VALIDATOR, name="vera"), make.person(Role.CONTRIBUTOR, name="ada")
    held = datasets.register_dataset(
        name="exam", role="holdout", by=make.actor(officer), columns={"label": "bad", "sensitive": ["name"]}
    )
    make.uploaded(held, officer, ROWS, path="data")
    datasets.finish_dataset(dataset_version=held, by=make.actor(officer))
    held = sealing.seal_dataset(dataset_version=held, by=Actor.service("ingest"))
    assert (held.status, held.status_message) == ("sealed", "")
    with blobs().open(str(held.table_id)) as stream:
        table = stream.read()
    version = make.pending_version(make.registered_model(scientist, "exam"), scientist)
    for path, content in (("MLmodel", make.MLMODEL), ("exam.csv", ROWS), ("exam.parquet", table)):
        make.uploaded(version, scientist, content, path=path)
    version = artifacts.finish_version(version=version, by=make.actor(scientist))
    auditor = make.person(Role.AUDITOR, Role.ADMINISTRATOR, Role.APPROVER, name="audrey", is_superuser=True)
    return {"held": held, "version": version, "users": [officer, scientist, auditor], "table": table}


def _values(held: DatasetVersion, version: ModelVersion) -> dict[str, list[str]]:
    """What stands for each part of an address: whatever could lead to the bytes."""
    digests = [held.digest, str(held.table_id)]
    return {
        "name": ["exam"],
        "number": ["1"],
        "path": [
            "exam.csv",
            "exam.parquet",
            *(f"sealed/{version.model_id}/1/{one}" for one in ("exam.csv", "exam.parquet")),
            *(f"blobs/{one[:2]}/{one[2:4]}/{one}" for one in digests),
            *digests,
        ],
        "file": [*digests, "exam.csv"],
        "prefix": ["exam"],
        "uuid": [str(held.pk), str(version.pk), *[str(one.pk) for one in held.uploads.all()]],
        "int": ["1"],
        "str": ["exam", *digests],
        "slug": ["exam", *digests],
    }


def _addresses(route: str, values: dict[str, list[str]]) -> Iterator[str]:
    parts = [(kind, name) for kind, name in _PART.findall(route)]
    some = [values.get(name) or values.get(kind or "str") or ["exam"] for kind, name in parts]
    for chosen in product(*some):
        address = route
        for value in chosen:
            address = _PART.sub(value, address, count=1)
        yield f"/{address}"


def _body(response: HttpResponseBase) -> bytes:
    if response.streaming:
        return b"".join(response)
    return bytes(getattr(response, "content", b""))


def _gives_it(response: HttpResponseBase, table: bytes) -> bool:
    body = _body(response)
    return CANARY.encode() in body or table in body


def _signed_in(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    token = access.issue_token(user=user, name="doors", by=make.actor(user), days=7, scope="write")[1]
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def test_there_are_routes_to_try() -> None:
    assert len(ROUTES) > 150
    assert any(route.endswith("/file") for route in ROUTES)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_address_gives_a_hold_outs_bytes(part: int, there: dict[str, Any]) -> None:
    values = _values(there["held"], there["version"])
    addresses = [one for route in ROUTES[part::PARTS] for one in _addresses(route, values) if "sign-out" not in one]

    for user in there["users"]:
        client = _signed_in(user)
        for address, query in product(addresses, ("", "?path=exam.csv")):
            assert not _gives_it(client.get(f"{address}{query}"), there["table"]), (user.username, address)


DOORS = [
    "/api/v1/datasets/exam/versions/1/file",
    "/api/v1/models/exam/versions/1/files/exam.csv",
    "/api/v1/models/exam/versions/1/files/exam.parquet",
    "/models/exam/versions/1/files/exam.csv",
    "/datasets/exam/versions/1/file/",
    "/api/2.0/mlflow-artifacts/artifacts/sealed/{model}/1/exam.csv",
]


@pytest.mark.parametrize("door", DOORS)
def test_each_door_says_why_not_and_the_log_says_who(door: str, there: dict[str, Any]) -> None:
    address = door.replace("{model}", str(there["version"].model_id))

    for user in there["users"]:
        before = len(make.entries())
        answer = _signed_in(user).get(address)

        assert answer.status_code == 403, answer.content
        assert b"sealed hold-out" in answer.content
        told = [one for one in make.entries(before) if one["action"] == "holdout.refused"]
        assert [one["actor"]["id"] for one in told] == [f"user:{user.pk}"]
        assert told[0]["object"]["id"] == str(there["held"].pk)


def test_other_files_of_such_a_version_are_given(there: dict[str, Any]) -> None:
    answer = _signed_in(there["users"][0]).get("/api/v1/models/exam/versions/1/files/MLmodel")

    assert (answer.status_code, _body(answer)) == (200, make.MLMODEL)
    assert SYSTEM.user is None
