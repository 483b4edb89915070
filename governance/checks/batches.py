"""Running a check over batches of rows, so that memory does not grow with the data. Pure; the bytes of a result do not change.

``plan`` sees the whole (memory-mapped) table, ``map`` one batch at a time, and the states are merged as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from governance.checks.contract import Check, CheckInputs
from governance.checks.results import CheckResult

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS: Final = 250_000
_PENDING_ROWS: Final = 2**20
_PENDING: Final = 16
Progress = Callable[[int, int], None]


def run_batches(
    check: Check,
    inputs: CheckInputs,
    params: Mapping[str, Any] | None = None,
    *,
    progress: Progress = lambda _done, _total: None,
    rows: int = BATCH_ROWS,
) -> CheckResult:
    """The result, the same bytes as ``run_check`` gives. Raises ``CheckError`` and what ``progress`` raises."""
    typed = check.params.from_mapping(params or {})
    state = merged(check, [mapped(check, inputs, typed, progress=progress, rows=rows)])
    return check.finish(state, inputs, typed)


def mapped(
    check: Check,
    inputs: CheckInputs,
    params: Any,  # noqa: ANN401 - of the check's own type
    *,
    part: tuple[int, int] = (0, 1),
    progress: Progress = lambda _done, _total: None,
    rows: int = BATCH_ROWS,
) -> pa.Table | None:
    """The merged state of one part of the rows: ``part`` (i, k) is the i-th of k runs of batches; None if it has none.

    Guarantee: the states of all parts merge to the state of the whole, bit for bit, for every k and every order.
    """
    total = inputs.data.num_rows if inputs.data is not None else 0
    number, parts = part
    planned = check.plan(inputs, params, shards=max(parts, -(-total // rows)))
    first, last = (len(planned) * one // parts for one in (number, number + 1))
    mine = planned[first:last]
    if not mine:
        return None
    merging = Merging(check)
    progress(0, len(mine))
    for done, batch in enumerate(mine, 1):
        merging.add(check.map(batch, params))
        progress(done, len(mine))
    return merging.state()


def merged(check: Check, states: Iterable[pa.Table | None]) -> pa.Table:
    """One state of many, whatever their order. Raises ``ValueError`` if none is a state."""
    merging = Merging(check)
    for state in states:
        if state is not None:
            merging.add(state)
    return merging.state()


class Merging:
    """States merged as they come: few are held at a time, and a large one is not merged with every small one."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._held: list[pa.Table] = []
        self._settled = 0

    def add(self, state: pa.Table) -> None:
        """Take one more."""
        self._held.append(state)
        fresh = sum(one.num_rows for one in self._held) - self._settled
        if fresh >= self._settled // 2 and (len(self._held) >= _PENDING or fresh > _PENDING_ROWS):
            self._held = [self.state()]
            self._settled = self._held[0].num_rows

    def state(self) -> pa.Table:
        """What all have come to. Raises ``ValueError`` without any."""
        return self._check.merge(self._held)
