"""Any partition of the rows, in any order, merges to the same bits; and results are deterministic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.categories import CATEGORIES
from governance.checks import CheckInputs, Roles, get, manifest, names, run_check
from governance.checks.manifests import policys_own
from governance.management.commands.print_checks import printed
from tests.governance.checks.tables import answered

ROWS = 60
COMPUTED = [name for name in names() if manifest(name) not in policys_own.ALL]
"""The checks whose substance is here; a finding and a script come with a policy, and have tests of their own."""
OF_OTHER_TYPES = {"drift.predictions": {"cramers_v"}, "drift.label": {"ks", "wasserstein"}}
"""Figures that a check has only for columns of another type than those below."""


def everything(seed: int) -> CheckInputs:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, ROWS)
    y[:2] = 0, 1
    score = np.round(random.random(ROWS), 2)
    data = pa.table({
        "y": y,
        "id": np.arange(ROWS) // 5,
        "x": random.normal(size=ROWS).round(1) * np.where(random.random(ROWS) < 0.1, -0.0, 1.0),
        "group": pa.array([None if g == 3 else "abc"[g] for g in random.integers(0, 4, ROWS)]).dictionary_encode(),
    })  # fmt: skip
    predictions = pa.table({"prediction": score, "score": score})
    roles = Roles("y", ("group",), ("x",), id="id")
    return CheckInputs(
        data, roles, predictions, predictions.select(["score"]).slice(0), data.slice(0, 10),
        {"findings": [], "files": 1}, {"intended_use": "AUC 0.5, RMSE 3"}, ("intended_use",),
        training_predictions=predictions.slice(0, 10), live_data=data.slice(20, 30), metrics={"auc": 0.5, "epochs": 3.0},
        requirements={"requirements.txt": "a==1"}, advisories={"read": 1, "newest": "", "digest": "", "packages": {}},
        latency={"single": [5, 6], "batch": [7], "batch_rows": 3, "first": 9, "load_seconds": 0.5, "peak_bytes": 1},
        papers={"card_changed": "2026-01-01", "version_made": "2026-01-02"}, signature=[{"name": "x", "type": "double"}],
    )  # fmt: skip


def by_x(table: pa.Table) -> pa.Table:
    """A model whose score follows ``x``; what is missing counts as 0."""
    x = np.nan_to_num(table.column("x").cast(pa.float64()).to_numpy(zero_copy_only=False))
    return pa.table({"prediction": (x > 0).astype("int64"), "score": 1 / (1 + np.exp(-x))})


def bits(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    held: bytes = sink.getvalue().to_pybytes()
    return held


@pytest.mark.parametrize("use", COMPUTED)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.sets(st.integers(1, ROWS - 1), max_size=5), data=st.data())
def test_any_partition_merges_to_the_same_bits(use: str, seed: int, cuts: set[int], data: st.DataObject) -> None:
    check = get(use)
    inputs = answered(check, everything(seed), by_x)
    params = check.params.from_mapping({})
    (planned,) = check.plan(inputs, params)
    whole = check.merge([check.map(planned, params)])
    if len(check.plan(inputs, params, shards=2)) == 1:
        return
    edges = [0, *sorted(cuts), ROWS]
    parts = [cut(planned, start, stop) for start, stop in pairwise(edges)]
    states = [check.map(part, params) for part in data.draw(st.permutations(parts))]
    merged = check.merge([check.merge(states[:1]), check.merge(states[1:])]) if len(states) > 1 else check.merge(states)
    assert bits(merged) == bits(whole)
    assert check.finish(merged, inputs, params).to_json() == check.finish(whole, inputs, params).to_json()


def cut(inputs: CheckInputs, start: int, stop: int) -> CheckInputs:
    piece: Callable[[pa.Table | None], pa.Table | None] = lambda t: None if t is None else t.slice(start, stop - start)  # noqa: E731
    return replace(
        inputs, data=piece(inputs.data), predictions=piece(inputs.predictions), champion=piece(inputs.champion)
    )


@pytest.mark.parametrize("use", COMPUTED)
@pytest.mark.parametrize("shards", [1, 3, 1000])
def test_the_number_of_shards_does_not_show(use: str, shards: int) -> None:
    inputs = answered(get(use), everything(1), by_x)
    first = run_check(get(use), inputs)
    again = run_check(get(use), inputs, shards=shards)
    assert first.to_json() == again.to_json()
    assert first.digest == again.digest


@pytest.mark.parametrize("use", COMPUTED)
def test_every_figure_is_declared(use: str) -> None:
    check = get(use)
    declared = {spec.key: (spec.label, spec.better) for spec in check.manifest.figures}
    result = run_check(check, answered(check, everything(2), by_x))
    for figure in result.figures:
        assert (figure.label, figure.better) == declared[figure.key]
    assert set(declared) - {figure.key for figure in result.figures} <= OF_OTHER_TYPES.get(check.manifest.key, set())
    assert result.findings
    assert result.limits


def test_the_printed_catalogue_is_what_the_checks_say() -> None:
    page = Path(__file__).resolve().parents[3] / "docs/reference/catalogue.md"
    assert page.read_text(encoding="utf-8") == printed(), "run manage.py print_checks > docs/reference/catalogue.md"


def test_every_category_of_the_catalogue_has_its_name_on_the_pages() -> None:
    assert {manifest(name).category for name in names()} | {"scoring"} == set(CATEGORIES)
