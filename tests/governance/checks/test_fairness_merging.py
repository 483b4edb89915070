"""Cell tables of group figures: any partition adds up to the same bits, whatever columns, weights and chunks there are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.checks import CheckError, CheckInputs, Roles, get, run_check
from tests.governance.checks.test_merging import bits, cut

ROWS = 90
CHECKS = ["fairness.groups", "fairness.regression", "fairness.classes"]


def people(seed: int, *, coded: bool = True, chunks: int = 1) -> CheckInputs:
    """Three sensitive columns of different types with missing values, weights of any size, some of them 0."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, ROWS)
    y[:2] = 0, 1
    score = random.random(ROWS)
    sex = pa.array([[None, "f", "m", "x"][k] for k in random.integers(0, 4, ROWS)])
    age = pa.array(np.where(random.random(ROWS) < 0.2, np.nan, random.integers(1, 4, ROWS).astype("float64")))
    born = pa.array(random.integers(1990, 1993, ROWS))
    weight = random.choice([0.0, 1.0, 0.000001, 12.5, 123456.789012], ROWS)
    weight[:2] = 1.0
    data = pa.table(
        {"y": y, "sex": sex.dictionary_encode() if coded else sex, "age": age, "born": born, "w": np.round(weight, 6)}
    )
    predictions = pa.table({"score": score, "prediction": np.round(random.normal(size=ROWS), 3)})
    edges = np.linspace(0, ROWS, chunks + 1).astype(int)
    data = pa.concat_tables([data.slice(a, b - a) for a, b in pairwise(edges)])
    return CheckInputs(data, Roles("y", ("sex", "age", "born"), weight="w"), predictions)


@pytest.mark.parametrize("use", CHECKS)
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cuts=st.sets(st.integers(1, ROWS - 1), max_size=6),
    data=st.data(),
    weighted=st.booleans(),
)
def test_any_partition_adds_up_to_the_same_bits(
    use: str, seed: int, cuts: set[int], data: st.DataObject, *, weighted: bool
) -> None:
    check = get(use)
    inputs = people(seed)
    if use == "fairness.classes" and inputs.predictions is not None:
        named = pa.array((inputs.predictions.column("score").to_numpy() * 3).astype("int64"))
        inputs = CheckInputs(inputs.data, inputs.roles, pa.table({"prediction": named}))
    if not weighted:
        inputs = CheckInputs(inputs.data, Roles("y", inputs.roles.sensitive), inputs.predictions)
    params = check.params.from_mapping({"intersections": 3} if use != "fairness.classes" else {})
    (planned,) = check.plan(inputs, params)
    assert planned.data is not None
    whole = check.merge([check.map(planned, params)])
    edges = [0, *sorted(one for one in cuts if one < planned.data.num_rows), planned.data.num_rows]
    parts = data.draw(st.permutations([cut(planned, a, b) for a, b in pairwise(edges)]))
    states = [check.map(part, params) for part in parts]
    merged = check.merge([check.merge(states[:2]), *states[2:]])
    assert bits(merged) == bits(whole)
    assert check.finish(merged, inputs, params).to_json() == check.finish(whole, inputs, params).to_json()


@pytest.mark.parametrize("use", CHECKS[:2])
def test_how_columns_are_stored_does_not_show(use: str) -> None:
    given_as = [people(5), people(5, coded=False), people(5, coded=False, chunks=4), people(5, chunks=7)]
    assert len({run_check(get(use), one, {"intersections": 3}).to_json() for one in given_as}) == 1


def test_weights_of_one_say_what_no_weights_say() -> None:
    plain = people(3)
    assert plain.data is not None
    data = plain.data.drop(["w"]).append_column("w", pa.array(np.ones(ROWS)))
    one = run_check(get("fairness.groups"), CheckInputs(data, Roles("y", ("sex",), weight="w"), plain.predictions))
    other = run_check(get("fairness.groups"), CheckInputs(data, Roles("y", ("sex",)), plain.predictions))
    for weighted, own in zip(one.figures, other.figures, strict=True):
        assert (weighted.key, weighted.group, weighted.n) == (own.key, own.group, own.n)
        for name in ("value", "ci_low", "ci_high", "smallest_gap"):
            # Scores without weights are added up in units of 2⁻³², and an interval sought by halving has its last step.
            near = 1e-5 if own.key.startswith("calibration") and name != "value" else 1e-9
            assert getattr(weighted, name) == pytest.approx(getattr(own, name), abs=near)


def test_rows_without_weight_count_for_nothing() -> None:
    inputs = people(8)
    assert inputs.data is not None
    there = pa.array(inputs.data.column("w").to_numpy() > 0)
    assert inputs.predictions is not None
    fewer = CheckInputs(inputs.data.filter(there), inputs.roles, inputs.predictions.filter(there))
    for use in CHECKS[:2]:
        assert run_check(get(use), inputs).to_json() == run_check(get(use), fewer).to_json()


@pytest.mark.parametrize("bad", [float("nan"), -1.0, None, float("inf")])
def test_what_is_no_weight_is_refused(bad: float | None) -> None:
    inputs = people(1)
    assert inputs.data is not None
    weights = pa.array([bad, *[1.0] * (ROWS - 1)], pa.float64())
    data = inputs.data.drop(["w"]).append_column("w", weights)
    for use in CHECKS[:2]:
        with pytest.raises(CheckError) as error:
            run_check(get(use), CheckInputs(data, inputs.roles, inputs.predictions))
        assert (error.value.code, error.value.column) == ("data.weight_invalid", "w")


def test_many_combinations_are_counted_too() -> None:
    """More cells than are laid out: they are looked up, and the figures of the columns alone stay the same."""
    random = np.random.default_rng(2)
    n = 3000
    columns = {name: random.integers(0, 50, n).astype(str) for name in "abc"}
    data = pa.table({"y": random.integers(0, 2, n), **columns})
    predictions = pa.table({"score": random.random(n)})
    three = run_check(
        get("fairness.groups"), CheckInputs(data, Roles("y", ("a", "b", "c")), predictions), {"intersections": 3}
    )
    for name in "abc":
        alone = run_check(get("fairness.groups"), CheckInputs(data, Roles("y", (name,)), predictions))
        shown = next(table for table in three.tables if table.key == f"groups:{name}")
        assert shown.rows == alone.tables[0].rows
    assert any("combinations; more than" in finding for finding in three.findings)
