"""Explanations through the engine: exact for what is a sum, beside the live version's on the same rows."""

import pickle
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from governance.models import CheckRun, PromotionRequest
from registry.models import User
from tests.factories import governance as make
from tests.governance.engine import models
from tests.governance.engine.test_execute import run_all

pytestmark = pytest.mark.django_db

POLICY = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: explainability.shapley
    data: {role: test}
    params: {rows: 20, background: 60, orders: 4}
    require: {local_accuracy: {le: 0.000001}}
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""

LIVE = POLICY.replace(
    "review:",
    """\
  - use: explainability.live
    data: {role: test}
    params: {rows: 20, background: 60, orders: 4}
    require: {rank_correlation: {ge: 0.5}}
review:""",
)


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)


def boosted() -> dict[str, bytes]:
    frame = models.people(seed=3)
    rows = np.column_stack([frame[name].to_numpy() for name in models.FEATURES])
    model = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(rows, frame["y"].to_numpy())
    return models.packed(pickle.dumps(model))


def run_of(request: PromotionRequest, key: str) -> tuple[CheckRun, dict[str, Any]]:
    run = request.checks.get(key=key)
    assert run.result is not None, run.summary
    return run, run.result


@pytest.mark.slow
def test_a_model_is_explained_exactly_and_beside_the_live_version(scientist: User, approvers: list[User]) -> None:
    make.policy(POLICY)
    roles: dict[str, Any] = {"label": "y", "features": models.FEATURES, "sensitive": ["sex"]}
    held_out = make.dataset(scientist, models.parquet(models.people(seed=11)), **roles)
    model = make.registered_model(scientist, evaluation_dataset=held_out.dataset)
    first = run_all(make.request(make.sealed_version(model, scientist, models.sound_model()), scientist))
    run, result = run_of(first, "explainability.shapley")
    assert (run.verdict, result["facts"]["method"], result["facts"]["scale"]) == ("pass", "exact", "logit")
    assert {one["key"]: one["value"] for one in result["figures"]}["local_accuracy"] < 1e-12
    make.approve(first, approvers[:1])
    make.policy(LIVE)
    second = run_all(make.request(make.sealed_version(model, scientist, boosted()), scientist))
    run, result = run_of(second, "explainability.live")
    assert result["facts"] == {"method": "exact", "scale": "logit", "why": ""}
    figures = {one["key"]: one["value"] for one in result["figures"]}
    assert figures["rank_correlation"] == pytest.approx(1.0)
    assert 0 <= figures["largest_mover"] <= 1
    assert run.verdict == "pass"
    assert run.sandbox["code"] == "ok"
