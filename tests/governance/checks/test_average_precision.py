"""What average precision, its standard error and rounded scores rest on: derivatives, nearest numbers, seeds that count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from governance.checks import CheckInputs, Roles, get
from governance.checks.performance.binary import BinaryParams, coarse
from governance.checks.performance.calibration import Rows
from governance.checks.performance.gains import precision_influence
from governance.checks.statistics.counts import bounded, counted, grid_bits, numbers
from governance.checks.statistics.limbs import BITS, limbs, value
from tests.governance.checks.tables import performance


def test_the_influence_of_a_row_is_the_derivative_by_its_weight() -> None:
    random = np.random.default_rng(2)
    y, score = random.integers(0, 2, 30), random.integers(0, 12, 30) / 12  # with ties
    weight = random.uniform(0.5, 2, 30)
    rows = Rows(score, y, np.ones(30), weight)
    _, influence = precision_influence(rows)
    step = 1e-5
    for place in range(30):
        moved = [
            precision_influence(replace(rows, weight=weight * np.where(np.arange(30) == place, factor, 1.0)))[0]
            for factor in (1 + step, 1 - step)
        ]
        assert influence[place] == pytest.approx((moved[0] - moved[1]) / (2 * step), abs=1e-8)


def test_of_a_single_positive_nothing_is_said_about_how_sure_the_figure_is() -> None:
    figure = performance([0] * 39 + [1], list(np.arange(40) / 40)).figure("average_precision")
    assert (figure.value, figure.ci_low, figure.ci_high) == (1.0, None, None)
    one = performance([0] * 20 + [1] + [0] * 19, list(np.arange(40) / 40)).figure("average_precision")
    assert one.value == pytest.approx(1 / 20)
    assert (one.ci_low, one.ci_high) == (None, None)


def test_many_rows_are_counted_by_rounded_scores_and_few_by_their_own() -> None:
    random = np.random.default_rng(3)
    score = random.random(200)
    inputs = CheckInputs(
        pa.table({"y": random.integers(0, 2, 200)}), Roles("y"), pa.table({"score": score}), prepared={"coarse": True}
    )
    check = get("performance.binary")
    for one, expected in ((True, coarse(score)), (False, score)):
        state = check.map(replace(inputs, prepared={"coarse": one}), BinaryParams())
        assert sorted(set(numbers(state, "score"))) == sorted(set(expected))
    assert (coarse(score) != score).all()


def test_another_seed_draws_another_interval_of_the_calibration_error() -> None:
    random = np.random.default_rng(4)
    score = random.random(80)
    y = (random.random(80) < score).astype(int)
    first, again, other = (performance(y, score, seed=seed).figure("ece") for seed in (1, 1, 2))
    assert (first.ci_low, first.ci_high) == (again.ci_low, again.ci_high)
    assert (first.ci_low, first.ci_high) != (other.ci_low, other.ci_high)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_limbs_are_the_nearest_numbers_of_their_kind(number: int) -> None:
    values = np.random.default_rng(5).uniform(-1, 1, 500)
    made = limbs(values, number)
    for place, expected in enumerate(values):
        found = value([int(one[place]) for one in made])
        assert abs(found - expected) <= 2.0 ** -(BITS * number + 1)


def test_the_coarsest_grid_of_several_holds_for_all() -> None:
    coarser = bounded([counted(pa.table({"score": np.arange(1 << 12) / (1 << 12)}))], most=1 << 10)
    finer = bounded([counted(pa.table({"score": 0.5 + np.arange(64) * 2.0**-22}))], most=15)
    assert (grid_bits(coarser), grid_bits(finer)) == (10, 18)
    both = bounded([finer, coarser])
    assert both.equals(bounded([coarser, finer]))
    assert grid_bits(both) == 10
    assert all(float(one * 2.0**10).is_integer() for one in numbers(both, "score"))
