"""Checks that are not split: those that read a report, and those that need every row at once. A count of one."""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pyarrow as pa

from governance.checks.contract import Check, CheckInputs
from governance.checks.results import CheckResult


class RowlessCheck(Check):
    """``plan`` validates, ``finish`` does the work."""

    def plan(self, inputs: CheckInputs, params: Any, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        self.validate(inputs)
        return (inputs,)

    @abstractmethod
    def validate(self, inputs: CheckInputs) -> None:
        """Raises ``CheckError`` when the report is missing or not of its form."""

    def map(self, shard: CheckInputs, params: Any) -> pa.Table:
        return pa.table({"count": pa.array([1], pa.int64())})

    @abstractmethod
    def finish(self, state: pa.Table, inputs: CheckInputs, params: Any) -> CheckResult: ...


class WholeCheck(RowlessCheck):
    """One that trains a classifier or compares all rows with each other: ``finish`` reads the rows itself."""
