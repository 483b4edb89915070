"""Quantiles and numbers of distinct values, chunk by chunk, are those of the whole column."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.checks.statistics import streamed

NUMBERS = st.lists(
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, -0.0, 1.0, 2.5])),
    max_size=60,
)


def column(values: list[float | None], pieces: int) -> pa.ChunkedArray:
    whole = pa.array(values, pa.float64(), from_pandas=False)
    edges = np.linspace(0, len(values), pieces + 1).astype(int).tolist()
    return pa.chunked_array([whole.slice(a, b - a) for a, b in pairwise(edges)], pa.float64())


@settings(max_examples=200, deadline=None)
@given(
    values=NUMBERS,
    pieces=st.integers(1, 5),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=4),
    at_once=st.booleans(),
)
def test_quantiles_are_those_of_numpy(
    values: list[float | None], pieces: int, shares: list[float], at_once: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed, "SORTED_AT_ONCE", 1000 if at_once else 0)
        found = streamed.quantiles(column(values, pieces), shares)
    present = np.array([value for value in values if value is not None and np.isfinite(value)]) + 0.0
    expected = np.quantile(present, shares, method="inverted_cdf") if len(present) else np.zeros(0)
    assert found.tobytes() == expected.astype("float64").tobytes()


@given(
    values=st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=50),
    most=st.integers(0, 12),
    pieces=st.integers(1, 4),
)
def test_distinct_values_are_counted_up_to_a_number(values: list[int | None], most: int, pieces: int) -> None:
    whole = pa.array(values, pa.int64())
    edges = np.linspace(0, len(values), pieces + 1).astype(int).tolist()
    cut = pa.chunked_array([whole.slice(a, b - a) for a, b in pairwise(edges)], pa.int64())
    assert streamed.distinct(cut, most) == min(len(set(values)), most + 1)


def test_categories_are_counted_by_their_words() -> None:
    cut = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()])
    assert streamed.distinct(cut, 10) == 3
