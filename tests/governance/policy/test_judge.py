"""One figure against one limit: a breach fails only if the sample says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.policy import FigureFact, Judgement, Limit, judge, judge_family
from governance.policy.judgement import judge_limits

AT_LEAST = Limit("x", "ge", 0.8, "value", 1.0)
AT_MOST = Limit("x", "le", 0.2, "value", 0.0)


def figure(value: float | None, low: float | None = None, high: float | None = None, **more: object) -> FigureFact:
    return FigureFact("x", "X", value, 100, ci_low=low, ci_high=high, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "limit", "expected"),
    [
        (figure(0.85, 0.7, 0.95), AT_LEAST, Judgement.PASS),
        (figure(0.80, 0.7, 0.9), AT_LEAST, Judgement.PASS),
        (figure(0.75, 0.6, 0.9), AT_LEAST, Judgement.INCONCLUSIVE),
        (figure(0.60, 0.5, 0.7), AT_LEAST, Judgement.FAIL),
        (figure(0.60, 0.5, 0.7, scale="log"), AT_LEAST, Judgement.FAIL),
        (figure(0.75), AT_LEAST, Judgement.INCONCLUSIVE),
        (figure(None), AT_LEAST, Judgement.INSUFFICIENT),
        (figure(0.1, 0.0, 0.3), AT_MOST, Judgement.PASS),
        (figure(0.3, 0.1, 0.4), AT_MOST, Judgement.INCONCLUSIVE),
        (figure(0.4, 0.3, 0.5), AT_MOST, Judgement.FAIL),
        (figure(3.0, 3.0, 3.0), AT_MOST, Judgement.FAIL),
        (figure(0.0, 0.0, 0.3, scale="log"), AT_LEAST, Judgement.FAIL),
        (figure(0.0, 0.0, 0.9, scale="log"), AT_LEAST, Judgement.INCONCLUSIVE),
        (figure(0.85, 0.7, 0.9), Limit("x", "ge", 0.8, "ci_low", 1.0), Judgement.INCONCLUSIVE),
        (figure(0.9, 0.81, 0.95), Limit("x", "ge", 0.8, "ci_low", 1.0), Judgement.PASS),
        (figure(0.6, 0.5, 0.7), Limit("x", "ge", 0.8, "ci_low", 1.0), Judgement.FAIL),
        (figure(0.9), Limit("x", "ge", 0.8, "ci_low", 1.0), Judgement.INSUFFICIENT),
        (figure(0.1, 0.0, 0.3), Limit("x", "le", 0.2, "ci_high", 0.0), Judgement.INCONCLUSIVE),
    ],
)
def test_a_figure_is_judged(one: FigureFact, limit: Limit, expected: Judgement) -> None:
    assert judge(one, limit).judgement is expected


@given(st.floats(0.01, 0.79), st.floats(0.001, 0.5), st.sampled_from(["identity", "log", "logit"]))
def test_alone_it_fails_exactly_when_the_limit_lies_outside_the_interval(value: float, half: float, scale: str) -> None:
    one = figure(
        value, max(0.0, value - half), value + half if scale != "logit" else min(0.999, value + half), scale=scale
    )
    expected = Judgement.FAIL if one.ci_high is not None and one.ci_high < 0.8 else Judgement.INCONCLUSIVE
    if one.ci_high is not None and abs(one.ci_high - 0.8) > 1e-6:
        assert judge(one, AT_LEAST).judgement is expected


def test_many_groups_need_stronger_evidence_each() -> None:
    """Holm: what just fails alone is inconclusive as one of ten."""
    edge = figure(0.6, 0.41, 0.79)
    assert judge(edge, AT_LEAST).judgement is Judgement.FAIL
    family = judge_family([edge, *[figure(0.9, 0.8, 1.0)] * 9], AT_LEAST)
    assert family[0].judgement is Judgement.INCONCLUSIVE
    assert family[0].p_adjusted is not None
    assert family[0].p_adjusted > 0.05


def test_all_limits_of_a_check_are_one_family() -> None:
    """What just fails as the only limit is inconclusive beside nine others; what has no value is no test and counts for none."""
    edge, kept = figure(0.6, 0.41, 0.79), figure(0.1, 0.0, 0.3)
    unmeasured = [figure(None, note="Too few.")] * 9
    assert judge_limits([(AT_LEAST, [edge, *unmeasured])])[0][0].judgement is Judgement.FAIL
    first, others = judge_limits([(AT_LEAST, [edge]), (AT_MOST, [kept] * 9)])
    assert first[0].judgement is Judgement.INCONCLUSIVE
    assert first[0].p_adjusted == pytest.approx(10 * (judge(edge, AT_LEAST).p_adjusted or 0.0))
    assert {one.judgement for one in others} == {Judgement.PASS}


@given(st.lists(st.floats(0.2, 0.79), min_size=1, max_size=8))
def test_holms_steps_are_those_of_the_definition(values: list[float]) -> None:
    """The k-th smallest p-value times what is left of the family, never falling."""
    family = [figure(value, value - 0.1, value + 0.1) for value in values]
    alone = sorted(judge(one, AT_LEAST).p_adjusted or 0.0 for one in family)
    expected, highest = [], 0.0
    for rank, p in enumerate(alone):
        highest = max(highest, min(1.0, (len(alone) - rank) * p))
        expected.append(highest)
    assert sorted(one.p_adjusted or 0.0 for one in judge_family(family, AT_LEAST)) == pytest.approx(expected)


def test_too_little_data_may_pass_with_caution_but_only_beside_a_measured_figure() -> None:
    missing = figure(None, note="The group “x” has 3 rows.")
    beside = judge_family([missing, figure(0.9, 0.8, 1.0)], AT_LEAST, insufficient_data="warn")
    assert beside[0].judgement is Judgement.CAUTION
    assert "“x” has 3 rows" in beside[0].reason
    assert judge(missing, AT_LEAST, insufficient_data="warn").judgement is Judgement.INSUFFICIENT
    assert judge_family([missing, figure(0.9)], AT_LEAST)[0].judgement is Judgement.INSUFFICIENT


@pytest.mark.parametrize(
    ("value", "limit"), [(0.9, AT_LEAST), (0.7, AT_LEAST), (0.1, AT_MOST), (0.9, Limit("x", "ge", 0.8, "ci_low", 1.0))]
)
def test_a_value_whose_interval_was_withheld_neither_keeps_nor_breaches_a_limit(value: float, limit: Limit) -> None:
    withheld = figure(value, note="Insufficient data: the errors are too one-sided.")
    judged = judge(withheld, limit)
    assert judged.judgement is Judgement.INSUFFICIENT
    assert judged.reason == f"X is {value:.3f}, n = 100, without an interval. {withheld.note}"
    assert judge(withheld, limit, insufficient_data="warn").judgement is Judgement.INSUFFICIENT
    measured = figure(0.85, 0.82, 0.9) if limit is not AT_MOST else figure(0.1, 0.0, 0.15)
    beside = judge_family([withheld, measured], limit, insufficient_data="warn")
    assert [one.judgement for one in beside] == [Judgement.CAUTION, Judgement.PASS]


def test_a_note_alone_withholds_nothing() -> None:
    assert judge(figure(0.9, note="The top tenth."), AT_LEAST).judgement is Judgement.PASS
    assert judge(figure(0.9, 0.85, 0.95, note="Insufficient data"), AT_LEAST).judgement is Judgement.PASS


def test_a_withheld_interval_is_no_test_of_the_family() -> None:
    edge = figure(0.6, 0.41, 0.79)
    withheld = [figure(0.6, note="Insufficient data: few.")] * 9
    assert judge_family([edge, *withheld], AT_LEAST)[0].judgement is Judgement.FAIL


def test_the_reason_has_group_value_interval_limit_and_rows() -> None:
    one = figure(0.6, 0.5, 0.7, attribute="sex", group="female")
    assert judge(one, AT_LEAST).reason == (
        "X (sex = female) is 0.600 (95 % interval 0.500 to 0.700), n = 100; asked: at least 0.800."
    )


def test_headroom_is_the_share_of_the_way_to_the_ideal() -> None:
    assert judge(figure(0.9), AT_LEAST).headroom == pytest.approx(0.5)
    assert judge(figure(0.1), AT_MOST).headroom == pytest.approx(0.5)
    assert judge(figure(0.7), AT_LEAST).headroom == pytest.approx(-0.5)
    assert judge(figure(0.0), Limit("x", "le", 0.0, "value", 0.0)).headroom is None


@pytest.mark.parametrize(
    ("scale", "on"),
    [("identity", float), ("log", math.log), ("logit", lambda x: math.log(x / (1 - x)))],
)
def test_the_p_value_is_read_on_the_scale_of_the_figure(scale: str, on: Callable[[float], float]) -> None:
    """Half an interval is 1.96 standard errors there."""
    one = judge(figure(0.6, 0.4, 0.75, scale=scale), AT_LEAST)
    error = (on(0.75) - on(0.6)) / NormalDist().inv_cdf(0.975)
    expected = 2 * (1 - NormalDist().cdf((on(0.8) - on(0.6)) / error))
    assert one.p_adjusted == pytest.approx(expected, rel=1e-12)


def test_what_keeps_its_limit_by_far_lends_no_evidence_to_others() -> None:
    """In Holm's steps it counts as p = 1, however small the p-value of its distance is."""
    edge, sure = figure(0.6, 0.41, 0.79), figure(0.99, 0.985, 0.995)
    alone = judge(edge, AT_LEAST).p_adjusted or 0.0
    family = judge_family([edge, *[sure] * 9], AT_LEAST)
    assert family[0].p_adjusted == pytest.approx(10 * alone)
    assert all(one.p_adjusted is None for one in family[1:])
