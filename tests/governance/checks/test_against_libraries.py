"""The figures are those of scikit-learn, SciPy and fairlearn, on random data with ties and odd groups."""

from __future__ import annotations

import warnings
from typing import Any

import fairlearn.metrics as fl
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from scipy.stats.contingency import relative_risk
from sklearn import metrics as sk

from governance.checks import CheckInputs, Roles, get, run_check
from governance.checks.statistics.intervals import katz, newcombe, wilson
from tests.governance.checks.tables import fairness, inputs_of, performance

bits = st.integers(0, 1)
ROWS = st.lists(st.tuples(bits, st.integers(0, 20)), min_size=4, max_size=120)
GROUPED = st.lists(st.tuples(bits, bits, st.sampled_from("abc")), min_size=6, max_size=120)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_performance_is_scikit_learns(rows: list[tuple[int, int]]) -> None:
    y, score = np.array([r[0] for r in rows]), np.array([r[1] for r in rows]) / 20
    assume(0 < y.sum() < len(y))
    decision = score >= 0.5
    result = performance(y, score)

    def value(key: str) -> float | None:
        return result.figure(key).value

    assert value("auc") == pytest.approx(sk.roc_auc_score(y, score), rel=1e-9, abs=1e-9)
    assert value("average_precision") == pytest.approx(sk.average_precision_score(y, score), rel=1e-9, abs=1e-9)
    assert value("log_loss") == pytest.approx(sk.log_loss(y, score, labels=[0, 1]), rel=1e-9)
    assert value("brier") == pytest.approx(sk.brier_score_loss(y, score), rel=1e-9, abs=1e-9)
    assert value("accuracy") == pytest.approx(sk.accuracy_score(y, decision), rel=1e-9, abs=1e-9)
    assert value("recall") == pytest.approx(sk.recall_score(y, decision), rel=1e-9, abs=1e-9)
    if decision.any():
        assert value("precision") == pytest.approx(sk.precision_score(y, decision), rel=1e-9, abs=1e-9)
    else:
        assert value("precision") is None
    assert value("f1") == pytest.approx(sk.f1_score(y, decision), rel=1e-9, abs=1e-9)


def test_delong_is_the_textbook_formula() -> None:
    random = np.random.default_rng(3)
    y = random.integers(0, 2, 80)
    score = np.clip(np.round(random.normal(0.4 + 0.2 * y, 0.2), 2), 0, 1)
    positive, negative = score[y == 1], score[y == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(1).var(ddof=1) / len(positive) + wins.mean(0).var(ddof=1) / len(negative)
    auc = wins.mean()
    half = 1.959963984540054 * np.sqrt(variance) / (auc * (1 - auc))
    logit = np.log(auc / (1 - auc))
    figure = performance(y, score).figure("auc")
    assert figure.value == pytest.approx(auc, rel=1e-9, abs=1e-9)
    assert figure.ci_low == pytest.approx(1 / (1 + np.exp(half - logit)), rel=1e-9, abs=1e-9)
    assert figure.ci_high == pytest.approx(1 / (1 + np.exp(-half - logit)), rel=1e-9, abs=1e-9)


def test_a_perfect_model_keeps_an_honest_interval() -> None:
    figure = performance([0] * 20 + [1] * 10, [0.1] * 20 + [0.9] * 10).figure("auc")
    assert figure.value == 1.0
    assert figure.ci_low == pytest.approx(wilson(10, 10)[0])


def test_the_paired_difference_is_the_textbook_formula() -> None:
    random = np.random.default_rng(5)
    y = random.integers(0, 2, 60)
    first, second = (np.clip(random.normal(0.4 + lift * y, 0.2), 0, 1) for lift in (0.25, 0.2))
    parts = []
    for score in (first, second):
        positive, negative = score[y == 1], score[y == 0]
        wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
        parts.append((wins.mean(), wins.mean(1), wins.mean(0)))
    variance = sum((parts[0][k] - parts[1][k]).var(ddof=1) / len(parts[0][k]) for k in (1, 2))
    made = inputs_of(y, first, champion=pa.table({"score": second}))
    figure = run_check(get("compare.champion"), made).figure("auc_difference")
    assert figure.value == pytest.approx(parts[0][0] - parts[1][0], rel=1e-9, abs=1e-9)
    assert figure.ci_low == pytest.approx(
        parts[0][0] - parts[1][0] - 1.959963984540054 * np.sqrt(variance), rel=1e-9, abs=1e-9
    )


@settings(max_examples=60, deadline=None)
@given(hits=st.integers(0, 50), more=st.integers(0, 50))
def test_wilson_is_scipys(hits: int, more: int) -> None:
    assume(hits + more > 0)
    expected = binomtest(hits, hits + more).proportion_ci(method="wilson")
    assert wilson(hits, hits + more) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(a=st.integers(1, 30), b=st.integers(1, 30), more=st.integers(1, 30), other=st.integers(0, 30))
def test_katz_is_scipys(a: int, b: int, more: int, other: int) -> None:
    expected = relative_risk(a, a + more, b, b + other).confidence_interval(0.95)
    assert katz(a, a + more, b, b + other) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)


def test_newcombe_is_the_published_example() -> None:
    """Newcombe 1998, table II: 56/70 against 48/80, method 10."""
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe(10, 10, 0, 10) == pytest.approx((0.6075, 1.0), abs=5e-5)


@settings(max_examples=60, deadline=None)
@given(rows=GROUPED)
def test_fairness_is_fairlearns(rows: list[tuple[int, int, str]]) -> None:
    y, decision, group = (list(column) for column in zip(*rows, strict=True))
    assume(len(set(group)) > 1)
    result = fairness(y, decision, group)
    about: dict[str, Any] = {"y_true": y, "y_pred": decision, "sensitive_features": group}

    def values(key: str) -> list[float]:
        return [f.value for f in result.figures if f.key == key and f.value is not None]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert max(values("selection_rate_difference")) == pytest.approx(
            fl.demographic_parity_difference(**about), rel=1e-9, abs=1e-9
        )
        if any(decision):
            assert min(values("selection_rate_ratio")) == pytest.approx(
                fl.demographic_parity_ratio(**about), rel=1e-9, abs=1e-9
            )
        else:
            assert not values("selection_rate_ratio")
        pairs = {(a, b) for a, b in zip(y, group, strict=True)}
        if all((1, name) in pairs for name in set(group)):
            assert max(values("equal_opportunity_difference")) == pytest.approx(
                fl.equal_opportunity_difference(**about), rel=1e-9, abs=1e-9
            )
            if all((0, name) in pairs for name in set(group)):
                expected = fl.equalized_odds_difference(**about)
                found = max([*values("equal_opportunity_difference"), *values("false_positive_rate_difference")])
                assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=60))
def test_regression_is_scikit_learns(rows: list[tuple[int, int]]) -> None:
    y, predicted = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    table = CheckInputs(pa.table({"y": y}), Roles("y"), pa.table({"prediction": predicted}))
    result = run_check(get("performance.regression"), table)
    assert result.figure("rmse").value == pytest.approx(sk.root_mean_squared_error(y, predicted), rel=1e-9, abs=1e-9)
    assert result.figure("mae").value == pytest.approx(sk.mean_absolute_error(y, predicted), rel=1e-9, abs=1e-9)
    if len(set(y)) > 1:
        assert result.figure("r2").value == pytest.approx(sk.r2_score(y, predicted), rel=1e-9, abs=1e-9)
    else:
        assert result.figure("r2").value is None
