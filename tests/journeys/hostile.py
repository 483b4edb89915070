"""Models as files of an MLflow model, some of which mean harm. All but the last two get past the artifact gate."""

import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelEncoder, PolynomialFeatures

INPUTS: Final = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
Files = dict[str, bytes]


def _fitted(inputs: list[str]) -> LogisticRegression:
    random = np.random.default_rng(0)
    rows = pd.DataFrame(random.normal(size=(40, len(inputs))), columns=inputs)
    return LogisticRegression().fit(rows, np.arange(40) % 2)


def _packed(model: object) -> Files:
    flavor = {"pickled_model": "model.pkl", "serialization_format": "pickle", "code": None}
    return {"MLmodel": yaml.safe_dump({"flavors": {"sklearn": flavor}}).encode(), "model.pkl": pickle.dumps(model)}


def raises() -> Files:
    """Trained on three of the ten inputs: scikit-learn raises when it is given ten."""
    return _packed(_fitted(INPUTS[:3]))


def greedy() -> Files:
    """All products of up to fourteen inputs: two million columns, 3.5 GB for 221 rows, out of a kilobyte of pickle."""
    wide = PolynomialFeatures(degree=14).fit(np.zeros((2, len(INPUTS))))
    return _packed(Pipeline([("wide", wide), ("model", _fitted(INPUTS))]))


def _nested(depth: int) -> Files:
    """A vote of ten times the same vote of ten times the same …; ten to the power of ``depth`` predictions."""
    inner: Any = _fitted(INPUTS)
    for _ in range(depth):
        outer = VotingClassifier([("same", inner)], voting="soft")
        outer.estimators_ = [inner] * 10
        outer.le_ = LabelEncoder().fit([0, 1])
        outer.classes_ = outer.le_.classes_
        inner = outer
    return _packed(inner)


def slow() -> Files:
    """A thousand predictions: some seconds."""
    return _nested(3)


def quick() -> Files:
    """A hundred predictions."""
    return _nested(2)


def endless() -> Files:
    """Ten to the power of twelve predictions: never comes back, out of a pickle of a few kilobytes."""
    return _nested(12)


class _Calls:
    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


def runs_at_load(mark: Path) -> Files:
    """A pickle that would make the directory ``mark``."""
    return _packed(_Calls(os.mkdir, str(mark)))


def calls_home(port: int) -> Files:
    """A pickle that would connect to this machine's ``port``."""
    return _packed(_Calls(socket.create_connection, ("127.0.0.1", port)))
