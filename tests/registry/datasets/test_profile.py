"""Profiles: right where they speak, silent about people, and nothing hidden can be computed from what is told."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.formats.profile import Profiler, Sketch
from registry.suppression import told

K = 10


def profile(rows: dict[str, Any], columns: dict[str, Any] | None = None, *, parts: int = 1, **options: Any) -> Any:
    """The profile of these rows, read in so many parts."""
    table = pa.table(rows)
    profiler = Profiler(table.schema, columns or {}, k=K, **options)
    for batch in table.to_batches(max_chunksize=max(1, table.num_rows // parts)):
        profiler.add(batch)
    found = profiler.told()
    return {**found, "by_name": {one["name"]: one for one in found["columns"]}}


cells = st.dictionaries(st.integers(0, 40), st.integers(0, 60), max_size=25)


@settings(max_examples=400, deadline=None)
@given(cells, st.integers(2, 30), st.one_of(st.none(), st.integers(0, 10)))
def test_no_hidden_small_cell_can_be_computed(cells: dict[int, int], k: int, most: int | None) -> None:
    out = told(cells, k=k, most=most)
    total = sum(cells.values())
    hidden = {key: count for key, count in cells.items() if key not in out.cells}

    assert all(count == 0 or count >= k for count in out.cells.values())
    assert out.rest == total - sum(out.cells.values()) == sum(hidden.values())
    assert out.hidden == len(hidden)
    if not any(count < k for count in hidden.values()):
        return
    cap = min((count for count in out.cells.values() if count), default=total)
    if not out.countable:
        assert not any(out.cells.values()), "nothing is told, and not even how many cells there are"
        return
    assert len(hidden) > 1
    largest = min(cap, out.rest - (len(hidden) - 1))  # of any hidden cell, the others being one each
    smallest = max(1, out.rest - (len(hidden) - 1) * cap)
    assert largest >= k, "whoever computes cannot even say that a hidden cell is small"
    assert smallest < largest


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "c", "d", "e", None]), min_size=1, max_size=120),
    st.integers(1, 7),
)
def test_what_a_profile_says_of_categories_gives_no_small_count_away(values: list[str | None], parts: int) -> None:
    found = profile({"c": pa.array(values, pa.string())}, parts=parts)["by_name"]["c"]
    counts = {one: values.count(one) for one in {*values}}

    assert all(counts[name] == count >= K for name, count in found["top"])
    shown = sum(count for _, count in found["top"]) + (found["missing"] or 0)
    assert shown + found["rest"] == len(values)
    small = {one for one, count in counts.items() if count < K}
    if small:
        assert None not in small or found["missing"] is None
        alone = len(counts) - len(found["top"]) - (found["missing"] is not None and found["missing"] > 0)
        assert alone > 1 or found["distinct"] is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(width=32), st.just(float("nan"))), max_size=150), st.integers(1, 5))
def test_missing_and_infinite_values_are_no_small_cells_either(values: list[float | None], parts: int) -> None:
    found = profile({"x": pa.array(values, pa.float64())}, parts=parts)["by_name"]["x"]

    present = sum(value is not None and np.isfinite(value) for value in values)
    odd = sum(value is not None and not np.isfinite(value) for value in values)
    missing = sum(value is None for value in values)
    assert found["missing"] in {None, missing}
    assert found["not_finite"] in {None, odd}
    if any(0 < cell < K for cell in (present, odd, missing)):
        told_of = [cell for cell in (found["missing"], found["not_finite"]) if cell]
        assert not told_of or len(values) - sum(told_of) >= K
    for share, _ in found.get("quantiles", []):
        assert min(float(share), 1 - float(share)) * present >= K


def test_of_sensitive_columns_and_ids_nothing_is_told_but_how_many_values() -> None:
    rows = {
        "sex": ["feminine", "masculine"] * 50,
        "income": [4711.25] * 100,
        "customer": [f"C-{at}" for at in range(100)],
        "x": [1.0, 2.0] * 50,
    }

    found = profile(rows, {"sensitive": ["sex", "income"], "id": "customer"})

    text = json.dumps(found)
    assert not any(value in text for value in ("feminine", "masculine", "4711", "C-"))
    for name in ("sex", "income", "customer"):
        assert set(found["by_name"][name]) <= {"name", "type", "role", "secret", "missing", "not_finite", "distinct"}
    assert found["by_name"]["sex"]["distinct"] == 2


@pytest.mark.parametrize(("rows", "told_of"), [(K - 1, None), (K, 2)])
def test_of_fewer_people_than_a_cell_may_hold_not_even_the_number_of_values_is_told(
    rows: int, told_of: int | None
) -> None:
    sex = (["f", "m"] * K)[:rows]
    found = profile({"sex": sex, "income": [float(at % 2) for at in range(rows)]}, {"sensitive": ["sex"]})
    assert [found["by_name"][name]["distinct"] for name in ("sex", "income")] == [told_of, told_of]


def test_of_a_hold_out_only_names_and_types_are_told() -> None:
    found = profile({"x": [1.0] * 100, "y": ["a"] * 100}, sealed=True)

    assert all(set(one) == {"name", "type", "role", "secret"} for one in found["columns"])
    assert found["rows"] == 100


def test_numbers_categories_dates_and_truths_are_described() -> None:
    days = pa.array(np.arange("2024-01-01", "2024-04-10", dtype="datetime64[D]"))
    rows: dict[str, Any] = {
        "x": pa.array([float(at) for at in range(100)]),
        "few": pa.array([at % 3 for at in range(100)]),
        "word": pa.array(["often"] * 60 + ["rarely"] * 40),
        "day": days,
        "yes": pa.array([True] * 70 + [False] * 30),
        "list": pa.array([[1]] * 100),
        "none": pa.nulls(100),
    }

    found = profile(rows, {"label": "few", "time": "day", "features": ["x"]})["by_name"]

    assert found["x"]["quantiles"] == [["0.25", "24"], ["0.5", "49"], ["0.75", "74"]]
    assert (found["x"]["mean"], found["x"]["distinct"], found["x"]["role"]) == ("49.5", 100, "feature")
    assert found["few"]["top"] == [["0", 34], ["1", 33], ["2", 33]]
    assert found["word"]["top"] == [["often", 60], ["rarely", 40]]
    assert found["day"]["quantiles"][1] == ["0.5", "2024-02-19"]
    assert found["yes"]["top"] == [["True", 70], ["False", 30]]
    assert found["none"]["missing"] == 100
    assert "quantiles" not in found["list"]


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.95])
def test_a_quantile_of_many_values_is_near_the_exact_one_and_the_same_each_time(share: float) -> None:
    values = np.random.default_rng(5).lognormal(size=2_000_000)
    sketches = [Sketch(), Sketch()]
    for sketch in sketches:
        for part in np.array_split(values, 40):
            sketch.add(part)

    assert sketches[0].at(share) == sketches[1].at(share)
    assert abs((values <= sketches[0].at(share)).mean() - share) < 0.002
    assert sum(len(level) for level in sketches[0].levels) < 100_000
