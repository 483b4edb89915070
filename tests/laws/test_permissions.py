"""Every REST view refuses strangers. The list comes from the URLconf, so a new view is covered the day it is added."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from governance.models import PromotionRequest
from registry.models import ModelVersion, Upload, User
from tests.api.calls import Api, sha256
from tests.api.conftest import (
    ada,
    contributor,
    model,
    nobody,
    person,
    places,
    promotion,
    sealed_version,
    stranger,
    token_of,
)

pytestmark = pytest.mark.usefixtures("by_hand")

__all__ = ["ada", "contributor", "model", "nobody", "person", "places", "promotion", "sealed_version", "stranger"]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
FOR_EVERYBODY_SIGNED_IN = {
    "report-kinds",
    "me",
    "tokens",
    "openapi",
    "policies",
    "policy-versions",
    "policy-document",
} | {
    "permit-status-list",
    "trust-chain",
}
"""What a person without any role may read: themselves, their tokens, and the rules they are held to."""


def _named(patterns: list[Any], inside_api: bool) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _named(pattern.url_patterns, inside_api or pattern.namespace == "api")
        elif inside_api:
            yield pattern


VIEWS = {str(pattern.name): pattern for pattern in _named(get_resolver().url_patterns, inside_api=False)}


def _methods(pattern: URLPattern) -> list[str]:
    view = getattr(pattern.callback, "cls", None)
    return [method for method in METHODS if view is not None and hasattr(view, method.lower())]


CALLS = [(name, method) for name, pattern in VIEWS.items() for method in _methods(pattern)]


SOMEWHERE: dict[str, object] = {
    "name": "credit-default", "number": 1, "alias": "champion", "path": "MLmodel", "ref": 1, "check": UUID(int=1),
    "upload": UUID(int=1), "permit": UUID(int=1), "waiver": UUID(int=1), "policy": "api-tests", "prefix": "abcdef",
    "index": 0, "webhook": UUID(int=1), "delivery": UUID(int=1), "experiment": "7", "team": "nobody", "verification": 1,
    "report": UUID(int=1), "file": "report.pdf", "broken": UUID(int=1), "export": UUID(int=1), "sample": UUID(int=1),
    "account": 1, "hold": 1, "rule": 1, "sha256": "0" * 64,
}  # fmt: skip


def address(name: str, **known: object) -> str:
    """The address of a view, about the objects given, else about some that may not exist."""
    wanted = re.findall(r"<(?:\w+:)?(\w+)>", str(VIEWS[name].pattern))
    return reverse(f"api:{name}", kwargs={key: known.get(key, SOMEWHERE[key]) for key in wanted})


@pytest.fixture
def there(promotion: PromotionRequest, sealed_version: ModelVersion, ada: User) -> dict[str, object]:
    """Objects that exist and that a stranger may not see."""
    upload = Upload.objects.create(
        owner=ada, version=sealed_version, path="later", declared_sha256=sha256(b""), declared_size=0
    )
    return {"ref": promotion.number, "check": promotion.checks.get().pk, "upload": upload.pk}


def test_the_api_has_views_and_each_says_which_methods_it_speaks() -> None:
    assert len(VIEWS) > 30
    assert {name for name in VIEWS if not _methods(VIEWS[name])} == set()


@pytest.mark.parametrize(("name", "method"), CALLS)
def test_without_credentials_every_call_is_401_in_json(name: str, method: str, nobody: Api) -> None:
    answer = nobody.call(method, address(name))

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("name", "method"), CALLS)
def test_a_person_without_a_role_sees_nothing_and_does_nothing(
    name: str, method: str, there: dict[str, object], stranger: Api
) -> None:
    before = PromotionRequest.objects.get().state, ModelVersion.objects.get().status

    answer = stranger.call(method, address(name, **there), None if method == "GET" else {})

    if method == "GET" and answer.status_code == 200 and name not in FOR_EVERYBODY_SIGNED_IN:
        assert answer.json()["results"] == [], "a list shows a stranger nothing"
    elif name not in FOR_EVERYBODY_SIGNED_IN:
        assert answer.status_code in {400, 403, 404}, answer.content
        if "<" in str(VIEWS[name].pattern) and not name.startswith("audit-"):
            assert answer.status_code == 404, "what one may not see does not exist, whatever one sends"
    assert (PromotionRequest.objects.get().state, ModelVersion.objects.get().status) == before


@pytest.mark.parametrize(("name", "method"), [call for call in CALLS if call[1] != "GET"])
def test_a_token_that_may_only_read_changes_nothing(name: str, method: str, ada: User) -> None:
    answer = Api(token_of(ada, "read")).call(method, address(name), {})

    assert answer.status_code == 403
    assert answer.json()["code"] == "token.read_only"
