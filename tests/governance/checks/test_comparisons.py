"""Two groups against each other: who is the reference, which way a gap points, and from how many rows on."""

from __future__ import annotations

import math

import pytest

from governance.checks.fairness.comparisons import Group, RateOf, compare
from governance.checks.statistics.intervals import newcombe, smallest_gap

# Rates at or over the threshold: selected 0.3, 0.5, 0.7; FPR 0.2, 0.4, 0.6; FNR 0.6, 0.4, 0.2; precision 2/3, 0.6, 4/7.
LOW = Group("low", tn=40, fp=10, fn=30, tp=20)
MIDDLE = Group("middle", tn=30, fp=20, fn=20, tp=30)
HIGH = Group("high", tn=20, fp=30, fn=10, tp=40)
GROUPS = [HIGH, LOW, MIDDLE]


@pytest.mark.parametrize(
    ("rate_of", "how", "reference", "gaps"),
    [
        (lambda g: g.fpr, "above", "low", {"high": 0.4, "middle": 0.2}),
        (lambda g: g.fnr, "above", "high", {"low": 0.4, "middle": 0.2}),
        (lambda g: g.tpr, "below", "high", {"low": 0.4, "middle": 0.2}),
        (lambda g: g.selected, "below", "high", {"low": 0.4, "middle": 0.2}),
        (lambda g: g.selected, "ratio", "high", {"low": 3 / 7, "middle": 5 / 7}),
        (lambda g: g.precision, "below", "low", {"high": 2 / 3 - 4 / 7, "middle": 2 / 3 - 0.6}),
    ],
)
def test_a_gap_is_what_a_group_has_worse_than_the_best(
    rate_of: RateOf, how: str, reference: str, gaps: dict[str, float]
) -> None:
    found = compare(GROUPS, rate_of, how, least=10, reference=None)  # type: ignore[arg-type]
    assert {one.reference for one in found} == {reference}
    assert {one.group: one.value for one in found} == pytest.approx(gaps)
    for one in found:
        assert one.interval is not None
        assert one.interval[0] < (one.value or 0.0) < one.interval[1]


def test_the_interval_of_a_gap_points_the_same_way() -> None:
    (of_errors,) = compare([LOW, HIGH], lambda g: g.fpr, "above", least=1, reference=None)
    assert of_errors.interval == pytest.approx(newcombe(30, 50, 10, 50))
    (of_selected,) = compare([LOW, HIGH], lambda g: g.selected, "below", least=1, reference=None)
    assert of_selected.interval == pytest.approx(newcombe(70, 100, 30, 100))


def test_a_named_reference_may_be_worse_than_others() -> None:
    found = compare(GROUPS, lambda g: g.fpr, "above", least=10, reference="middle")
    assert {one.group: one.value for one in found} == pytest.approx({"high": 0.2, "low": -0.2})


@pytest.mark.parametrize(("least", "measured"), [(49, True), (50, True), (51, False)])
def test_a_group_of_exactly_the_least_number_counts(least: int, *, measured: bool) -> None:
    """Of the rows that a rate is over: a false positive rate is over the negatives."""
    for reference in ("low", None):
        found = compare([LOW, HIGH], lambda g: g.fpr, "above", least=least, reference=reference)
        assert [one.group for one in found] == (["high"] if measured else ["low", "high"])
        assert all((one.value is not None) is measured and (one.note == "") is measured for one in found)


def test_the_smallest_gap_is_that_of_the_textbook_formula() -> None:
    """Two-sided at 5 % with 80 % power: (1.960 + 0.842)·√(p(1 - p)(1/n₁ + 1/n₂)), J. L. Fleiss, 1981, ch. 3."""
    assert smallest_gap(0.5, 100, 100) == pytest.approx(2.801585 * math.sqrt(0.25 * 0.02), rel=1e-6)
    (one,) = compare([LOW, HIGH], lambda g: g.selected, "below", least=1, reference=None)
    assert one.gap == pytest.approx(smallest_gap(0.5, 100, 100))
    (uneven,) = compare([Group("few", 9, 0, 0, 1), HIGH], lambda g: g.selected, "below", least=1, reference=None)
    assert uneven.gap == pytest.approx(smallest_gap(71 / 110, 10, 100))
