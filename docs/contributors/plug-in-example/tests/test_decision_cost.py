"""The check by hand, and under any split of the rows."""

import pyarrow as pa
import pytest
from acme_checks.decision_cost import DecisionCost

from governance.checks.contract import CheckInputs, Roles, run_check

TRUTH = [0, 0, 0, 0, 1, 1, 1, 1, 0, 1]
SCORES = [0.1, 0.2, 0.9, 0.3, 0.8, 0.7, 0.4, 0.9, 0.6, 0.2]
INPUTS = CheckInputs(
    data=pa.table({"y": TRUTH}), predictions=pa.table({"score": SCORES, "prediction": SCORES}), roles=Roles(label="y")
)


def test_the_mean_is_that_of_the_hand() -> None:
    figure = run_check(DecisionCost(), INPUTS).figure("mean_cost")
    assert figure.value == pytest.approx((2 * 1.0 + 2 * 5.0) / 10)


@pytest.mark.parametrize("shards", range(1, 11))
def test_any_split_gives_the_same_bytes(shards: int) -> None:
    assert run_check(DecisionCost(), INPUTS, shards=shards).to_json() == run_check(DecisionCost(), INPUTS).to_json()
