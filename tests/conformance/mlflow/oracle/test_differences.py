"""The table of differences in docs/reference/mlflow.md says what is so: each row is shown, on both servers."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.mlflow.oracle import differences
from tests.conformance.mlflow.oracle.examples import EXAMPLES, MODEL, VERSION, Example, get, post
from tests.conformance.mlflow.oracle.pair import Pair

ROOT: Final = Path(__file__).resolve().parents[4]


def test_every_documented_difference_is_shown_and_every_tolerated_one_is_documented() -> None:
    table = differences.documented()
    assert len(table) > 20
    assert {example.name for example in EXAMPLES} <= set(table)
    assert differences.names() <= set(table), "the oracle tolerates what nobody documented"
    for name, shown in table.items():
        if shown == "examples":
            assert any(example.name == name for example in EXAMPLES), name
            continue
        found = re.fullmatch(r"`(tests/[\w/]+\.py)::(\w+)`", shown)
        assert found, (name, shown)
        assert f"def {found[2]}(" in (ROOT / found[1]).read_text(), shown


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=[f"{example.name}-{number}" for number, example in enumerate(EXAMPLES)]
)
def test_a_documented_difference(pair: Pair, example: Example) -> None:
    for call in example.before:
        theirs, ours = pair.both(call)
        assert theirs.ok, (call, theirs)
        assert ours.ok, (call, ours)
        if example.seals and call is VERSION:
            pair.seal("credit", 1)
    theirs, ours = pair.both(example.call)
    assert (theirs.status, theirs.code) == example.theirs, theirs
    assert (ours.status, ours.code) == example.ours, ours
    assert theirs.body != ours.body


def test_a_search_without_a_size_gives_ten_thousand_versions(pair: Pair) -> None:
    """MLflow gives 200,000; its own client asks for 10,000."""
    from registry.mlflow.model_versions import DEFAULT_SIZE, LARGEST_SIZE  # noqa: PLC0415

    assert (DEFAULT_SIZE, LARGEST_SIZE) == (10_000, 200_000)
    for size, status in ((200_000, 200), (200_001, 400)):
        theirs, ours = pair.both(get("model-versions/search", max_results=size))
        assert (theirs.status, ours.status) == (status, status)


def test_pages_stay_as_they_are_while_others_write(pair: Pair) -> None:
    """MLflow's offsets skip a model when one before it goes; ours go on after the last one shown."""
    for name in ("a", "b", "c", "d"):
        pair.both(post("registered-models/create", name=name))
    first = [answer.body for answer in pair.both(get("registered-models/search", max_results=2))]
    pair.both(post("registered-models/rename", name="a", new_name="z"))
    after = []
    for ask, page in zip((pair.theirs, pair.ours), first, strict=True):
        rest = ask(get("registered-models/search", max_results=9, page_token=page["next_page_token"]))
        after.append([row["name"] for row in rest.body["registered_models"]])
    assert after == [["d", "z"], ["c", "d", "z"]]


def test_a_deleted_model_leaves_its_versions_on_record(pair: Pair) -> None:
    """Its name is free again, and a new model of that name begins at one, as with MLflow."""
    from registry.models import ModelVersion  # noqa: PLC0415

    for call in (MODEL, VERSION):
        pair.both(call)
    body = {"name": "credit"}
    for answer in pair.both(type(MODEL)("DELETE", "registered-models/delete", body=body)):
        assert (answer.status, answer.body) == (200, {})
    assert ModelVersion.objects.count() == 1
    pair.both(MODEL)
    numbers = [answer.body["model_version"]["version"] for answer in pair.both(VERSION)]
    assert numbers == ["1", "1"]
