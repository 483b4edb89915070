"""Binary classifiers: calibration, lift and curves, with weights; scikit-learn's numbers where it has them."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.performance import binary as performance_binary
from governance.checks.performance.binary import coarse
from tests.governance.checks.tables import inputs_of, performance

bits = st.integers(0, 1)
WEIGHTED = st.lists(st.tuples(bits, st.integers(0, 20), st.integers(0, 8)), min_size=4, max_size=100)


def weighted(y: Any, score: Any, weight: Any, **params: Any) -> CheckResult:
    data = pa.table({"y": y, "w": np.asarray(weight, dtype="float64")})
    inputs = CheckInputs(data, Roles("y", weight="w"), pa.table({"score": np.asarray(score, dtype="float64")}))
    return run_check(get("performance.binary"), inputs, params)


def drawn(n: int, seed: int, *, spread: float = 1.5, slope: float = 1.0) -> tuple[Any, Any]:
    """Truths whose log odds are normal, and scores that overstate (slope > 1) or understate them."""
    random = np.random.default_rng(seed)
    odds = spread * random.normal(size=n)
    return (random.random(n) < 1 / (1 + np.exp(-odds))).astype(int), 1 / (1 + np.exp(-slope * odds))


@settings(max_examples=60, deadline=None)
@given(rows=WEIGHTED)
def test_weighted_figures_are_scikit_learns(rows: list[tuple[int, int, int]]) -> None:
    y, score, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    y, score, w = y.astype(int), score / 20, w / 4
    assume(0 < (w * y).sum() < w.sum())
    result = weighted(y, score, w)
    decision = (score >= 0.5).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "auc": sk.roc_auc_score(y, score, sample_weight=w),
            "average_precision": sk.average_precision_score(y, score, sample_weight=w),
            "log_loss": sk.log_loss(y, score, labels=[0, 1], sample_weight=w),
            "brier": sk.brier_score_loss(y, score, sample_weight=w),
            "accuracy": sk.accuracy_score(y, decision, sample_weight=w),
            "recall": sk.recall_score(y, decision, sample_weight=w),
            "specificity": sk.recall_score(1 - y, 1 - decision, sample_weight=w),
            "balanced_accuracy": sk.balanced_accuracy_score(y, decision, sample_weight=w),
            "f1": sk.f1_score(y, decision, sample_weight=w),
        }
    for key, value in expected.items():
        assert result.figure(key).value == pytest.approx(value, rel=1e-9, abs=1e-9), key
    for figure in result.figures:
        if figure.value is not None and figure.ci_low is not None and figure.ci_high is not None:
            assert figure.ci_low - 1e-9 <= figure.value <= figure.ci_high + 1e-9, figure.key


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.25, 1.0, 64.0]))
def test_equal_weights_are_no_weights(seed: int, scale: float) -> None:
    y, score = drawn(50, seed)
    assume(0 < y.sum() < 50)
    plain, same = performance(y, score), weighted(y, score, np.full(50, scale))
    for one, other in zip(plain.figures, same.figures, strict=True):
        assert (one.value, one.ci_low, one.ci_high) == pytest.approx(
            (other.value, other.ci_low, other.ci_high), rel=1e-9
        )


def test_whole_weights_count_like_repeated_rows() -> None:
    y, score = drawn(40, 1)
    times = np.random.default_rng(1).integers(1, 4, 40)
    repeated, by_weight = (
        performance(np.repeat(y, times), np.repeat(score, times)),
        weighted(y, score, times),
    )
    for key in ("auc", "average_precision", "ece", "calibration_slope", "calibration_intercept", "lift", "f1"):
        assert by_weight.figure(key).value == pytest.approx(repeated.figure(key).value, rel=1e-9), key
    auc, wider = repeated.figure("auc"), by_weight.figure("auc")
    assert (wider.ci_high or 0) - (wider.ci_low or 0) > (auc.ci_high or 0) - (auc.ci_low or 0)


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_the_recalibration_is_the_logistic_regression_of_scikit_learn(slope: float) -> None:
    y, score = drawn(300, 4, slope=slope)
    logit = np.log(score / (1 - score))
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(logit[:, None], y)
    result = performance(y, score)
    assert result.figure("calibration_slope").value == pytest.approx(float(model.coef_[0, 0]), rel=1e-7)
    shift = result.figure("calibration_intercept").value or 0
    assert (y - 1 / (1 + np.exp(-logit - shift))).sum() == pytest.approx(0, abs=1e-7)
    low, high = result.figure("calibration_slope").ci_low or 0, result.figure("calibration_slope").ci_high or 0
    assert low < 1 / slope < high


def test_scores_that_separate_have_no_slope_but_say_why() -> None:
    figure = performance([0] * 20 + [1] * 20, [0.2, 0.3] * 10 + [0.7, 0.8] * 10).figure("calibration_slope")
    assert figure.value is None
    assert "separate" in figure.note


def test_one_score_for_all_has_no_slope_but_an_intercept() -> None:
    result = performance([0, 1, 1, 1] * 10, [0.5] * 40)
    assert "same score" in result.figure("calibration_slope").note
    assert result.figure("calibration_intercept").value == pytest.approx(np.log(3), rel=1e-9)
    assert result.figure("auc").value == 0.5


def test_certain_scores_that_are_wrong_break_nothing() -> None:
    result = performance([0, 1] * 20, [1.0, 0.0] * 20)
    assert result.figure("auc").value == 0.0
    assert result.figure("ece").value == 1.0
    assert result.figure("lift").value == 0.0
    assert 30 < (result.figure("log_loss").value or 0) < 40


def test_the_reliability_table_is_scikit_learns() -> None:
    y, score = drawn(500, 6)
    rate, mean = calibration_curve(y, score, n_bins=10)
    table = next(table for table in performance(y, score).tables if table.key == "calibration")
    assert [row[4] for row in table.rows] == pytest.approx(list(rate), rel=1e-9)
    assert [row[3] for row in table.rows] == pytest.approx(list(mean), rel=1e-9)


def test_the_calibration_error_of_a_calibrated_model_reaches_down_to_zero() -> None:
    covered = sum((performance(*drawn(100, seed)).figure("ece").ci_low or 0) == 0 for seed in range(60))
    assert covered >= 54


def test_a_badly_calibrated_model_is_not_zero() -> None:
    figure = performance(*drawn(2000, 3, slope=3.0)).figure("ece")
    assert (figure.ci_low or 0) > 0.05


def test_lift_of_the_top_tenth() -> None:
    y = np.array([1] * 8 + [0] * 2 + [1] * 12 + [0] * 78)
    figure = performance(y, np.linspace(1, 0, 100)).figure("lift")
    assert figure.value == pytest.approx(0.8 / 0.2)
    assert 2 < (figure.ci_low or 0) < 4 < (figure.ci_high or 0) <= 10


def test_rows_of_one_score_enter_the_top_in_proportion() -> None:
    figure = performance([1] * 20 + [0] * 80, [0.5] * 100).figure("lift")
    assert figure.value == pytest.approx(1.0)


def test_the_pictures_hold_aggregates_and_say_what_is_to_be_seen() -> None:
    result = performance(*drawn(400, 2))
    assert [picture.key for picture in result.pictures] == ["calibration", "roc", "precision_recall", "gains"]
    for picture in result.pictures:
        assert len(picture.spec["data"]["values"]) <= 210
        assert picture.alt.endswith(".")


@settings(max_examples=25, deadline=None)
@given(rows=WEIGHTED, cut=st.integers(1, 3), data=st.data())
def test_weighted_rows_merge_to_the_same_bits(rows: list[tuple[int, int, int]], cut: int, data: st.DataObject) -> None:
    y, score, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assume(0 < (w * y).sum() < w.sum())
    inputs = CheckInputs(pa.table({"y": y, "w": w / 3}), Roles("y", weight="w"), pa.table({"score": score / 20}))
    check = get("performance.binary")
    params = check.params.from_mapping({})
    whole = check.merge(check.map(part, params) for part in check.plan(inputs, params))
    parts = data.draw(st.permutations(check.plan(inputs, params, shards=cut + 1)))
    merged = check.merge([check.map(part, params) for part in parts])
    assert merged.equals(whole)
    assert check.finish(merged, inputs, params).to_json() == check.finish(whole, inputs, params).to_json()


GOOD = inputs_of([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8])


@pytest.mark.parametrize(
    ("weights", "code"),
    [
        ([1.0, None, 1.0, 1.0], "data.weight_invalid"),
        ([1.0, float("nan"), 1.0, 1.0], "data.weight_invalid"),
        ([1.0, float("inf"), 1.0, 1.0], "data.weight_invalid"),
        ([1.0, -1.0, 1.0, 1.0], "data.weight_invalid"),
        ([1.0, 1e-9, 1.0, 1.0], "data.weight_invalid"),
        ([1.0, 1e12, 1.0, 1.0], "data.weight_invalid"),
        ([0.0, 0.0, 0.0, 0.0], "data.weight_invalid"),
        (["a", "b", "c", "d"], "data.weight_invalid"),
        ([1.0, 0.0, 1.0, 0.0], "data.label_one_class"),
    ],
)
def test_what_is_no_weight_is_refused(weights: list[Any], code: str) -> None:
    data = pa.table({"y": [0, 1, 0, 1], "w": weights})
    with pytest.raises(CheckError) as error:
        run_check(get("performance.binary"), replace(GOOD, data=data, roles=Roles("y", weight="w")))
    assert error.value.code == code
    assert error.value.column == ("y" if code == "data.label_one_class" else "w")


def test_a_weight_column_that_is_not_there_is_named() -> None:
    with pytest.raises(CheckError, match="“w”") as error:
        run_check(get("performance.binary"), replace(GOOD, roles=Roles("y", weight="w")))
    assert error.value.code == "data.weight_missing"


@settings(max_examples=50, deadline=None)
@given(score=st.floats(0, 1))
def test_coarse_scores_keep_their_distance_from_certainty(score: float) -> None:
    made = float(coarse(np.array([score]))[0])
    assert 0 <= made <= 1
    assert abs(made - score) <= 2.0**-14 * min(score, 1 - score) + 1e-16
    assert (made >= 0.5) == (score >= 0.5)


def test_many_rows_are_kept_coarsely_and_the_result_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    y, score = drawn(2000, 8)
    exact = performance(y, score)
    monkeypatch.setattr(performance_binary, "EXACT_ROWS", 1000)
    bounded = performance(y, score)
    assert any("binary digits" in limit for limit in bounded.limits)
    for key in ("auc", "average_precision", "log_loss", "brier", "ece", "lift"):
        assert bounded.figure(key).value == pytest.approx(exact.figure(key).value, abs=1e-4), key
    assert bounded.figure("log_loss").value != exact.figure("log_loss").value  # or nothing would bound the state
