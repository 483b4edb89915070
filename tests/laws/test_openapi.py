"""The API's description is complete, valid, and the one that is in the repository."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

SNAPSHOT = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


def _describe() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def document() -> Any:
    GENERATOR_STATS.reset()
    return _describe()


def _operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def test_it_is_made_without_a_warning_and_is_valid(document: Any) -> None:
    assert not GENERATOR_STATS
    validate_schema(document)  # type: ignore[no-untyped-call]


def test_the_command_that_people_use_agrees(tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "openapi.yaml"))


def test_the_snapshot_in_the_documentation_is_current(document: Any) -> None:
    made = json.loads(json.dumps(document, default=str))
    assert json.loads(SNAPSHOT.read_text()) == made, (
        "The API changed. Look at the difference, then: "
        "python manage.py spectacular --format openapi-json --file docs/reference/openapi.json"
    )


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_tag(document: Any) -> None:
    names = [operation["operationId"] for _, _, operation in _operations(document)]

    assert len(names) == len(set(names))
    for path, method, operation in _operations(document):
        assert operation.get("summary"), (method, path)
        assert operation.get("tags"), (method, path)


def test_every_operation_says_how_it_refuses_and_asks_for_credentials(document: Any) -> None:
    for path, method, operation in _operations(document):
        for status in ("401", "403"):
            assert "application/problem+json" in operation["responses"][status]["content"], (method, path)
        assert {name for scheme in operation["security"] for name in scheme} == {"bearerAuth", "cookieAuth"}, (
            method,
            path,
        )


def test_every_creation_that_can_be_repeated_takes_an_idempotency_key(document: Any) -> None:
    never = {"tokens_create", "challenges_create", "decisions_sign", "erasure_create", "audit_holds_create"}
    never |= {"broken_glass_report"}  # the cluster's own id makes it one
    for path, method, operation in _operations(document):
        if method == "post" and "201" in operation["responses"]:
            named = {parameter["name"] for parameter in operation.get("parameters", [])}
            assert ("Idempotency-Key" in named) == (operation["operationId"] not in never), (method, path)
