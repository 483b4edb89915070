"""The whole way of a check: sealed bytes, artifact gate, sandbox, figures, verdict, snapshot."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.csv
import pytest
from billiard.exceptions import SoftTimeLimitExceeded

from governance import tasks
from governance.engine.execute import execute
from governance.models import CheckRun, PromotionRequest
from governance.services import checks
from governance.services.evidence import result_bytes
from governance.states import RequestState
from registry.models import User
from tests.factories import governance as make
from tests.governance.engine import models

pytestmark = pytest.mark.django_db

POLICY = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production", "stage:Production"]}
checks:
  - use: security.scan
    require: {refused_findings: {le: 0}}
  - use: performance.binary
    data: {role: test}
    require: {auc: {ge: 0.75, bound: ci_low}}
  - use: fairness.groups
    data: {role: test}
    sensitive: [sex]
    require: {equal_opportunity_difference: {le: 0.30}}
review:
  - stage: approval
    all: [{role: approver, n: 2}]
"""


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    """Scratch directories belong to the test. The lease thread has a connection of its own, so it must not come to run."""
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)


def asked(
    scientist: User, files: dict[str, bytes], data: bytes = b"", policy: str = POLICY, **columns: Any
) -> PromotionRequest:
    make.policy(policy)
    roles = {"label": "y", "features": models.FEATURES, "sensitive": ["sex"]} | columns
    held_out = make.dataset(scientist, data or models.parquet(models.people(seed=11)), **roles)
    model = make.registered_model(scientist, evaluation_dataset=held_out.dataset)
    return make.request(make.sealed_version(model, scientist, files), scientist)


def run_all(request: PromotionRequest) -> PromotionRequest:
    """Ring until nothing is due, as the follower does, and answer as a worker does."""
    while due := checks.due_of(request.pk):
        for run_id in due:
            tasks.run_check(str(run_id))
    return PromotionRequest.objects.get(pk=request.pk)


def run_of(request: PromotionRequest, key: str) -> CheckRun:
    return request.checks.get(key=key)


@pytest.mark.slow
def test_a_sound_model_is_scored_once_and_checked(scientist: User) -> None:
    request = run_all(asked(scientist, models.sound_model()))
    assert {run.key: (run.verdict, run.summary) for run in request.checks.all()}["performance.binary"][0] == "pass"
    assert request.state == RequestState.READY
    scores, performance = run_of(request, "predict.scores"), run_of(request, "performance.binary")
    assert scores.output_blob_id
    assert scores.sandbox["layers"]
    assert performance.result is not None
    assert performance.result["n"] == 600
    assert make.digest(result_bytes(performance).decode()) == performance.result_digest


PROBED = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: robustness.perturbations
    data: {role: test}
    params: {rows: 200}
    require: {flip_share: {le: 0.9}}
    insufficient_data: warn
  - use: explainability.effects
    data: {role: test}
    params: {rows: 50, increasing: [age]}
    require: {monotonicity_violations: {le: 0.05}}
  - use: performance.slices
    data: {role: test}
    require: {flagged_slices: {le: 3}}
  - use: drift.columns
    data: {role: test}
    require: {drifted_columns: {le: 0}}
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""


@pytest.mark.slow
def test_the_model_is_asked_about_rows_of_the_checks_own_making(scientist: User) -> None:
    """A logistic regression refuses missing values: that is the finding, and the other answers stand."""
    request = run_all(asked(scientist, models.sound_model(), policy=PROBED))
    robust, effects = run_of(request, "robustness.perturbations"), run_of(request, "explainability.effects")
    figures = {(one["key"], one["group"]): one for one in (robust.result or {})["figures"]}
    assert figures["flip_share", "noise"]["value"] < 0.2
    assert figures["flip_share", "missing values"]["value"] is None
    assert "NaN" in figures["flip_share", "missing values"]["note"]
    assert figures["failed_probes", None]["value"] == 1
    assert robust.sandbox["layers"]
    assert (effects.verdict, run_of(request, "performance.slices").verdict) == ("pass", "pass")
    drift = run_of(request, "drift.columns")
    assert (drift.verdict, drift.state) == ("not_applicable", "finished")
    assert "not registered" in drift.summary


@pytest.mark.slow
def test_data_in_csv_serves_as_well(scientist: User) -> None:
    sink = io.BytesIO()
    pyarrow.csv.write_csv(models.people(seed=11), sink)
    request = asked(scientist, models.sound_model(), sink.getvalue(), kind="csv")
    assert run_of(run_all(request), "performance.binary").verdict == "pass"


@pytest.mark.slow
def test_a_pickle_that_would_run_code_is_refused_by_the_gate_and_never_loaded(scientist: User, tmp_path: Path) -> None:
    mark = tmp_path / "the-gate-was-open"
    request = run_all(asked(scientist, models.deadly_model(mark)))
    assert not mark.exists()
    assert run_of(request, "security.scan").verdict == "fail"
    scores = run_of(request, "predict.scores")
    assert (scores.verdict, scores.error_code) == ("error", "refused_by_scan")
    assert scores.summary.startswith("Not run: the artifact gate refused")
    assert run_of(request, "performance.binary").error_code == "needs_failed"
    assert request.state == RequestState.CHECKS_FAILED


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "named"), [({"label": "outcome"}, "outcome"), ({"label": None}, "label")])
def test_a_missing_label_is_named(scientist: User, columns: dict[str, Any], named: str) -> None:
    performance = run_of(run_all(asked(scientist, models.sound_model(), **columns)), "performance.binary")
    assert performance.verdict == "error"
    assert named in performance.summary


@pytest.mark.slow
def test_bytes_changed_on_disk_are_noticed_before_anything_runs(scientist: User, artifact_root: Path) -> None:
    request = asked(scientist, models.sound_model())
    manifest = request.version.manifest
    assert manifest is not None
    damaged = manifest.files.get(path="model.pkl").blob_id
    (place,) = artifact_root.rglob(damaged)
    place.chmod(0o600)
    place.write_bytes(b"something else")
    run_all(request)
    assert run_of(request, "predict.scores").error_code == "blob.damaged"


@pytest.mark.slow
def test_a_check_that_hangs_is_stopped_at_its_limit_and_says_so(scientist: User, settings: Any) -> None:
    settings.CHECK_TIME_LIMIT = 3
    request = run_all(asked(scientist, models.endless_model()))
    scores = run_of(request, "predict.scores")
    assert scores.error_code == "timeout"
    assert "limit of 3 seconds" in scores.summary


def test_the_workers_own_time_limit_ends_a_check_with_the_same_words(scientist: User, settings: Any) -> None:
    """Celery raises it wherever the job happens to be; no other worker is to try the same for as long."""
    settings.CHECK_TIME_LIMIT = 3
    run = run_of(asked(scientist, models.sound_model()), "security.scan")

    def stopped(_done: int, _total: int) -> None:
        raise SoftTimeLimitExceeded

    outcome = execute(run.pk, stopped)
    assert (outcome.verdict, outcome.error_code) == ("error", "timeout")
    assert "limit of 3 seconds" in outcome.summary
    assert outcome.provenance["model"] == run.request.manifest_digest
