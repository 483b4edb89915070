"""Reason codes, their figures and what single explanations are worth, on arrays that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from governance.checks import CheckError, Probe
from governance.checks.explanations import reasons, shapley, stability
from governance.checks.explanations.attributions import around
from governance.checks.explanations.explained import explain
from governance.checks.explanations.reasons import Refusals
from governance.checks.manifests.explainability import SHAPLEY
from governance.checks.results import Figure
from tests.governance.checks.test_shapley import explained

SPECS = {spec.key: spec for spec in SHAPLEY.figures}


def refusals(pushed: list[list[float]], *, codes: int = 4, **more: Any) -> Refusals:
    rows = np.array(pushed, dtype=float)
    given: dict[str, Any] = {"halves": (rows, rows), "sensitive": frozenset(), "wording": {}, **more}
    return Refusals(rows, names=tuple("abcdef"[: rows.shape[1]]), codes=codes, **given)


def figures(refused: Refusals) -> Mapping[str, Figure]:
    return {one.key: one for one in reasons.figures(refused, SPECS)}


def test_only_what_pushed_towards_the_refusal_is_a_reason_the_strongest_first() -> None:
    assert refusals([[-5, 1, 2, 0], [3, 3, -9, 1]]).given() == [[2, 1], [0, 1, 3]]
    assert refusals([[1, 4, 2, 3]], codes=2).given() == [[1, 3]]


@pytest.mark.parametrize(
    ("row", "codes", "complete"),
    [
        ([5, 3, 2], 1, 1.0),  # exactly half of all that pushed
        ([4, 3, 3], 1, 0.0),
        ([4, 3, 3], 2, 1.0),
        ([4, 3, -90], 1, 1.0),  # what pushed away is no part of it
        ([-1, -2, 0], 4, 0.0),  # nothing pushed: no reason can be given
    ],
)
def test_reasons_are_complete_from_half_of_all_that_pushed(row: list[float], codes: int, complete: float) -> None:
    assert figures(refusals([row], codes=codes))["reasons_complete"].value == complete


def test_stable_reasons_are_those_of_both_halves_among_all_that_either_gives() -> None:
    halves = (np.array([[3.0, 2, 0, 0], [1, 0, 0, 0]]), np.array([[3.0, 0, 2, 0], [1, 0, 0, 0]]))
    found = figures(refusals([[1, 1, 1, 1], [1, 0, 0, 0]], halves=halves))["reasons_stable"]
    assert found.value == pytest.approx((1 / 3 + 1) / 2)
    nothing = np.zeros((1, 2))
    assert figures(refusals([[1, 1]], halves=(nothing, nothing)))["reasons_stable"].value == 0


def test_a_sensitive_reason_counts_in_any_place() -> None:
    found = figures(refusals([[3, 1, 0], [3, 0, 0]], sensitive=frozenset("b")))["reasons_sensitive"]
    assert (found.value, found.n) == (0.5, 2)


def test_a_refusal_is_worded_when_every_reason_of_it_is() -> None:
    wording = {"a": "Length of employment", "b": "Number of recent inquiries"}
    found = figures(refusals([[2, 1, 0], [2, 0, 1], [-1, -1, -1]], wording=wording))["reasons_worded"]
    assert found.value == pytest.approx(1 / 3)


@pytest.mark.parametrize("said", ["Our Internal Policy", "INTERNAL STANDARDS", "Credit Score too low"])
def test_what_the_regulation_does_not_take_for_a_reason_is_refused_however_it_is_written(said: str) -> None:
    with pytest.raises(CheckError, match="no specific reason"):
        reasons.worded([f"a={said}"], ["a"])


@pytest.mark.parametrize(("adverse", "refused"), [("high", 100), ("low", 0)])
def test_an_output_at_the_threshold_is_refused_where_high_is_adverse(adverse: str, refused: int) -> None:
    result = explained(lambda *x: 0 * x[0] + 0.5, adverse=adverse, threshold=0.5)
    assert result.figure("reasons_complete").n == refused


def test_where_low_is_adverse_what_lowers_the_output_is_the_reason() -> None:
    result = explained(lambda *x: x[0] + 0 * x[1], adverse="low", threshold=-0.5, codes=1)
    assert (result.figure("reasons_complete").value or 0) > 0.95


def test_the_sensitive_share_is_that_of_the_sensitive_inputs() -> None:
    result = explained(lambda *x: 3 * x[0] + x[1], sensitive=("a",), orders=40)
    assert result.figure("sensitive_share").value == pytest.approx(0.75, abs=0.06)


def test_intervals_hold_the_middle_95_percent_of_the_resamples() -> None:
    drawn = np.linspace(0, 1, 201)
    assert [getattr(around(0.5, drawn), end) for end in ("low", "high")] == pytest.approx([0.025, 0.975])
    assert [getattr(stability.between(list(drawn)), end) for end in ("low", "high")] == pytest.approx([0.025, 0.975])


def test_agreement_is_between_different_resamples() -> None:
    assert stability.agreement(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])).value == pytest.approx(-1.0)


def sampled(said: Any, orders: int) -> Any:
    """Sampled values of one row against one other."""
    table = pa.table({"a": [2.0, 0.0], "b": [3.0, 1.0]})
    made = shapley.design(np.array([0]), np.array([1]), inputs=2, orders=orders, seed=3)
    mixed = shapley.mixed(table, made)
    answers = pa.table({"prediction": said(mixed.column("a").to_numpy(), mixed.column("b").to_numpy())})
    return explain(Probe(answers), made, None, ["a", "b"])


@pytest.mark.parametrize("orders", [4, 12])
def test_an_order_and_its_reverse_are_one_draw(orders: int) -> None:
    """Of two inputs they are all orders there are: the values are exact, so the error that is told must be none."""
    found = sampled(lambda a, b: a * b, orders)
    # f(x) = 6, f(z) = 0, f(x1, z2) = 2, f(z1, x2) = 0: (2 + 6) / 2 and (0 + 4) / 2.
    assert found.values[0] == pytest.approx([4.0, 2.0])
    assert found.error[0] == pytest.approx([0.0, 0.0], abs=1e-12)
