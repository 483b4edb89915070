"""The verdict of a check under its policy, and the one sentence that says it. Pure."""

from collections.abc import Sequence

from governance.models import CheckRun
from governance.policy import CheckRequirement, FigureFact, Judged, Judgement, judge_check
from governance.policy.evaluation import unmeasured
from governance.policy.judgement import judge_limits

_VERDICTS = {
    Judgement.PASS: CheckRun.Verdict.PASS,
    Judgement.CAUTION: CheckRun.Verdict.PASS,
    Judgement.FAIL: CheckRun.Verdict.FAIL,
    Judgement.INCONCLUSIVE: CheckRun.Verdict.INCONCLUSIVE,
    Judgement.INSUFFICIENT: CheckRun.Verdict.INCONCLUSIVE,
}
_WORST_FIRST = [Judgement.FAIL, Judgement.INCONCLUSIVE, Judgement.INSUFFICIENT, Judgement.CAUTION, Judgement.PASS]


def verdict_of(need: CheckRequirement, figures: Sequence[FigureFact], not_applicable: str) -> str:
    """What the row of the check says; the policy's evaluation judges the same figures again whenever it is asked."""
    return CheckRun.Verdict.NOT_APPLICABLE if not_applicable else _VERDICTS[judge_check(need, figures)]


def summary_of(need: CheckRequirement, figures: Sequence[FigureFact], not_applicable: str) -> str:
    """The worst finding with its group, value, interval and limit; or that all is kept."""
    if not_applicable:
        return not_applicable
    families = [(limit, [figure for figure in figures if figure.key == limit.figure]) for limit in need.limits]
    for limit, family in families:
        if not family:
            return f"The check gave no figure “{limit.figure}”."
    judged: list[Judged] = [
        one for family in judge_limits(families, insufficient_data=need.insufficient_data) for one in family
    ]
    if not judged:
        return unmeasured(figures) or "It ran; the policy sets no limit on it."
    worst = min(
        judged, key=lambda one: (_WORST_FIRST.index(one.judgement), one.headroom if one.headroom is not None else 0.0)
    )
    return worst.reason
