"""Training data against test data: the gap with its interval, and one sentence that says what it means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as sk

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check

USE = "performance.overfitting"


def inputs_of(
    train: tuple[Any, Any], test: tuple[Any, Any], *, column: str = "score", weight: str | None = None
) -> CheckInputs:
    tables = [
        (pa.table({"y": y, "w": np.linspace(0.5, 2, len(y))}), pa.table({column: said})) for y, said in (train, test)
    ]
    return CheckInputs(
        tables[1][0], Roles("y", weight=weight), tables[1][1], training=tables[0][0], training_predictions=tables[0][1]
    )


def overfitting(train: tuple[Any, Any], test: tuple[Any, Any], *, column: str = "score", **params: Any) -> CheckResult:
    return run_check(get(USE), inputs_of(train, test, column=column), params)


def scored(n: int, seed: int, noise: float) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, n)
    return y, 1 / (1 + np.exp(-(y * 2 - 1 + noise * random.normal(size=n))))


def test_a_model_that_knows_its_training_data_overfits() -> None:
    result = overfitting(scored(1000, 1, 0.5), scored(800, 2, 2.0))
    assert result.facts["verdict"] == "overfits"
    assert result.findings[0].startswith("AUC is 0.9")
    assert "the model overfits: the whole interval lies beyond the margin of 0.05." in result.findings[0]
    assert (result.facts["training_rows"], result.facts["test_rows"]) == (1000, 800)
    figure = result.figure("auc_gap")
    assert 0.05 < (figure.ci_low or 0) < (figure.value or 0) < (figure.ci_high or 0)


def test_one_that_does_equally_well_does_not() -> None:
    result = overfitting(scored(4000, 1, 1.0), scored(4000, 2, 1.0))
    assert result.facts["verdict"] == "does not overfit"


def test_few_rows_leave_it_open() -> None:
    assert overfitting(scored(60, 1, 1.0), scored(30, 2, 1.2)).facts["verdict"] == "not clear"


def test_the_figures_are_scikit_learns() -> None:
    train, test = scored(300, 3, 1.0), scored(200, 4, 1.5)
    facts = overfitting(train, test).facts
    for side, (y, score) in (("training", train), ("test", test)):
        assert facts[f"{side}_auc"] == pytest.approx(sk.roc_auc_score(y, score), rel=1e-9)
        assert facts[f"{side}_accuracy"] == pytest.approx(sk.accuracy_score(y, score >= 0.5), rel=1e-9)
        assert facts[f"{side}_log_loss"] == pytest.approx(sk.log_loss(y, score), rel=1e-9)


def test_weights_count_on_both_sides() -> None:
    train, test = scored(300, 3, 1.0), scored(200, 4, 1.5)
    facts = run_check(get(USE), inputs_of(train, test, weight="w")).facts
    weight = np.linspace(0.5, 2, 300)
    rounded = np.rint(weight * 1e6) / 1e6
    assert facts["training_auc"] == pytest.approx(sk.roc_auc_score(*train, sample_weight=rounded), rel=1e-9)


def test_a_regression_is_judged_by_the_growth_of_its_error() -> None:
    random = np.random.default_rng(1)
    y, z = random.normal(size=(2, 500))
    train, test = (y, y + 0.5 * random.normal(size=500)), (z, z + random.normal(size=500))
    result = overfitting(train, test, column="prediction")
    assert (result.facts["task"], result.facts["verdict"]) == ("regression", "overfits")
    expected = sk.root_mean_squared_error(*test) / sk.root_mean_squared_error(*train) - 1
    assert result.figure("rmse_growth").value == pytest.approx(expected, rel=1e-9)
    assert result.figure("auc_gap").value is None


def test_a_regression_without_error_on_its_training_data_holds_the_answers() -> None:
    y = [1.5, 2.5, 3.5] * 10
    result = overfitting((y, y), (y, [2.0] * 30), column="prediction")
    assert result.facts["verdict"] == "overfits"
    assert "holds the answers" in result.findings[0]
    assert "holds the answers" in result.figure("rmse_growth").note


def test_next_to_no_error_on_the_training_data_is_none() -> None:
    y = np.array([1.5, 2.5, 3.5] * 10)
    result = overfitting((y * 1e-200, y * 1.5e-200), (y, y + 1), column="prediction")
    assert result.figure("rmse_growth").value is None
    assert result.facts["verdict"] == "overfits"


def test_huge_numbers_are_no_classes() -> None:
    y = np.array([1e200, 2e200, 3e200, 5e200, 8e200] * 4)
    assert overfitting((y, y * 1.1), (y, y * 1.2), column="prediction").facts["task"] == "regression"


def test_classes_are_judged_by_accuracy() -> None:
    random = np.random.default_rng(1)
    y = random.integers(0, 3, 900)
    said = np.where(random.random(900) < 0.95, y, 3)
    result = overfitting((y, said), (y, np.where(random.random(900) < 0.6, y, 3)), column="prediction")
    assert (result.facts["task"], result.facts["verdict"]) == ("multiclass", "overfits")
    assert result.facts["training_accuracy"] == pytest.approx(float((y == said).mean()))


def test_without_training_data_it_does_not_apply() -> None:
    made = CheckInputs(pa.table({"y": [0, 1]}), Roles("y"), pa.table({"score": [0.1, 0.9]}))
    assert "not sealed here" in run_check(get(USE), made).not_applicable


@pytest.mark.parametrize(
    ("train", "predictions", "code"),
    [
        (pa.table({"y": [0, 1]}), None, "inputs.missing"),
        (pa.table({"z": [0, 1]}), pa.table({"score": [0.1, 0.9]}), "data.label_missing"),
        (pa.table({"y": [0, 1]}), pa.table({"score": [0.1]}), "data.rows_differ"),
        (pa.table({"y": [0, 0]}), pa.table({"score": [0.1, 0.9]}), "data.label_one_class"),
        (pa.table({"y": [0, 1]}), pa.table({"score": [0.1, 1.9]}), "data.scores_invalid"),
    ],
)
def test_bad_training_data_is_refused(train: pa.Table, predictions: pa.Table | None, code: str) -> None:
    made = CheckInputs(
        pa.table({"y": [0, 1]}), Roles("y"), pa.table({"score": [0.1, 0.9]}), training=train,
        training_predictions=predictions,
    )  # fmt: skip
    with pytest.raises(CheckError) as error:
        run_check(get(USE), made)
    assert error.value.code == code
