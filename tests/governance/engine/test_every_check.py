"""Every built-in check the whole way once: planned, run by the worker's code on sealed bytes, judged, stored."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from sklearn.linear_model import LinearRegression, LogisticRegression

from audit.actors import SYSTEM
from governance import checks
from governance.models import CheckRun, PromotionRequest
from governance.services.evidence import result_bytes
from registry.models import Dataset, User
from registry.services.lineage import DatasetInput, LineageInput, record
from tests.factories import governance as make
from tests.governance.engine import models
from tests.governance.engine.test_execute import run_all

pytestmark = pytest.mark.django_db

SCRIPT = """\
import json
from pathlib import Path
figure = {"key": "one", "value": 1.0, "n": 600, "better": "higher", "ci_low": 1.0, "ci_high": 1.0}
Path("result.json").write_text(json.dumps({"figures": [figure]}))
"""
FEW: dict[str, Any] = {"rows": 40, "background": 40, "orders": 4}
PARAMETERS: Mapping[str, dict[str, Any]] = {
    "explainability.effects": {"rows": 60},
    "explainability.live": FEW,
    "explainability.shapley": FEW,
    "resources.latency": {"calls": 20, "batches": 20, "batch_rows": 50, "seconds": 5.0},
    "script": {"script": SCRIPT},
}
OTHER_TASKS: Mapping[str, tuple[str, ...]] = {
    "classes": ("performance.multiclass", "fairness.classes"),
    "numbers": ("performance.regression", "fairness.regression"),
    "lists": ("performance.ranking",),
}
BY_PEOPLE = {"manual"}
"""Recorded, not run: tests/governance/findings."""
ALL = {checks.manifest(name).key for name in checks.built_in()} - BY_PEOPLE
TASKS: Mapping[str, tuple[str, ...]] = {
    "yes or no": tuple(sorted(ALL - {key for keys in OTHER_TASKS.values() for key in keys})),
    **OTHER_TASKS,
}


@pytest.fixture(autouse=True)
def worker(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)
    settings.ADVISORIES_DIR = tmp_path / "advisories"
    settings.ADVISORIES_DIR.mkdir()
    affected = [{"package": {"ecosystem": "PyPI", "name": "left-pad"}, "versions": ["1.0"]}]
    advisory = {"id": "T-1", "modified": "2026-01-01T00:00:00Z", "affected": affected}
    (settings.ADVISORIES_DIR / "one.json").write_text(json.dumps(advisory))


def policy(keys: tuple[str, ...], live: str) -> str:
    """A policy that asks for these checks, and sets no limits."""
    entries: list[dict[str, Any]] = []
    for key in keys:
        needs = set(checks.manifest(key).needs)
        entry: dict[str, Any] = {"use": key}
        if needs - {"scan", "card", "papers", "requirements", "advisories"}:
            entry["data"] = {"role": "test"}
        if "sensitive" in needs:
            entry["sensitive"] = ["sex"]
        params = PARAMETERS.get(key, {}) | ({"live": live} if "live_data" in needs else {})
        if params:
            entry["params"] = params
        entries.append(entry)
    return yaml.safe_dump({
        "policy": "house",
        "governs": {"tiers": [1, 2, 3], "targets": ["alias:production"]},
        "checks": entries,
        "card": ["intended_use"],
        "review": [{"stage": "approval", "all": [{"role": "approver", "n": 1}]}],
    })  # fmt: skip


def rows(task: str, seed: int) -> pa.Table:
    table = models.people(seed=seed)
    odds = table["age"].to_numpy() / 10 + table["dose"].to_numpy()
    label = {
        "classes": np.array(["low", "middle", "high"])[np.digitize(odds, [4.3, 5.7])],
        "numbers": odds,
        "lists": np.digitize(odds, [4.0, 5.0, 6.0]),
    }.get(task)
    number = np.arange(table.num_rows)
    table = table.append_column("place", pa.array(number // 10)).append_column("number", pa.array(number))
    return table if label is None else table.set_column(table.column_names.index("y"), "y", pa.array(label))


def files(task: str, seed: int) -> dict[str, bytes]:
    """A model as MLflow saves it, with a signature and pinned requirements."""
    table = rows(task, seed)
    inputs = np.column_stack([table[name].to_numpy() for name in models.FEATURES])
    learner = LinearRegression() if task in {"numbers", "lists"} else LogisticRegression(max_iter=1000)
    packed = models.packed(pickle.dumps(learner.fit(inputs, table["y"].to_numpy(zero_copy_only=False))))
    return packed | {"requirements.txt": b"scikit-learn>=1\n"}


def asked(task: str, scientist: User, approver: User) -> PromotionRequest:
    """A version with live one, training data, live data and card, and the request for it."""
    columns: dict[str, Any] = {"label": "y", "features": models.FEATURES, "sensitive": ["sex"], "id": "number"}
    held_out = make.dataset(scientist, models.parquet(rows(task, 11)), **columns)
    lately = make.dataset(scientist, models.parquet(rows(task, 13)), role="other", **columns)
    content = models.parquet(rows(task, 7))
    trained_on = make.dataset(scientist, content, role="train", **columns)
    model = make.registered_model(
        scientist, evaluation_dataset=Dataset.objects.get(pk=held_out.dataset_id),
        card={"intended_use": "Tests.", "performance": "AUC 0.90 on held-out people."},
    )  # fmt: skip
    make.policy(policy(("security.scan",), ""))
    first = make.sealed_version(model, scientist, files(task, 8))
    make.approve(run_all(make.request(first, scientist)), [approver])
    make.policy(policy(TASKS[task], lately.dataset.name))
    signature = {"inputs": [{"name": name, "type": "double"} for name in models.FEATURES]}
    second = make.sealed_version(model, scientist, files(task, 7), metrics={"auc": 0.9}, signature=signature)
    known = DatasetInput(name=trained_on.dataset.name, context="training", sha256=trained_on.digest)
    record(version=second, inputs=LineageInput(datasets=(known,)), by=SYSTEM)
    return make.request(second, scientist)


def test_no_check_is_left_out() -> None:
    assert {key for keys in TASKS.values() for key in keys} == ALL


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_check_gives_figures(task: str, scientist: User, approvers: list[User]) -> None:
    request = run_all(asked(task, scientist, approvers[0]))
    runs: dict[str, CheckRun] = {run.key: run for run in request.checks.all()}
    assert set(TASKS[task]) <= runs.keys()
    assert {key: run.summary for key, run in runs.items() if run.state != "finished" or run.verdict == "error"} == {}
    assert {key: run.summary for key, run in runs.items() if run.verdict == "not_applicable"} == {}
    silent = {
        key for key in TASKS[task] if not any(one["value"] is not None for one in (runs[key].result or {})["figures"])
    }
    assert not silent
    for key in TASKS[task]:
        assert hashlib.sha256(result_bytes(runs[key])).hexdigest() == runs[key].result_digest
        assert runs[key].provenance["code"]["digest"]
