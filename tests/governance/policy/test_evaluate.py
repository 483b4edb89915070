"""The verdict: every path to "met", and above all the ones that must not exist."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.policy import (
    CheckFact,
    CheckRequirement,
    Conflict,
    Facts,
    Judgement,
    Status,
    WaiverFact,
    evaluate,
    fill,
    judge_check,
    may_sign,
    parse,
)
from governance.policy.facts import STATES
from tests.governance.policy.make import BUILT_IN, NOW, approved, figure, signature, with_check

TWO_STAGES = parse(b"""
policy: two-stages
governs: {tiers: [1], targets: [alias:production]}
review:
  - {stage: validation, all: [{role: validator, n: 1, independent: true}, {role: validator, n: 1}]}
  - {stage: approval, all: [{role: approver, n: 2}]}
""")


def test_everything_kept_and_signed_is_approved() -> None:
    verdict = evaluate(BUILT_IN, approved())
    assert verdict.approved
    assert verdict.status is Status.MET
    assert verdict.blocking() == ()
    assert verdict.open_stage is None


def test_nothing_known_is_pending_with_the_way_out() -> None:
    verdict = evaluate(BUILT_IN, Facts(at=NOW))
    assert not verdict.approved
    assert not verdict.ready_for_review
    assert verdict.open_stage is None
    assert verdict.find("checks/performance.binary").status is Status.PENDING
    assert verdict.find("card/limitations").status is Status.NOT_MET
    assert verdict.find("card/limitations").remedy == "Fill in “Limitations” on the model card."
    assert all(node.reason for node in verdict.root.walk())
    assert all(node.anchor.startswith("req-") for node in verdict.root.walk())


@pytest.mark.parametrize("state", [state for state in STATES if state != "done"])
@pytest.mark.parametrize("key", [need.key for need in BUILT_IN.checks])
def test_no_unfinished_check_is_met_whatever_its_figures_say(state: Any, key: str) -> None:
    verdict = evaluate(BUILT_IN, with_check(approved(), key, state=state, error="The worker died."))
    assert not verdict.approved
    assert verdict.find(f"checks/{key}").status in (Status.PENDING, Status.CANNOT_TELL)


@pytest.mark.parametrize("key", [need.key for need in BUILT_IN.checks])
def test_a_stale_result_is_not_met(key: str) -> None:
    assert not evaluate(BUILT_IN, with_check(approved(), key, stale=True)).approved


@pytest.mark.parametrize("key", [need.key for need in BUILT_IN.checks])
def test_a_result_without_its_figures_cannot_tell(key: str) -> None:
    verdict = evaluate(BUILT_IN, with_check(approved(), key, figures=()))
    assert verdict.find(f"checks/{key}").status is Status.CANNOT_TELL


@pytest.mark.parametrize("values", [(None,), (None, None), (None, 0.5), (0.5,), ()])
def test_a_check_without_limits_that_could_measure_nothing_cannot_tell(values: tuple[float | None, ...]) -> None:
    """Having run is enough where nothing is asked, but not if what the check is for could not be had at all."""
    need = CheckRequirement("drift.columns", "drift.columns")
    policy = replace(BUILT_IN, checks=(need,))
    figures = (*(figure("first", value, note="There is no list.") for value in values), figure("second", 1.0))
    nothing = bool(values) and not any(value is not None for value in values)
    verdict = evaluate(policy, replace(approved(policy), checks=(CheckFact(need.key, "done", figures),)))
    assert verdict.checks.status is (Status.CANNOT_TELL if nothing else Status.MET)
    assert judge_check(need, figures) is (Judgement.INSUFFICIENT if nothing else Judgement.PASS)
    if nothing:
        assert verdict.checks.children[0].reason == "There is no list."


def test_two_current_results_cannot_tell() -> None:
    facts = approved()
    assert not evaluate(BUILT_IN, replace(facts, checks=(*facts.checks, facts.checks[0]))).approved


def test_the_worst_group_decides_and_is_named() -> None:
    groups = [
        figure("selection_rate_ratio", 0.95, ci_low=0.8, ci_high=1.1, scale="log", attribute="sex", group="m"),
        figure("selection_rate_ratio", 0.45, ci_low=0.3, ci_high=0.6, scale="log", attribute="sex", group="f"),
        figure("equal_opportunity_difference", 0.0, ci_low=-0.1, ci_high=0.1, attribute="sex", group="f"),
    ]
    node = evaluate(BUILT_IN, with_check(approved(), "fairness.sex", figures=tuple(groups))).find("checks/fairness.sex")
    assert node.status is Status.NOT_MET
    assert "sex = f" in node.reason
    assert "0.450 (95 % interval 0.300 to 0.600)" in node.reason
    need = next(need for need in BUILT_IN.checks if need.key == "fairness.sex")
    assert judge_check(need, groups) is Judgement.FAIL
    assert judge_check(need, []) is Judgement.INSUFFICIENT


def test_an_inconclusive_breach_is_not_met_and_leaves_the_decision_to_people() -> None:
    weak = (figure("rank_stability", 0.4, ci_low=0.2, ci_high=0.6),)
    node = evaluate(BUILT_IN, with_check(approved(), "explainability.importance", figures=weak)).find(
        "checks/explainability.importance/rank_stability"
    )
    assert node.status is Status.NOT_MET
    assert "waiver" in node.remedy


# signatures


def names(facts: Facts, policy: Any = BUILT_IN) -> list[str | None]:
    return [one.signature.person if one.signature else None for one in fill(policy, facts)]


@pytest.mark.parametrize(
    "signatures",
    [
        (signature("ada"), signature("ada", minutes=1)),
        (signature("ada"), signature("ben", roles=frozenset({"validator"}))),
        (signature("ada"), signature("ben", void="The evidence changed.")),
        (signature("ada"), signature("ben", stage="elsewhere")),
        (signature("ada"), signature("ben", decision="request_changes")),
        (signature("ada"), signature("eve")),
    ],
)
def test_two_signatures_that_do_not_make_a_quorum(signatures: Any) -> None:
    facts = replace(approved(), signatures=signatures, conflicts=(Conflict("eve", "requested this promotion"),))
    assert not evaluate(BUILT_IN, facts).approved


@pytest.mark.parametrize("decision", ["reject", "request_changes"])
def test_one_rejection_stands_against_any_number_of_approvals(decision: str) -> None:
    facts = approved()
    against = signature("cleo", minutes=2, decision=decision)
    verdict = evaluate(BUILT_IN, replace(facts, signatures=(*facts.signatures, against)))
    assert verdict.find("review/approval").status is Status.NOT_MET
    assert "Cleo" in verdict.find("review/approval").reason


def test_a_person_who_can_fill_two_slots_leaves_the_one_that_others_cannot() -> None:
    both = frozenset({"validator"})
    facts = Facts(
        NOW,
        signatures=(
            signature("ada", stage="validation", roles=both, independent=True),
            signature("ben", stage="validation", roles=both, minutes=1),
        ),
    )
    assert names(facts, TWO_STAGES)[:2] == ["ada", "ben"]
    swapped = replace(facts, signatures=tuple(replace(s, at=NOW - (s.at - NOW)) for s in facts.signatures))
    assert names(swapped, TWO_STAGES)[:2] == ["ada", "ben"]


def test_stages_go_in_order_and_a_person_signs_once() -> None:
    roles = frozenset({"validator", "approver"})
    stage_1 = (
        signature("ada", stage="validation", roles=roles, independent=True),
        signature("ben", stage="validation", roles=roles, minutes=1),
    )
    early = signature("cleo", roles=roles, minutes=-5)
    again = signature("ada", roles=roles, minutes=5)
    late = signature("dan", roles=roles, minutes=6)
    assert names(Facts(NOW, signatures=(early, late)), TWO_STAGES) == [None] * 4
    assert names(Facts(NOW, signatures=(*stage_1, early, again)), TWO_STAGES) == ["ada", "ben", None, None]
    assert names(Facts(NOW, signatures=(*stage_1, late)), TWO_STAGES) == ["ada", "ben", "dan", None]


def test_who_may_sign_and_why_not() -> None:
    facts = replace(
        approved(), signatures=(signature("ada"),), conflicts=(Conflict("eve", "requested this promotion"),)
    )
    approver = frozenset({"approver"})
    assert may_sign(BUILT_IN, facts, person="ben", roles=approver).stage == "approval"
    assert (
        may_sign(BUILT_IN, facts, person="eve", roles=approver).reason
        == "Your vote cannot count here: you requested this promotion."
    )
    assert "signed already" in may_sign(BUILT_IN, facts, person="ada", roles=approver).reason
    assert "needs an approver" in may_sign(BUILT_IN, facts, person="kim", roles=frozenset({"auditor"})).reason
    assert may_sign(BUILT_IN, approved(), person="ben2", roles=approver).reason == "The review is complete."


# waivers


def waiver(key: str, **changes: Any) -> WaiverFact:
    made = WaiverFact(
        "w1", key, "Retrained next week.", NOW - timedelta(days=1), NOW + timedelta(days=30),
        (signature("ada"), signature("ben")),
    )  # fmt: skip
    return replace(made, **changes)


FAILED = with_check(approved(), "performance.binary", state="error", error="The model raised.")


def test_a_waiver_in_force_is_named() -> None:
    verdict = evaluate(BUILT_IN, replace(FAILED, waivers=(waiver("performance.binary"),)))
    node = verdict.find("checks/performance.binary")
    assert (verdict.status, node.status, node.waiver) == (Status.WAIVED, Status.WAIVED, "w1")
    assert "Retrained next week." in node.reason
    assert "The model raised." in node.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "fairness.sex"},
        {"expires_at": NOW},
        {"granted_at": NOW + timedelta(seconds=1)},
        {"expires_at": NOW + timedelta(days=90)},
        {"signatures": (signature("ada"),)},
        {"signatures": (signature("ada"), signature("ada", minutes=1))},
        {"signatures": (signature("ada"), signature("eve"))},
        {"signatures": (signature("ada"), signature("ben", roles=frozenset()))},
        {"signatures": (signature("ada"), signature("ben", void="x"))},
    ],
)
def test_a_waiver_that_does_not_count(changes: dict[str, Any]) -> None:
    facts = replace(
        FAILED, waivers=(replace(waiver("performance.binary"), **changes),), conflicts=(Conflict("eve", "x"),)
    )
    assert not evaluate(BUILT_IN, facts).approved


def test_a_policy_without_waivers_has_none() -> None:
    policy = replace(BUILT_IN, waivers=None)
    assert not evaluate(policy, replace(FAILED, waivers=(waiver("performance.binary"),))).approved


def test_a_waiver_never_stands_for_a_signature_or_a_card_field() -> None:
    facts = replace(approved(), signatures=(), card=frozenset())
    keys = ["review", "approval", "review/approval", "card", "card/limitations", "limitations"]
    assert not evaluate(BUILT_IN, replace(facts, waivers=tuple(waiver(key, id=key) for key in keys))).approved


# properties

SIGNERS = st.builds(
    signature,
    st.sampled_from(["ada", "ben", "cleo", "dan"]),
    stage=st.sampled_from(["validation", "approval"]),
    minutes=st.integers(0, 9),
    roles=st.frozensets(st.sampled_from(["validator", "approver"])),
    independent=st.booleans(),
    void=st.sampled_from(["", "", "changed"]),
    decision=st.sampled_from(["approve", "approve", "reject"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(SIGNERS, max_size=8, unique_by=lambda s: s.id), st.randoms())
def test_slots_hold_distinct_eligible_people_whatever_the_order(signatures: list[Any], random: Any) -> None:
    facts = Facts(NOW, signatures=tuple(signatures), conflicts=(Conflict("dan", "trained the model"),))
    filled = fill(TWO_STAGES, facts)
    people = [one.signature.person for one in filled if one.signature]
    assert len(people) == len(set(people))
    for one in filled:
        if one.signature:
            assert one.slot.rule.role in one.signature.roles
            assert one.slot.stage == one.signature.stage
            assert one.signature.independent or not one.slot.rule.independent
            assert not one.signature.void
            assert one.signature.decision == "approve"
            assert one.signature.person != "dan"
    shuffled = list(signatures)
    random.shuffle(shuffled)
    assert fill(TWO_STAGES, replace(facts, signatures=tuple(shuffled))) == filled
    if any(one.signature for one in filled[2:]):
        assert all(one.signature for one in filled[:2])


FACTS = st.builds(
    CheckFact,
    key=st.sampled_from([need.key for need in BUILT_IN.checks]),
    state=st.sampled_from(STATES),
    figures=st.lists(
        st.builds(
            figure,
            st.sampled_from([limit.figure for need in BUILT_IN.checks for limit in need.limits]),
            st.none() | st.floats(0, 1),
            ci_low=st.none() | st.floats(0, 1),
            ci_high=st.none() | st.floats(0, 1),
        ),
        max_size=5,
    ).map(tuple),
    stale=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FACTS, max_size=8))
def test_evaluation_is_total_deterministic_and_never_generous(checks: list[CheckFact]) -> None:
    facts = replace(approved(), checks=tuple(checks))
    verdict = evaluate(BUILT_IN, facts)
    assert evaluate(BUILT_IN, facts) == verdict
    assert verdict.root.as_dict() == evaluate(BUILT_IN, facts).root.as_dict()
    for need in BUILT_IN.checks:
        node = verdict.find(f"checks/{need.key}")
        if node.status.good:
            runs = [check for check in checks if check.key == need.key]
            assert len(runs) == 1
            assert (runs[0].state, runs[0].stale) == ("done", False)
            for limit in need.limits:
                values = [f.value for f in runs[0].figures if f.key == limit.figure and f.value is not None]
                assert values
