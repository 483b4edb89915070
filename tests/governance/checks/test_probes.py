"""Checks that ask the model about rows of their own making: disturbed inputs and grids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LinearRegression

from governance.checks import CheckError, CheckInputs, CheckResult, Probe, Roles, get, run_check
from governance.checks.rows.sampling import sample
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


def test_a_score_at_the_threshold_is_a_yes() -> None:
    """Decisions are cut as everywhere else, so what falls below the line has changed."""

    def on_the_line(table: pa.Table) -> pa.Table:
        known = table.column("job").to_pandas() != "never seen before"
        return pa.table({"score": np.where(known, 0.5, 0.4)})

    result = asked("robustness.perturbations", on_the_line)
    assert result.figure("flip_share", group="unseen categories").value == 1
    assert result.figure("flip_share", group="noise").value == 0


def test_another_kind_of_answer_is_another_decision() -> None:
    def fickle(table: pa.Table) -> pa.Table:
        answer = by_age(table)
        number = pa.table({"prediction": answer.column("prediction").cast(pa.float64())})
        return number if table.column("age").null_count else answer

    result = asked("robustness.perturbations", fickle)
    assert result.figure("flip_share", group="missing values").value == 1


def test_labels_alone_are_compared_as_labels() -> None:
    result = asked("robustness.perturbations", lambda table: by_age(table).select(["prediction"]))
    assert result.figure("flip_share", group="noise").value is not None
    assert result.figure("score_shift").note == "The model gives neither probabilities nor numbers."


def by_income(table: pa.Table) -> pa.Table:
    return pa.table({"prediction": table.column("income").to_pandas().fillna(0).to_numpy(dtype="float64")})


def test_a_number_counts_as_changed_beyond_the_tolerance() -> None:
    little = asked("robustness.perturbations", by_income, tolerance=0.5)
    assert little.figure("flip_share", group="noise").value == 0
    assert little.figure("score_shift", group="noise").value == pytest.approx(0.08, abs=0.02)  # 0.1 · E|Z|
    tight = asked("robustness.perturbations", by_income, tolerance=0.05)
    share = tight.figure("flip_share", group="noise")
    assert share.value == pytest.approx(0.617, abs=0.08)  # P(|Z| > 0.5)
    assert any("predicts numbers" in limit for limit in little.limits)
    assert little.facts["output"] == "number"


def test_a_constant_number_never_moves() -> None:
    result = asked("robustness.perturbations", lambda table: pa.table({"prediction": np.ones(table.num_rows)}))
    assert {figure.value for figure in result.figures if figure.key == "flip_share"} == {0.0}
    assert result.figure("score_shift").value is None


def test_flips_are_drawn_with_their_intervals() -> None:
    (picture,) = asked("robustness.perturbations", by_age).pictures
    rows = picture.spec["data"]["values"]
    assert [row["name"] for row in rows] == ["noise", "missing values", "out of range", "unseen categories"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint8(), pa.int64(), pa.uint64(), pa.float32()])
def test_columns_at_the_ends_of_their_type_are_disturbed_within_it(kind: pa.DataType) -> None:
    """Noise below zero of a whole number without sign, twice the range of a byte: what cannot be held ends at the end."""
    top = np.iinfo(kind.to_pandas_dtype()).max if pa.types.is_integer(kind) else float(np.finfo("float32").max)
    data = pa.table({"age": pa.array([0, 1, top, None] * 100, kind), "job": ["a"] * 400})
    check = get("robustness.perturbations")
    inputs = CheckInputs(data, Roles(features=("age", "job")))
    probes = check.probes(inputs, check.params())  # type: ignore[attr-defined]
    assert all(table.schema.field("age").type == kind for table in probes.values())
    assert probes["noise"].column("age").null_count == 100
    assert pc.all(pc.is_finite(probes["out of range"].column("age").cast(pa.float64(), safe=False))).as_py()


def test_large_data_are_sampled_and_said() -> None:
    result = asked("robustness.perturbations", by_age, rows=100)
    assert result.n == 100
    assert "100 of 400 rows were disturbed, drawn with the seed 0" in result.limits[-1]
    assert result.to_json() == asked("robustness.perturbations", by_age, rows=100).to_json()


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
    ends = [float(row[1] or 0) for row in table.rows if row[0] == "age"]
    assert result.figure("effect_range", attribute="age").value == pytest.approx(2 * (max(ends) - min(ends)))


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


def test_a_single_step_back_is_a_violation_however_far_it_rises() -> None:
    def dips(table: pa.Table) -> pa.Table:
        x = table.column("x").to_numpy()
        return pa.table({"prediction": np.where((x > 40) & (x < 60), x - 15, x)})

    data = pa.table({"x": [float(number) for number in range(100)]})
    figure = asked("explainability.effects", dips, data, increasing=["x"]).figure("monotonicity_violations")
    assert figure.value == 1


def test_what_must_be_monotone_is_moved_first_and_always() -> None:
    """However few inputs are to be moved: a requirement must not go unmeasured."""
    random = np.random.default_rng(1)
    data = pa.table({f"x{number}": random.normal(size=60) for number in range(5)})

    def falls(table: pa.Table) -> pa.Table:
        return pa.table({"prediction": -table.column("x3").to_numpy() - table.column("x4").to_numpy()})

    result = asked("explainability.effects", falls, data, increasing=["x4"], decreasing=["x3"], features=1)
    found = {one.attribute: one.value for one in result.figures if one.key == "monotonicity_violations"}
    assert found == {"x4": 1.0, "x3": 0.0}
    only = asked("explainability.effects", falls, data, increasing=["x4"], features=2)
    assert {one.attribute for one in only.figures if one.key == "effect_range"} == {"x4", "x0"}


@pytest.mark.parametrize(("count", "shown"), [(4, False), (5, True)])
def test_a_value_is_shown_from_five_rows_on(count: int, shown: bool) -> None:
    few = [True] * count + [False] * (100 - count)
    data = pa.table({"word": ["few" if one else "many" for one in few], "flag": few, "x": list(range(100))})
    inputs = CheckInputs(data, Roles(features=("word", "flag", "x")))
    check = get("explainability.effects")
    asked_for = check.probes(inputs, check.params())["grid"]  # type: ignore[attr-defined]
    assert asked_for.num_rows > 0
    result = asked("explainability.effects", lambda table: pa.table({"prediction": np.zeros(table.num_rows)}), data)
    moved = {one.attribute for one in result.figures if one.key == "effect_range"}
    assert moved == ({"word", "flag", "x"} if shown else {"x"})


def test_the_ends_of_a_grid_have_five_rows_beyond_them() -> None:
    data = pa.table({"x": [float(number) for number in range(100)]})
    result = asked("explainability.effects", lambda table: pa.table({"prediction": table.column("x")}), data)
    points = [float(row[1] or 0) for table in result.tables if table.key == "dependence" for row in table.rows]
    assert (min(points), max(points)) == (4.0, 94.0)


def test_words_are_moved_through_their_frequent_categories() -> None:
    data = people()
    jobs = pa.array(["rare" if place < 3 else job for place, job in enumerate(data["job"].to_pylist())])
    for column in (jobs, jobs.dictionary_encode()):
        table = data.set_column(2, "job", column)
        result = asked("explainability.effects", by_job, table)
        rows = {row[1]: row[2] for row in tables(result)["categories"].rows}
        assert rows == {"a": 1.0, "b": 0.0, "c": 0.0}
        assert result.figure("effect_range", attribute="job").value == 1.0
        picture = next(one for one in result.pictures if "job" in one.title)
        assert {row["name"] for row in picture.spec["data"]["values"]} == {"a", "b", "c"}


def by_job(table: pa.Table) -> pa.Table:
    jobs = table.column("job").to_pylist()
    assert table.schema.field("job").type == table.column("job").type
    return pa.table({"prediction": [1.0 if job == "a" else 0.0 for job in jobs]})


def tables(result: CheckResult) -> dict[str, Any]:
    return {table.key: table for table in result.tables}


def test_a_result_holds_no_value_of_a_single_row() -> None:
    """Neither the largest nor the smallest value of an input, nor a row's own curve."""
    data = people().append_column("odd", pa.array([1e6, *range(399)]).cast(pa.float64()))
    result = asked("explainability.effects", by_age, data)
    points = [row[1] for row in tables(result)["dependence"].rows if row[0] == "odd"]
    assert min(points) >= 4
    assert max(points) <= 395
    assert "1000000" not in result.to_json()


@pytest.mark.parametrize(
    "column",
    [
        np.zeros(400), np.full(400, np.nan), np.array([1.0, *np.zeros(399)]), np.array([np.inf] * 200 + [1.0] * 200),
        np.array([True] * 398 + [False] * 2), np.array([f"name {i}" for i in range(400)]),
        pa.array([[1]] * 400), pa.array([None] * 400, pa.string()),
    ],
    ids=["constant", "empty", "one value apart", "infinite", "rare", "all different", "lists", "no words"],
)  # fmt: skip
def test_an_input_without_two_values_is_left_out(column: Any) -> None:
    data = people().append_column("odd", pa.array(column))
    result = asked("explainability.effects", by_age, data)
    assert {figure.attribute for figure in result.figures if figure.key == "effect_range"} == {"age", "income", "job"}
    assert any("3 of 4 inputs were moved" in limit for limit in result.limits)


def test_nothing_to_move_does_not_apply() -> None:
    result = asked("explainability.effects", by_age, people().select(["age"]).slice(0, 1))
    assert "no input with two values" in result.not_applicable


def test_a_constant_input_that_must_be_monotone_gives_no_number() -> None:
    data = people().append_column("flat", pa.array(np.ones(400)))
    figure = asked("explainability.effects", by_age, data, increasing=["flat"]).figure("monotonicity_violations")
    assert (figure.value, figure.attribute) == (None, "flat")
    assert "no two values" in figure.note


def test_booleans_and_missing_numbers_are_moved() -> None:
    ages = pa.array([None if place % 7 == 0 else age for place, age in enumerate(people()["age"].to_pylist())])
    data = pa.table({"age": ages, "member": pa.array([place % 2 == 0 for place in range(400)])})

    def model(table: pa.Table) -> pa.Table:
        member = np.array(table.column("member").to_pylist(), dtype=float)
        return pa.table({"prediction": member + 0.001 * table.column("age").to_pandas().fillna(0).to_numpy()})

    result = asked("explainability.effects", model, data, increasing=["member", "age"])
    assert [figure.value for figure in result.figures if figure.key == "monotonicity_violations"] == [0, 0]
    assert result.figure("effect_range", attribute="member").value == pytest.approx(1.0)


def test_the_range_has_an_interval_from_resampled_rows() -> None:
    def crossing(table: pa.Table) -> pa.Table:
        age, income = (table.column(name).to_pandas().to_numpy(dtype="float64") for name in ("age", "income"))
        return pa.table({"prediction": age * income})

    figure = asked("explainability.effects", crossing).figure("effect_range", attribute="age")
    assert figure.value is not None
    assert figure.ci_low is not None
    assert figure.ci_high is not None
    assert figure.ci_low < figure.value < figure.ci_high
    assert asked("explainability.effects", by_age).figure("effect_range", attribute="job").ci_high == 0


def test_curves_are_drawn_with_a_band_of_rows() -> None:
    result = asked("explainability.effects", by_age)
    assert [one.key for one in result.pictures] == ["effect-1", "effect-2", "effect-3"]
    first = result.pictures[0].spec
    assert "age" in result.pictures[0].title
    assert all(row["low"] - 1e-9 <= row["y"] <= row["high"] + 1e-9 for row in first["data"]["values"])


def test_a_model_that_raises_on_the_grid_is_an_error() -> None:
    def silent(table: pa.Table) -> pa.Table:
        raise ValueError("not these")

    with pytest.raises(CheckError, match="not these"):
        asked("explainability.effects", silent)


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


def test_a_sample_of_very_many_rows_is_seeded_and_without_repeats() -> None:
    table = pa.table({"place": pa.array(np.arange(1_200_000))})
    first, again, other = (sample(table, 500, seed).column(0).to_numpy() for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert len(np.unique(first)) == 500
    assert (np.diff(first) > 0).all()
    assert first.mean() == pytest.approx(600_000, rel=0.1)
