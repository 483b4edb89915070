"""Performance on the shared reference data: printed figures, and scikit-learn's on real predictions."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn import metrics as sk

from governance.checks import CheckInputs, Roles, get, run_check
from tests.governance.checks.tables import performance, reference


def test_the_overall_figures_of_fairlearns_user_guide() -> None:
    published = json.loads(reference("published_figures.json").read_text())["fairlearn_docs"]
    result = performance(published["y_true"], np.array(published["y_pred"], dtype="float64"))
    assert round(result.figure("recall").value or 0, 6) == published["overall"]["tpr"]
    assert round(1 - (result.figure("specificity").value or 0), 6) == published["overall"]["fpr"]
    selected = sum(row[2] for row in result.tables[0].rows if isinstance(row[2], int))
    assert round(selected / result.n, 6) == published["overall"]["sel"]


def test_employment_in_massachusetts() -> None:
    """A real LightGBM on census data: 277,677 rows, AUC of the reference period and of chunks of 5,000 rows after it."""
    known = json.loads(reference("published_figures.json").read_text())["nannyml_acs"]["ours_not_published"]
    frame = pd.read_csv(reference("acs_employment_ma_2015_2018.csv.gz"))
    before, after = frame[frame.period == "reference"], frame[frame.period == "analysis"]
    result = performance(before.employed.to_numpy(), before.predicted_probability.to_numpy())
    assert round(result.figure("auc").value or 0, 4) == known["reference_auc"]
    y, score = before.employed.to_numpy(), before.predicted_probability.to_numpy()
    assert result.figure("auc").value == pytest.approx(sk.roc_auc_score(y, score), rel=1e-9)
    assert result.figure("average_precision").value == pytest.approx(sk.average_precision_score(y, score), rel=1e-9)
    assert result.figure("brier").value == pytest.approx(sk.brier_score_loss(y, score), rel=1e-9)
    values = []
    for start in range(0, len(after) - 4999, 5000):
        chunk = after.iloc[start : start + 5000]
        made = performance(chunk.employed.to_numpy(), chunk.predicted_probability.to_numpy(), draws=100)
        values.append(made.figure("auc").value or 0)
    assert (round(min(values), 4), round(max(values), 4)) == (
        known["realised_chunk_auc_min"],
        known["realised_chunk_auc_max"],
    )


def test_hourly_bicycles() -> None:
    """The mean of 2011 as a prediction of 2012: R² is negative, and the residuals say by how much it is too low."""
    frame = pd.read_csv(reference("bike_sharing_hour.csv"))
    first, second = frame[frame.yr == 0].cnt.to_numpy(), frame[frame.yr == 1].cnt.to_numpy()
    said = np.full(len(second), first.mean())
    inputs = CheckInputs(pa.table({"y": second}), Roles("y"), pa.table({"prediction": said}))
    result = run_check(get("performance.regression"), inputs)
    assert result.figure("r2").value == pytest.approx(sk.r2_score(second, said), rel=1e-9)
    assert result.figure("rmse").value == pytest.approx(sk.root_mean_squared_error(second, said), rel=1e-9)
    assert result.facts["bias"] == pytest.approx(234.666 - 143.794, abs=2e-3)
    assert "too low" in result.findings[1]
