"""The figures of SageMaker Clarify, under its names: published values, and what a missing side means."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.statistics.intervals import newcombe
from tests.governance.checks.tables import reference


def clarify(y: list[int], decision: list[int], group: list[str], **params: object) -> CheckResult:
    """Without ``strata`` unless given; groups of any size."""
    data = pa.table({"y": y, "group": group, "stratum": params.pop("strata_values", ["s"] * len(y))})
    scores = pa.table({"score": pa.array(np.asarray(decision, dtype="float64"))})
    inputs = CheckInputs(data, Roles("y", ("group",)), scores)
    return run_check(get("fairness.clarify"), inputs, {"min_group": 1, **params})


@pytest.mark.parametrize("facet", ["foreign_worker=A201", "age>40"])
def test_german_credit_has_the_published_figures(facet: str) -> None:
    """The notebook of SageMaker Clarify; its KL, JS and KS as release 0.5 computes them."""
    published = json.loads(reference("published_figures.json").read_text())["german_clarify"][facet]
    with reference("german.csv").open() as handle:
        rows = pd.read_csv(handle)
    member = rows["foreign_worker"] == "A201" if facet.startswith("foreign") else rows["age"] > 40
    data = pa.table({
        "good": (rows["credit"] == 1).astype(int).to_numpy(),
        "facet": np.where(member, "in", "out"),
        "housing": rows["housing"].astype(str).to_numpy(),
    })  # fmt: skip
    inputs = CheckInputs(data, Roles("good", ("facet",)), pa.table({"score": data.column("good").cast(pa.float64())}))
    result = run_check(get("fairness.clarify"), inputs, {"strata": "housing"})
    for name, value in published.items():
        key = name.partition("_by_")[0].lower()
        assert result.figure(key, group="in").value == pytest.approx(value, abs=1e-12), name


def test_decisions_are_compared_by_the_definitions() -> None:
    """Facet d: tp 3, fp 1, fn 2, tn 4; facet a: tp 6, fp 2, fn 1, tn 1."""
    cells = {"d": (3, 1, 2, 4), "a": (6, 2, 1, 1)}
    y, decision, group = [], [], []
    for name, (tp, fp, fn, tn) in cells.items():
        y += [1] * tp + [0] * fp + [1] * fn + [0] * tn
        decision += [1] * (tp + fp) + [0] * (fn + tn)
        group += [name] * (tp + fp + fn + tn)
    result = clarify(y, decision, group)
    expected = {
        "ci": 0.0, "dppl": 0.8 - 0.4, "di": 0.4 / 0.8, "dca": 7 / 8 - 5 / 4, "dcr": 5 / 6 - 3 / 2,
        "sd": 4 / 5 - 1 / 3, "rd": 6 / 7 - 3 / 5, "dar": 6 / 8 - 3 / 4, "drr": 4 / 6 - 1 / 2, "ad": 7 / 10 - 7 / 10,
        "te": 2 / 1 - 1 / 2,
        # Benefits ŷ - y + 1: 3 rows have 2, 3 have 0, 14 have 1; their mean is 1.
        "ge": (3 * 1 + 3 * 1) / (2 * 20 * 1),
    }  # fmt: skip
    for key, value in expected.items():
        assert result.figure(key, group="d").value == pytest.approx(value, abs=1e-12), key
    gap = result.figure("dppl", group="d")
    assert (gap.ci_low, gap.ci_high) == pytest.approx(newcombe(8, 10, 4, 10))


def test_a_figure_that_would_divide_by_nothing_says_so() -> None:
    result = clarify([0, 1, 0, 1], [0, 0, 1, 1], ["d", "d", "a", "a"])
    assert result.figure("dca", group="d").value is None
    assert "divides by" in result.figure("dca", group="d").note
    assert result.figure("cddl", group="d").note.startswith("No column to condition on")


def test_small_groups_give_no_number() -> None:
    result = clarify([0, 1] * 20, [0, 1] * 20, ["d"] * 5 + ["a"] * 35, min_group=20)
    assert {figure.value for figure in result.figures} == {None}
    assert result.findings == ("No group is large enough to be compared.",)


def test_the_smallest_group_counts_on_either_side_and_from_its_own_size() -> None:
    y, group = [0, 1] * 10, ["d"] * 6 + ["a"] * 14
    assert clarify(y, y, group, min_group=6).figure("dpl", group="d").value is not None
    for small in ("a", "d"):  # of "a" it is the others that are few
        figure = clarify(y, y, group, min_group=7).figure("dpl", group=small)
        assert figure.value is None
        assert "each side needs at least 7" in figure.note


def test_only_the_ratio_is_judged_on_the_scale_of_logarithms() -> None:
    result = clarify([0, 1] * 20, [0, 1] * 20, ["d"] * 20 + ["a"] * 20)
    assert {figure.key for figure in result.figures if figure.scale == "log"} == {"di"}


def test_strata_must_be_a_column_of_few_values() -> None:
    with pytest.raises(CheckError) as error:
        clarify([0, 1], [0, 1], ["a", "d"], strata="gone")
    assert error.value.column == "gone"
