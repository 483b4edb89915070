"""Both searches against what the same words mean over the rows, and pages that lose nothing while others write."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from audit.actors import SYSTEM
from config.errors import Invalid
from config.pagination import encode
from registry.mlflow import filters
from registry.models import Alias, ModelTag, ModelVersion, RegisteredModel, User, VersionTag
from registry.roles import Role
from registry.selectors import mlflow_search as search
from registry.services import access
from tests.factories import registry as make
from tests.factories.audit import by_hand

pytestmark = pytest.mark.usefixtures("by_hand")

START = datetime(2026, 1, 1, tzinfo=UTC)
Row = tuple[str, int]


def fill(owner: User, models: int = 4, versions: int = 6) -> None:
    """Models of different owners with versions, many of which were last changed at the same moment."""
    with by_hand():
        for m in range(models):
            model = RegisteredModel.objects.create(name=f"m{m}", owner=owner)
            if m == 3:
                ModelTag.objects.create(model=model, key=search.PROMPT_TAG, value="true")
            ModelTag.objects.create(model=model, key="tier", value=str(m % 2))
            for number in range(1, versions + 1):
                version = ModelVersion.objects.create(
                    model=model, number=number, registered_by=owner, run_id=f"r{number % 3}", source=f"s/{number}"
                )
                VersionTag.objects.create(version=version, key="team", value=("risk", "Fraud", "x" * 150)[number % 3])
                VersionTag.objects.create(version=version, key="even", value=str(number % 2 == 0))
                moment = START + timedelta(hours=number // 2)
                ModelVersion.objects.filter(pk=version.pk).update(updated_at=moment, created_at=moment)
            Alias.objects.create(model=model, name="a", version=model.versions.get(number=1))
            RegisteredModel.objects.filter(pk=model.pk).update(updated_at=START + timedelta(hours=m // 2))


def versions(
    user: User,
    text: str = "",
    order: list[str] | None = None,
    size: int = 100,
    between: Callable[[], None] | None = None,
) -> list[Row]:
    """All pages of a search; ``between`` is called after each."""
    conditions = filters.parse(text, filters.VERSIONS)
    columns = filters.order(order or [], filters.VERSIONS)
    found: list[Row] = []
    token = ""
    while True:
        page = search.search_versions(
            user, conditions, columns, after=token, size=size, prompts=filters.wants_prompts(conditions)
        )
        assert len(page.documents) <= size
        rows = [json.loads(one) for one in page.documents]
        found += [(row["name"], int(row["version"])) for row in rows]
        token = page.next
        if not token:
            return found
        assert len(page.documents) == size
        if between:
            between()


def models(user: User, text: str = "", order: list[str] | None = None, size: int = 100) -> list[str]:
    conditions = filters.parse(text, filters.MODELS)
    columns = filters.order(order or [], filters.MODELS)
    found: list[str] = []
    token = ""
    while True:
        page = search.search_models(
            user, conditions, columns, after=token, size=size, prompts=filters.wants_prompts(conditions)
        )
        found += [json.loads(one)["name"] for one in page.documents]
        token = page.next
        if not token:
            return found


TAGS: Any = {
    "team": lambda v: {tag.key: tag.value for tag in v.tags.all()}.get("team"),
    "even": lambda v: {tag.key: tag.value for tag in v.tags.all()}.get("even"),
    "none": lambda _: None,
}
SAMPLES = {"team": ["risk", "Fraud", "x" * 150, "x" * 100, "RISK"], "even": ["True", "False"], "none": ["y"]}


def like(value: str, pattern: str, *, ignore_case: bool) -> bool:
    form = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return re.fullmatch(form, value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def holds(value: str | None, operator: str, wanted: str) -> bool:
    if value is None:
        return False
    if operator in {"LIKE", "ILIKE"}:
        return like(value, wanted, ignore_case=operator == "ILIKE")
    return (value == wanted) == (operator == "=")


@st.composite
def tag_conditions(draw: st.DrawFn) -> tuple[str, str, str]:
    key = draw(st.sampled_from(sorted(SAMPLES)))
    operator = draw(st.sampled_from(["=", "!=", "LIKE", "ILIKE"]))
    value = draw(st.sampled_from(SAMPLES[key]))
    if "LIKE" in operator:
        value = draw(st.sampled_from([value, value[:2] + "%", "%" + value[-1], "_" + value[1:]]))
    return key, operator, value


ORDERS = {
    "name": lambda v: v.model.name,
    "version_number": lambda v: v.number,
    "creation_timestamp": lambda v: v.created_at.timestamp(),
    "last_updated_timestamp": lambda v: v.updated_at.timestamp(),
}


def in_order(rows: list[ModelVersion], clauses: list[tuple[str, bool]]) -> list[Row]:
    """By a stable sort for each key, the last one first."""
    names = {name for name, _ in clauses}
    rest = [("name", True), ("version_number", False)] if clauses else [
        ("last_updated_timestamp", False), ("name", True), ("version_number", False)
    ]  # fmt: skip
    for name, ascending in reversed([*clauses, *(one for one in rest if one[0] not in names)]):
        rows = sorted(rows, key=ORDERS[name], reverse=not ascending)
    return [(row.model.name, row.number) for row in rows]


class TestAgainstTheRows(TestCase):
    """Random searches, and the same over the rows in Python."""

    user: User

    @classmethod
    def setUpTestData(cls) -> None:
        cls.user = make.person(Role.CONTRIBUTOR)
        fill(cls.user)

    @settings(max_examples=60, deadline=None)
    @given(
        tags=st.lists(tag_conditions(), max_size=3),
        run=st.sampled_from(["", "run_id = 'r1'", "run_id IN ('r1','r2')", "run_id NOT IN ('r1')", "run_id != 'r0'"]),
        name=st.sampled_from(["", "name = 'm1'", "name = 'nothing'", "name LIKE 'm%'", "version_number > 2"]),
        order=st.lists(st.sampled_from(sorted(ORDERS)), unique=True, max_size=2),
        ascending=st.lists(st.booleans(), min_size=2, max_size=2),
        size=st.integers(1, 20),
    )
    def test_a_search_finds_what_it_says_in_the_order_it_says(  # noqa: PLR0917 - by name, from hypothesis
        self,
        tags: list[tuple[str, str, str]],
        run: str,
        name: str,
        order: list[str],
        ascending: list[bool],
        size: int,
    ) -> None:
        clauses = list(zip(order, ascending, strict=False))
        text = " AND ".join(
            part for part in (*(f"tags.{key} {op} '{value}'" for key, op, value in tags), run, name) if part
        )
        rows = [
            v
            for v in ModelVersion.objects.exclude(model__name="m3").select_related("model").prefetch_related("tags")
            if all(holds(TAGS[key](v), op, value) for key, op, value in tags) and _run(run, v.run_id) and _name(name, v)
        ]

        found = versions(self.user, text, [f"{one} {'ASC' if up else 'DESC'}" for one, up in clauses], size=size)

        assert found == in_order(rows, clauses)


def _run(condition: str, run: str) -> bool:
    return {
        "": True,
        "run_id = 'r1'": run == "r1",
        "run_id IN ('r1','r2')": run in {"r1", "r2"},
        "run_id NOT IN ('r1')": run != "r1",
        "run_id != 'r0'": run != "r0",
    }[condition]


def _name(condition: str, version: ModelVersion) -> bool:
    return {
        "": True,
        "name = 'm1'": version.model.name == "m1",
        "name = 'nothing'": False,
        "name LIKE 'm%'": True,
        "version_number > 2": version.number > 2,
    }[condition]


@pytest.fixture
def owner(scientist: User) -> User:
    fill(scientist)
    return scientist


def test_prompts_are_left_out_unless_asked_for(owner: User) -> None:
    asked = f"tags.`{search.PROMPT_TAG}` = 'true'"
    assert models(owner) == ["m0", "m1", "m2"]
    assert models(owner, asked) == ["m3"]
    assert {name for name, _ in versions(owner)} == {"m0", "m1", "m2"}
    assert versions(owner, "name = 'm3'") == []


@pytest.mark.parametrize("size", [1, 2, 100])
def test_models_come_in_order_page_by_page(owner: User, size: int) -> None:
    assert models(owner, size=size) == ["m0", "m1", "m2"]
    assert models(owner, order=["name DESC"], size=size) == ["m2", "m1", "m0"]
    assert models(owner, order=["timestamp DESC"], size=size) == ["m2", "m0", "m1"]
    assert models(owner, "tags.tier = '0'", size=size) == ["m0", "m2"]


def test_what_is_deleted_is_not_found(owner: User) -> None:
    RegisteredModel.objects.filter(name="m0").update(deleted_at=START)
    ModelVersion.objects.filter(model__name="m1", number=1).update(deleted_at=START)

    assert models(owner) == ["m1", "m2"]
    assert set(versions(owner)) == {(m, n) for m in ("m1", "m2") for n in range(1, 7)} - {("m1", 1)}
    assert versions(owner, "name = 'm0'") == []


def test_everybody_finds_what_they_may_see(owner: User, stranger: User) -> None:
    assert models(stranger) == []
    assert versions(stranger) == versions(stranger, "name = 'm1'") == []

    m1, m2 = (RegisteredModel.objects.get(name=name) for name in ("m1", "m2"))
    RegisteredModel.objects.filter(pk=m1.pk).update(owner=stranger)
    team = access.create_team(name="seers", by=SYSTEM)
    access.add_member(team=team, user=stranger, by=SYSTEM)
    access.grant_role(team=team, role=Role.AUDITOR, model=m2, by=SYSTEM)
    known = User.objects.get(pk=stranger.pk)

    assert models(known) == ["m1", "m2"]
    assert versions(known, size=5) == [row for row in versions(owner) if row[0] in {"m1", "m2"}]
    assert versions(known, "name = 'm0'") == []
    User.objects.filter(pk=stranger.pk).update(is_active=False, is_superuser=True)
    assert versions(User.objects.get(pk=stranger.pk)) == []


@pytest.mark.parametrize("order", [[], ["name"], ["last_updated_timestamp"], ["version_number DESC"]])
def test_what_did_not_change_between_pages_is_found_once(owner: User, order: list[str]) -> None:
    before = versions(owner, order=order)
    touched: set[Row] = set()
    steps = iter(range(1, 100))

    def write() -> None:
        step = next(steps)
        model = RegisteredModel.objects.get(name="m1")
        ModelVersion.objects.create(model=model, number=100 + step, registered_by=owner)
        row = before[(step * 5) % len(before)]
        touched.add(row)
        version = ModelVersion.objects.get(model__name=row[0], number=row[1])
        version.save(update_fields=["updated_at"])
        gone = before[(step * 7) % len(before)]
        touched.add(gone)
        ModelVersion.objects.filter(model__name=gone[0], number=gone[1]).update(deleted_at=START)

    found = versions(owner, order=order, size=3, between=write)

    still = [row for row in before if row not in touched]
    assert [row for row in found if row in still] == still


BAD: list[Any] = [
    "nonsense",
    "WzFd",
    "é",
    "x" * 5000,
    encode(["-updated,name,-number", "not a date", "m", 1]),
    encode(["-updated,name,-number", "2026-01-01T00:00:00", "m", 1]),
    encode(["-updated,name,-number", "2026-01-01T00:00:00+00:00", 1, 1]),
    encode(["-updated,name,-number", "2026-01-01T00:00:00+00:00", "m", "1"]),
    encode(["-updated,name,-number", "2026-01-01T00:00:00+00:00", "m", 2**70]),
    encode(["-updated,name,-number", "2026-01-01T00:00:00+00:00", "m", True]),
    encode(["name,-number", "m", 1]),
    encode(["updated,name,-number", "2026-01-01T00:00:00+00:00", "m", 1]),
    encode(["-updated,name,-number", "2026-01-01T00:00:00+00:00", "m'; --", 1, 1]),
]


@pytest.mark.parametrize("token", BAD, ids=range(len(BAD)))
def test_a_token_of_anything_else_is_refused(owner: User, token: str) -> None:
    with pytest.raises(Invalid) as refused:
        search.search_versions(owner, [], [], after=token, size=5, prompts=False)

    assert refused.value.field == "page_token"


def test_a_token_of_one_order_is_no_token_of_another(owner: User) -> None:
    token = search.search_versions(owner, [], [], after="", size=5, prompts=False).next
    with pytest.raises(Invalid):
        search.search_versions(owner, [], [("name", True)], after=token, size=5, prompts=False)
    with pytest.raises(Invalid):
        search.search_models(owner, [], [], after=token, size=5, prompts=False)


def test_numbers_that_no_version_can_have_are_only_not_found(owner: User) -> None:
    assert versions(owner, "version_number > 999999999999999") == []
    assert len(versions(owner, "version_number < 999999999999999")) == 18


def test_a_page_is_found_by_an_index(owner: User) -> None:
    """The plans a large table would get: nothing is sorted or read from its beginning to find the next page."""
    token = search.search_versions(owner, [], [], after="", size=2, prompts=False).next
    seen: list[tuple[str, Any]] = []

    def keep(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        seen.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        search.search_versions(owner, [], [], after=token, size=2, prompts=False)
        search.search_versions(
            owner, filters.parse("tags.team = 'risk'", filters.VERSIONS), [], after="", size=2, prompts=False
        )
    plans = []
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        for sql, params in seen:
            cursor.execute(f"EXPLAIN {sql}", params)
            plans.append("\n".join(row[0] for row in cursor.fetchall()))
    assert "modelversion_recent" in plans[0]
    assert "Index Cond: (updated_at <=" in plans[0]
    assert "versiontag_value" in plans[1] or "versiontag_key_once" in plans[1]


@pytest.mark.parametrize("size", [1, 4, 5, 7, 18, 19, 100])
def test_a_long_page_is_streamed_in_slices_and_is_the_same_page(
    owner: User, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = access.issue_token(user=owner, name="t", by=SYSTEM)
    client = Client(headers={"authorization": f"Bearer {text}"})

    def page() -> tuple[bool, Any]:
        answer = client.get("/api/2.0/mlflow/model-versions/search", {"max_results": size})
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
        return answer.streaming, json.loads(b"".join(answer))

    whole = page()
    monkeypatch.setattr(search, "LARGEST_SLICE", 4)
    sliced = page()

    assert not whole[0]
    assert sliced[0] == (size > 4)
    assert sliced[1] == whole[1]
    assert len(whole[1]["model_versions"]) == min(size, 18)
    assert ("next_page_token" in whole[1]) == (size < 18)
