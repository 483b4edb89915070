"""Base of the checks that hold figures somebody stated against figures measured on the sealed data.

The measuring is done by the performance check that fits the label, so that both can never disagree.
"""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

import pyarrow as pa

from governance.checks.contract import Check, CheckInputs, Manifest
from governance.checks.manifests.performance import BINARY, MULTICLASS, REGRESSION
from governance.checks.results import CheckError, CheckResult, Figure
from governance.checks.rows import columns
from governance.checks.statistics import streamed

_NOTHING = pa.schema([("count", pa.int64())])


class MeasuringCheck(Check):
    """State: that of the performance check. Nothing is read where :meth:`asks` says that there is nothing to compare."""

    @abstractmethod
    def asks(self, inputs: CheckInputs) -> bool:
        """Whether anything was stated that could be measured."""

    def plan(self, inputs: CheckInputs, params: Any, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        if not self.asks(inputs):
            return (inputs,)
        check = _check(_kind(inputs))
        planned = check.plan(_unweighted(inputs), check.params(), shards=shards)
        return tuple(replace(one, prepared={**(one.prepared or {}), "kind": check.manifest.key}) for one in planned)

    def map(self, shard: CheckInputs, params: Any) -> pa.Table:
        if shard.prepared is None or "kind" not in shard.prepared:
            return _NOTHING.empty_table()
        check = _check(shard.prepared["kind"])
        return check.map(shard, check.params())

    def merge(self, states: Iterable[pa.Table]) -> pa.Table:
        tables = list(states)
        return tables[0] if tables[0].schema.names == ["count"] else _check(_kind_of_state(tables[0])).merge(tables)

    def measure(self, state: pa.Table, inputs: CheckInputs) -> tuple[int, Mapping[str, Figure]]:
        """The rows and every figure that has a value, by its key; ``mse`` from ``rmse``."""
        if state.schema.names == ["count"]:
            return 0, {}
        check = _check(_kind_of_state(state))
        result: CheckResult = check.finish(state, _unweighted(inputs), check.params())
        made = {one.key: one for one in result.figures if one.value is not None and one.group is None}
        if "rmse" in made:
            made["mse"] = _squared(made["rmse"])
        return result.n, made


def _squared(one: Figure) -> Figure:
    value, low, high = (None if end is None else end * end for end in (one.value, one.ci_low, one.ci_high))
    return replace(one, key="mse", label="MSE", value=value, ci_low=low, ci_high=high, smallest_gap=None)


def _unweighted(inputs: CheckInputs) -> CheckInputs:
    """Metrics are recorded without weights, unless somebody says otherwise; nobody can."""
    return replace(inputs, roles=replace(inputs.roles, weight=None))


_OF: Mapping[str, Manifest] = {one.key: one for one in (BINARY, MULTICLASS, REGRESSION)}


@cache
def _check(key: str) -> Check:
    module, _, name = _OF[key].code.partition(":")
    made: Check = getattr(import_module(module), name)()
    return made


def _kind(inputs: CheckInputs) -> str:
    """Which performance check fits the label. Raises ``CheckError``.

    Two values make it binary; many numbers a regression; many words, or whole numbers that are predicted as such, classes.
    """
    data = columns.rows_of(inputs)
    label = columns.column(data, inputs.roles.label, code="data.label_missing", what="label")
    columns.check_whole(label, inputs.roles.label)
    if streamed.distinct(label, 2) <= 2:
        return BINARY.key
    number = pa.types.is_integer(label.type) or pa.types.is_floating(label.type)
    if inputs.predictions is None:
        raise CheckError("inputs.missing", "This check needs predictions, and none were given.")
    names = inputs.predictions.column_names
    whole = "prediction" in names and pa.types.is_integer(inputs.predictions.schema.field("prediction").type)
    return REGRESSION.key if number and not whole else MULTICLASS.key


def _kind_of_state(state: pa.Table) -> str:
    names = set(state.schema.names)
    if {"score", "y", "decision"} <= names:
        return BINARY.key
    return MULTICLASS.key if {"label", "prediction"} <= names else REGRESSION.key
