"""Runs of a plan that no worker computes: results that are known already, and findings that a person is to record."""

from typing import Final

from django.utils import timezone

from governance import vendors
from governance.checks import Manifest
from governance.engine.sentences import summary_of, verdict_of
from governance.models import CheckRun, PromotionRequest
from governance.policy import CheckRequirement, FigureFact
from governance.standing import policy_of
from governance.states import CheckState

_REUSED: Final = (
    "verdict", "summary", "result", "result_digest", "result_blob_id", "output_blob_id", "sandbox", "provenance",
    "drawings",
)  # fmt: skip


def awaited(request: PromotionRequest, need: CheckRequirement, about: Manifest) -> CheckRun:
    """A finding that a person is to record: anew in every round, never taken from another."""
    return CheckRun(
        request=request,
        round=request.round,
        key=need.key,
        check_version=str(about.version),
        title=str(need.params["title"]),
        category=about.category,
        parameters=dict(need.params),
        requirement={"use": about.name, "sensitive": [], "insufficient_data": need.insufficient_data, "limits": []},
        state=CheckState.AWAITED,
    )


def not_applicable(run: CheckRun) -> dict[str, str]:
    """For the ledger: of a check that does not apply, whether the policy accepts that; of others nothing."""
    if run.verdict != CheckRun.Verdict.NOT_APPLICABLE:
        return {}
    return {"not_applicable": "accepted" if run.requirement.get("accepts_not_applicable") else "not accepted"}


def reuse(run: CheckRun) -> None:
    """Finish the run with an earlier result of the same key, if there is one that is no error."""
    if not run.cache_key:
        return
    known = (
        CheckRun.objects.filter(cache_key=run.cache_key, state=CheckState.FINISHED)
        .exclude(verdict=CheckRun.Verdict.ERROR)
        .select_related("request", "reused_from__request")
        .order_by("-finished_at")
        .first()
    )
    if known is None:
        return
    for name in _REUSED:
        setattr(run, name, getattr(known, name))
    run.state = CheckState.FINISHED
    run.reused_from = known.reused_from or known
    run.started_at = run.finished_at = timezone.now()
    _judge_again(run)


def _judge_again(run: CheckRun) -> None:
    """Verdict and sentence under the limits of this run's own requirement; those of the earlier one may be others."""
    need = next((one for one in policy_of(run.request.policy_version).checks if one.key == run.key), None)
    if need is None or run.result is None:
        return
    figures = [FigureFact.from_json(one) for one in run.result["figures"]]
    reason = str(run.result.get("not_applicable", ""))
    run.verdict = verdict_of(need, figures, reason)
    run.summary = summary_of(need, figures, reason)
    if run.sandbox.get(vendors.KEY):
        run.summary = f"{run.summary} {vendors.SHORT}"
