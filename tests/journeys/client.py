"""What a data scientist runs, in a process of their own: nothing of ours, only the MLflow client and two variables.

``MLFLOW_TRACKING_TOKEN=… python -m tests.journeys.client`` reads what to do as JSON and prints what came of it as JSON.
"""

import hashlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")


def register(lines: str) -> list[int]:
    """The lines of the README, as they stand there, on a model of our own; its predictions."""
    rows = np.linspace(-1, 1, 40).reshape(20, 2)
    model = LogisticRegression().fit(rows, np.arange(20) % 2)
    exec(lines, {"model": model})  # noqa: S102 - the README is what is tested here
    return [int(one) for one in model.predict(rows)]


def predictions(uri: str, rows: list[dict[str, float]] | None) -> list[int]:
    """What the model behind a URI says about the rows."""
    given = pd.DataFrame(rows) if rows else np.linspace(-1, 1, 40).reshape(20, 2)
    return [int(one) for one in mlflow.pyfunc.load_model(uri).predict(given)]


def digests(uri: str) -> dict[str, str]:
    """SHA-256 of every file that the client gets for a URI."""
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    found = {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    # MLflow's client writes this one itself, into the folder it downloads to.
    found.pop("registered_model_meta", None)
    return found


def refusal(act: str, *arguments: Any) -> str:
    """The message a notebook shows when the client may not do something."""
    try:
        getattr(mlflow.MlflowClient(), act)(*arguments)
    except MlflowException as error:
        return str(error)
    return ""


def main() -> None:
    """Do what was asked, in order."""
    asked: dict[str, Any] = json.load(sys.stdin)
    made: dict[str, Any] = {}
    if "register" in asked:
        made["trained"] = register(asked["register"])
    for uri, rows in asked.get("predict", {}).items():
        made[uri] = predictions(uri, rows)
    made["digests"] = {uri: digests(uri) for uri in asked.get("download", [])}
    made["refused"] = [refusal(*call) for call in asked.get("refused", [])]
    made["tokens"] = []
    for token in asked.get("tokens", []):
        os.environ["MLFLOW_TRACKING_TOKEN"] = token
        made["tokens"].append(refusal("get_registered_model", "diabetes-followup"))
    Path(asked["answer"]).write_text(json.dumps(made))


if __name__ == "__main__":
    main()
