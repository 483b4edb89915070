"""Tables of counts: what is one key, and when numbers are rounded to a grid."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from governance.checks.statistics.counts import bounded, counted, grid_bits, merged, numbers


def test_minus_zero_is_zero() -> None:
    state = counted(pa.table({"score": [0.0, -0.0, 0.5, -0.0]}))
    assert state.to_pylist() == [{"score": 0.0, "count": 3}, {"score": 0.5, "count": 1}]
    assert not np.signbit(numbers(state, "score")).any()
    assert merged([state, counted(pa.table({"score": [-0.0]}))]).num_rows == 2


@pytest.mark.parametrize(("most", "bits", "rows"), [(64, None, 64), (63, 20, 16), (15, 18, 4), (1, 16, 1)])
def test_numbers_are_rounded_only_where_there_are_too_many(most: int, bits: int | None, rows: int) -> None:
    """64 numbers with steps of 2⁻²²: sixteen cells of 2⁻²⁰, four of 2⁻¹⁸, one of 2⁻¹⁶."""
    state = bounded([counted(pa.table({"score": 0.5 + np.arange(64) * 2.0**-22}))], most=most)
    assert (grid_bits(state), state.num_rows) == (bits, rows)
    assert numbers(state, "count").sum() == 64


def test_a_part_on_a_coarser_grid_brings_all_to_it() -> None:
    """Whatever the order: a number is never told finer than one of the parts knows it."""
    fine = counted(pa.table({"score": [0.5, 0.5 + 2.0**-21]}))
    coarse = bounded([counted(pa.table({"score": np.arange(1 << 12) / (1 << 12)}))], most=1 << 10)
    assert grid_bits(coarse) == 10
    first, second = bounded([fine, coarse], most=1 << 20), bounded([coarse, fine], most=1 << 20)
    assert first.equals(second)
    assert grid_bits(first) == 10
    assert first.num_rows == 1 << 10
