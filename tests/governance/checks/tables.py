"""Small tables for the checks' tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from governance.checks import Check, CheckInputs, CheckResult, Probe, ProbeCheck, Roles, get, run_check


def inputs_of(y: Any, score: Any, *, sensitive: dict[str, Any] | None = None, **more: Any) -> CheckInputs:
    """Data with label ``y`` and sensitive columns, and predictions with ``score``."""
    columns = {"y": y, **(sensitive or {})}
    roles = Roles(label="y", sensitive=tuple(sensitive or {}))
    predictions = pa.table({"score": pa.array(np.asarray(score, dtype="float64"))})
    return CheckInputs(data=pa.table(columns), roles=roles, predictions=predictions, **more)


def performance(y: Any, score: Any, **params: Any) -> CheckResult:
    return run_check(get("performance.binary"), inputs_of(y, score), params)


def fairness(y: Any, decision: Any, groups: Any, **params: Any) -> CheckResult:
    """Decisions 0 and 1 are given as scores."""
    made = inputs_of(y, np.asarray(decision, dtype="float64"), sensitive={"group": groups})
    return run_check(get("fairness.groups"), made, {"min_group": 1, "min_class": 1, **params})


def reference(name: str) -> Path:
    """A file of the shared reference data, which lies beside the project. Skips the test where it is absent."""
    for folder in Path(__file__).resolve().parents:
        path = folder.parent / "shared" / "data" / name
        if path.is_file():
            return path
    pytest.skip(f"the reference data is not here (shared/data/{name} beside the project)")


def answered(check: Check, inputs: CheckInputs, model: Callable[[pa.Table], pa.Table], **params: Any) -> CheckInputs:
    """The inputs with what ``model`` says to the check's own rows, if it makes any; it is the live version, too."""
    if not isinstance(check, ProbeCheck):
        return inputs
    answers = {}
    for name, table in check.probes(inputs, check.params.from_mapping(params)).items():
        try:
            answers[name] = Probe(model(table))
        except ValueError as error:
            answers[name] = Probe(None, str(error))
    live = answers if "live_probe" in check.manifest.needs else None
    return replace(inputs, probes=answers, live_probes=live)
