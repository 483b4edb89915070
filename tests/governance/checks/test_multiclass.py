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
from governance.checks.performance.multiclass import figures_of, influence


def multiclass(label: Any, predicted: Any, **params: Any) -> CheckResult:
    inputs = CheckInputs(pa.table({"y": label}), Roles("y"), pa.table({"prediction": predicted}))
    return run_check(get("performance.multiclass"), inputs, params)


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
        figure = multiclass(list(label), list(predicted)).figure("balanced_accuracy")
        hits += (figure.ci_low or 0) <= wanted <= (figure.ci_high or 1)
    assert 0.91 <= hits / draws <= 0.985


WEIGHTED = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("abcde"), st.integers(0, 8)), min_size=2, max_size=80
)


@settings(max_examples=60, deadline=None)
@given(rows=WEIGHTED, shards=st.integers(2, 5), data=st.data())
def test_weighted_figures_are_scikit_learns_and_merge_to_the_same_bits(
    rows: list[tuple[str, str, int]], shards: int, data: st.DataObject
) -> None:
    label, predicted, w = (list(one) for one in zip(*rows, strict=True))
    weight = np.array(w) / 4
    assume(len({a for a, b in zip(label, w, strict=True) if b}) > 1)
    table = pa.table({"y": label, "w": weight})
    inputs = CheckInputs(table, Roles("y", weight="w"), pa.table({"prediction": predicted}))
    check = get("performance.multiclass")
    params = check.params.from_mapping({})
    whole = check.merge(check.map(part, params) for part in check.plan(inputs, params))
    parts = data.draw(st.permutations(check.plan(inputs, params, shards=shards)))
    assert check.merge([check.map(part, params) for part in parts]).equals(whole)
    result = check.finish(whole, inputs, params)
    about: dict[str, Any] = {"sample_weight": weight}
    kept = {a for a, b, c in rows if c} | {b for _, b, c in rows if c}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f1 = {"average": "macro", "zero_division": 0, "labels": sorted(kept)}
        expected = {
            "accuracy": sk.accuracy_score(label, predicted, **about),
            "balanced_accuracy": sk.balanced_accuracy_score(
                [a for a, c in zip(label, w, strict=True) if c], [b for b, c in zip(predicted, w, strict=True) if c],
                sample_weight=weight[weight > 0],
            ),
            "macro_f1": sk.f1_score(label, predicted, **f1, **about),
            "kappa": sk.cohen_kappa_score(label, predicted, **about),
            "mcc": sk.matthews_corrcoef(label, predicted, **about),
        }  # fmt: skip
    for key, value in expected.items():
        assert result.figure(key).value == pytest.approx(value, abs=1e-9), key
        low, high = result.figure(key).ci_low, result.figure(key).ci_high
        assert low is None or high is None or low - 1e-9 <= value <= high + 1e-9, key


def test_the_picture_names_the_commonest_mistake() -> None:
    result = multiclass(["a"] * 20 + ["b"] * 20, ["a"] * 20 + ["a"] * 5 + ["b"] * 15)
    assert "25.0% of “b” for “a”" in result.pictures[0].alt
    assert [one.key for one in result.pictures] == ["confusion", "recall"]


def test_many_classes_have_a_picture_of_the_first() -> None:
    names = [f"c{i:03}" for i in range(150)]
    result = multiclass(names * 2, names * 2)
    assert len(result.pictures[0].spec["data"]["values"]) == 400
    assert result.figure("accuracy").value == 1.0


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


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 6))
def test_influences_are_derivatives(seed: int, classes: int) -> None:
    """Against central differences along the share of one cell."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.ones(classes**2)).reshape(classes, classes)
    place, step = tuple(random.integers(0, classes, 2)), 1e-6
    turn = -shares.copy()
    turn[place] += 1
    above, below = (figures_of((shares + sign * step * turn)[None]) for sign in (1, -1))
    for key, moved in influence(shares).items():
        assert moved[place] == pytest.approx(float((above[key] - below[key])[0]) / (2 * step), rel=1e-4, abs=1e-6), key
