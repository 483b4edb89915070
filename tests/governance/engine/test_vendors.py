"""A vendor's model: its uploaded predictions are checked like computed ones, and every result says what they are."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.actors import Actor
from config.errors import Invalid
from governance.models import CheckRun, PromotionRequest
from governance.services import promotions
from governance.vendors import MARK, SHORT
from registry.models import DatasetVersion, ModelVersion, User
from registry.roles import Role
from registry.services import artifacts, catalog, datasets, sealing
from tests.factories import governance as make
from tests.factories import registry
from tests.governance.engine import models
from tests.governance.engine.test_execute import run_all
from tests.registry.datasets.files import parquet

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]

POLICY = """\
policy: house
governs: {{tiers: [1, 2, 3], targets: ["alias:production"]}}
checks:
  - use: performance.binary
    data: {{role: {role}}}
    require: {{auc: {{ge: 0.6}}}}
    {predictions}
  - use: robustness.perturbations
    data: {{role: {role}}}
    require: {{flip_share: {{le: 0.9}}}}
review:
  - stage: approval
    all: [{{role: approver, n: 1}}]
"""


@pytest.fixture(autouse=True)
def places(settings: Any, tmp_path: Path, artifact_root: Path) -> None:
    """Of the test's own; the lease thread has a connection of its own, so it must not come to run."""
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)


def sealed(version: DatasetVersion, by: User, content: bytes) -> DatasetVersion:
    """What the worker makes of a file."""
    registry.uploaded(version, by, content, path="data")
    datasets.finish_dataset(dataset_version=version, by=registry.actor(by))
    done = sealing.seal_dataset(dataset_version=version, by=Actor.service("ingest"))
    assert (done.status, done.status_message) == ("sealed", "")
    return done


def held_out(by: User, role: str = "test") -> DatasetVersion:
    """Six hundred people."""
    columns = {"label": "y", "features": models.FEATURES, "sensitive": ["sex"], "positive": 1}
    version = datasets.register_dataset(name="exam", role=role, by=registry.actor(by), columns=columns)
    return sealed(version, by, models.parquet(models.people(seed=11)))


def vendors(by: User, data: DatasetVersion, *, predicted: bool = True) -> ModelVersion:
    """A version whose model is elsewhere, with the predictions that the vendor sent."""
    model = registry.registered_model(by)
    catalog.update_model(model=model, by=registry.actor(by), evaluation_dataset=data.dataset)
    version = registry.pending_version(model, by)
    registry.uploaded(version, by, b"Bought from a vendor.", path="vendor.md")
    version = artifacts.finish_version(version=version, by=registry.actor(by), runnable=False)
    if predicted:
        people = models.people(seed=11)
        truth = np.asarray(people.column("y").to_numpy()).astype(float)
        score = np.clip(0.25 + 0.5 * truth + np.random.default_rng(1).normal(0, 0.2, len(truth)), 0, 1)
        made = datasets.register_dataset(
            name="answers",
            role="predictions",
            by=registry.actor(by),
            columns={"prediction": "p", "score": "s"},
            predictions=datasets.Of(version, data, data.digest),
        )
        sealed(made, by, parquet({"p": (score > 0.5).astype(int), "s": score}))
    return version


def asked(by: User, version: ModelVersion, *, role: str = "test", predictions: str = "") -> PromotionRequest:
    """A request under a policy that says so much of predictions."""
    make.policy(POLICY.format(role=role, predictions=predictions))
    return promotions.request_promotion(
        version=version, target="alias:production", intended_use="Tests.", by=registry.actor(by)
    )


def run_of(request: PromotionRequest, key: str) -> CheckRun:
    return request.checks.get(key=key)


def test_uploaded_predictions_are_judged_and_marked_where_the_policy_takes_them(scientist: User) -> None:
    data = held_out(scientist)
    request = run_all(asked(scientist, vendors(scientist, data), predictions="predictions: uploaded"))

    scores, performance = run_of(request, "predict.scores"), run_of(request, "performance.binary")
    assert (scores.verdict, performance.verdict) == ("pass", "pass"), (scores.summary, performance.summary)
    assert scores.title.endswith(f"(uploaded by {scientist.username}, not computed here)")
    assert "not computed here" in scores.summary
    assert SHORT in performance.summary
    assert performance.result is not None
    assert MARK in performance.result["limits"]
    assert performance.result["n"] == 600


def test_what_runs_the_model_itself_does_not_apply(scientist: User) -> None:
    data = held_out(scientist)
    request = run_all(asked(scientist, vendors(scientist, data), predictions="predictions: uploaded"))

    robust = run_of(request, "robustness.perturbations")
    assert robust.verdict == "not_applicable"
    assert "The model is not here" in robust.summary


@pytest.mark.parametrize("predictions", ["", "predictions: computed"])
def test_a_policy_that_wants_computed_ones_refuses_them(scientist: User, predictions: str) -> None:
    data = held_out(scientist)
    request = run_all(asked(scientist, vendors(scientist, data), predictions=predictions))

    performance = run_of(request, "performance.binary")
    assert (performance.verdict, performance.error_code) == ("error", "predictions.uploaded")
    assert "computed here" in performance.summary


def test_checks_run_on_a_hold_out_that_somebody_else_sealed(scientist: User) -> None:
    data = held_out(registry.person(Role.VALIDATOR), "holdout")
    version = vendors(scientist, data)

    request = run_all(asked(scientist, version, role="holdout", predictions="predictions: uploaded"))

    assert run_of(request, "performance.binary").verdict == "pass"


def test_nobodys_model_is_checked_on_a_hold_out_of_their_own(scientist: User) -> None:
    both = registry.person(Role.VALIDATOR, Role.CONTRIBUTOR)
    data = held_out(both, "holdout")
    version = vendors(both, data, predicted=False)

    with pytest.raises(Invalid) as refused:
        asked(both, version, role="holdout")
    assert refused.value.code == "holdout.by_author"
    assert not PromotionRequest.objects.exists()
