"""What one sandboxed run costs: forked from the template, started afresh, and MLflow loading the model in a new process.

    python -m benchmarks.checks.sandbox_start

CPU seconds of the child (and of the fresh process), medians of five runs on 442 rows.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pandas as pd

from benchmarks.report import Report
from governance.sandbox import SandboxJob, run, template

ROUNDS = 5
PEER = (
    "import sys, mlflow.pyfunc, pandas; model = mlflow.pyfunc.load_model(sys.argv[1]); "
    "model.predict(pandas.read_parquet(sys.argv[2])[list(model.metadata.signature.inputs.input_names())])"
)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model, data = _model(folder)
        report = Report()
        report.heading("One run of the sandbox (442 rows, a scikit-learn pipeline saved by MLflow)")
        before = time.process_time(), time.monotonic()
        run(SandboxJob("predict", model, data))
        report.told("first run of a worker, template included, wall", time.monotonic() - before[1], "s")
        warm, fresh = _runs(model, data, warm=True), _runs(model, data, warm=False)
        peer = [_peer(model, data) for _ in range(ROUNDS)]
        report.cheaper("CPU of a run, template against fresh", warm[0], fresh[0], "s")
        report.cheaper("wall of a run, template against fresh", warm[1], fresh[1], "s")
        report.cheaper("CPU of a run, template against MLflow in a new process", warm[0], statistics.median(peer), "s")
        _pyfunc(model)
        warm, fresh = _runs(model, data, warm=True), _runs(model, data, warm=False)
        report.cheaper("through pyfunc: CPU, template against fresh", warm[0], fresh[0], "s")
        report.cheaper("through pyfunc: wall, template against fresh", warm[1], fresh[1], "s")
        resident = Path(f"/proc/{template.process_id()}/status").read_text().partition("VmRSS:")[2].split()[0]
        report.told("resident memory of the template", int(resident) / 1024, "MiB")


def _runs(model: Path, data: Path, *, warm: bool) -> tuple[float, float]:
    cpu, wall = [], []
    for number in range(ROUNDS + 1):
        started = time.monotonic()
        outcome = run(SandboxJob("predict", model, data, warm=warm, scan=False))
        assert outcome.ok, outcome.message
        assert outcome.warm == warm
        if number:  # the first may make the template load what it has not yet
            cpu.append(outcome.cpu_seconds)
            wall.append(time.monotonic() - started)
    return statistics.median(cpu), statistics.median(wall)


def _peer(model: Path, data: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-W", "ignore", "-c", PEER, str(model), str(data)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _model(folder: Path) -> tuple[Path, Path]:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.sklearn
        from mlflow.models import infer_signature
        from sklearn.datasets import load_diabetes
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        study = load_diabetes(as_frame=True, scaled=False)
        label = (study.target > 140).astype(int)
        fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(study.data, label)
        signature = infer_signature(study.data, fitted.predict(study.data))
        mlflow.sklearn.save_model(
            fitted, str(folder / "model"), signature=signature, pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )  # fmt: skip
    study.data.to_parquet(folder / "data.parquet")
    return folder / "model", folder / "data.parquet"


def _pyfunc(model: Path) -> None:
    """Put a Python model in its place, which only MLflow's own loader can load (the gate refuses it; it is off here)."""
    import shutil

    import mlflow.pyfunc
    from mlflow.models import infer_signature

    class Model(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc]
        def predict(self, context: object, model_input: pd.DataFrame, params: object = None) -> pd.Series[float]:
            return model_input["bmi"]

    shutil.rmtree(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = pd.DataFrame({"bmi": [1.0, 2.0]})
        signature = infer_signature(frame, frame["bmi"])
        mlflow.pyfunc.save_model(str(model), python_model=Model(), signature=signature, pip_requirements=["mlflow"])


if __name__ == "__main__":
    main()
