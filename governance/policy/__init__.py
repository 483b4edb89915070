"""Policies: YAML to frozen values, and a pure evaluation to a verdict tree. See docs/reference/policy.md."""

from governance.policy.document import CheckRequirement, Limit, Policy, ReviewStage, SandboxRule, Slots, WaiverRule
from governance.policy.evaluation import evaluate, judge_check
from governance.policy.facts import CheckFact, Conflict, Facts, FigureFact, SignatureFact, WaiverFact
from governance.policy.judgement import Judged, Judgement, judge, judge_family
from governance.policy.parser import PolicyError, built_in, parse, schema
from governance.policy.signatures import Filled, MaySign, fill, may_sign, open_stage
from governance.policy.verdict import Node, Status, Verdict

__all__ = [
    "CheckFact",
    "CheckRequirement",
    "Conflict",
    "Facts",
    "FigureFact",
    "Filled",
    "Judged",
    "Judgement",
    "Limit",
    "MaySign",
    "Node",
    "Policy",
    "PolicyError",
    "ReviewStage",
    "SandboxRule",
    "SignatureFact",
    "Slots",
    "Status",
    "Verdict",
    "WaiverFact",
    "WaiverRule",
    "built_in",
    "evaluate",
    "fill",
    "judge",
    "judge_check",
    "judge_family",
    "may_sign",
    "open_stage",
    "parse",
    "schema",
]
