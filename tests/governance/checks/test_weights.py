"""A column with the role weight is used by a check, or its result says that it is not: never ignored in silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from governance.checks import CheckInputs, get, manifest, run_check
from tests.governance.checks.tables import answered
from tests.governance.checks.test_merging import COMPUTED, by_x, everything

NOT_OF_ROWS = frozenset({
    "data.schema", "documentation.card", "resources.latency", "security.pins", "security.scan", "reproducibility.metrics",
    "documentation.claims",
})  # fmt: skip
"""Checks of papers, files and types. Metrics and claims are recorded without weights: they are computed again without."""


def weighted() -> CheckInputs:
    inputs = everything(1)
    assert inputs.data is not None
    weight = pa.array(np.random.default_rng(3).uniform(0.5, 4.0, inputs.data.num_rows).round(2))
    data = inputs.data.append_column("w", weight)
    training, live = data.slice(0, 10), data.slice(20, 30)
    return replace(inputs, data=data, training=training, live_data=live, roles=replace(inputs.roles, weight="w"))


@pytest.mark.parametrize("use", [name for name in COMPUTED if manifest(name).key not in NOT_OF_ROWS])
def test_the_result_names_the_weights(use: str) -> None:
    check = get(use)
    result = run_check(check, answered(check, weighted(), by_x))
    said = " ".join((*result.limits, *result.findings)).lower()
    assert "weight" in said
