"""A check that does not apply is not met, unless the policy says for this very check that it takes that for an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from governance.policy import PolicyError, Status, evaluate, parse
from governance.policy.facts import STATES
from tests.governance.policy.make import BUILT_IN, approved, with_check

KEY = BUILT_IN.checks[0].key
ACCEPTING = replace(BUILT_IN, checks=(replace(BUILT_IN.checks[0], not_applicable="accept"), *BUILT_IN.checks[1:]))
REASON = "The model takes images, and this check judges models of tables only."
YAML = """
policy: images
governs: {{tiers: [1], targets: [alias:production]}}
checks: [{{use: fairness.groups, data: {{role: test}}, not_applicable: {}}}]
review: [{{stage: approval, all: [{{role: approver, n: 1}}]}}]
"""


def test_it_fails_by_default() -> None:
    verdict = evaluate(BUILT_IN, with_check(approved(), KEY, state="not_applicable", error=REASON))
    assert verdict.find(f"checks/{KEY}").status is Status.CANNOT_TELL
    assert not verdict.approved


def test_it_is_met_where_the_policy_says_so_and_the_reason_is_told() -> None:
    verdict = evaluate(ACCEPTING, with_check(approved(), KEY, state="not_applicable", error=REASON, figures=()))
    node = verdict.find(f"checks/{KEY}")
    assert node.status is Status.MET
    assert REASON in node.reason
    assert "which the policy accepts" in node.reason
    assert verdict.approved
    assert REASON in str(verdict.root.as_dict())


@pytest.mark.parametrize("state", [state for state in STATES if state not in {"done", "not_applicable"}])
def test_nothing_else_is_accepted_by_it(state: Any) -> None:
    assert not evaluate(ACCEPTING, with_check(approved(), KEY, state=state, error=REASON)).approved


@pytest.mark.parametrize("changes", [{"stale": True}, {"error": ""}])
def test_a_stale_result_or_one_without_a_reason_is_not_accepted(changes: dict[str, Any]) -> None:
    changed = {"state": "not_applicable", "error": REASON} | changes
    assert not evaluate(ACCEPTING, with_check(approved(), KEY, **changed)).approved


def test_it_accepts_for_that_check_only() -> None:
    other = BUILT_IN.checks[1].key
    assert not evaluate(ACCEPTING, with_check(approved(), other, state="not_applicable", error=REASON)).approved


def test_a_check_that_applies_is_judged_as_ever() -> None:
    assert not evaluate(ACCEPTING, with_check(approved(), KEY, figures=())).approved


def test_the_document_says_it_in_one_of_two_words() -> None:
    assert parse(YAML.format("accept").encode()).checks[0].not_applicable == "accept"
    assert parse(YAML.format("fail").encode()).checks[0].not_applicable == "fail"
    with pytest.raises(PolicyError, match="maybe"):
        parse(YAML.format("maybe").encode())
