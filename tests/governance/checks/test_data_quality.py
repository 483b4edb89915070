"""The quality of data: pandas' own counts, equal cells of different types, and estimates where rows are too many to keep."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.checks import CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.data import row_hashes
from governance.checks.data.row_hashes import Hashes

CELLS = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan")]))
WORDS = st.one_of(st.none(), st.sampled_from(["a", "b", ""]))


def quality(data: pa.Table, training: pa.Table | None = None, *, shards: int = 1) -> CheckResult:
    return run_check(get("data.quality"), CheckInputs(data, Roles("y"), training=training), shards=shards)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, WORDS), min_size=1, max_size=40), st.integers(1, 5))
def test_repeats_missing_and_constants_are_those_of_pandas(rows: list[tuple[Any, Any]], shards: int) -> None:
    numbers, words = (list(one) for one in zip(*rows, strict=True))
    table = pa.table({"x": pa.array(numbers, pa.float64()), "w": pa.array(words, pa.string())})
    frame = pd.DataFrame(
        {
            "x": [np.nan if x is None else x + 0.0 for x in numbers],
            "w": [w if w is not None else "<none>" for w in words],
        }
    )
    result = quality(table, shards=shards)
    assert result.figure("duplicate_share").value == pytest.approx(frame.duplicated().mean(), abs=1e-12)
    missing = int(frame["x"].isna().sum()) + words.count(None)
    assert result.figure("missing_cell_share").value == pytest.approx(missing / (2 * len(rows)), abs=1e-12)
    distinct = [frame["x"].dropna().nunique(), len({word for word in words if word is not None})]
    assert result.figure("constant_columns").value == sum(one <= 1 for one in distinct)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array([1, 2, None]), pa.array([1.0, 2.0, None])), (pa.array([1, 0], pa.int8()), pa.array([True, False])),
        (pa.array(["a", None, "b"]), pa.array(["a", None, "b"]).dictionary_encode()), (pa.array([0.0]), pa.array([-0.0])),
        (pa.array([None, float("nan")], pa.float64()), pa.array([float("nan"), None], pa.float64())),
        (pa.array(["a"]), pa.array(["a"], pa.large_string())),
    ],
)  # fmt: skip
def test_equal_cells_have_equal_hashes_whatever_their_type(first: pa.Array, second: pa.Array) -> None:
    assert row_hashes.of_column(first)[0].tolist() == row_hashes.of_column(second)[0].tolist()


def test_large_whole_numbers_are_told_apart() -> None:
    near = pa.array([2**53, 2**53 + 1, 2**62, -(2**62), 2**53 - 1])
    assert len(set(row_hashes.of_column(near)[0].tolist())) == 5


def test_rows_of_the_training_data_are_found_in_another_type_and_order() -> None:
    data = pa.table({"y": [0, 1, 1, 0], "x": [1, 2, 3, 4]})
    training = pa.table({"x": [2.0, 3.0, 9.0], "more": ["a", "b", "c"], "y": [1, 1, 0]})
    assert quality(data, training).figure("train_overlap_share").value == 0.5
    assert "other columns" in quality(data, training.drop_columns(["y"])).figure("train_overlap_share").note


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(1, 499), max_size=6))
def test_which_hashes_are_kept_does_not_depend_on_the_parts(seed: int, cuts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_hashes, "MOST", 50)
        keys = row_hashes.mixed(np.random.default_rng(seed).integers(0, 400, 500)).view("int64")
        whole = Hashes.of(keys)
        assert len(whole.keys) <= 50
        edges = [0, *sorted(set(cuts)), 500]
        parts = [Hashes.of(keys[a:b]) for a, b in pairwise(edges)]
        joined = parts[0].plus(*parts[1:]) if seed % 2 else parts[-1].plus(*parts[:-1])
    assert joined.zeros == whole.zeros
    assert joined.keys.tolist() == whole.keys.tolist()
    assert joined.counts.tolist() == whole.counts.tolist()


def test_too_many_rows_give_estimates_with_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    rows = random.integers(0, 30_000, 40_000)
    training = pa.table({"x": np.arange(0, 30_000, 4)})
    exact = quality(pa.table({"x": rows}), training)
    monkeypatch.setattr(row_hashes, "MOST", 2_000)
    monkeypatch.setattr(row_hashes, "BATCH", 5_000)
    about = quality(pa.table({"x": rows}), training, shards=7)
    for key in ("duplicate_share", "train_overlap_share"):
        truth, found = exact.figure(key).value, about.figure(key)
        assert truth is not None
        assert found.ci_low is not None
        assert found.ci_high is not None
        assert found.ci_low <= truth <= found.ci_high
        assert found.ci_high - found.ci_low < 0.2
    assert "estimated" in about.limits[1]
    assert about.to_json() == quality(pa.table({"x": rows}), training).to_json()


def test_hashes_are_found_in_a_table_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"x": [5, 1, 1, 7, 3, 2, 2]})
    keys = np.unique(np.concatenate(list(row_hashes.batches(pa.table({"x": [1, 3, 4, 9]}), ["x"]))))
    whole = row_hashes.found_in(keys, table, ["x"])
    assert whole.sum() == 2
    monkeypatch.setattr(row_hashes, "BATCH", 2)
    assert row_hashes.found_in(keys, table, ["x"]).tolist() == whole.tolist()
    assert row_hashes.found_in(keys[:0], table, ["x"]).tolist() == []


def test_weights_are_said_to_play_no_part() -> None:
    table = pa.table({"y": [0, 1], "w": [1.0, 2.0]})
    result = run_check(get("data.quality"), CheckInputs(table, Roles("y", weight="w")))
    assert "weights are not used" in result.limits[-1]
