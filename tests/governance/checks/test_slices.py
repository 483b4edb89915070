"""Slices: the planted one is found, chance alone is not, and what is too small is not judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check


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
