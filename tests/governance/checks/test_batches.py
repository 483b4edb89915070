"""States stay small and results keep their bytes, however many rows there are and however they are cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.checks import CheckInputs, get, run_check
from governance.checks.batches import Merging, mapped, merged, run_batches
from governance.checks.statistics.counts import bounded, counted, grid_bits
from tests.governance.checks.tables import answered
from tests.governance.checks.test_merging import COMPUTED, ROWS, bits, by_x, everything


def given_to(use: str, seed: int) -> CheckInputs:
    """Rows for the check, and what a model says to the rows that it makes up."""
    return answered(get(use), everything(seed), by_x)


@pytest.mark.parametrize("use", COMPUTED)
def test_a_check_says_whether_it_can_be_split(use: str) -> None:
    check, inputs = get(use), given_to(use, 6)
    planned = check.plan(inputs, check.params.from_mapping({}), shards=3)
    assert check.manifest.splits == (len(planned) > 1)


@pytest.mark.parametrize("use", COMPUTED)
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_batches_do_not_show_in_the_result(use: str, rows: int) -> None:
    inputs = given_to(use, 3)
    assert run_batches(get(use), inputs, rows=rows).to_json() == run_check(get(use), inputs).to_json()


@pytest.mark.parametrize("use", COMPUTED)
@settings(max_examples=8, deadline=None)
@given(parts=st.integers(1, 9), rows=st.integers(1, ROWS), data=st.data())
def test_parts_of_any_number_merge_to_the_same_bits(use: str, parts: int, rows: int, data: st.DataObject) -> None:
    check = get(use)
    inputs = given_to(use, 4)
    params = check.params.from_mapping({})
    whole = mapped(check, inputs, params)
    if len(check.plan(inputs, params, shards=2)) == 1:
        return
    assert whole is not None
    states = [mapped(check, inputs, params, part=(number, parts), rows=rows) for number in range(parts)]
    assert bits(merged(check, data.draw(st.permutations(states)))) == bits(whole)


def test_a_part_without_rows_has_no_state() -> None:
    check = get("performance.binary")
    inputs = everything(5)
    params = check.params.from_mapping({})
    whole = mapped(check, inputs, params)
    assert mapped(check, inputs, params, part=(0, 100)) is None
    assert whole is not None
    assert bits(
        merged(check, [None, *(mapped(check, inputs, params, part=(number, 100)) for number in range(1, 100))])
    ) == bits(whole)


@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=80),
    most=st.integers(4, 60),
    cuts=st.integers(1, 6),
    data=st.data(),
)
def test_a_bounded_state_has_the_same_grid_however_it_was_merged(
    scores: list[float], most: int, cuts: int, data: st.DataObject
) -> None:
    states = [counted(pa.table({"score": part})) for part in np.array_split(np.array(scores), cuts) if len(part)]
    whole = bounded(states, most=most)
    first, *rest = data.draw(st.permutations(states))
    one = bounded([first], most=most)
    for state in rest:
        one = bounded([one, bounded([state], most=most)], most=most)
    assert bits(one) == bits(whole)
    assert grid_bits(one) == grid_bits(whole)
    assert sum(one.column("count").to_pylist()) == len(scores)
    if len(set(scores)) <= most:
        assert grid_bits(one) is None
        assert one.column("score").to_pylist() == sorted({score + 0.0 for score in scores})


def test_a_large_state_is_not_merged_with_every_small_one() -> None:
    class Counting(type(get("performance.binary"))):  # type: ignore[misc]
        merges = 0

        def merge(self, states: object) -> pa.Table:
            Counting.merges += 1
            return super().merge(states)

    merging = Merging(Counting())
    for number in range(200):
        score = np.arange(number * 100, number * 100 + 100) / 20_000
        merging.add(
            counted(pa.table({"score": score, "y": pa.nulls(100, pa.int8()), "decision": pa.nulls(100, pa.int8())}))
        )
    assert merging.state().num_rows == 20_000
    assert Counting.merges < 12
