"""The checks of data, papers and resources the whole way: sealed bytes, the engine's loaders, the sandbox, the verdict."""

# ruff: noqa: PLC0415 - MLflow takes seconds to import
from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from config.errors import Invalid
from governance.models import CheckRun, PromotionRequest
from registry.formats import mlmodel
from registry.models import ModelVersion, User
from tests.factories import governance as make
from tests.governance.engine import models
from tests.governance.engine.test_execute import run_all, run_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

CHECKS = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: reproducibility.metrics
    data: {role: test}
    require: {unreproduced: {le: 0}}
  - use: resources.latency
    data: {role: test}
    params: {calls: 50, batches: 20, batch_rows: 100, seconds: 10.0}
    require: {latency_p95: {le: 10000}}
  - use: security.pins
    require: {vulnerable_pins: {le: 0}, unpinned: {le: 0}}
  - use: documentation.card
    require: {wrong_data: {le: 0}}
  - use: documentation.claims
    data: {role: test}
    require: {stale_claims: {le: 0}}
  - use: data.schema
    data: {role: test}
  - use: data.leakage
    data: {role: test}
    require: {leaking_inputs: {le: 0}}
  - use: drift.live
    data: {role: test}
    params: {live: LIVE}
    require: {drifted_columns: {le: 0}}
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""
ADVISORY = {
    "id": "TEST-1", "modified": "2026-01-01T00:00:00Z",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "left-pad"}, "versions": ["1.0"]}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)
    settings.ADVISORIES_DIR = tmp_path / "advisories"
    settings.ADVISORIES_DIR.mkdir()
    (settings.ADVISORIES_DIR / "one.json").write_text(json.dumps(ADVISORY))


def measured_auc() -> float:
    """What the sound model reaches on the held-out rows, as scikit-learn says."""
    import pickle

    rows = models.people(seed=11)
    model = pickle.loads(models.sound_model()["model.pkl"])  # noqa: S301 - made here
    inputs = np.column_stack([rows[name].to_numpy() for name in models.FEATURES])
    return float(roc_auc_score(rows["y"].to_numpy(), model.predict_proba(inputs)[:, 1]))


def asked(
    scientist: User, metrics: Mapping[str, float], card: Mapping[str, str], pins: str = "left-pad==2.0\n"
) -> PromotionRequest:
    live = make.dataset(
        scientist, models.parquet(models.people(seed=12)), role="other", label="y", features=models.FEATURES
    )
    make.policy(CHECKS.replace("LIVE", live.dataset.name))
    data = make.dataset(
        scientist, models.parquet(models.people(seed=11)), label="y", features=models.FEATURES, sensitive=["sex"]
    )
    model = make.registered_model(scientist, evaluation_dataset=data.dataset, card=card)
    files = {**models.sound_model(), "requirements.txt": pins.encode()}
    return make.request(make.sealed_version(model, scientist, files, metrics=dict(metrics)), scientist)


def test_a_well_documented_model(scientist: User) -> None:
    auc = measured_auc()
    request = run_all(asked(scientist, {"auc": auc}, {"performance": f"AUC {auc:.2f} on held-out patients."}))
    verdicts = {run.key: run.verdict for run in request.checks.all()}
    assert verdicts == {
        "predict.scores": "pass", "reproducibility.metrics": "pass", "resources.latency": "pass", "security.pins": "pass",
        "documentation.card": "pass", "documentation.claims": "pass", "data.schema": "not_applicable", "data.leakage": "pass",
        "drift.live": "pass",
    }  # fmt: skip
    times = run_of(request, "resources.latency")
    assert times.sandbox["layers"]
    assert times.cache_key == ""
    facts = (times.result or {})["facts"]
    assert {"processor", "cores", "memory_gib", "load_average"} <= set(facts)
    card = {one["key"]: one for one in (run_of(request, "documentation.card").result or {})["figures"]}
    assert card["wrong_data"]["value"] == 0


def test_a_badly_documented_one(scientist: User) -> None:
    card = {"performance": "AUC 0.99", "data": f"See {'c' * 64}."}
    request = run_all(asked(scientist, {"auc": 0.99, "val_auc": 1.0}, card, "left-pad==1.0\nanything\n"))
    assert {run.key: run.verdict for run in request.checks.all() if run.verdict == "fail"} == {
        "reproducibility.metrics": "fail", "security.pins": "fail", "documentation.card": "fail", "documentation.claims": "fail",
    }  # fmt: skip
    pins = (run_of(request, "security.pins").result or {})["findings"]
    assert pins == [
        "requirements.txt: left-pad==1.0: TEST-1.",
        "requirements.txt: anything: any version, not pinned to one version.",
    ]


def test_without_a_list_of_advisories_nothing_passes(scientist: User, settings: Any) -> None:
    settings.ADVISORIES_DIR = None
    pins = run_of(run_all(asked(scientist, {}, {})), "security.pins")
    assert pins.verdict == "inconclusive"
    assert "no list of advisories" in pins.summary.lower()
    assert pins.cache_key == ""


def test_a_changed_list_is_another_result(scientist: User, settings: Any) -> None:
    first = run_of(asked(scientist, {}, {}), "security.pins")
    (settings.ADVISORIES_DIR / "two.json").write_text(json.dumps({**ADVISORY, "id": "TEST-2"}))
    assert run_of(asked(scientist, {}, {}), "security.pins").cache_key not in {"", first.cache_key}


def test_live_data_that_is_not_there_is_said_at_once(scientist: User) -> None:
    make.policy(CHECKS.replace("LIVE", "nowhere"))
    data = make.dataset(scientist, models.parquet(models.people(seed=11)), label="y", features=models.FEATURES)
    model = make.registered_model(scientist, evaluation_dataset=data.dataset)
    with pytest.raises(Invalid) as refusal:
        make.request(make.sealed_version(model, scientist, models.sound_model()), scientist)
    assert "nowhere" in str(refusal.value)


TEXT = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: performance.binary
    data: {role: test}
    require: {auc: {ge: 0.9}}
  - use: resources.latency
    data: {role: test}
    params: {calls: 20, batches: 20, batch_rows: 10, seconds: 5.0}
  - use: data.schema
    data: {role: test}
    require: {missing_inputs: {le: 0}, wrong_types: {le: 0}}
  - use: security.scan
    require: {refused_findings: {le: 0}}
  - use: security.pins
    require: {vulnerable_pins: {le: 0}}
  - use: documentation.card
  - use: explainability.importance
    data: {role: test}
  - use: drift.columns
    data: {role: test}
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""
GOOD, BAD = ["a fine and happy day", "what a lovely thing"], ["a sad and awful day", "what a dreadful thing"]


def text_model(folder: Path) -> dict[str, bytes]:
    """A pipeline over words as MLflow's sklearn flavour saves it, with a signature of one column of text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.sklearn
        from mlflow.models import infer_signature
        from sklearn.compose import ColumnTransformer
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        rows = texts()
        words = ColumnTransformer([("words", TfidfVectorizer(), "review")])
        model = make_pipeline(words, LogisticRegression(C=100)).fit(rows[["review"]], rows["y"])
        signature = infer_signature(rows[["review"]], model.predict(rows[["review"]]))
        mlflow.sklearn.save_model(
            model, str(folder), signature=signature, pip_requirements=["scikit-learn==1.0", "left-pad"]
        )
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def texts() -> pd.DataFrame:
    review = [f"{said} {number}" for number in range(100) for said in (*GOOD, *BAD)]
    return pd.DataFrame({"review": review, "y": [1, 1, 0, 0] * 100})


def test_a_model_of_text_that_mlflow_saved(scientist: User, tmp_path: Path) -> None:
    """What is generic runs; what needs a table of inputs says that it does not apply, and why."""
    files = text_model(tmp_path / "text")
    about = mlmodel.parse(files["MLmodel"])
    make.policy(TEXT)
    data = make.dataset(scientist, models.parquet(pa.Table.from_pandas(texts())), label="y")
    model = make.registered_model(scientist, evaluation_dataset=data.dataset)
    version = make.sealed_version(model, scientist, files, flavours=list(about.flavours), signature=about.signature)
    request = run_all(make.request(version, scientist))
    runs: dict[str, CheckRun] = {run.key: run for run in request.checks.all()}
    assert {key: (run.verdict, run.summary) for key, run in runs.items() if run.verdict == "error"} == {}
    assert {key: run.verdict for key, run in runs.items()} == {
        "predict.scores": "pass", "performance.binary": "pass", "resources.latency": "pass", "data.schema": "pass",
        "security.scan": "pass", "security.pins": "pass", "documentation.card": "pass",
        "explainability.importance": "not_applicable", "drift.columns": "not_applicable",
    }  # fmt: skip
    assert runs["drift.columns"].summary == "The model takes text, and this check judges models of tables only."
    pins = {one["key"]: one["value"] for one in (runs["security.pins"].result or {})["figures"]}
    assert pins["unpinned"] >= 1


def test_a_prompt_has_papers_and_files_only(scientist: User) -> None:
    """A model that only a language model's flavour can run: scanning says so, the card is judged, the rest does not apply."""
    document = {"flavors": {"openai": {"model": "some"}, "python_function": {"loader_module": "mlflow.openai"}}}
    make.policy(TEXT.partition("  - use: performance")[0] + TEXT[TEXT.index("  - use: security.scan") :])
    data = make.dataset(scientist, models.parquet(pa.Table.from_pandas(texts())), label="y")
    model = make.registered_model(scientist, evaluation_dataset=data.dataset)
    files = {"MLmodel": yaml.safe_dump(document).encode()}
    version: ModelVersion = make.sealed_version(model, scientist, files, flavours=["openai", "python_function"])
    request = run_all(make.request(version, scientist))
    assert {run.key: run.verdict for run in request.checks.all()} == {
        "security.scan": "fail", "security.pins": "inconclusive", "documentation.card": "pass",
        "explainability.importance": "not_applicable", "drift.columns": "not_applicable",
    }  # fmt: skip
