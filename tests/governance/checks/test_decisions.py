"""Decisions against the truth, with weights: every figure is scikit-learn's, at the threshold and in the table of others."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from governance.checks.figures import Maker
from governance.checks.manifests.performance import BINARY
from governance.checks.performance.calibration import Rows
from governance.checks.performance.decisions import Decided, by_threshold
from governance.checks.statistics.estimates import rate_interval

N = 200


def drawn() -> Rows:
    """Scores on the grid of the thresholds, so that many lie exactly at one."""
    random = np.random.default_rng(5)
    score = random.integers(0, 21, N) / 20
    y = (random.random(N) < 0.2 + 0.6 * score).astype("int64")
    return Rows(score, y, np.ones(N, dtype="int64"), random.integers(1, 5, N) / 2)


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.8])
def test_figures_are_scikit_learns_and_intervals_rest_on_equal_rows(threshold: float) -> None:
    rows = drawn()
    said = (rows.score >= threshold).astype("int64")
    made = {one.key: one for one in Decided.of(rows.y, said, rows.count, rows.weight).figures(Maker(BINARY))}
    given = {"y_true": rows.y, "y_pred": said, "sample_weight": rows.weight}
    expected = {
        "accuracy": metrics.accuracy_score(**given),
        "balanced_accuracy": metrics.balanced_accuracy_score(**given),
        "precision": metrics.precision_score(**given),
        "recall": metrics.recall_score(**given),
        "specificity": metrics.recall_score(**given, pos_label=0),
        "f1": metrics.f1_score(**given),
    }
    assert {key: one.value for key, one in made.items()} == pytest.approx(expected)
    over = {
        "accuracy": np.ones(N, dtype=bool), "precision": said == 1, "recall": rows.y == 1, "specificity": rows.y == 0,
    }  # fmt: skip
    for key, mine in over.items():
        weight = rows.weight[mine]
        equal = weight.sum() ** 2 / (weight**2).sum()
        assert (made[key].ci_low, made[key].ci_high) == pytest.approx(rate_interval(expected[key], equal)), key
        assert made[key].n == mine.sum()


def test_a_score_at_the_threshold_is_a_positive_decision_in_the_table_too() -> None:
    rows = drawn()
    table = by_threshold(rows)
    assert [row[0] for row in table.rows] == pytest.approx([step / 20 for step in range(1, 20)])
    for cut, selected, precision, recall, specificity, f1, accuracy in table.rows:
        said = (rows.score >= float(cut or 0)).astype("int64")
        given = {"y_true": rows.y, "y_pred": said, "sample_weight": rows.weight}
        assert (selected, precision, recall, specificity, f1, accuracy) == pytest.approx(
            (
                np.average(said, weights=rows.weight), metrics.precision_score(**given), metrics.recall_score(**given),
                metrics.recall_score(**given, pos_label=0), metrics.f1_score(**given), metrics.accuracy_score(**given),
            )
        )  # fmt: skip
