"""The flip test against neighbours sought by hand, and what it says when it cannot be done."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from governance.checks import CheckError, CheckInputs, Roles, get, run_check
from governance.checks.fairness.flip_test import paired


def people(n: int = 400, *, bias: float = 0.3) -> CheckInputs:
    """Accepted by income, members of ``d`` less often at the same income."""
    random = np.random.default_rng(3)
    group = random.choice(["a", "d"], n)
    income = random.normal(size=n)
    town = random.choice(["x", "y", "z"], n)
    score = 1 / (1 + np.exp(-2 * income)) - bias * (group == "d")
    data = pa.table({"group": group, "income": income, "town": town})
    return CheckInputs(data, Roles(sensitive=("group",), features=("income", "town", "group")),
                       pa.table({"score": np.clip(score, 0, 1)}))  # fmt: skip


def test_it_is_what_neighbours_sought_by_hand_say() -> None:
    inputs = people()
    assert inputs.data is not None
    assert inputs.predictions is not None
    income = inputs.data.column("income").to_numpy()
    town = np.array(inputs.data.column("town").to_pylist())
    group = np.array(inputs.data.column("group").to_pylist())
    decision = inputs.predictions.column("score").to_numpy() >= 0.5
    place = np.column_stack([(income - np.median(income)) / income.std(), *((town == t) / np.sqrt(2) for t in "xyz")])
    plus = minus = 0
    for row in np.flatnonzero(group == "d"):
        others = np.flatnonzero(group == "a")
        near = others[np.argsort(((place[others] - place[row]) ** 2).sum(axis=1))[:5]]
        vote = decision[near].sum() > 2.5
        plus += int(vote and not decision[row])
        minus += int(decision[row] and not vote)
    n = int((group == "d").sum())
    figure = run_check(get("fairness.flip_test"), inputs).figure("ft", group="d")
    assert figure.value == pytest.approx((plus - minus) / n, abs=1e-12)
    assert (figure.ci_low, figure.ci_high) == pytest.approx(paired(plus, minus, n))
    assert figure.ci_low is not None
    assert figure.ci_low > 0
    assert run_check(get("fairness.flip_test"), inputs).figure("flips", group="d").value == pytest.approx(
        (plus + minus) / n
    )


def test_without_bias_the_interval_holds_nothing() -> None:
    figure = run_check(get("fairness.flip_test"), people(bias=0.0)).figure("ft", group="d")
    assert figure.ci_low is not None
    assert figure.ci_high is not None
    assert figure.ci_low < 0 < figure.ci_high


def test_the_same_seed_takes_the_same_rows() -> None:
    first, again = (run_check(get("fairness.flip_test"), people(), {"rows": 150}).to_json() for _ in range(2))
    assert first == again


def test_a_small_group_has_insufficient_data() -> None:
    figure = run_check(get("fairness.flip_test"), people(30), {"min_group": 25}).figure("ft", group="d")
    assert figure.value is None
    assert figure.note.startswith("Insufficient data")


@pytest.mark.parametrize(("rows_of_d", "known"), [(24, False), (25, True), (75, True), (76, False)])
def test_either_side_needs_the_smallest_group(rows_of_d: int, known: bool) -> None:
    random = np.random.default_rng(5)
    data = pa.table({"group": ["d"] * rows_of_d + ["a"] * (100 - rows_of_d), "income": random.normal(size=100)})
    roles = Roles(sensitive=("group",), features=("income",))
    inputs = CheckInputs(data, roles, pa.table({"score": random.random(100)}))
    figure = run_check(get("fairness.flip_test"), inputs, {"min_group": 25}).figure("ft", group="d")
    assert (figure.value is not None) is known


def test_without_other_features_there_are_no_neighbours() -> None:
    inputs = people()
    inputs = CheckInputs(inputs.data, Roles(sensitive=("group",), features=("group",)), inputs.predictions)
    with pytest.raises(CheckError) as error:
        run_check(get("fairness.flip_test"), inputs)
    assert error.value.code == "inputs.missing"


def test_bonett_and_price_cover_what_they_say() -> None:
    random = np.random.default_rng(4)
    counts = random.multinomial(30, [0.3, 0.2, 0.5], size=4000)
    ends = np.array([paired(int(plus), int(minus), 30) for plus, minus, _ in counts])
    covered = np.mean((ends[:, 0] <= 0.1) & (ends[:, 1] >= 0.1))
    assert 0.93 <= covered <= 0.97
