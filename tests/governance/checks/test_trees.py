"""Exact Shapley values from a model's trees: the definition by brute force, and SHAP's explainers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import shap
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    AdaBoostRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from governance.checks.explanations import trees
from governance.sandbox.modes import treeshap

Function = Callable[[pd.DataFrame], Any]


def read(model: Any, frame: pd.DataFrame, folder: Path, positive: Any = None) -> dict[str, Any]:
    """What the sandbox's mode gives for these rows, both of its sides in this process."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pa.parquet.write_table(table, folder / "rows.parquet")
    names = list(frame.columns)
    data, rows = str(folder / "rows.parquet"), len(frame)
    job = {"data": data, "rows": rows, "features": names, "positive": positive, "scratch": str(folder)}
    report = treeshap.work(model, job, lambda _done, _total: None)
    asked = {"rows": len(frame), "features": names, "max_bytes": 10**8}
    found = treeshap.read(report, asked, folder).report
    assert found is not None
    return dict(found)


def summed(model: Any, frame: pd.DataFrame, folder: Path, positive: Any = None) -> trees.Sum:
    return trees.parsed(read(model, frame, folder, positive), list(frame.columns))


def by_definition(function: Function, rows: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Shapley's formula over all coalitions: the mean output with the coalition's inputs put into every other row."""
    names = list(rows.columns)
    k, worth = len(names), {}
    for coalition in range(2**k):
        own, other = np.repeat(np.arange(len(rows)), len(others)), np.tile(np.arange(len(others)), len(rows))
        parts = {
            name: (rows[name].iloc[own] if coalition >> place & 1 else others[name].iloc[other]).reset_index(drop=True)
            for place, name in enumerate(names)
        }
        worth[coalition] = np.asarray(function(pd.DataFrame(parts))).reshape(len(rows), len(others)).mean(axis=1)
    values = np.zeros((len(rows), k))
    for place in range(k):
        for coalition in range(2**k):
            if not coalition >> place & 1:
                size = coalition.bit_count()
                weight = factorial(size) * factorial(k - size - 1) / factorial(k)
                values[:, place] += weight * (worth[coalition | 1 << place] - worth[coalition])
    return values


def numbers(n: int = 60, k: int = 5, *, missing: bool = False) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(5)
    x = random.normal(size=(n, k))
    y = x[:, 0] * x[:, 1] + np.sin(x[:, 2]) + 0.1 * random.normal(size=n)
    if missing:
        x[random.random((n, k)) < 0.15] = np.nan
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(k)]), y


def log_odds(probability: Any) -> Any:
    return np.log(probability) - np.log1p(-probability)


REGRESSORS: list[tuple[Any, bool]] = [
    (DecisionTreeRegressor(max_depth=6, random_state=0), False),
    (DecisionTreeRegressor(random_state=0), True),
    (RandomForestRegressor(8, random_state=0), False),
    (RandomForestRegressor(8, random_state=0), True),
    (ExtraTreesRegressor(8, random_state=0), False),
    (GradientBoostingRegressor(n_estimators=20, random_state=0), False),
    (GradientBoostingRegressor(n_estimators=20, init="zero", random_state=0), False),
    (HistGradientBoostingRegressor(max_iter=20, min_samples_leaf=3, random_state=0), False),
    (HistGradientBoostingRegressor(max_iter=20, min_samples_leaf=3, random_state=0), True),
    (LinearRegression(), False),
    (make_pipeline(SimpleImputer(), StandardScaler(), LinearRegression()), True),
]


@pytest.mark.parametrize(("model", "missing"), REGRESSORS, ids=lambda one: type(one).__name__)
def test_values_are_those_of_the_definition(model: Any, missing: bool, tmp_path: Path) -> None:
    frame, y = numbers(missing=missing)
    model.fit(frame, y)
    found = summed(model, frame, tmp_path)
    assert found.output(trees.margins(found, found.cells)) == pytest.approx(model.predict(frame), rel=1e-12, abs=1e-12)
    made = trees.exact(found, np.arange(12), np.arange(12, 60), inputs=5)
    assert made.values == pytest.approx(by_definition(model.predict, frame[:12], frame[12:]), abs=1e-10)
    assert made.values.sum(axis=1) + made.base == pytest.approx(model.predict(frame[:12]), abs=1e-10)


CLASSIFIERS: list[tuple[Any, bool]] = [
    (DecisionTreeClassifier(max_depth=5, random_state=0), False),
    (RandomForestClassifier(8, random_state=0), False),
    (ExtraTreesClassifier(8, max_depth=6, random_state=0), False),
    (GradientBoostingClassifier(n_estimators=15, random_state=0), True),
    (GradientBoostingClassifier(n_estimators=15, loss="exponential", random_state=0), True),
    (HistGradientBoostingClassifier(max_iter=15, min_samples_leaf=3, random_state=0), True),
    (LogisticRegression(), True),
]


@pytest.mark.parametrize("positive", ["yes", "no"])
@pytest.mark.parametrize(("model", "odds"), CLASSIFIERS, ids=lambda one: type(one).__name__)
def test_classifiers_are_explained_for_the_positive_class(
    model: Any, odds: bool, positive: str, tmp_path: Path
) -> None:
    frame, y = numbers()
    model.fit(frame, np.where(y > 0, "yes", "no"))
    found = summed(model, frame, tmp_path, positive)
    column = list(model.classes_).index(positive)

    def output(rows: pd.DataFrame) -> Any:
        probability = model.predict_proba(rows)[:, column]
        return log_odds(probability) if odds else probability

    assert found.link == ("logit" if odds else "identity")
    assert found.output(trees.margins(found, found.cells)) == pytest.approx(model.predict_proba(frame)[:, column])
    made = trees.exact(found, np.arange(10), np.arange(10, 60), inputs=5)
    assert made.values == pytest.approx(by_definition(output, frame[:10], frame[10:]), abs=1e-9)


@pytest.mark.parametrize(
    "model",
    [GradientBoostingRegressor(n_estimators=30, random_state=0), RandomForestRegressor(10, random_state=0),
     HistGradientBoostingRegressor(max_iter=30, min_samples_leaf=3, random_state=0)],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
def test_shaps_exact_explainer_agrees(model: Any, tmp_path: Path) -> None:
    frame, y = numbers()
    model.fit(frame, y)
    found = summed(model, frame, tmp_path)
    made = trees.exact(found, np.arange(6), np.arange(6, 60), inputs=5)
    masker = shap.maskers.Independent(frame.to_numpy()[6:], max_samples=100)
    function = lambda x: model.predict(pd.DataFrame(x, columns=frame.columns))  # noqa: E731
    expected = shap.ExactExplainer(function, masker)(frame.to_numpy()[:6])
    assert np.abs(made.values - expected.values).max() < 1e-9
    assert made.base == pytest.approx(float(expected.base_values[0]), abs=1e-9)


@pytest.mark.parametrize(
    "model",
    [DecisionTreeRegressor(max_depth=5, random_state=0), GradientBoostingRegressor(n_estimators=30, random_state=0),
     RandomForestRegressor(10, max_depth=6, random_state=0)],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
def test_shaps_tree_explainer_agrees_to_its_single_precision(model: Any, tmp_path: Path) -> None:
    """SHAP 0.51 keeps the weights of coalitions as 32-bit floats (cext/tree_shap.h, memoized_weights): seven digits."""
    frame, y = numbers(80)
    x = frame.to_numpy()
    model.fit(x, y)
    made = trees.exact(summed(model, frame, tmp_path), np.arange(8), np.arange(8, 80), inputs=5)
    expected = shap.TreeExplainer(model, x[8:], feature_perturbation="interventional").shap_values(x[:8])
    assert np.abs(made.values - expected).max() < 1e-6


def applicants(n: int = 80) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(9)
    frame = pd.DataFrame({
        "income": random.lognormal(3, 0.5, n), "job": random.choice(["a", "b", "c"], n), "age": random.integers(18, 80, n),
        "home": np.array(["own", "rent", None], dtype=object)[random.integers(0, 3, n)],
    })  # fmt: skip
    return frame, frame["income"].to_numpy() * (frame["job"] == "a") + (frame["home"] == "own") * 5 + frame["age"] / 9


def pipelines() -> list[Any]:
    words = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["job", "home"]), (StandardScaler(), ["age"]), remainder="passthrough"
    )
    few = make_column_transformer((OneHotEncoder(), ["job", "home"]), remainder="drop")
    return [
        make_pipeline(words, GradientBoostingRegressor(n_estimators=20, random_state=0)),
        make_pipeline(words, LinearRegression()),
        make_pipeline(few, RandomForestRegressor(5, random_state=0)),
        HistGradientBoostingRegressor(max_iter=20, min_samples_leaf=3, categorical_features="from_dtype"),
    ]


@pytest.mark.parametrize("model", pipelines(), ids=lambda one: type(one).__name__)
def test_inputs_are_explained_and_not_the_columns_they_are_encoded_as(model: Any, tmp_path: Path) -> None:
    """The columns of one input move together: their own values would not add up to the input's."""
    frame, y = applicants()
    if isinstance(model, HistGradientBoostingRegressor):
        frame = frame.astype({"job": "category", "home": "category"})
    model.fit(frame, y)
    found = summed(model, frame, tmp_path)
    assert found.output(trees.margins(found, found.cells)) == pytest.approx(model.predict(frame))
    made = trees.exact(found, np.arange(10), np.arange(10, 80), inputs=4)
    assert made.values == pytest.approx(by_definition(model.predict, frame[:10], frame[10:]), abs=1e-9)


def test_a_positive_target_with_a_log_link_adds_up_in_its_logarithm(tmp_path: Path) -> None:
    frame, y = numbers()
    model = HistGradientBoostingRegressor(loss="poisson", max_iter=15, min_samples_leaf=3).fit(frame, np.exp(y))
    found = summed(model, frame, tmp_path)
    assert found.link == "log"
    made = trees.exact(found, np.arange(8), np.arange(8, 60), inputs=5)
    expected = by_definition(lambda rows: np.log(model.predict(rows)), frame[:8], frame[8:])
    assert made.values == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (KNeighborsRegressor(), "is a KNeighborsRegressor"),
        (AdaBoostRegressor(n_estimators=3), "is a AdaBoostRegressor"),
        (make_pipeline(PCA(2), DecisionTreeRegressor()), "mixes inputs before its trees"),
        (make_pipeline(PolynomialFeatures(2), LinearRegression()), "mixes inputs before its trees"),
        (GradientBoostingRegressor(n_estimators=3, init=DecisionTreeRegressor()), "starts from another model"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_is_no_sum_of_single_inputs_says_so(model: Any, why: str, tmp_path: Path) -> None:
    frame, y = numbers()
    assert why in read(model.fit(frame, y), frame, tmp_path)["why"]


@pytest.mark.parametrize("model", [RandomForestClassifier(3), LogisticRegression(), HistGradientBoostingClassifier()])
def test_three_classes_are_no_single_sum(model: Any, tmp_path: Path) -> None:
    frame, y = numbers()
    model.fit(frame, np.digitize(y, [-0.5, 0.5]))
    assert "two classes" in read(model, frame, tmp_path)["why"]


def test_several_outputs_are_no_single_sum(tmp_path: Path) -> None:
    frame, y = numbers()
    for model in (DecisionTreeRegressor(), LinearRegression()):
        assert "several outputs" in read(model.fit(frame, np.column_stack([y, y])), frame, tmp_path)["why"]


def test_a_constant_model_moves_nothing(tmp_path: Path) -> None:
    frame, y = numbers()
    found = summed(DecisionTreeRegressor().fit(frame, 0 * y + 3), frame, tmp_path)
    made = trees.exact(found, np.arange(5), np.arange(5, 60), inputs=5)
    assert not made.values.any()
    assert made.base == 3
    assert "is a DummyRegressor" in read(DummyRegressor().fit(frame, y), frame, tmp_path)["why"]


def test_one_input_carries_everything(tmp_path: Path) -> None:
    frame, y = numbers(k=3)
    model = DecisionTreeRegressor(max_depth=4, random_state=0).fit(frame[["x0"]], y)
    made = trees.exact(summed(model, frame[["x0"]], tmp_path), np.arange(9), np.arange(9, 60), inputs=1)
    said = model.predict(frame[["x0"]])
    assert made.values[:, 0] == pytest.approx(said[:9] - said[9:].mean(), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_random_trees_with_few_values_keep_to_the_definition(
    data: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Ties, repeated rows, missing values, repeated splits on one input, a background of one row."""
    k = data.draw(st.integers(1, 4))
    n = data.draw(st.integers(3, 14))
    cell = st.sampled_from([0.0, 1.0, 2.0, -1.0, float("nan")])
    x = np.array(data.draw(st.lists(st.lists(cell, min_size=k, max_size=k), min_size=n, max_size=n)))
    y = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n)), dtype="float64")
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(k)])
    model = data.draw(
        st.sampled_from([DecisionTreeRegressor(random_state=0), RandomForestRegressor(3, random_state=0)])
    )
    model.fit(frame, y)
    found = summed(model, frame, tmp_path_factory.mktemp("rows"))
    cut = data.draw(st.integers(1, n - 1))
    made = trees.exact(found, np.arange(cut), np.arange(cut, n), inputs=k)
    assert made.values == pytest.approx(by_definition(model.predict, frame[:cut], frame[cut:]), abs=1e-10)


def test_the_blocks_of_the_background_average_to_the_whole(tmp_path: Path) -> None:
    frame, y = numbers(63)
    found = summed(RandomForestRegressor(5, random_state=0).fit(frame, y), frame, tmp_path)
    made = trees.exact(found, np.arange(10), np.arange(10, 63), inputs=5)
    single = trees.exact(found, np.arange(10), np.arange(10, 63)[:: trees.BLOCKS], inputs=5)
    assert made.of_block[:, :, 0] == pytest.approx(single.values, abs=1e-12)


def test_a_path_over_too_many_inputs_is_refused_before_it_is_wrong() -> None:
    count = 70
    nodes = np.arange(2 * count + 1)
    inner = nodes % 2 == 0
    inner[-1] = False
    model = trees.Sum(
        "identity", 0.0, np.arange(count), np.random.default_rng(0).normal(size=(20, count)), None,
        tree=np.zeros(len(nodes), dtype="int32"), left=np.where(inner, nodes + 1, -1), right=np.where(inner, nodes + 2, -1),
        column=np.where(inner, nodes // 2, -1), threshold=np.where(inner, -9.0, 0.0),
        missing_left=np.zeros(len(nodes), dtype=bool), value=np.where(inner, 0.0, 1.0 + nodes), categories={},
    )  # fmt: skip
    with pytest.raises(trees.TooDeepError, match="more than 60 inputs"):
        trees.exact(model, np.arange(5), np.arange(5, 20), inputs=count)


CODE = """
import hashlib, numpy as np
from governance.checks.explanations import trees
random = np.random.default_rng(3)
size, inner = 2 ** 9 - 1, 2 ** 8 - 1
place = np.arange(size)
leaf = place >= inner
model = trees.Sum("identity", 0.5, np.arange(6) // 2, random.normal(size=(400, 6)), None, np.zeros(size, dtype="int32"),
    np.where(leaf, -1, 2 * place + 1), np.where(leaf, -1, 2 * place + 2), np.where(leaf, -1, random.integers(0, 6, size)),
    random.normal(size=size), place % 2 == 0, np.where(leaf, random.normal(size=size), 0), {})
made = trees.exact(model, np.arange(100), np.arange(100, 400), inputs=3)
print(hashlib.sha256(made.values.tobytes() + made.of_block.tobytes()).hexdigest())
"""


def test_the_same_bits_whatever_the_process_and_its_threads() -> None:
    root = Path(__file__).resolve().parents[3]
    seen = set()
    for threads in ("1", "8"):
        names = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", CODE], cwd=root, env=names, capture_output=True, text=True, check=True
        )
        seen.add(done.stdout)
    assert len(seen) == 1
    assert len(seen.pop().strip()) == hashlib.sha256().digest_size * 2
