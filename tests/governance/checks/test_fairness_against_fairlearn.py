"""Group figures are those of fairlearn's MetricFrame and scikit-learn within 1e-9, with weights, ties and odd groups."""

from __future__ import annotations

import math
import warnings
from typing import Any

import fairlearn.metrics as fl
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from governance.checks import CheckInputs, CheckResult, Roles, get, run_check

METRICS = {
    "Selection rate": fl.selection_rate,
    "True positive rate": fl.true_positive_rate,
    "False positive rate": fl.false_positive_rate,
    "False negative rate": fl.false_negative_rate,
    "Precision": lambda y, p, **w: sk.precision_score(y, p, zero_division=np.nan, **w),
    "Accuracy": sk.accuracy_score,
}
COLUMNS = {"Selection rate": "rate", "True positive rate": "tpr", "False positive rate": "fpr", "Precision": "precision",
           "Accuracy": "accuracy"}  # fmt: skip
bits = st.integers(0, 1)
ROWS = st.lists(
    st.tuples(bits, bits, st.sampled_from("abc"), st.sampled_from("xy"), st.integers(1, 4_000_000)),
    min_size=8,
    max_size=150,
)


def measured(rows: list[tuple[Any, ...]], *, weighted: bool) -> tuple[CheckResult, fl.MetricFrame]:
    y, decision, one, two, millionths = (list(column) for column in zip(*rows, strict=True))
    weight = np.array(millionths) / 1e6
    data = pa.table({"y": y, "one": one, "two": two, "w": weight})
    roles = Roles("y", ("one", "two"), weight="w" if weighted else None)
    inputs = CheckInputs(data, roles, pa.table({"score": pa.array(np.array(decision, dtype="float64"))}))
    result = run_check(get("fairness.groups"), inputs, {"min_group": 1, "min_class": 1, "draws": 0})
    params = {name: {"sample_weight": weight} for name in METRICS} if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = fl.MetricFrame(
            metrics=METRICS, y_true=y, y_pred=decision, sample_params=params,
            sensitive_features=pd.DataFrame({"one": one, "two": two}),
        )  # fmt: skip
    return result, frame


def cells(result: CheckResult, key: str) -> dict[str, dict[str, Any]]:
    table = next(table for table in result.tables if table.key == key)
    names = [name for name, _ in table.columns]
    first = "rate" if key.startswith("spread") else "group"
    return {str(row[names.index(first)]): dict(zip(names, row, strict=True)) for row in table.rows}


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, weighted=st.booleans())
def test_every_intersection_is_fairlearns(rows: list[tuple[Any, ...]], *, weighted: bool) -> None:
    result, frame = measured(rows, weighted=weighted)
    found = cells(result, "intersection:one / two")
    for (one, two), theirs in frame.by_group.iterrows():
        if f"{one} / {two}" not in found:
            assert theirs.isna().all()
            continue
        own = found[f"{one} / {two}"]
        for name, key in COLUMNS.items():
            count = own["n"]
            assert count > 0
            # fairlearn says 0 where a rate has nothing to count; we say that there is no such number.
            if own[key] is None:
                assert math.isnan(theirs[name]) or theirs[name] == 0
            else:
                assert own[key] == pytest.approx(theirs[name], abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, weighted=st.booleans())
def test_the_spread_over_all_groups_is_fairlearns(rows: list[tuple[Any, ...]], *, weighted: bool) -> None:
    rows = [(y, decision, one, "x", weight) for y, decision, one, _, weight in rows]
    pairs = {(y, one) for y, _, one, _, _ in rows}
    chosen = {(decision, one) for _, decision, one, _, _ in rows}
    assume(len({one for _, one in pairs}) > 1)
    assume(all((y, one) in pairs for y in (0, 1) for _, one in pairs))  # else fairlearn puts 0 for what has no value
    result, frame = measured(rows, weighted=weighted)
    found = cells(result, "spread:one")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by = {
            "difference": frame.difference(),
            "ratio": frame.ratio(),
            "to_overall": frame.difference(method="to_overall"),
            "ratio_to_overall": frame.ratio(method="to_overall"),
        }
    for name in METRICS:
        if name == "Precision" and not all((1, one) in chosen for _, one in pairs):
            continue
        assert found[name]["overall"] == pytest.approx(frame.overall[name], abs=1e-9)
        assert found[name]["lowest"] == pytest.approx(frame.group_min()[name], abs=1e-9)
        assert found[name]["highest"] == pytest.approx(frame.group_max()[name], abs=1e-9)
        for key, theirs in by.items():
            if found[name][key] is not None:
                assert found[name][key] == pytest.approx(theirs[name], abs=1e-9), (name, key)


def test_a_huge_and_a_tiny_group() -> None:
    random = np.random.default_rng(1)
    n = 40_000
    rows = list(
        zip(
            random.integers(0, 2, n),
            random.integers(0, 2, n),
            ["a"] * (n - 3) + ["b"] * 3,
            ["x"] * n,
            [10**6] * n,
            strict=True,
        )
    )
    result, frame = measured(rows, weighted=False)
    found = cells(result, "groups:one")
    assert found["b"]["n"] == 3
    for group in "ab":
        assert found[group]["rate"] == pytest.approx(frame.by_group.loc[(group, "x"), "Selection rate"], abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(rows=ROWS)
def test_classes_are_the_binary_figures_of_each_class(rows: list[tuple[Any, ...]]) -> None:
    y, decision, one, _, millionths = (list(column) for column in zip(*rows, strict=True))
    assume(len(set(one)) > 1)
    data = pa.table({"y": y, "one": one, "w": np.array(millionths) / 1e6})
    small = {"min_group": 1, "min_class": 1}
    roles = Roles("y", ("one",), weight="w")
    classes = run_check(get("fairness.classes"), CheckInputs(data, roles, pa.table({"prediction": decision})), small)
    score = pa.table({"score": pa.array(np.array(decision, dtype="float64"))})
    binary = run_check(get("fairness.groups"), CheckInputs(data, roles, score), small)
    same = {"class_rate_difference": "selection_rate_difference", "class_recall_difference": "equal_opportunity_difference",
            "class_false_positive_difference": "false_positive_rate_difference",
            "class_precision_difference": "predictive_parity_difference"}  # fmt: skip
    if 1 not in y:  # classes are those of the label
        return
    for key, other in same.items():
        own = {f.group: (f.value, f.ci_low) for f in classes.figures if f.key == key and f.attribute == "one (class 1)"}
        theirs = {f.group: (f.value, f.ci_low) for f in binary.figures if f.key == other}
        assert own.keys() == theirs.keys()
        for group, (value, low) in own.items():
            assert value == pytest.approx(theirs[group][0], abs=1e-9)
            assert low == pytest.approx(theirs[group][1], abs=1e-9)
    accuracy = {f.group: f.value for f in binary.figures if f.key == "accuracy_difference"}
    assert accuracy == {
        f.group: pytest.approx(accuracy.get(f.group), abs=1e-9)
        for f in classes.figures
        if f.key == "accuracy_difference"
    }


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from("ab"), st.integers(1, 9_000_000)),
                  min_size=12, max_size=80),
    scale=st.sampled_from([1e-290, 1e-6, 1.0, 1e9, 1e280]), weighted=st.booleans(),
)  # fmt: skip
def test_errors_are_scikit_learns(rows: list[tuple[Any, ...]], scale: float, *, weighted: bool) -> None:
    y, predicted, group, millionths = (np.array(column) for column in zip(*rows, strict=True))
    y, predicted, weight = y * scale, predicted * scale, millionths / 1e6
    data = pa.table({"y": y, "group": group, "w": weight})
    roles = Roles("y", ("group",), weight="w" if weighted else None)
    result = run_check(
        get("fairness.regression"), CheckInputs(data, roles, pa.table({"prediction": predicted})), {"min_group": 3}
    )
    for name, own in cells(result, "groups:group").items():
        here = group == name
        if own["said"]:
            assert own["mae"] is None
            continue
        of = {"sample_weight": weight[here] if weighted else None}
        size = float(np.abs(predicted - y)[here].max()) or 1.0
        assert own["mae"] / size == pytest.approx(
            sk.mean_absolute_error(y[here] / size, predicted[here] / size, **of), abs=1e-9
        )
        rooted = sk.root_mean_squared_error(y[here] / size, predicted[here] / size, **of)
        assert own["rmse"] / size == pytest.approx(rooted, abs=1e-9)
        largest = float(np.abs(y[here]).max()) or 1.0
        truth = float(np.average(y[here] / largest, weights=of["sample_weight"]))
        assert own["truth"] / largest == pytest.approx(truth, abs=1e-9)
        mean = float(np.average((predicted - y)[here] / size, weights=of["sample_weight"]))
        assert own["mean_error"] / size == pytest.approx(mean, abs=1e-9)
