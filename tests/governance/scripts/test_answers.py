"""What a script answers is checked as hostile, and becomes the result of a check."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.checks import CheckError, CheckInputs, CheckResult, get, run_check
from governance.checks.script_params import ScriptParams

SCRIPT = {"script": "print(1)\n"}
DATA = pa.table({"y": [0, 1, 1]})


def judged(answer: Any) -> CheckResult:
    return run_check(get("script"), CheckInputs(data=DATA, script=answer), SCRIPT)


def figure(**more: Any) -> dict[str, Any]:
    return {"key": "stability", "value": 0.5, "n": 3, "better": "higher", **more}


def test_figures_tables_and_words_become_the_result() -> None:
    result = judged(
        {
            "figures": [figure(label="Stability", ci_low=0.4, ci_high=0.6, attribute="sex", group="f")],
            "tables": [{"key": "rows", "title": "Rows", "columns": [["a", "A"]], "rows": [[1], ["x"], [None], [0.5]]}],
            "findings": ["It is stable."],
            "limits": ["Three rows."],
        }
    )
    assert (result.check, result.version, result.n) == ("script", 1, 3)
    assert result.figure("stability", group="f").ci_low == 0.4
    assert result.tables[0].rows == ((1,), ("x",), (None,), (0.5,))
    assert result.findings == ("It is stable.",)
    assert result.params == {
        "script_sha256": ScriptParams(SCRIPT["script"]).digest, "arguments": {}, "seed": 0,
    }  # fmt: skip


def test_it_may_say_that_it_does_not_apply() -> None:
    assert judged({"not_applicable": "There are no loans."}).not_applicable == "There are no loans."


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "no figure"),
        ({"figures": []}, "no figure"),
        ({"figures": {}}, "no list"),
        ({"figures": [1]}, "no JSON object"),
        ({"figures": [figure(extra=1)]}, "not known"),
        ({"pictures": []}, "not known"),
        ({"figures": [figure(key="Not A Key")]}, "key"),
        ({"figures": [figure(key=None)]}, "key"),
        ({"figures": [figure(value="0.5")]}, "no number"),
        ({"figures": [figure(value=True)]}, "no number"),
        ({"figures": [figure(value=1e999)]}, "finite"),
        ({"figures": [figure(value=10**400)]}, "too large"),
        ({"figures": [figure(value=None)]}, "no note"),
        ({"figures": [figure(n=-1)]}, "count"),
        ({"figures": [figure(n=1.5)]}, "count"),
        ({"figures": [figure(better="both")]}, "better"),
        ({"figures": [figure(better=["higher"])]}, "better"),
        ({"figures": [figure(scale={})]}, "better"),
        ({"figures": [figure(ci_low=2, ci_high=1)]}, "ends before"),
        ({"figures": [figure(), figure()]}, "twice"),
        ({"figures": [figure(key=f"f{number}") for number in range(501)]}, "500 are allowed"),
        ({"figures": [figure(label="x" * 121)]}, "characters"),
        ({"figures": [figure(label="a\x1b[31m")]}, "cannot be shown"),
        ({"figures": [figure(label="a\u202eb")]}, "cannot be shown"),
        ({"figures": [figure()], "findings": "no"}, "no list"),
        ({"figures": [figure()], "findings": ["x"] * 51}, "50 are allowed"),
        ({"figures": [figure()], "tables": [{"key": "t", "columns": [["a", "A"]], "rows": [[1, 2]]}]}, "one cell"),
        ({"figures": [figure()], "tables": [{"key": "t", "columns": ["a"], "rows": []}]}, "pair"),
        ({"figures": [figure()], "tables": [{"key": "t", "columns": [], "rows": [[]] * 501}]}, "500 are allowed"),
        ({"figures": [figure()], "tables": [{"key": "t", "columns": [["a", "A"]], "rows": [[[]]]}]}, "no number"),
        ([], "no JSON object"),
    ],
)  # fmt: skip
def test_anything_else_ends_the_check_with_a_sentence(answer: Any, said: str) -> None:
    with pytest.raises(CheckError, match=said) as caught:
        judged(answer)
    assert caught.value.code == "script.answer"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
NAMES = ["key", "label", "value", "n", "better", "ci_low", "ci_high", "unit", "scale", "group", "note"]


def ended_well(answer: Any) -> bool:
    """Whether it became a result that can be stored, or ended with the code of a bad answer."""
    try:
        return bool(json.loads(judged(answer).to_json()))
    except CheckError as error:
        return error.code == "script.answer"


@given(st.dictionaries(st.sampled_from(["figures", "tables", "findings", "limits", "not_applicable"]), JSON))
def test_whatever_it_answers_is_a_result_or_a_sentence(answer: dict[str, Any]) -> None:
    assert ended_well(answer)


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_whatever_a_figure_is_made_of(given_figure: dict[str, Any]) -> None:
    assert ended_well({"figures": [{**figure(), **given_figure}]})


def nested(depth: int) -> dict[str, Any]:
    """Arguments with lists in lists."""
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return {"a": value}


def test_arguments_may_be_nested_eight_deep() -> None:
    assert ScriptParams.from_mapping({"script": "x = 1", "arguments": nested(8)}).arguments == nested(8)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "required"),
        ({"script": "x = 1", "arguments": nested(9)}, "plain values"),
        ({"script": ""}, "text of 1 to"),
        ({"script": "if:\n"}, "no Python"),
        ({"script": "x = 1\n" * 10_000}, "text of 1 to"),
        ({"script": "x = 1", "arguments": [1]}, "must be"),
        ({"script": "x = 1", "arguments": {"a": float("nan")}}, "plain values"),
        ({"script": "x = 1", "arguments": {"a": "x" * 5000}}, "bytes at most"),
        ({"script": "x = 1", "seed": -1}, "seed"),
        ({"script": "x = 1", "path": "x.py"}, "no parameter"),
    ],
)  # fmt: skip
def test_parameters_are_checked_before_anything_runs(params: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckError, match=said):
        ScriptParams.from_mapping(params)
