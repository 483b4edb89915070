"""Policy documents: what a good one becomes, and how a bad one is told where and what."""

from __future__ import annotations

import hashlib
import json

import pytest
from jsonschema import Draft202012Validator

from governance.checks import catalogue
from governance.policy import Limit, PolicyError, SandboxRule, Slots, WaiverRule, built_in, parse, schema

MINIMAL = "policy: p\ngoverns: {tiers: [1], targets: [alias:production]}\n"
MINIMAL += "review: [{stage: approval, all: [{role: approver, n: 1}]}]\n"


def test_the_built_in_policy_reads_as_written() -> None:
    policy = parse(built_in())
    assert policy.name == "model-promotion"
    assert policy.digest == hashlib.sha256(built_in()).hexdigest()
    assert policy.governs(tier=2, target="alias:production")
    assert policy.governs(tier=1, target="stage:Production")
    assert not policy.governs(tier=4, target="alias:production")
    assert not policy.governs(tier=1, target="alias:challenger")
    assert policy.stage("approval").all == (Slots("approver", 2),)
    assert policy.card == ("intended_use", "limitations")
    assert (policy.valid_days, policy.waivers) == (180, WaiverRule(Slots("approver", 2), 90))
    assert len({check.key for check in policy.checks}) == len(policy.checks)


def test_a_policy_may_demand_how_the_model_is_run() -> None:
    assert parse(MINIMAL.encode()).sandbox == SandboxRule("reduced", "any")
    text = MINIMAL + "sandbox: {level: full, environment: compatible}\n"
    assert parse(text.encode()).sandbox == SandboxRule("full", "compatible")
    with pytest.raises(PolicyError, match="“high” is not one of reduced, confined, full"):
        parse((MINIMAL + "sandbox: {level: high}\n").encode())
    with pytest.raises(PolicyError, match="“network” is not known here"):
        parse((MINIMAL + "sandbox: {network: false}\n").encode())


def test_every_limit_of_the_built_in_policy_is_a_figure_of_the_catalogue() -> None:
    for need in parse(built_in()).checks:
        manifest = catalogue.manifest(need.use)
        declared = {spec.key: spec.better for spec in manifest.figures}
        for limit in need.limits:
            assert (limit.op == "ge") == (declared[limit.figure] == "higher")
        assert bool(need.sensitive) == ("sensitive" in manifest.needs)
        catalogue.get(need.use).params.from_mapping(need.params)


def test_the_example_of_the_design_parses() -> None:
    policy = parse(b"""
policy: credit-risk
governs: {tiers: [1, 2], targets: [alias:production, stage:Production]}
checks:
  - use: performance.binary
    data: {dataset: credit-holdout, role: test}
    require: {auc: {ge: 0.75, bound: ci_low}, ece: {le: 0.05}}
  - use: fairness.groups
    sensitive: [sex, age_band]
    require: {selection_rate_ratio: {ge: 0.80}, equal_opportunity_difference: {le: 0.10}}
    insufficient_data: warn
  - use: compare.champion
    require: {auc_difference: {ge: -0.005, bound: ci_low}}
card: [intended_use, limitations, affected_groups, monitoring_plan]
review:
  - stage: validation
    all: [{role: validator, n: 1, independent: true}]
  - stage: approval
    all: [{role: approver, n: 2}]
valid_for: P180D
waivers: {by: {role: approver, n: 2}, max: P90D}
""")
    assert policy.checks[0].limits == (Limit("auc", "ge", 0.75, "ci_low", 1.0), Limit("ece", "le", 0.05, "value", 0.0))
    assert (policy.checks[0].dataset, policy.checks[0].data_role) == ("credit-holdout", "test")
    assert policy.checks[1].insufficient_data == "warn"
    assert policy.checks[2].insufficient_data == "fail"
    assert [stage.name for stage in policy.review] == ["validation", "approval"]


def test_the_published_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(schema())
    json.dumps(schema())


def test_one_more_space_is_another_digest() -> None:
    assert parse(MINIMAL.encode()).digest != parse(MINIMAL.encode() + b" ").digest


@pytest.mark.parametrize(
    ("document", "line", "path", "said"),
    [
        ("", None, "", "empty"),
        ("- a", 1, "", "must be of type object"),
        ("policy: [", 1, "", "not YAML"),
        (MINIMAL + "x: 1\n", 1, "", "“x” is not known here"),
        (MINIMAL + "policy: q\n", 4, "", "given twice"),
        (MINIMAL.replace("tiers: [1], ", ""), 2, "governs", "“tiers” is missing"),
        (MINIMAL.replace("n: 1", "n: 0"), 3, "review.0.all.0.n", "less than the minimum"),
        (MINIMAL.replace("role: approver", "role: boss"), 3, "review.0.all.0.role", "not one of"),
        (MINIMAL.replace("alias:production", "production"), 2, "governs.targets.0", "wrong form"),
        (MINIMAL + "valid_for: 180 days\n", 4, "valid_for", "P180D"),
        (MINIMAL + "checks: [{use: a.b, require: {auc: {ge: 1, le: 2}}}]\n", 4, "checks.0.require.auc", "exactly one"),
        (MINIMAL + "checks: [{use: a.b, require: {auc: {ge: .nan}}}]\n", 4, "checks.0.require.auc.ge", "finite"),
        (MINIMAL + "checks: [{use: a.b, require: {auc: {ge: high}}}]\n", 4, "checks.0.require.auc.ge", "type number"),
        (MINIMAL + "checks: [{use: a.b},\n  {use: a.b}]\n", 5, "checks.1", "second check"),
        (MINIMAL + "card: &a [b]\nchecks: *a\n", 5, "", "aliases"),
        (MINIMAL + "title: 2026-01-01\n", 4, "title", "quotes"),
        (MINIMAL + "title: !!python/name:os.system x\n", 4, "title", "cannot be read"),
        ("[" * 5000, None, "", "not YAML"),
        ("#" * 70_000, None, "", "Shorten"),
    ],
)
def test_a_bad_document_is_told_where_and_what(document: str, line: int | None, path: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said) as error:
        parse(document.encode())
    if line is not None:
        assert (error.value.line, error.value.path) == (line, path)


def test_bytes_that_are_no_text_are_said() -> None:
    with pytest.raises(PolicyError, match="UTF-8"):
        parse(b"policy: \xff")
