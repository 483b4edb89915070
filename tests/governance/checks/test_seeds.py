"""What is drawn at random is drawn from the seed that the policy gives: the same bits with it, others with another."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pyarrow as pa
import pytest

from governance.checks import get, run_check
from tests.governance.checks.tables import answered
from tests.governance.checks.test_merging import COMPUTED, by_x, everything

OF_MANY_ROWS = {
    "drift.classifier@1", "explainability.effects@1", "explainability.live@1", "fairness.flip_test@1", "fairness.proxies@1",
}  # fmt: skip
"""These draw a sample of more rows than there are here, or train on rows that are too few."""
SEEDED = [
    use for use in COMPUTED if "seed" in {field.name for field in fields(get(use).params)} and use not in OF_MANY_ROWS
]
MORE = {"fairness.groups@1": {"min_group": 1, "min_class": 1}}


def without_parameters(use: str, seed: int) -> str:
    check = get(use)
    inputs = answered(check, everything(4), by_x, seed=seed)
    if inputs.champion is not None:  # a live version that answers otherwise, so that there is a difference to draw
        inputs = replace(inputs, champion=pa.table({"score": inputs.champion.column("score").to_numpy()[::-1].copy()}))
    told = json.loads(run_check(check, inputs, {"seed": seed, **MORE.get(use, {})}).to_json())
    return json.dumps({**told, "params": None, "facts": None})


@pytest.mark.parametrize("use", SEEDED)
def test_the_seed_is_what_is_drawn_from(use: str) -> None:
    first = without_parameters(use, 1)
    assert without_parameters(use, 1) == first
    assert any(without_parameters(use, seed) != first for seed in (2, 3, 4))
