"""The data itself: its columns against the model's signature, and inputs that alone tell the label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.data.schema import fits

SIGNATURE = [
    {"name": "age", "type": "long", "required": True}, {"name": "income", "type": "double", "required": True},
    {"name": "city", "type": "string", "required": False},
]  # fmt: skip


def schema(data: pa.Table, signature: Any = SIGNATURE, **roles: Any) -> CheckResult:
    return run_check(get("data.schema"), CheckInputs(data, Roles("y", **roles), signature=signature))


def test_data_as_the_model_wants_it() -> None:
    data = pa.table({"age": [1, 2], "income": [1.5, None], "city": ["a", None], "y": [0, 1]})
    result = schema(data)
    assert {figure.value for figure in result.figures} == {0.0}
    assert result.findings == ("The data has every input of the model, in its type, and nothing else.",)


def test_each_fault_is_named() -> None:
    data = pa.table({"age": [1.5, 2], "key": [7, 8], "more": [1, 1], "y": [0, 1]})
    result = schema(data, id="key")
    assert result.figure("missing_inputs").value == 1
    assert result.figure("wrong_types").value == 1
    assert result.figure("extra_columns").value == 1
    assert result.findings == (
        "“age” has another type: the model takes long, the data has double.", "“income” is not in the data.",
        "The data has 1 columns that the model does not take: more.",
    )  # fmt: skip
    assert schema(pa.table({"age": [1, None], "income": [1.0, 2.0]})).figure("empty_inputs").value == 1


@pytest.mark.parametrize(
    "signature", [None, [], [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]]
)
def test_without_named_inputs_it_does_not_apply(signature: Any) -> None:
    assert "no signature" in schema(pa.table({"x": [1]}), signature).not_applicable


@pytest.mark.parametrize(
    ("wanted", "kind", "fit"),
    [
        ("long", pa.int32(), True),
        ("integer", pa.int64(), False),
        ("double", pa.float32(), True),
        ("double", pa.int32(), True),
        ("double", pa.int64(), False),
        ("float", pa.float64(), False),
        ("string", pa.int64(), False),
        ("string", pa.large_string(), True),
        ("boolean", pa.int8(), False),
        ("datetime", pa.timestamp("us"), True),
        ("datetime", pa.string(), False),
        ("object", pa.int8(), True),
        ("long", pa.null(), True),
    ],
)
def test_types_that_fit(wanted: str, kind: pa.DataType, fit: bool) -> None:
    assert fits(wanted, kind) is fit


def leakage(data: dict[str, Any], **params: Any) -> CheckResult:
    return run_check(get("data.leakage"), CheckInputs(pa.table(data), Roles("y")), params)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 200))
def test_of_two_classes_it_is_scikit_learns_auc(seed: int, distinct: int) -> None:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, 300)
    x = (random.integers(0, distinct, 300) + 0.5 * y * distinct).round(1)
    result = leakage({"y": y, "x": x})
    found = result.figure("association", attribute="x")
    assert found.value == pytest.approx(abs(2 * roc_auc_score(y, x) - 1), abs=1e-9)
    assert found.value is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low <= found.value <= found.ci_high


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000))
def test_of_numbers_it_is_scipys_correlation_of_ranks(seed: int) -> None:
    random = np.random.default_rng(seed)
    y = random.integers(0, 60, 400) * 1.5
    x = (y + random.normal(0, 20, 400)).round(-1)
    found = leakage({"y": y, "x": x}).figure("association", attribute="x")
    assert found.value == pytest.approx(abs(stats.spearmanr(x, y).statistic), abs=1e-9)


def test_a_leak_is_found_and_a_strong_input_is_none() -> None:
    random = np.random.default_rng(4)
    y = random.integers(0, 2, 2000)
    strong = y + random.normal(0, 0.5, 2000)
    words = np.array(["no", "yes"])[y]
    gone = np.where(y == 1, np.nan, 1.0) + random.normal(size=2000)
    result = leakage(
        {"y": y, "copy": y * 3.5, "strong": strong, "words": words, "gone": gone, "noise": random.normal(size=2000)}
    )
    assert {one.partition("”")[0][1:] for one in result.findings} == {"copy", "words", "gone is missing"}
    assert result.figure("leaking_inputs").value == 3
    assert (result.figure("association", attribute="noise").value or 0) < 0.1
    assert len(result.pictures) == 1


def test_few_rows_show_nothing() -> None:
    few = leakage({"y": [0, 1] * 5, "x": [0, 1] * 5})
    assert few.figure("association").value is None
    assert few.figure("leaking_inputs").value == 0
    some = leakage({"y": [0, 1] * 20, "x": [0, 1] * 20})
    assert some.figure("association").value == 1
    assert some.figure("leaking_inputs").value == 0


def test_classes_are_compared_with_words_and_numbers() -> None:
    random = np.random.default_rng(6)
    y = np.array(["a", "b", "c"])[random.integers(0, 3, 900)]
    result = leakage({"y": y, "same": np.char.add(y, "x"), "number": random.normal(size=900), "none": [None] * 900})
    assert result.figure("association", attribute="same").value == pytest.approx(1.0, abs=1e-6)
    assert (result.figure("association", attribute="number").value or 0) < 0.4


@pytest.mark.parametrize("data", [{"y": [0, None], "x": [1, 2]}, {"y": [0, 1]}, {"x": [1, 2]}])
def test_bad_tables_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(CheckError):
        leakage(data)


def test_a_line_out_of_range_is_refused() -> None:
    with pytest.raises(CheckError):
        leakage({"y": [0, 1], "x": [1, 2]}, line=1.0)
