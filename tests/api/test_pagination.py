"""A page token is opaque to clients and hostile to us."""

import base64
import json

import pytest

from config.errors import Invalid
from config.pagination import encode, page_of
from registry.models import User

pytestmark = pytest.mark.usefixtures("by_hand")


def _token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "!",
        "é",
        _token("nonsense"),
        _token("[]"),
        _token('["a"]'),
        _token('{"a": 1}'),
        _token('["a", []]'),
        _token('["a", null]'),
        _token('["a", 1e999]'),
        _token('["a", NaN]'),
        _token(json.dumps(["a\x00", 1])),
        _token('["\\ud800", 1]'),
        _token('["a", "not a number"]'),
    ],
)
@pytest.mark.django_db
def test_a_token_that_is_not_ours_is_refused_by_name(token: str) -> None:
    with pytest.raises(Invalid) as refused:
        page_of(User.objects.all(), after=token, size=5, keys=["username", "pk"])

    assert (refused.value.code, refused.value.field) == ("page_token", "after")


@pytest.mark.django_db
def test_a_token_with_an_impossible_moment_is_refused_by_name() -> None:
    with pytest.raises(Invalid):
        page_of(User.objects.all(), after=_token('["2026-99-99T00:00:00", 1]'), size=5, keys=["-date_joined", "pk"])


@pytest.mark.django_db
def test_pages_put_together_are_the_whole_list_in_order_whatever_their_size() -> None:
    for number in range(7):
        User.objects.create_user(f"person-{number % 3}-{number}", first_name=f"{number % 3}")
    expected = list(User.objects.order_by("-first_name", "pk").values_list("pk", flat=True))

    for size in range(1, 9):
        found, after = [], ""
        while True:
            page = page_of(User.objects.all(), after=after, size=size, keys=["-first_name", "pk"])
            found += [user.pk for user in page.rows]
            if not page.next:
                break
            after = page.next
        assert found == expected, size


@pytest.mark.django_db
def test_a_number_beyond_the_column_is_an_empty_page_not_an_error() -> None:
    User.objects.create_user("one")

    assert page_of(User.objects.all(), after=encode([10**30]), size=5, keys=["pk"]).rows == []
