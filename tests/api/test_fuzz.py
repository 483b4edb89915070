"""Schemathesis against the API's own description: no 5xx, and every answer is one that the description promises."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from governance.models import PromotionRequest
from tests.api.calls import Api

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 8


def _describe() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]


def _operations() -> list[tuple[str, str]]:
    document = _describe()
    return [(path, method) for path, item in document["paths"].items() for method in item if method != "parameters"]


@pytest.fixture(scope="module")
def description() -> Any:
    schema = schemathesis.openapi.from_dict(_describe())
    schema.app = get_wsgi_application()
    return schema


@pytest.fixture
def token(contributor: Api, promotion: PromotionRequest) -> Iterator[str]:
    """A contributor's token, while the test's transaction is kept over requests through WSGI.

    Django's test client does the same around each request of its own, so this comes after its last one.
    """
    assert promotion.ref
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield contributor.token
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), _operations(), ids=lambda part: part)
def test_whatever_is_sent_the_answer_is_a_described_one(path: str, method: str, description: Any, token: str) -> None:
    operation = description[path][method.upper()]
    headers = {"Authorization": f"Bearer {token}"}

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    def send(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    send()
