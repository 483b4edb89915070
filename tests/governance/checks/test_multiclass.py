"""Several classes: scikit-learn's numbers, intervals that hold, and classes too small to be judged."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check


def multiclass(label: Any, predicted: Any, **params: Any) -> CheckResult:
    inputs = CheckInputs(pa.table({"y": label}), Roles("y"), pa.table({"prediction": predicted}))
    return run_check(get("performance.multiclass"), inputs, {"draws": 100, **params})


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcde")), min_size=2, max_size=80))
def test_the_figures_are_scikit_learns(rows: list[tuple[str, str]]) -> None:
    label, predicted = (list(one) for one in zip(*rows, strict=True))
    assume(len(set(label)) > 1)
    result = multiclass(label, predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": sk.accuracy_score(label, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(label, predicted),
            "macro_f1": sk.f1_score(label, predicted, average="macro", zero_division=0),
            "weighted_f1": sk.f1_score(label, predicted, average="weighted", zero_division=0),
            "kappa": sk.cohen_kappa_score(label, predicted),
            "mcc": sk.matthews_corrcoef(label, predicted),
        }
    for key, value in expected.items():
        assert result.figure(key).value == pytest.approx(value, abs=1e-9), key
        assert (result.figure(key).ci_low or 0) <= value + 1e-9 or key != "accuracy"


def test_a_number_is_one_class_whatever_its_type() -> None:
    assert multiclass([0, 1, 2, 0], [0.0, 1.0, 2.0, 1.0]).figure("accuracy").value == 0.75


@pytest.mark.parametrize("n", [100, 400])
def test_the_intervals_cover_the_truth(n: int) -> None:
    """Simulated: 91 to 98 % of nominal 95 % intervals of the balanced accuracy hold the true one."""
    random = np.random.default_rng(5)
    truth = np.array([[0.32, 0.05, 0.03], [0.06, 0.2, 0.04], [0.05, 0.05, 0.2]])
    wanted = float(np.mean(np.diag(truth) / truth.sum(axis=1)))
    names = [(a, b) for a in "abc" for b in "abc"]
    hits, draws = 0, 200
    for _ in range(draws):
        cells = random.multinomial(n, truth.ravel())
        rows = [name for name, count in zip(names, cells, strict=True) for _ in range(count)]
        label, predicted = zip(*rows, strict=True)
        figure = multiclass(list(label), list(predicted), draws=300).figure("balanced_accuracy")
        hits += (figure.ci_low or 0) <= wanted <= (figure.ci_high or 1)
    assert 0.91 <= hits / draws <= 0.985


def test_a_small_class_gives_no_number_of_its_own() -> None:
    result = multiclass(["a"] * 30 + ["b"] * 3, ["a"] * 33)
    assert result.figure("class_recall", group="b").value is None
    assert "has 3 rows" in result.figure("class_recall", group="b").note
    assert result.figure("class_recall", group="a").value == 1.0


@pytest.mark.parametrize(
    ("label", "predicted", "code"),
    [
        (["a", "a"], ["a", "b"], "data.label_one_class"),
        (["a", None], ["a", "b"], "data.label_null"),
        ([str(i) for i in range(300)], ["a"] * 300, "data.label_many"),
        (["a", "b"], ["a", None], "data.predictions_invalid"),
        (["a", "b"], ["a"], "data.rows_differ"),
    ],
)
def test_bad_tables_are_refused(label: Any, predicted: Any, code: str) -> None:
    with pytest.raises(CheckError) as error:
        multiclass(label, predicted)
    assert error.value.code == code
