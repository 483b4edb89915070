"""Runs one check. ``execute(run) -> Outcome``: whatever model or data do becomes an outcome with a sentence, no exception.

Workers only: it loads numpy.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from uuid import UUID

import pyarrow as pa
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from config.errors import Refusal
from governance import checks, sandbox, vendors
from governance.checks import CheckError, CheckInputs, CheckResult
from governance.checks.batches import mapped, merged, run_batches
from governance.engine.inputs import gather
from governance.engine.probing import asked_of
from governance.engine.provenance import provenance_of
from governance.engine.rows_kept import forget
from governance.engine.scoring import score, score_part, scored
from governance.engine.sentences import summary_of, verdict_of
from governance.engine.storing import state_of, store_state, stored
from governance.engine.taken import taken
from governance.engine.workspace import Progress, SandboxRefused, Workspace
from governance.models import CheckRun
from governance.policy import FigureFact
from governance.services.checks import Outcome
from governance.services.parts import PartClaim
from governance.standing import policy_of

logger = logging.getLogger(__name__)
__all__ = ["compute", "execute", "execute_part", "score"]

SCORING = "scoring"
T = TypeVar("T")


def execute(run_id: UUID, progress: Progress) -> Outcome:
    """Run one check to its end. Guarantee: every end is an ``Outcome``, except ``LeaseLost``, which ends nothing."""
    run = _loaded(run_id)

    def work(directory: Path) -> Outcome:
        if run.category == SCORING:
            return taken(run) if vendors.KEY in run.parameters else scored(run, directory, progress)
        return _judged(run, *compute(run, directory, progress, states=_states(run)))

    outcome = _ended(run, work)
    return replace(outcome, provenance=provenance_of(run, outcome.sandbox))


def execute_part(held: PartClaim, progress: Progress) -> str | Outcome:
    """Map one part of a split check: where its state lies in the blob store ("" without rows), or the error it ends with."""
    run = _loaded(held.run_id)

    def work(directory: Path) -> str:
        if run.category == SCORING:
            return score_part(run, held, directory, progress)
        with _prepared(run, directory, progress) as (check, inputs, _):
            params = check.params.from_mapping(run.parameters)
            state = mapped(check, inputs, params, part=(held.number, held.of), progress=progress)
        return "" if state is None else store_state(state, directory / "state.arrow")

    return _ended(run, work)


def _loaded(run_id: UUID) -> CheckRun:
    return CheckRun.objects.select_related(
        "request__version__model",
        "request__model",
        "request__replaces",
        "request__policy_version__policy",
        "dataset__dataset",
    ).get(pk=run_id)


def _ended(run: CheckRun, work: Callable[[Path], T]) -> T | Outcome:
    """What the work gives in a directory of its own, or the error that it ends with. Raises ``LeaseLost``."""
    scratch = Path(settings.DATA_DIR) / "scratch"
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    forget()
    try:
        with TemporaryDirectory(prefix="check-", dir=scratch) as directory:
            return work(Path(directory))
    except SandboxRefused as refused:
        return _error(refused.outcome.code, _said(refused.outcome), refused.outcome.record())
    except CheckError as error:
        return _error(error.code, error.message)
    except Refusal as refusal:
        return _error(refusal.code, str(refusal))
    except SoftTimeLimitExceeded:
        return _error(
            "timeout", f"It was stopped at the time limit of {settings.CHECK_TIME_LIMIT} seconds for one check."
        )
    except Exception as error:
        # The boundary of a job: a fault of ours must end the check visibly, not run it three times.
        logger.exception("Check %s (%s) failed unexpectedly", run.pk, run.key)
        return _error(
            "internal", f"The check itself failed ({type(error).__name__}); the worker's log has the details."
        )


def compute(
    run: CheckRun,
    directory: Path,
    progress: Progress,
    *,
    scores: pa.Table | None = None,
    states: Iterable[pa.Table] | None = None,
    again: bool = False,
) -> tuple[CheckResult, dict[str, Any]]:
    """The result of one check and the record of its sandbox; nothing is stored.

    ``scores`` stand in for the predictions that the run waited for, ``states`` are those of all parts of the rows;
    ``again`` repeats it with the libraries that are on record. Raises ``CheckError``, ``Refusal``, ``SandboxRefused`` and
    what ``progress`` raises.
    """
    if reason := run.requirement.get("not_applicable"):
        about = checks.manifest(run.requirement["use"])
        return CheckResult(about.key, about.version, dict(run.parameters), 0, not_applicable=reason), {}
    with _prepared(run, directory, progress, scores=scores, again=again) as (check, inputs, work):
        if states is None:
            return run_batches(check, inputs, run.parameters, progress=progress), work.record
        return check.finish(merged(check, states), inputs, check.params.from_mapping(run.parameters)), work.record


@contextmanager
def _prepared(
    run: CheckRun, directory: Path, progress: Progress, *, scores: pa.Table | None = None, again: bool = False
) -> Iterator[tuple[checks.Check, CheckInputs, Workspace]]:
    """The check and all it reads; what was laid out for it is removed afterwards."""
    work = Workspace(run, directory, progress, again=again)
    try:
        use = run.requirement["use"]
        inputs = gather(work, checks.manifest(use))
        if scores is not None:
            inputs = replace(inputs, predictions=scores)
        check = checks.get(use)
        if isinstance(check, checks.ProbeCheck) and inputs.data is not None:
            inputs = asked_of(work, check, replace(inputs, roles=work.with_features(inputs.roles)))
        yield check, inputs, work
    finally:
        work.clean()


def _states(run: CheckRun) -> Iterator[pa.Table] | None:
    """The states of the run's parts, one by one; None if it was not split."""
    parts = list(run.parts.exclude(counts=None))
    return (state_of(str(part.counts_id)) for part in parts) if parts else None


def _error(code: str, sentence: str, record: dict[str, Any] | None = None) -> Outcome:
    return Outcome(CheckRun.Verdict.ERROR, sentence, error_code=code[:40], sandbox=record or {})


def _said(outcome: sandbox.SandboxOutcome) -> str:
    if outcome.code == "refused_by_scan":
        return f"Not run: the artifact gate refused a file of the model. {outcome.message}"
    return outcome.message


def _judged(run: CheckRun, result: CheckResult, record: dict[str, Any]) -> Outcome:
    """The result under the policy of its request."""
    need = next(one for one in policy_of(run.request.policy_version).checks if one.key == run.key)
    figures = [FigureFact.from_json(figure) for figure in result.as_dict()["figures"]]
    verdict = verdict_of(need, figures, result.not_applicable)
    summary = summary_of(need, figures, result.not_applicable)
    if record.get(vendors.KEY):
        summary = f"{summary} {vendors.SHORT}"
    return stored(marked(result, record), verdict, summary, record)


def marked(result: CheckResult, record: Mapping[str, Any]) -> CheckResult:
    """The result as it is stored: one that rests on uploaded predictions says so."""
    return replace(result, limits=(*result.limits, vendors.MARK)) if record.get(vendors.KEY) else result
