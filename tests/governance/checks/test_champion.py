"""A version against the live one: AUC, decisions, losses, classes and errors, and the verdict in units of the margin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as sk

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.performance.paired import Discordant
from governance.checks.performance.resampled import Ranked

USE = "compare.champion"


def inputs_of(y: Any, own: dict[str, Any], live: dict[str, Any] | None, weight: Any = None) -> CheckInputs:
    data = {"y": y, **({} if weight is None else {"w": weight})}
    roles = Roles("y", weight=None if weight is None else "w")
    return CheckInputs(pa.table(data), roles, pa.table(own), None if live is None else pa.table(live))


def scored(n: int, seed: int, *, better: float = 0.0) -> tuple[Any, Any, Any]:
    """Truths and two scores, the first of which knows more by ``better``."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, n)
    known = y + random.normal(size=n)
    own, live = (1 / (1 + np.exp(-known - random.normal(size=n) * (1 + more))) for more in (0.0, better))
    return y, own, live


def compare(y: Any, own: Any, live: Any, weight: Any = None, **params: Any) -> CheckResult:
    return run_check(get(USE), inputs_of(y, {"score": own}, {"score": live}, weight), params)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_both_versions_figures_are_scikit_learns(seed: int) -> None:
    y, own, live = scored(60, seed)
    weight = np.random.default_rng(seed).integers(1, 9, 60) / 4
    result = compare(y, own.round(2), live.round(2), weight)
    for prefix, score in (("", own.round(2)), ("live_", live.round(2))):
        about = {"sample_weight": weight}
        expected = {
            "auc": sk.roc_auc_score(y, score, **about),
            "average_precision": sk.average_precision_score(y, score, **about),
            "accuracy": sk.accuracy_score(y, score >= 0.5, **about),
            "brier": sk.brier_score_loss(y, score, **about),
            "log_loss": sk.log_loss(y, score, **about),
        }
        for key, value in expected.items():
            assert result.facts[prefix + key] == pytest.approx(value, rel=1e-9), key
    assert result.figure("brier_difference").value == pytest.approx(
        float(result.facts["brier"] or 0) - float(result.facts["live_brier"] or 0), abs=1e-12
    )


@settings(max_examples=80, deadline=None)
@given(own=st.integers(0, 60), live=st.integers(0, 60))
def test_mcnemars_exact_test_is_the_binomial(own: int, live: int) -> None:
    of = Discordant(own, live)
    expected = binomtest(own, own + live).pvalue if own + live else 1.0
    assert of.exact_p == pytest.approx(expected, rel=1e-9)
    assert 0 < of.mid_p <= of.exact_p


def test_mcnemars_mid_p_is_the_published_one() -> None:
    """Fagerland, Lydersen & Laake 2013, table 2 (airway hyper-responsiveness, Bentur et al. 2009): 1 against 7 of 21."""
    assert Discordant(1, 7).exact_p == pytest.approx(0.0703, abs=5e-5)
    assert Discordant(1, 7).mid_p == pytest.approx(0.0391, abs=5e-5)


def test_a_better_version_is_said_to_be_better_in_margins() -> None:
    result = compare(*scored(3000, 1, better=2.0), margin=0.02)
    assert result.facts["verdict"] == "better"
    assert result.facts["not_worse"] is True
    assert result.findings[0].startswith("Better: AUC 0.")
    margins, gap = result.figure("improvement_in_margins"), result.figure("auc_difference")
    assert margins.value == pytest.approx((gap.value or 0) / 0.02)
    assert (margins.ci_low or 0) > 1


def test_a_worse_version_is_said_to_be_worse() -> None:
    y, own, live = scored(3000, 1, better=2.0)
    result = compare(y, live, own, margin=0.02)
    assert (result.facts["verdict"], result.facts["not_worse"]) == ("worse", False)


@pytest.mark.parametrize("metric", ["brier", "log_loss"])
def test_a_smaller_loss_is_an_improvement(metric: str) -> None:
    y, own, live = scored(3000, 2, better=2.0)
    result = compare(y, own, live, metric=metric, margin=0.001)
    assert (result.figure(f"{metric}_difference").value or 0) < 0 < (result.figure("improvement_in_margins").value or 0)
    assert result.facts["verdict"] == "better"


def test_the_same_model_is_no_clear_difference_and_not_worse() -> None:
    y, own, _ = scored(500, 3)
    result = compare(y, own, own)
    assert (result.facts["verdict"], result.facts["not_worse"]) == ("no clear difference", True)
    assert result.figure("auc_difference").value == 0
    assert result.figure("flip_share").value == 0
    assert result.facts["mcnemar_mid_p"] == 1


def test_a_few_rows_cannot_show_that_a_version_is_not_worse() -> None:
    result = compare(*scored(30, 4))
    assert (result.facts["verdict"], result.facts["not_worse"]) == ("no clear difference", False)


def test_without_a_margin_there_are_no_margins() -> None:
    figure = compare(*scored(200, 5), margin=0.0).figure("improvement_in_margins")
    assert figure.value is None
    assert figure.note == "The margin is 0."


def classes(n: int, seed: int) -> tuple[list[str], list[str], list[str]]:
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, n)
    own, live = (np.where(random.random(n) < right, y, random.integers(0, 3, n)) for right in (0.9, 0.5))
    return [list("abc")[i] for i in y], [list("abc")[i] for i in own], [list("abc")[i] for i in live]


def test_classes_are_compared_by_accuracy_and_mean_f1() -> None:
    y, own, live = classes(600, 1)
    result = run_check(get(USE), inputs_of(y, {"prediction": own}, {"prediction": live}))
    assert (result.facts["task"], result.facts["verdict"]) == ("multiclass", "better")
    assert result.facts["macro_f1"] == pytest.approx(sk.f1_score(y, own, average="macro"), rel=1e-9)
    assert result.facts["live_accuracy"] == pytest.approx(sk.accuracy_score(y, live), rel=1e-9)
    gap = result.figure("macro_f1_difference")
    assert 0.2 < (gap.ci_low or 0) < (gap.value or 0) < (gap.ci_high or 0) < 0.5
    assert result.figure("auc_difference").value is None


def test_regressions_are_compared_by_the_ratio_of_their_errors() -> None:
    random = np.random.default_rng(1)
    y = random.normal(size=500) * 100
    own, live = y + random.normal(size=500), y + 2 * random.normal(size=500)
    result = run_check(get(USE), inputs_of(y, {"prediction": own}, {"prediction": live}))
    assert (result.facts["task"], result.facts["verdict"]) == ("regression", "better")
    ratio = sk.root_mean_squared_error(y, own) / sk.root_mean_squared_error(y, live)
    figure = result.figure("rmse_improvement")
    assert figure.value == pytest.approx(1 - ratio, rel=1e-9)
    assert 0.4 < (figure.ci_low or 0) < (figure.ci_high or 0) < 0.6
    assert result.facts["mae"] == pytest.approx(sk.mean_absolute_error(y, own), rel=1e-9)
    assert "margin 0.01 of the live version's" in result.findings[0]


def test_a_live_version_without_error_leaves_no_ratio() -> None:
    y = [1.5, 2.5, 3.5]
    result = run_check(get(USE), inputs_of(y, {"prediction": y}, {"prediction": [1.5, 2.5, 3.0]}))
    assert result.figure("rmse_improvement").value == 1.0
    with pytest.raises(CheckError, match="no “rmse”"):
        run_check(get(USE), inputs_of(y, {"prediction": y}, {"prediction": y}))


def test_a_metric_of_another_task_is_refused() -> None:
    with pytest.raises(CheckError) as error:
        compare(*scored(50, 1), metric="rmse")
    assert error.value.code == "params.value"
    assert "auc" in str(error.value)


def test_scores_on_one_side_only_are_compared_as_classes() -> None:
    made = inputs_of([0, 1] * 20, {"score": [0.1, 0.9] * 20, "prediction": [0, 1] * 20}, {"prediction": [0, 1] * 20})
    assert run_check(get(USE), made).facts["task"] == "multiclass"


def test_scores_are_asked_for_where_the_task_is_named() -> None:
    made = inputs_of([0, 1] * 20, {"score": [0.1, 0.9] * 20}, {"prediction": [0, 1] * 20})
    with pytest.raises(CheckError) as error:
        run_check(get(USE), made, {"task": "binary"})
    assert error.value.code == "data.scores_missing"


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), shards=st.integers(2, 6), data=st.data())
def test_any_partition_merges_to_the_same_bits(kind: str, seed: int, shards: int, data: st.DataObject) -> None:
    random = np.random.default_rng(seed)
    weight = random.random(40) + 0.1
    if kind == "binary":
        y, own, live = scored(40, seed)
        y[:2] = 0, 1
        inputs = inputs_of(y, {"score": own.round(1)}, {"score": live.round(1)}, weight)
    elif kind == "multiclass":
        label, first, second = classes(40, seed)
        inputs = inputs_of(label, {"prediction": first}, {"prediction": second}, weight)
    else:
        y, own, live = random.normal(size=(3, 40))
        inputs = inputs_of(y, {"prediction": own}, {"prediction": live}, weight)
    check = get(USE)
    params = check.params.from_mapping({})
    whole = check.merge(check.map(part, params) for part in check.plan(inputs, params))
    parts = data.draw(st.permutations(check.plan(inputs, params, shards=shards)))
    merged = check.merge([check.map(part, params) for part in parts])
    assert merged.equals(whole)
    assert check.finish(merged, inputs, params).to_json() == check.finish(whole, inputs, params).to_json()


def drawn(result: CheckResult) -> dict[str, tuple[float, float, float]]:
    (table,) = (one for one in result.tables if one.key == "bootstrap")
    return {str(row[0]): tuple(float(cell or 0) for cell in row[1:]) for row in table.rows}  # type: ignore[misc]


def test_the_paired_bootstrap_is_that_of_whole_rows_drawn_again_and_again() -> None:
    y, own, live = scored(400, 5, better=1.0)
    own, live = own.round(1), live.round(1)
    found = drawn(compare(y, own, live, draws=4000, seed=3))
    random = np.random.default_rng(11)
    again = []
    for _ in range(1500):
        at = random.integers(0, 400, 400)
        auc = sk.roc_auc_score(y[at], own[at]) - sk.roc_auc_score(y[at], live[at])
        right = ((own[at] >= 0.5) == y[at]).mean() - ((live[at] >= 0.5) == y[at]).mean()
        brier = ((own[at] - y[at]) ** 2).mean() - ((live[at] - y[at]) ** 2).mean()
        again.append((auc, right, brier))
    for name, column in (("AUC", 0), ("accuracy", 1), ("Brier score", 2)):
        expected = np.quantile([row[column] for row in again], (0.025, 0.975))
        key = next(one for one in found if one.casefold() == name.casefold())
        width = expected[1] - expected[0]
        assert found[key][1:] == pytest.approx(expected, abs=0.12 * width), name


def test_the_bootstrap_counts_a_tie_as_half_a_pair() -> None:
    y, own, _ = scored(200, 9)
    own, times = own.round(1), np.random.default_rng(1).integers(0, 3, (4, 200))
    found = Ranked.of(own, y).auc(times)
    assert found == pytest.approx([sk.roc_auc_score(y, own, sample_weight=row) for row in times], abs=1e-12)


def test_the_paired_bootstrap_of_classes_is_that_of_whole_rows_too() -> None:
    random = np.random.default_rng(2)
    y = random.integers(0, 3, 300)
    own = np.where(random.random(300) < 0.8, y, random.integers(0, 3, 300))
    live = np.where(random.random(300) < 0.6, y, random.integers(0, 3, 300))
    result = run_check(
        get(USE), inputs_of(y, {"prediction": own}, {"prediction": live}), {"draws": 4000, "task": "multiclass"}
    )
    again = []
    for _ in range(1500):
        at = random.integers(0, 300, 300)
        again.append([
            sk.f1_score(y[at], own[at], average="macro") - sk.f1_score(y[at], live[at], average="macro"),
            (own[at] == y[at]).mean() - (live[at] == y[at]).mean(),
        ])  # fmt: skip
    found = drawn(result)
    for name, column in (("mean F1", 0), ("accuracy", 1)):
        expected = np.quantile([row[column] for row in again], (0.025, 0.975))
        key = next(one for one in found if one.casefold() == name.casefold())
        assert found[key][1:] == pytest.approx(expected, abs=0.12 * (expected[1] - expected[0])), name


def test_without_draws_and_of_too_many_kinds_of_rows_no_bootstrap_is_told() -> None:
    y, own, live = scored(100, 1)
    assert not compare(y, own, live, draws=0).tables
    with pytest.raises(CheckError, match="draws"):
        compare(y, own, live, draws=50)
    y, own, live = scored(10_500, 1)
    assert not compare(y, own, live).tables
