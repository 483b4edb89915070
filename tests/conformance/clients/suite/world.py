"""What every scenario has: the client, what to train, and names of this run's own. Scenarios sign up here."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LogisticRegression

MAJOR = int(mlflow.__version__.split(".", 1)[0])
SCENARIOS: "dict[str, Callable[[World], None]]" = {}
REQUIREMENTS = {"pip_requirements": ["mlflow"]}  # told, so that the client does not start a process to find them out


class World:
    """What the test told: the name of a model that nothing gates, a prefix for all others, a token that may only read."""

    def __init__(self, told: dict[str, str]) -> None:
        self.url = os.environ["MLFLOW_TRACKING_URI"]
        self.prefix = told["prefix"]
        self.free = told["free"]
        self.reading = told["reading_token"]
        self.client = Recording()
        self.rows = pd.DataFrame({"age": np.linspace(20.0, 60.0, 40), "sex": [0.0, 1.0] * 20})
        self.answers = (self.rows["age"] > 40).astype(int)
        self.estimator = LogisticRegression(random_state=7).fit(self.rows, self.answers)

    def named(self, name: str) -> str:
        """A model's name of this run's own."""
        return f"{self.prefix}-{name}"

    def registered(self, name: str) -> str:
        """Log and register the estimator as ``name``'s next version, sealed when this returns."""
        with mlflow.start_run():
            mlflow.sklearn.log_model(
                self.estimator, **place("model"), registered_model_name=self.named(name), **REQUIREMENTS
            )
        return self.named(name)

    def check_loads(self, uris: list[str], load: Callable[[str], Any], expected: Any) -> None:
        """Each address gives a model that says what was trained."""
        for uri in uris:
            said = np.asarray(load(uri).predict(self.rows)).ravel()
            assert np.allclose(said, np.asarray(expected).ravel()), f"{uri} says {said[:5]}"


class Recording:
    """MLflow's client, noting which of its methods were called."""

    def __init__(self) -> None:
        self.client = MlflowClient()
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self.client, name)


def scenario(function: "Callable[[World], None]") -> "Callable[[World], None]":
    SCENARIOS[function.__name__] = function
    return function


def place(name: str) -> dict[str, str]:
    """Where in the run a model goes: the argument that is not deprecated in this release."""
    return {"name": name} if MAJOR >= 3 else {"artifact_path": name}


def addresses(name: str, version: str) -> list[str]:
    return [
        f"models:/{name}/{version}",
        f"models:/{name}@candidate",
        f"models:/{name}/Staging",
        f"models:/{name}/latest",
    ]


@contextlib.contextmanager
def refused(code: str, *parts: str) -> Iterator[None]:
    """The block ends in MLflow's exception with this code, and its text holds each part."""
    found = None
    try:
        yield
    except MlflowException as error:
        found = error
    assert found is not None, f"nothing was refused; {code} was expected"
    assert found.error_code == code, f"{found.error_code} instead of {code}: {found}"
    for part in parts:
        assert part in str(found), f"{part!r} is not in: {found}"
