"""Permutation importance from answers to shuffled rows: the definition, scikit-learn, weights, and what the interval covers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.explanations.importance import SHUFFLED
from tests.governance.checks.tables import answered

Model = Any


def rows(n: int = 400, seed: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    made = {name: random.normal(size=n) for name in ("a", "b", "c")}
    made["noise"] = random.normal(size=n)
    return made


def measured(
    model: Model, label: Any, data: dict[str, Any] | None = None, *, weight: Any = None, sensitive: tuple[str, ...] = (),
    **params: Any,
) -> CheckResult:  # fmt: skip
    """``model`` answers a table with one; ``label`` and ``weight`` are columns beside the inputs a, b, c."""
    table = rows() if data is None else data
    columns = {
        **{name: table[name] for name in ("a", "b", "c")},
        "y": label,
        **({} if weight is None else {"w": weight}),
    }
    roles = Roles("y", sensitive, ("a", "b", "c"), weight=None if weight is None else "w")
    inputs = CheckInputs(pa.table(columns), roles)
    check = get("explainability.importance")
    return run_check(check, answered(check, inputs, model, **params), params)


def number(table: pa.Table) -> pa.Table:
    return pa.table({"prediction": 3 * table["a"].to_numpy() + table["b"].to_numpy()})


def score(table: pa.Table) -> pa.Table:
    return pa.table({"score": 1 / (1 + np.exp(-number(table)["prediction"].to_numpy())), "prediction": table["a"]})


def losses(result: CheckResult) -> dict[str, tuple[float, ...]]:
    return {str(row[0]): tuple(float(cell or 0) for cell in row[1:]) for row in result.tables[0].rows}


def test_inputs_are_ranked_by_what_shuffling_them_costs() -> None:
    data = rows()
    result = measured(number, 3 * data["a"] + data["b"] + data["noise"], sensitive=("b",))
    found = losses(result)
    assert list(found) == ["a", "b", "c"]
    assert found["c"][0] == 0
    assert found["a"][0] == pytest.approx(2 * 9 / 11, abs=0.25)
    assert result.facts["metric"] == "r2"
    assert result.figure("sensitive_share").value == pytest.approx(0.1, abs=0.05)
    assert (result.figure("rank_stability").value or 0) > 0.9
    assert [row["name"] for row in result.pictures[0].spec["data"]["values"]] == ["a", "b", "c"]


def test_the_loss_is_that_of_sklearns_measure_on_the_rows_asked() -> None:
    """From the very rows that were asked, with scikit-learn's AUC and its weights."""
    data = rows()
    random = np.random.default_rng(0)
    y, weight = (3 * data["a"] + data["b"] + data["noise"] > 0).astype(int), random.integers(1, 5, 400) / 2.0
    seen = {}

    def model(table: pa.Table) -> pa.Table:
        seen["rows"] = table
        return score(table)

    result = measured(model, y, data, weight=weight, repeats=2, rows=60)  # fewer than 100: each repeat uses all 60
    asked = seen["rows"]
    assert asked.num_rows == 60 + 2 * 3 * 60
    place = {
        tuple(one.values()): at for at, one in enumerate(pa.table({k: data[k] for k in ("a", "b", "c")}).to_pylist())
    }
    chosen = [place[tuple(one.values())] for one in asked.slice(0, 60).to_pylist()]
    said = score(asked)["score"].to_numpy()
    base = roc_auc_score(y[chosen], said[:60], sample_weight=weight[chosen])
    for position, name in enumerate(("a", "b", "c")):
        drops = [
            base - roc_auc_score(y[chosen], said[start : start + 60], sample_weight=weight[chosen])
            for start in (60 + 60 * (3 * repeat + position) for repeat in range(2))
        ]
        assert losses(result)[name][0] == pytest.approx(np.mean(drops), abs=1e-9)
    assert "worth" in result.findings[1]


def test_it_tends_to_sklearns_permutation_importance() -> None:
    data = rows(1500)
    frame = np.column_stack([data[name] for name in ("a", "b", "c")])
    y = 3 * data["a"] + data["b"] + data["noise"]
    model = LinearRegression().fit(frame, y)

    def predict(table: pa.Table) -> pa.Table:
        return pa.table(
            {"prediction": model.predict(np.column_stack([table[name].to_numpy() for name in ("a", "b", "c")]))}
        )

    found = losses(measured(predict, y, data, repeats=30))
    expected = permutation_importance(model, frame, y, n_repeats=30, random_state=0).importances_mean
    for name, value in zip(("a", "b", "c"), expected, strict=True):
        assert found[name][0] == pytest.approx(value, rel=0.08, abs=0.003)


def test_the_interval_covers_the_truth_over_draws_of_the_rows() -> None:
    """R² falls by 2 Var(3a)/Var(y) for the model 3a: nominal 95 %, over 200 data sets of 120 rows."""
    truth, hits = 2 * 9 / 10, 0
    for seed in range(200):
        data = rows(120, seed)
        y = 3 * data["a"] + data["noise"]
        result = measured(lambda table: pa.table({"prediction": 3 * table["a"].to_numpy()}), y, data)
        _, _, _, low, high = losses(result)["a"]
        hits += low <= truth <= high
    assert hits / 200 >= 0.93


def test_weights_count_as_repeated_rows() -> None:
    """The baseline with weights is that of the rows repeated so often."""
    data = rows(60)
    y = (data["a"] + data["noise"] > 0).astype(int)
    weight = np.arange(60) % 3 + 1
    weighted = measured(score, y, data, weight=weight)
    repeated = {name: np.repeat(column, weight) for name, column in data.items()}
    assert weighted.facts["baseline"] == pytest.approx(
        float(measured(score, np.repeat(y, weight), repeated).facts["baseline"] or 0)
    )


def test_rows_without_weight_do_not_count() -> None:
    data = rows(200)
    y = (data["a"] > 0).astype(int)
    weight = (np.arange(200) < 150).astype(float)
    part = {name: column[:150] for name, column in data.items()}
    assert measured(score, y, data, weight=weight).facts["baseline"] == measured(score, y[:150], part).facts["baseline"]
    with pytest.raises(CheckError) as error:
        measured(score, y, data, weight=-weight)
    assert error.value.code == "data.weight_invalid"


def test_classes_by_name_are_held_to_accuracy() -> None:
    data = rows()
    words = np.array(["low", "mid", "high"])[np.digitize(data["a"], [-0.5, 0.5])]

    def named(table: pa.Table) -> pa.Table:
        return pa.table(
            {"prediction": np.array(["low", "mid", "high"])[np.digitize(table["a"].to_numpy(), [-0.5, 0.5])]}
        )

    result = measured(named, words, data)
    assert (result.facts["metric"], result.facts["baseline"]) == ("accuracy", 1.0)
    assert losses(result)["a"][0] == pytest.approx(2 / 3, abs=0.1)


def test_the_label_never_goes_to_the_model() -> None:
    def model(table: pa.Table) -> pa.Table:
        assert table.column_names == ["a", "b", "c"]
        return number(table)

    measured(model, rows()["a"])


def test_large_data_are_sampled_by_the_seed_and_said() -> None:
    data = rows(3000)
    y = (data["a"] > 0).astype(int)
    first, again, other = (measured(score, y, data, rows=200, seed=seed) for seed in (1, 1, 2))
    assert first.to_json() == again.to_json() != other.to_json()
    assert first.n == 200
    assert "200 of 3000 rows were used, drawn with the seed 1" in first.limits[2]


def test_many_inputs_are_asked_about_fewer_rows() -> None:
    random = np.random.default_rng(0)
    names = [f"x{i}" for i in range(300)]
    table = pa.table({**{name: random.normal(size=5000) for name in names}, "y": random.normal(size=5000)})
    check = get("explainability.importance")
    inputs = CheckInputs(table, Roles("y", (), tuple(names)))
    asked = check.probes(inputs, check.params.from_mapping({"rows": 5000}))[SHUFFLED]  # type: ignore[attr-defined]
    assert 0 < asked.num_rows * 300 <= 40_000_000


def test_a_constant_model_needs_nothing() -> None:
    result = measured(lambda table: pa.table({"prediction": np.zeros(table.num_rows)}), rows()["a"])
    assert result.figure("rank_stability").note == "In a repeat no input made any difference."
    assert result.figure("top_share").value == 0


@pytest.mark.parametrize(
    ("label", "params", "code"),
    [
        (np.ones(400), {}, "data.label_one_class"),
        ([None] + [1] * 399, {}, "data.label_null"),
        (np.arange(400) % 2, {"rows": 3}, "params.value"),
        (np.arange(400) % 2, {"repeats": 1}, "params.value"),
        (np.arange(400) % 3, {}, "data.label_not_binary"),
    ],
)
def test_what_cannot_be_measured_is_refused(label: Any, params: dict[str, Any], code: str) -> None:
    with pytest.raises(CheckError) as error:
        measured(score, label, **params)
    assert error.value.code == code


def test_a_model_that_raises_is_an_error_with_its_words() -> None:
    def model(table: pa.Table) -> pa.Table:
        raise ValueError("no numbers today")

    with pytest.raises(CheckError, match="no numbers today"):
        measured(model, rows()["a"])


def test_a_rare_class_is_in_every_half() -> None:
    data = rows(500)
    y = (np.arange(500) < 3).astype(int)
    assert measured(score, y, data).figure("top_share").value is not None


def test_a_real_classifier_is_measured_by_its_scores() -> None:
    data = rows()
    x = np.column_stack([data[name] for name in ("a", "b", "c")])
    y = (3 * data["a"] + data["b"] + data["noise"] > 0).astype(int)
    model = LogisticRegression().fit(x, y)

    def predict(table: pa.Table) -> pa.Table:
        return pa.table({"score": model.predict_proba(np.column_stack([c.to_numpy() for c in table.columns]))[:, 1]})

    result = measured(predict, y, data)
    assert result.facts["metric"] == "auc"
    assert next(iter(losses(result))) == "a"
