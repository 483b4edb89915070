"""Checks that ask the model about rows of their own making: disturbed inputs, grids, mixtures of rows.

The check makes the tables and reads the answers; only the prediction happens in the sandbox. So nothing that judges a
model ever runs beside it, and no check needs a mode of its own there.
"""

# ruff: noqa: ANN401 - parameters are of the check's own type
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from governance.checks.contract import Check, CheckInputs, Probe
from governance.checks.results import CheckError

if TYPE_CHECKING:
    import pyarrow as pa


class ProbeCheck(Check):
    """``probes`` makes tables with the model's features; the engine has them predicted; ``finish`` reads ``inputs.probes``."""

    @abstractmethod
    def probes(self, inputs: CheckInputs, params: Any) -> Mapping[str, pa.Table]:
        """The tables to ask about, by name: deterministic, from ``inputs.data`` and the parameters' seed.

        Raises ``CheckError`` naming the column at fault.
        """

    def encoded(self, inputs: CheckInputs, params: Any) -> pa.Table | None:
        """Rows for which ``inputs.trees`` is wanted, the model as a sum; None: none. For manifests that need ``trees``."""
        return None

    def plan(self, inputs: CheckInputs, params: Any, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        asked = self.probes(inputs, params)
        if inputs.probes is None or set(inputs.probes) != set(asked):
            raise CheckError(
                "inputs.missing", "This check needs the model's answers to its own rows, and none were given."
            )
        for name, table in asked.items():
            answer = inputs.probes[name].predictions
            if answer is not None and answer.num_rows != table.num_rows:
                sentence = f"There are {answer.num_rows} answers to {table.num_rows} rows of the probe “{name}”."
                raise CheckError("data.rows_differ", sentence)
        return (inputs,)

    def map(self, shard: CheckInputs, params: Any) -> pa.Table:
        import pyarrow as pa  # noqa: PLC0415 - so that planners need no numerical library

        return pa.table({"count": pa.array([1], pa.int64())})


def answer_of(inputs: CheckInputs, name: str) -> Probe:
    """The answer to one probe. Raises ``CheckError`` if it was not asked."""
    found = (inputs.probes or {}).get(name)
    if found is None:
        raise CheckError("inputs.missing", f"The probe “{name}” was not asked.")
    return found
