"""Trees of XGBoost and LightGBM, where they are installed: the model's own answers, and the values of the definition.

Neither is in the locks, since models bring them along: ``uv pip install lightgbm xgboost-cpu`` to run these.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from governance.checks.explanations import trees
from tests.governance.checks.test_trees import by_definition, log_odds, numbers, read, summed


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def explained(model: Any, frame: pd.DataFrame, folder: Path, output: Any, within: float) -> trees.Sum:
    """The sum gives ``output`` (before its link) and its values are those of the definition."""
    found = summed(model, frame, folder)
    assert trees.margins(found, found.cells) == pytest.approx(np.asarray(output(frame), dtype="float64"), abs=within)
    made = trees.exact(found, np.arange(5), np.arange(5, 40), inputs=frame.shape[1])
    assert made.values == pytest.approx(by_definition(output, frame[:5], frame[5:40]), abs=within)
    return found


@pytest.mark.parametrize("missing", [False, True])
def test_lightgbm(missing: bool, tmp_path: Path) -> None:
    library = pytest.importorskip("lightgbm")
    frame, y = numbers(200, missing=missing)
    few: dict[str, Any] = {"n_estimators": 20, "min_child_samples": 5, "verbose": -1}
    for more in ({}, {"use_missing": False}, {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}):
        model = library.LGBMRegressor(**few, **more).fit(frame, y)
        explained(model, frame, tmp_path, model.predict, 1e-9)
    counts = library.LGBMRegressor(**few, objective="poisson").fit(frame, np.round(np.exp(y)))
    assert explained(counts, frame, tmp_path, lambda x: np.log(counts.predict(x)), 1e-9).link == "log"
    classes = library.LGBMClassifier(**few, sigmoid=2.0).fit(frame, y > 0)
    assert explained(classes, frame, tmp_path, lambda x: log_odds(classes.predict_proba(x)[:, 1]), 1e-9).link == "logit"


def test_categories_of_lightgbm(tmp_path: Path) -> None:
    library = pytest.importorskip("lightgbm")
    frame, y = numbers(300)
    frame["x3"] = np.random.default_rng(0).integers(0, 40, 300)
    model = library.LGBMRegressor(n_estimators=10, min_child_samples=5, min_data_per_group=5, cat_smooth=1, verbose=-1)
    model.fit(frame, y + 3 * (frame["x3"] % 3 == 0), categorical_feature=["x3"])
    found = explained(model, frame, tmp_path, model.predict, 1e-9)
    assert found.categories


@pytest.mark.parametrize("missing", [False, True])
def test_xgboost(missing: bool, tmp_path: Path) -> None:
    """It adds its leaves in single precision, so its answers are good for six digits."""
    library = pytest.importorskip("xgboost")
    frame, y = numbers(200, missing=missing)
    few: dict[str, Any] = {"n_estimators": 20, "max_depth": 4}
    model = library.XGBRegressor(**few).fit(frame, y)
    explained(model, frame, tmp_path, model.predict, 1e-5)
    counts = library.XGBRegressor(**few, objective="count:poisson").fit(frame, np.round(np.exp(y)))
    assert explained(counts, frame, tmp_path, lambda x: np.log(counts.predict(x)), 1e-5).link == "log"
    classes = library.XGBClassifier(**few).fit(frame, (y > 0).astype(int))
    assert explained(classes, frame, tmp_path, lambda x: log_odds(classes.predict_proba(x)[:, 1]), 1e-4).link == "logit"
    stopped = library.XGBRegressor(**(few | {"n_estimators": 200}), early_stopping_rounds=3)
    stopped.fit(frame[:100], y[:100], eval_set=[(frame[100:], y[100:])], verbose=False)
    explained(stopped, frame, tmp_path, stopped.predict, 1e-5)


def test_what_is_no_plain_sum_says_so(tmp_path: Path) -> None:
    light, extreme = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    frame, y = numbers(100)
    for model, why in (
        (light.LGBMRegressor(n_estimators=3, zero_as_missing=True, verbose=-1), "zeros for missing"),
        (extreme.XGBRegressor(n_estimators=3, booster="dart"), "boosted by dart"),
        (extreme.XGBRegressor(n_estimators=3, missing=-1.0), "own mark for missing"),
        (extreme.XGBRFRegressor(n_estimators=3), "is a XGBRFRegressor"),
    ):
        assert why in read(model.fit(frame, y), frame, tmp_path)["why"]
    three = light.LGBMClassifier(n_estimators=3, verbose=-1).fit(frame, np.digitize(y, [-0.5, 0.5]))
    assert "two classes" in read(three, frame, tmp_path)["why"]


def test_boosters_of_their_own_and_in_mlflows_wrapper(tmp_path: Path) -> None:
    light = pytest.importorskip("lightgbm")
    import mlflow.lightgbm  # noqa: PLC0415 - takes seconds
    import mlflow.pyfunc  # noqa: PLC0415

    frame, y = numbers(100)
    data = light.Dataset(frame, (y > 0).astype(int))
    booster = light.train({"objective": "binary", "verbose": -1, "min_data_in_leaf": 5}, data, 5)
    assert explained(booster, frame, tmp_path, lambda x: log_odds(booster.predict(x)), 1e-9).link == "logit"
    mlflow.lightgbm.save_model(booster, str(tmp_path / "saved"))
    wrapped = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    explained(wrapped, frame, tmp_path, lambda x: log_odds(booster.predict(x)), 1e-9)
