"""Slices: the planted one is found, chance alone is not, and what is too small is not judged."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.performance.slice_tests import Decided, ps
from governance.checks.performance.slicing import PLACES, counted
from governance.checks.statistics.intervals import newcombe


def slices(data: dict[str, Any], y: Any, said: Any, **params: Any) -> CheckResult:
    table = pa.table({"y": y, **data})
    return run_check(get("performance.slices"), CheckInputs(table, Roles("y"), pa.table({"prediction": said})), params)


def planted(seed: int, *, more: float) -> CheckResult:
    """4,000 rows that are wrong in 10 %, and ``more`` among women in region b."""
    random = np.random.default_rng(seed)
    n = 4000
    sex, region = random.choice(["f", "m"], n), random.choice(list("abcd"), n)
    income = random.lognormal(size=n)
    chance = 0.1 + more * ((sex == "f") & (region == "b"))
    y = random.integers(0, 2, n)
    said = np.where(random.random(n) < chance, 1 - y, y)
    return slices({"sex": sex, "region": region, "income": income}, y, said)


def test_the_planted_slice_is_found_first() -> None:
    result = planted(1, more=0.25)
    assert result.figure("worst_gap").group in {"sex = f and region = b", "region = b and sex = f"}
    assert 0.15 < (result.figure("worst_gap").value or 0) < 0.35
    assert result.findings[1].startswith("Worst: sex = f and region = b")


def test_chance_alone_is_seldom_flagged() -> None:
    """Forty samples without a bad slice: the false discovery rate over all slices is 5 %."""
    flagged = sum((planted(seed, more=0.0).figure("flagged_slices").value or 0) > 0 for seed in range(40))
    assert flagged <= 6


def test_the_test_of_a_slice_is_fishers() -> None:
    y, said = [0] * 200, [1] * 30 + [0] * 70 + [1] * 10 + [0] * 90
    result = slices({"group": ["a"] * 100 + ["b"] * 100}, y, said)
    row = result.tables[0].rows[0]
    ps = [stats.fisher_exact([[30, 70], [10, 90]], alternative="greater").pvalue, 1.0]
    assert row[:5] == ("group = a", 100, 30, 0.3, 0.1)
    assert row[8] == pytest.approx(2 * ps[0], rel=1e-9)


def test_a_value_may_hold_any_words() -> None:
    values = ["rock and roll = loud"] * 100 + ["\x1f and"] * 100
    result = slices({"a": values, "b": values[::-1]}, [0] * 200, [1] * 50 + [0] * 150)
    assert result.figure("worst_gap").group == "a = rock and roll = loud"


def test_numbers_are_cut_at_quantiles_and_missing_ones_are_a_slice() -> None:
    x = [float(i % 100) for i in range(400)] + [None] * 100
    y = [0] * 500
    said = [0] * 400 + [1] * 100
    result = slices({"x": x}, y, said)
    assert result.figure("worst_gap").group == "x = (unknown)"
    assert result.figure("worst_gap").value == 1.0


def test_without_large_slices_there_is_no_number() -> None:
    result = slices({"x": ["a"] * 20 + ["b"] * 20}, [0, 1] * 20, [0, 1] * 20)
    assert result.figure("worst_gap").value is None
    assert "50 rows" in result.figure("worst_gap").note


def test_a_margin_says_which_gaps_do_not_matter() -> None:
    y, said = [0] * 200, [1] * 30 + [0] * 70 + [1] * 10 + [0] * 90
    assert slices({"g": ["a"] * 100 + ["b"] * 100}, y, said, margin=0.25).figure("flagged_slices").value == 0


def test_too_many_columns_are_refused() -> None:
    with pytest.raises(CheckError) as error:
        slices({f"c{i}": [0, 1] for i in range(41)}, [0, 1], [0, 1])
    assert error.value.code == "data.columns_many"


def regression(data: dict[str, Any], y: Any, said: Any, **params: Any) -> CheckResult:
    table = pa.table({"y": y, **data})
    inputs = CheckInputs(table, Roles("y"), pa.table({"prediction": said}))
    return run_check(get("performance.slices"), inputs, params)


def test_the_worst_slice_of_a_regression_is_found() -> None:
    random = np.random.default_rng(1)
    n = 4000
    sex, region = random.choice(["f", "m"], n), random.choice(list("abcd"), n)
    y = random.normal(size=n) * 1e6
    said = y + random.normal(size=n) * np.where((sex == "f") & (region == "b"), 3e5, 1e5)
    result = regression({"sex": sex, "region": region}, y, said)
    worst = result.figure("worst_gap")
    assert worst.group == "sex = f and region = b"
    assert 1 < (worst.ci_low or 0) < (worst.value or 0) < (worst.ci_high or 0) < 2.5
    assert result.figure("mean_error").value == pytest.approx(float(np.abs(y - said).mean()), rel=1e-8)
    assert result.figure("error_rate").value is None
    assert "mean error of 2.4" in result.findings[1]


def test_the_test_of_a_slice_of_a_regression_is_welchs() -> None:
    random = np.random.default_rng(2)
    group, y = np.repeat(["a", "b"], [80, 120]), random.normal(size=200)
    said = y + random.normal(size=200) * np.repeat([2.0, 1.0], [80, 120])
    row = regression({"group": group}, y, said).tables[0].rows[0]
    loss = np.abs(y - said)
    found = stats.ttest_ind(loss[:80], loss[80:], equal_var=False, alternative="greater")
    ends = stats.ttest_ind(loss[:80], loss[80:], equal_var=False).confidence_interval(0.95)
    assert row[0] == "group = a"
    assert row[8] == pytest.approx(min(1.0, 2 * found.pvalue), rel=1e-5)
    assert float(row[6] or 0) <= ends.low + 1e-6
    assert row[5] == pytest.approx(loss[:80].mean() - loss[80:].mean(), rel=1e-8)


@pytest.mark.parametrize("scale", [1e-300, 1e299])
def test_the_magnitude_of_a_regression_does_not_matter(scale: float) -> None:
    random = np.random.default_rng(4)
    group, y = np.repeat(["a", "b"], [100, 100]), random.normal(size=200)
    said = y + random.normal(size=200) * np.repeat([3.0, 1.0], [100, 100])
    plain, scaled = regression({"g": group}, y, said), regression({"g": group}, y * scale, said * scale)
    one, other = plain.figure("worst_gap"), scaled.figure("worst_gap")
    assert [other.value, other.ci_low, other.ci_high] == pytest.approx([one.value, one.ci_low, one.ci_high], rel=1e-6)


def test_an_exact_regression_has_no_slice_that_errs() -> None:
    y = np.arange(200) / 3
    result = regression({"group": ["a", "b"] * 100}, y, y)
    assert result.figure("flagged_slices").value == 0
    assert result.figure("mean_error").value == 0


def test_intervals_of_flagged_slices_are_wider_for_their_selection() -> None:
    y, said = [0] * 200, [1] * 40 + [0] * 60 + [1] * 10 + [0] * 90
    row = slices({"group": ["a"] * 100 + ["b"] * 100}, y, said).tables[0].rows[0]
    low, high = newcombe(40, 100, 10, 100)
    assert row[9] is True
    assert float(row[6] or 0) < low < high < float(row[7] or 0)


def test_a_slice_is_flagged_up_to_alpha_and_counts_from_min_rows_on() -> None:
    y, said = [0] * 200, [1] * 30 + [0] * 70 + [1] * 10 + [0] * 90
    groups = {"group": ["a"] * 100 + ["b"] * 100}
    p = float(slices(groups, y, said).tables[0].rows[0][8] or 0)
    assert slices(groups, y, said, alpha=p).figure("flagged_slices").value == 1
    assert slices(groups, y, said, alpha=p * 0.999).figure("flagged_slices").value == 0
    assert slices(groups, y, said, min_rows=100).figure("worst_gap").value is not None
    assert slices(groups, y, said, min_rows=101).figure("worst_gap").value is None


def test_nearly_all_rows_are_no_slice() -> None:
    """There is nothing left to set them against."""
    y, said = [0] * 200, [1] * 30 + [0] * 170
    result = slices({"group": ["a"] * 160 + ["b"] * 40}, y, said, min_rows=50)
    assert result.figure("worst_gap").value is None


def test_classes_and_scores_are_sliced_too() -> None:
    random = np.random.default_rng(3)
    region, y = random.choice(["a", "b"], 600), random.integers(0, 3, 600)
    said = np.where((region == "a") & (random.random(600) < 0.4), 9, y)
    result = slices({"region": region}, y, said)
    assert result.figure("worst_gap").group == "region = a"
    assert result.pictures[0].key == "slices"
    assert "1 slices are flagged" in result.pictures[0].alt


def test_columns_with_another_role_are_no_slices() -> None:
    data = pa.table(
        {"y": [0, 1] * 100, "id": ["a", "b"] * 100, "w": [1.0, 2.0] * 100, "t": [1, 2] * 100, "x": [5, 6] * 100}
    )
    inputs = CheckInputs(data, Roles("y", weight="w", id="id", time="t"), pa.table({"prediction": [0, 0] * 100}))
    result = run_check(get("performance.slices"), inputs)
    assert {row[0] for row in result.tables[0].rows} == {"x = 5", "x = 6"} or result.figure(
        "worst_gap"
    ).group == "x = 6"
    assert result.facts["tried"] == 2


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), shards=st.integers(2, 6), data=st.data())
def test_any_partition_of_a_regression_merges_to_the_same_bits(seed: int, shards: int, data: st.DataObject) -> None:
    random = np.random.default_rng(seed)
    table = pa.table({"y": random.normal(size=80), "g": random.choice(["a", "b"], 80), "x": random.normal(size=80)})
    inputs = CheckInputs(table, Roles("y"), pa.table({"prediction": random.normal(size=80)}))
    check = get("performance.slices")
    params = check.params.from_mapping({"min_rows": 10})
    whole = check.merge(check.map(part, params) for part in check.plan(inputs, params))
    parts = data.draw(st.permutations(check.plan(inputs, params, shards=shards)))
    merged = check.merge([check.map(part, params) for part in parts])
    assert merged.equals(whole)
    assert check.finish(merged, inputs, params).to_json() == check.finish(whole, inputs, params).to_json()


@pytest.mark.parametrize("losses", [False, True], ids=["decisions", "losses"])
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 9))
def test_each_two_columns_are_counted_as_if_alone(losses: bool, seed: int, n: int, width: int) -> None:
    random = np.random.default_rng(seed)
    names = [f"c{number}" for number in range(width)]
    frame = pd.DataFrame({name: random.integers(0, random.integers(1, 45), n) for name in names})
    frame["c0"] = np.where(random.random(n) < 0.2, np.nan, random.normal(size=n))
    values = random.integers(0, 2**40 if losses else 2, n)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    state = counted(CheckInputs(table, Roles(features=tuple(names))), {"c0": [-0.5, 0.5]}, {"x": values}, pairs=True)
    words = frame.astype(object)
    words["c0"] = np.select(
        [frame["c0"].isna(), frame["c0"] <= -0.5, frame["c0"] <= 0.5],
        ["(unknown)", "up to -0.5", "-0.5 to 0.5"],
        "above 0.5",
    )
    words = words.astype(str).assign(x=values)
    wanted: dict[tuple[object, ...], tuple[int, int]] = {("", "", "", ""): (n, int(values.sum()))}
    for some in [*combinations(names, 1), *combinations(names, 2)]:
        for key, rows in words.groupby(list(some)):
            place = [item for pair in zip(some, key, strict=True) for item in pair]
            wanted[tuple([*place, "", ""][:4])] = (len(rows), int(rows["x"].sum()))
    rows_of = state.to_pylist()
    found = {tuple(row[one] for one in PLACES): (row["count"], row["sum_x"]) for row in rows_of}
    assert len(found) == len(rows_of)
    assert found == wanted


def test_the_test_of_many_slices_is_that_of_each() -> None:
    random = np.random.default_rng(3)
    made = []
    for _ in range(300):
        n, others = random.integers(1, 200, 2).tolist()
        wrong, others_wrong = int(random.integers(0, n + 1)), int(random.integers(0, 9)) % (others + 1)
        made.append(Decided(("a", "b", "", ""), n, others, wrong, others_wrong))
    made.append(Decided(("a", "b", "", ""), 5, 7, 0, 0))
    made.append(Decided(("a", "b", "", ""), 5, 7, 5, 7))
    assert ps(made) == [one.p for one in made]
    assert ps([]) == []


def test_words_that_no_row_has_take_no_room() -> None:
    declared = pa.array([f"w{number}" for number in range(30_000)])
    data = {name: pa.DictionaryArray.from_arrays(pa.array([5, 9] * 100, pa.int32()), declared) for name in "ab"}
    result = slices(data, [0] * 200, [1, 0] * 100)
    assert result.figure("worst_gap").group in {"a = w5", "b = w5", "a = w5 and b = w5"}
