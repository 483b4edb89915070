"""Facts for the policy's tests: a request that the built-in policy would approve, to be changed by each test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from governance.policy import CheckFact, Facts, FigureFact, Policy, SignatureFact, built_in, parse

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BUILT_IN = parse(built_in())


def figure(key: str, value: float | None, **more: Any) -> FigureFact:
    return FigureFact(key, key, value, 200, **more)


def keeping(policy: Policy) -> tuple[CheckFact, ...]:
    """A finished run for every check, each figure at its ideal."""
    return tuple(
        CheckFact(
            need.key,
            "done",
            tuple(figure(limit.figure, limit.ideal, ci_low=limit.ideal, ci_high=limit.ideal) for limit in need.limits),
        )
        for need in policy.checks
    )


def signature(person: str, *, stage: str = "approval", minutes: int = 0, **more: Any) -> SignatureFact:
    roles = more.pop("roles", frozenset({"approver"}))
    return SignatureFact(
        f"s-{person}-{stage}-{minutes}", person, person.title(), stage, more.pop("decision", "approve"), roles,
        NOW - timedelta(hours=1) + timedelta(minutes=minutes), **more,
    )  # fmt: skip


def approved(policy: Policy = BUILT_IN) -> Facts:
    return Facts(
        at=NOW, checks=keeping(policy), card=frozenset(policy.card),
        signatures=(signature("ada"), signature("ben", minutes=1)),
    )  # fmt: skip


def with_check(facts: Facts, key: str, **changes: Any) -> Facts:
    return replace(facts, checks=tuple(replace(c, **changes) if c.key == key else c for c in facts.checks))
