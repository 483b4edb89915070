"""The data scientist's part: data sets and models over REST and through the ordinary MLflow client, unchanged."""

import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline

from governance.demo.browser import DemoFailed
from governance.demo.rest import Rest
from governance.demo.training import (
    INPUTS,
    LABEL,
    LIVE_INPUTS,
    PROGRESSION_THRESHOLD,
    REGULARISATION,
    RELABEL_SEED,
    RELABELLED_SHARE,
    SENSITIVE,
    SPLIT_SEED,
    Split,
    fit,
    load_split,
    under_referred,
)

SOUND: Final = "diabetes-followup"
UNFAIR: Final = "diabetes-followup-history"
UPLOADED: Final = "diabetes-followup-small"
TRAIN_SET: Final = "diabetes-train"
HISTORY_SET: Final = "diabetes-train-history"
HOLDOUT_SET: Final = "diabetes-holdout"
SEALING_SECONDS: Final = 180
CARD: Final = {
    "intended_use": "Offer a place in a follow-up programme to diabetes patients whose disease is likely to progress. "
    "A clinician decides; nobody is refused treatment by it.",
    "limitations": "442 patients of one study; progression after one year; high means above 140. Not for children.",
    "affected_groups": "Patients of both sexes, 19 to 79 years old.",
    "monitoring_plan": "Selection rates by sex and age band every quarter; a new review when a ratio falls below 0.80.",
}


# The label is an integer column on purpose: it is 0 or 1 in every row, and the server checks that.
warnings.filterwarnings("ignore", message=".*Inferred schema contains integer column.*", category=UserWarning)


def parquet(frame: pd.DataFrame) -> bytes:
    """The rows as Parquet; the same rows give the same bytes."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def register_datasets(rest: Rest, split: Split) -> dict[str, str]:
    """Register, upload and seal both halves over REST, and the relabelled one; what is there already is kept.

    Returns their digests by name.
    """
    columns = {"label": LABEL, "positive": 1, "features": INPUTS, "sensitive": SENSITIVE}
    digests: dict[str, str] = {}
    wanted = (
        (TRAIN_SET, "train", split.train),
        (HISTORY_SET, "train", under_referred(split.train)),
        (HOLDOUT_SET, "test", split.holdout),
    )
    for name, role, frame in wanted:
        content = parquet(frame)
        digests[name] = hashlib.sha256(content).hexdigest()
        known = rest.call("GET", f"/datasets/{name}/versions/1", accept=(404,))
        if known is None:
            rest.call("POST", "/datasets", json={"name": name, "role": role, "columns": columns})
            rest.upload_whole(f"/datasets/{name}/versions/1/files", f"{name}.parquet", content)
            rest.call("POST", f"/datasets/{name}/versions/1/finish")
        sealed = rest.until(
            f"/datasets/{name}/versions/1",
            lambda found: found["status"] in {"sealed", "failed"},
            seconds=SEALING_SECONDS,
            what=f"Sealing the data set {name}",
        )
        if sealed["status"] == "failed":
            raise DemoFailed(f"The data set {name} was not sealed: {sealed['status_message']}")
    return digests


def describe_model(rest: Rest, name: str, use_case: str) -> None:
    """Fill the model's card and name the data set it is judged on."""
    change = {"use_case": use_case, "card": CARD, "evaluation_dataset": HOLDOUT_SET}
    rest.call("PATCH", f"/models/{name}", json=change)


def log_with_mlflow(url: str, token: str, *, name: str, kind: str, split: Split, digests: dict[str, str]) -> int:
    """Train and log one model with the ordinary MLflow client, registering it by name; its version number.

    ``kind`` is ``live``, ``sound`` or ``unfair``: see ``governance.demo.training``.
    """
    os.environ["MLFLOW_TRACKING_TOKEN"] = token
    mlflow.set_tracking_uri(url)
    mlflow.set_experiment("diabetes-followup")
    inputs = LIVE_INPUTS if kind == "live" else INPUTS
    train = under_referred(split.train) if kind == "unfair" else split.train
    model = fit(train, inputs)
    parameters = {
        "C": REGULARISATION,
        "inputs": len(inputs),
        "split_seed": SPLIT_SEED,
        "threshold": PROGRESSION_THRESHOLD,
    }
    if kind == "unfair":
        parameters |= {"relabel_seed": RELABEL_SEED, "relabelled_share": RELABELLED_SHARE}
    trained_on = HISTORY_SET if kind == "unfair" else TRAIN_SET
    with mlflow.start_run(run_name=kind, tags=_code_state()):
        for context, dataset, frame in (("training", trained_on, train), ("testing", HOLDOUT_SET, split.holdout)):
            logged = mlflow.data.from_pandas(frame, name=dataset, targets=LABEL)  # type: ignore[attr-defined]
            mlflow.log_input(logged, context=context, tags={"sha256": digests[dataset]})
        mlflow.log_params(parameters)
        mlflow.log_metric("holdout_auc", _auc(model, split, inputs))
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(split.holdout[inputs], model.predict(split.holdout[inputs])),
            registered_model_name=name,
            await_registration_for=SEALING_SECONDS,
        )
    return int(info.registered_model_version)


def _code_state() -> dict[str, str]:
    """Whether the code has uncommitted changes; MLflow notes the commit by itself. Nothing, outside a git checkout."""
    git = shutil.which("git")
    if git is None:
        return {}
    here = Path(__file__).parent
    status = subprocess.run([git, "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=False)
    return {} if status.returncode else {"git.dirty": str(bool(status.stdout.strip())).lower()}


def _auc(model: Pipeline, split: Split, inputs: list[str]) -> float:
    scores = model.predict_proba(split.holdout[inputs])[:, 1]
    return float(roc_auc_score(split.holdout[LABEL], scores))


def upload_over_rest(rest: Rest, split: Split, digests: dict[str, str]) -> int:
    """Register a model without MLflow's server: metadata by POST, files by multipart and by chunks; its version."""
    if rest.call("GET", f"/models/{UPLOADED}", accept=(404,)) is None:
        rest.call("POST", "/models", json={"name": UPLOADED, "use_case": "The same with five inputs, uploaded"})
    model = fit(split.train, LIVE_INPUTS)
    lineage: dict[str, Any] = {
        "datasets": [{"name": TRAIN_SET, "context": "training", "sha256": digests[TRAIN_SET]}],
        "seeds": {"split": SPLIT_SEED},
    }
    version = rest.call(
        "POST",
        f"/models/{UPLOADED}/versions",
        json={"description": "Uploaded over REST", "parameters": {"C": str(REGULARISATION)}, "lineage": lineage},
        headers={"Idempotency-Key": "demonstration-upload"},
    )
    number = int(version["number"])
    place = f"/models/{UPLOADED}/versions/{number}"
    if rest.call("GET", place)["status"] == "READY":
        return number
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "model"
        signature = infer_signature(split.holdout[LIVE_INPUTS], model.predict(split.holdout[LIVE_INPUTS]))
        mlflow.sklearn.save_model(model, str(directory), signature=signature)
        for file in sorted(path for path in directory.rglob("*") if path.is_file()):
            name = file.relative_to(directory).as_posix()
            if name == "MLmodel":
                rest.upload_whole(f"{place}/files", name, file.read_bytes())
            else:
                rest.upload_in_chunks(f"{place}/files", name, file)
    rest.call("POST", f"{place}/finish")
    return number


def split_data() -> Split:
    """The study's rows, split (see ``training``)."""
    return load_split()
