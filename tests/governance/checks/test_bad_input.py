"""What cannot be computed is said in one sentence that names the column."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from governance.checks import CheckError, CheckInputs, Roles, catalogue, get, run_check
from tests.governance.checks.tables import fairness, inputs_of

GOOD = inputs_of([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8], sensitive={"sex": ["f", "m", "f", "m"]})


def with_label(values: Any, **roles: Any) -> CheckInputs:
    return replace(inputs_of(values, [0.5] * len(values)), roles=Roles("y", **roles))


@pytest.mark.parametrize(
    ("use", "inputs", "code", "column"),
    [
        ("performance.binary", replace(GOOD, roles=Roles("gone")), "data.label_missing", "gone"),
        ("performance.binary", replace(GOOD, roles=Roles()), "data.label_missing", None),
        ("performance.binary", with_label([0, 1, None]), "data.label_null", "y"),
        ("performance.binary", with_label([0.0, 1.0, float("nan")]), "data.label_null", "y"),
        ("performance.binary", with_label([0.0, 1.0, float("inf")]), "data.label_null", "y"),
        ("performance.binary", with_label([0, 1, 2]), "data.label_not_binary", "y"),
        ("performance.binary", with_label(["good", "bad"]), "data.label_not_binary", "y"),
        ("performance.binary", with_label([1, 1, 1]), "data.label_one_class", "y"),
        ("performance.binary", with_label(["a", "a"], positive="a"), "data.label_one_class", "y"),
        ("performance.binary", with_label(["a", "b"], positive="c"), "data.label_one_class", "y"),
        ("performance.binary", replace(GOOD, data=None), "inputs.missing", None),
        ("performance.binary", replace(GOOD, predictions=None), "inputs.missing", None),
        ("performance.binary", replace(GOOD, predictions=pa.table({"score": [0.1]})), "data.rows_differ", None),
        (
            "performance.binary",
            replace(GOOD, predictions=pa.table({"score": [0.1, 1.1, 0, 0]})),
            "data.scores_invalid",
            "score",
        ),
        (
            "performance.binary",
            replace(GOOD, predictions=pa.table({"score": [0.1, None, 0, 0]})),
            "data.scores_invalid",
            "score",
        ),
        (
            "performance.binary",
            replace(GOOD, predictions=pa.table({"other": [1, 2, 3, 4]})),
            "data.predictions_invalid",
            None,
        ),
        ("performance.binary", inputs_of(pa.array([], pa.int64()), []), "data.empty", None),
        ("fairness.groups", replace(GOOD, roles=Roles("y", ("race",))), "data.sensitive_missing", "race"),
        ("fairness.groups", replace(GOOD, roles=Roles("y")), "data.sensitive_missing", None),
        (
            "fairness.groups",
            inputs_of([0, 1] * 40, [0.5] * 80, sensitive={"age": list(range(80))}),
            "data.sensitive_many",
            "age",
        ),
        ("performance.regression", with_label(["a", "b"]), "data.label_not_number", "y"),
        ("performance.regression", GOOD, "data.predictions_invalid", "prediction"),
        ("explainability.importance", GOOD, "inputs.missing", None),
        ("security.scan", GOOD, "inputs.missing", None),
        ("documentation.card", GOOD, "inputs.missing", None),
        ("data.quality", CheckInputs(pa.table({"x": [[1], [2]]}), Roles()), "data.type", "x"),
        ("data.quality", replace(GOOD, data=None), "inputs.missing", None),
    ],
)
def test_bad_input_is_refused_by_name(use: str, inputs: CheckInputs, code: str, column: str | None) -> None:
    with pytest.raises(CheckError) as error:
        run_check(get(use), inputs)
    assert (error.value.code, error.value.column) == (code, column)
    assert str(error.value).endswith(".")
    if column:
        assert f"“{column}”" in str(error.value) or code.startswith(("data.scores", "data.predictions"))


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"treshold": 0.5}, "params.unknown"),
        ({"threshold": "high"}, "params.type"),
        ({"threshold": True}, "params.type"),
        ({"threshold": 1.5}, "params.value"),
        ({"bins": 1}, "params.value"),
        ({"bins": 2.5}, "params.type"),
    ],
)
def test_wrong_parameters_are_named(params: dict[str, Any], code: str) -> None:
    with pytest.raises(CheckError) as error:
        run_check(get("performance.binary"), GOOD, params)
    assert error.value.code == code


def test_an_unknown_check_lists_the_known_ones() -> None:
    for use in ("fairness.everything", "performance.binary@9"):
        with pytest.raises(CheckError, match=r"performance\.binary"):
            catalogue.resolve(use)
    assert catalogue.resolve("performance.binary") == "performance.binary@1"
    assert catalogue.manifest("fairness.groups").category == "fairness"


def test_an_empty_group_gives_its_name_and_never_a_number() -> None:
    groups = pa.DictionaryArray.from_arrays([0, 1] * 30, ["f", "m", "x"])
    result = fairness([0, 1, 1] * 20, [0, 1, 1] * 20, groups)
    figure = result.figure("selection_rate_ratio", group="x")
    assert figure.value is None
    assert figure.ci_low is None
    assert "“x” has 0 rows" in figure.note
    assert any("“x”" in finding for finding in result.findings)


def test_an_expected_group_without_rows_is_looked_for() -> None:
    result = fairness([0, 1] * 20, [0, 1] * 20, ["f"] * 20 + ["m"] * 20, expected=["group=x"])
    assert result.figure("selection_rate_ratio", group="x").value is None


def test_a_small_group_gives_no_number() -> None:
    result = fairness([0, 1] * 20 + [1], [0, 1] * 20 + [1], ["f"] * 20 + ["m"] * 20 + ["x"], min_group=5)
    assert result.figure("selection_rate_ratio", group="x").value is None


def test_unknown_is_shown_as_its_own_group_but_not_compared() -> None:
    result = fairness([0, 1] * 20, [0, 1] * 20, ["f"] * 18 + ["m"] * 18 + [None] * 4)
    assert [row[1] for row in result.tables[0].rows] == ["(unknown)", "f", "m"]
    assert "(unknown)" not in {figure.group for figure in result.figures}
    assert any("4 rows have no value" in finding for finding in result.findings)


def test_one_group_alone_cannot_be_compared() -> None:
    result = fairness([0, 1] * 20, [0, 1] * 20, ["f"] * 40)
    assert all(f.value is None and f.note for f in result.figures if f.key != "calibration_error")


def test_a_group_of_which_nobody_is_selected_has_ratio_zero_with_an_interval() -> None:
    figure = fairness([1] * 80, [0] * 40 + [1] * 40, ["f"] * 40 + ["m"] * 40).figure("selection_rate_ratio")
    assert (figure.value, figure.ci_low) == (0.0, 0.0)
    assert figure.ci_high is not None
    assert figure.ci_high < 0.8


def test_labels_in_words_need_the_positive_class() -> None:
    inputs = replace(inputs_of(["good", "bad"] * 10, [0.9, 0.1] * 10), roles=Roles("y", positive="good"))
    assert run_check(get("performance.binary"), inputs).figure("auc").value == 1.0


def test_a_model_without_scores_has_no_auc_but_a_recall() -> None:
    result = run_check(get("performance.binary"), replace(GOOD, predictions=pa.table({"prediction": [0, 1, 0, 1]})))
    assert result.figure("auc").value is None
    assert "no probabilities" in result.figure("auc").note
    assert result.figure("recall").value == 1.0


def test_without_a_live_version_the_comparison_does_not_apply() -> None:
    assert run_check(get("compare.champion"), GOOD).not_applicable


def test_quality_counts_what_is_wrong() -> None:
    data = pa.table({"x": [1.0, float("nan"), 1.0, 1.0], "same": [1, 1, 1, 1], "y": [0, None, 0, 1]})
    inputs = CheckInputs(data, Roles("y", ("sex",), ("x", "z")), training=data.slice(0, 1))
    result = run_check(get("data.quality"), inputs)
    values = {figure.key: figure.value for figure in result.figures}
    assert values == {
        "missing_features": 2.0,
        "missing_label_share": 0.25,
        "missing_cell_share": 2 / 12,
        "duplicate_share": 0.25,
        "constant_columns": 2.0,
        "train_overlap_share": 0.5,
    }
    assert "The data set has no column “sex”." in result.findings
