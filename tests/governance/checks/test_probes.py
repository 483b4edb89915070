"""Checks that ask the model about rows of their own making: disturbed inputs and grids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LinearRegression

from governance.checks import CheckError, CheckInputs, CheckResult, Probe, Roles, get, run_check
from tests.governance.checks.tables import answered

FEATURES = ("age", "income", "job")


def people(n: int = 400) -> pa.Table:
    random = np.random.default_rng(3)
    return pa.table({
        "age": random.integers(18, 80, n), "income": random.lognormal(10, 0.5, n), "job": random.choice(["a", "b", "c"], n),
    })  # fmt: skip


def asked(use: str, model: Callable[[pa.Table], pa.Table], data: pa.Table | None = None, **params: Any) -> CheckResult:
    table = people() if data is None else data
    inputs = CheckInputs(table, Roles(features=tuple(table.column_names)))
    check = get(use)
    return run_check(check, answered(check, inputs, model, **params), params)


def by_age(table: pa.Table) -> pa.Table:
    age = table.column("age").to_pandas().to_numpy(dtype="float64")
    score = np.clip((np.nan_to_num(age, nan=18.0) - 18) / 62, 0, 1)
    return pa.table({"prediction": (score >= 0.5).astype("int64"), "score": score})


def test_noise_changes_decisions_near_the_line_only() -> None:
    little = asked("robustness.perturbations", by_age, noise=0.01).figure("flip_share", group="noise")
    much = asked("robustness.perturbations", by_age, noise=1.0).figure("flip_share", group="noise")
    assert little.value is not None
    assert much.value is not None
    assert little.value < 0.02
    assert much.value > 0.15
    assert little.ci_low is not None


def test_the_probes_are_what_they_say() -> None:
    check, data = get("robustness.perturbations"), people()
    inputs = CheckInputs(data, Roles(features=FEATURES))
    probes = check.probes(inputs, check.params())  # type: ignore[attr-defined]
    assert probes["as it is"].equals(data)
    assert all(table.schema.equals(data.schema) and table.num_rows == data.num_rows for table in probes.values())
    empty = sum(column.null_count for column in probes["missing values"].columns) / (3 * data.num_rows)
    assert empty == pytest.approx(0.1, abs=0.03)
    top = {name: max(data.column(name).to_pylist()) for name in ("age", "income")}
    beyond = probes["out of range"].to_pylist()
    assert all((row["age"] > top["age"]) != (row["income"] > top["income"]) for row in beyond)
    assert set(probes["unseen categories"].column("job").to_pylist()) == {"never seen before"}
    again = check.probes(inputs, check.params())  # type: ignore[attr-defined]
    assert all(again[name].equals(table) for name, table in probes.items())


def test_a_model_that_cannot_take_missing_values_is_told_so() -> None:
    def strict(table: pa.Table) -> pa.Table:
        if any(column.null_count for column in table.columns):
            raise ValueError("Input contains NaN.")
        return by_age(table)

    result = asked("robustness.perturbations", strict)
    assert result.figure("failed_probes").value == 1
    assert result.figure("flip_share", group="missing values").value is None
    assert "Input contains NaN." in result.figure("flip_share", group="missing values").note


def test_a_model_that_answers_nothing_is_an_error() -> None:
    def silent(table: pa.Table) -> pa.Table:
        raise ValueError("no")

    with pytest.raises(CheckError, match="gave no answer to the rows as they are"):
        asked("robustness.perturbations", silent)


def test_labels_alone_are_compared_as_labels() -> None:
    result = asked("robustness.perturbations", lambda table: by_age(table).select(["prediction"]))
    assert result.figure("flip_share", group="noise").value is not None
    assert result.figure("score_shift").note == "The model gives no probabilities."


def test_partial_dependence_is_scikit_learns() -> None:
    data = people(200).select(["age", "income"])
    frame = data.to_pandas().astype("float64")
    target = 2 * frame["age"] - frame["income"] / 1000
    model = LinearRegression().fit(frame, target)
    predict = lambda table: pa.table({"prediction": model.predict(table.to_pandas().astype("float64"))})  # noqa: E731
    result = asked("explainability.effects", predict, data, rows=200)
    table = next(table for table in result.tables if table.key == "dependence")
    for place, name in enumerate(frame):
        found = {row[1]: row[2] for row in table.rows if row[0] == name}
        grid = np.array(list(found))
        expected = partial_dependence(
            model,
            frame,
            [place],
            custom_values={place: grid},
            kind="average",
            method="brute",
            grid_resolution=len(grid),
        )
        assert list(found.values()) == pytest.approx(list(expected["average"][0]), rel=1e-9)
    assert result.figure("effect_range", attribute="age").value == pytest.approx(
        2 * (frame["age"].max() - frame["age"].min())
    )


def test_monotonicity_is_counted_row_by_row() -> None:
    def bent(table: pa.Table) -> pa.Table:
        frame: pd.DataFrame = table.to_pandas()
        up = frame["age"] / 100
        return pa.table({"prediction": np.where(frame["job"] == "a", -up, up).astype("float64")})

    data = people()
    share = data.column("job").to_pylist().count("a") / data.num_rows
    figure = asked("explainability.effects", bent, data, rows=400, increasing=["age"]).figure("monotonicity_violations")
    assert figure.value == pytest.approx(share)
    assert figure.ci_low is not None
    falling = asked("explainability.effects", bent, data, rows=400, decreasing=["age"]).figure(
        "monotonicity_violations"
    )
    assert falling.value == pytest.approx(1 - share)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"increasing": ["gone"]}, "params.value"),
        ({"increasing": ["job"]}, "data.type"),
        ({"increasing": ["age"], "decreasing": ["age"]}, "params.value"),
        ({"rows": 1}, "params.value"),
    ],
)
def test_what_cannot_be_monotone_is_refused(params: dict[str, Any], code: str) -> None:
    with pytest.raises(CheckError) as error:
        asked("explainability.effects", by_age, **params)
    assert error.value.code == code


def test_words_alone_have_no_curve() -> None:
    result = asked("explainability.effects", by_age, people().select(["job"]))
    assert "no numeric input" in result.not_applicable


@pytest.mark.parametrize("use", ["robustness.perturbations", "explainability.effects"])
def test_bad_inputs_are_refused_by_name(use: str) -> None:
    check = get(use)
    for inputs, code in (
        (CheckInputs(people(), Roles()), "inputs.missing"),
        (CheckInputs(people(), Roles(features=("gone",))), "data.feature_missing"),
        (CheckInputs(people(), Roles(features=FEATURES)), "inputs.missing"),
        (CheckInputs(None, Roles(features=FEATURES)), "inputs.missing"),
    ):
        with pytest.raises(CheckError) as error:
            run_check(check, inputs)
        assert error.value.code == code
    asked_for = check.probes(CheckInputs(people(), Roles(features=FEATURES)), check.params())  # type: ignore[attr-defined]
    short = {name: Probe(by_age(table).slice(1)) for name, table in asked_for.items()}
    with pytest.raises(CheckError) as error:
        run_check(check, CheckInputs(people(), Roles(features=FEATURES), probes=short))
    assert error.value.code == "data.rows_differ"
