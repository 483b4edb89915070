"""Shapley values by sampling: the definition, SHAP's exact values for trees, and reasons that are complete and stable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shap
from sklearn.ensemble import GradientBoostingRegressor

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.explanations import shapley
from tests.governance.checks.tables import answered

FEATURES = ("a", "b", "c")


def rows(n: int = 300) -> pa.Table:
    random = np.random.default_rng(8)
    return pa.table({name: random.normal(size=n) for name in FEATURES})


def explained(
    predict: Any, data: pa.Table | None = None, sensitive: tuple[str, ...] = (), **params: Any
) -> CheckResult:
    table = rows() if data is None else data
    inputs = CheckInputs(table, Roles(features=tuple(table.column_names), sensitive=sensitive))
    check = get("explainability.shapley")

    def model(asked: pa.Table) -> pa.Table:
        return pa.table({"prediction": predict(*(asked.column(i).to_numpy() for i in range(asked.num_columns)))})

    return run_check(check, answered(check, inputs, model, **params), params)


def values(result: CheckResult) -> dict[str, tuple[float, float]]:
    """Input → mean absolute value and its sampling error."""
    table = next(table for table in result.tables if table.key == "shapley")
    return {str(row[0]): (float(row[1] or 0), float(row[2] or 0)) for row in table.rows}


def test_every_order_adds_up_exactly() -> None:
    """f(x) - f(z) is split without a rest, whatever the function."""
    made = shapley.design(np.arange(5), np.arange(5, 50), inputs=3, orders=8, seed=2)
    table = rows(50)
    mixed = shapley.mixed(table, made)
    a, b, c = (mixed.column(name).to_numpy() for name in FEATURES)
    said = a * b + np.sin(c) * a
    draws = shapley.draws(said, made)
    ends = said.reshape(5, 8, 4)
    assert draws.sum(axis=2) == pytest.approx(ends[:, :, -1] - ends[:, :, 0], abs=1e-12)
    first = mixed.slice(3, 1).to_pylist()[0]
    assert first == table.slice(0, 1).to_pylist()[0]


def test_a_linear_model_has_its_coefficients() -> None:
    made = shapley.design(np.arange(10), np.arange(10, 300), inputs=3, orders=400, seed=1)
    table = rows()
    mixed = shapley.mixed(table, made)
    weights = np.array([2.0, -1.0, 0.0])
    said = sum(w * mixed.column(name).to_numpy() for w, name in zip(weights, FEATURES, strict=True))
    found = shapley.draws(said, made).mean(axis=1)
    x = np.column_stack([table.column(name).to_numpy() for name in FEATURES])
    assert found == pytest.approx(weights * (x[:10] - x[10:].mean(axis=0)), abs=0.45)
    assert found[:, 2] == pytest.approx(0.0, abs=1e-12)


def test_the_exact_values_of_trees_lie_within_the_stated_error() -> None:
    """Interventional TreeSHAP with the same background rows."""
    table = rows()
    x = np.column_stack([table.column(name).to_numpy() for name in FEATURES])
    model = GradientBoostingRegressor(n_estimators=30, random_state=0).fit(x, x[:, 0] * x[:, 1] + x[:, 2])
    made = shapley.design(np.arange(8), np.arange(8, 300), inputs=3, orders=600, seed=4)
    mixed = shapley.mixed(table, made)
    said = model.predict(np.column_stack([mixed.column(name).to_numpy() for name in FEATURES]))
    draws = shapley.draws(said, made)
    exact = shap.TreeExplainer(model, x[8:], feature_perturbation="interventional").shap_values(x[:8])
    pairs = (draws[:, :300] + draws[:, 300:]) / 2
    error = pairs.std(axis=1, ddof=1) / np.sqrt(300)
    assert (np.abs(draws.mean(axis=1) - exact) <= 4.5 * error + 1e-9).all()


def test_the_strongest_input_and_its_share_are_told() -> None:
    result = explained(lambda a, b, c: 3 * a + b + 0 * c, sensitive=("b",))
    found = values(result)
    assert list(found) == ["a", "b", "c"]
    assert found["c"] == (0.0, 0.0)
    assert result.figure("top_share").value == pytest.approx(0.75, abs=0.06)
    assert result.figure("sensitive_share").value == pytest.approx(0.25, abs=0.06)
    assert result.figure("rank_stability").value == pytest.approx(1.0)


def test_reasons_name_what_pushed_and_are_judged() -> None:
    result = explained(lambda *x: 1 / (1 + np.exp(-4 * x[0])), codes=1, adverse="high")
    assert (result.figure("reasons_complete").value or 0) > 0.9  # near the line sampling may find nothing that pushed
    assert (result.figure("reasons_stable").value or 0) > 0.8
    table = next(table for table in result.tables if table.key == "reasons")
    assert table.rows[0][0] == "a"
    low = explained(lambda *x: 1 / (1 + np.exp(-4 * x[0])), codes=1, adverse="low")
    assert low.figure("reasons_complete").n + result.figure("reasons_complete").n == result.n


def test_many_equal_reasons_are_not_complete_with_one_code() -> None:
    random = np.random.default_rng(0)
    data = pa.table({f"x{i}": random.normal(size=200) for i in range(12)})
    result = explained(lambda *x: 0.5 + sum(x) / 100, data, codes=1)
    assert (result.figure("reasons_complete").value or 0) < 0.3


def test_nobody_refused_gives_no_number() -> None:
    result = explained(lambda *x: 0 * x[0])
    assert result.figure("reasons_complete").value is None
    assert result.figure("reasons_complete").note == "None of the explained rows is refused."
    assert result.figure("sampling_error").value is None


@pytest.mark.parametrize(
    "params", [{"orders": 6}, {"rows": 1}, {"adverse": "both"}, {"codes": 0}, {"background": 5}, {"seed": -1}]
)
def test_parameters_out_of_range_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(CheckError) as error:
        explained(lambda *x: x[0], **params)
    assert error.value.code == "params.value"


def test_too_many_questions_are_refused_before_the_model_is_asked() -> None:
    with pytest.raises(CheckError, match="would ask the model"):
        explained(lambda *x: x[0], pa.table({f"x{i}": np.zeros(9000) for i in range(60)}), rows=4000, orders=40)


def test_many_inputs_are_explained_for_fewer_rows() -> None:
    random = np.random.default_rng(0)
    data = pa.table({f"x{i}": random.normal(size=300) for i in range(200)})
    result = explained(lambda *x: x[0], data)
    assert 10 <= result.n < 100
    assert any(f"{result.n} rows were explained" in limit for limit in result.limits)
