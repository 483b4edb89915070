"""What can be done with a model in the sandbox: one module and one row of ``MODES`` each.

A mode's module has two functions, one for each side of the wall:

``work(model, job, progress) -> dict``
    In the child, confined: ``model`` is the loaded model (None where the row says ``model=False``), ``job`` what the
    parent told (``features``, ``positive``, ``seed``, ``options``, ``data``, ``scratch``,
    ``files``: name → path …), ``progress(done, total)`` tells how far it is. Returns a JSON object, at most 4 MiB.
    ``governance.sandbox.child.scoring`` reads tables and asks models. What it raises is the outcome ``raised``.
``read(report, asked, scratch) -> Output``
    In the worker, after the child is dead: ``report`` is what came back, **written by the model if it wanted to**;
    ``asked`` is the job as told, with ``rows`` and ``max_bytes``; ``scratch`` is where files were written. Raises
    ``InvalidOutputError`` with a sentence for anything but what was asked for.

The modules are imported by name on the side that needs them: they load numpy, which the child may only do once it is
confined, and web processes never.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Output:
    """What a mode gave, checked: a sentence for people, and a table or a report."""

    message: str
    predictions: pa.Table | None = None
    report: Mapping[str, Any] | None = None


class ModeModule(Protocol):
    """The two sides of a mode."""

    def work(self, model: Any, job: dict[str, Any], progress: Progress) -> dict[str, Any]: ...  # noqa: ANN401 - a model can be anything

    def read(self, report: Mapping[str, Any], asked: Mapping[str, Any], scratch: Path) -> Output: ...


@dataclass(frozen=True, slots=True)
class Mode:
    """One row: its module, and what the parent prepares for it.

    ``model``: the model is loaded.
    ``data``: there must be a table (``SandboxJob.data``), staged without any column that was not asked for.
    """

    module: str
    model: bool = True
    data: bool = True


MODES: Mapping[str, Mode] = {
    "predict": Mode("governance.sandbox.modes.predict"),
    "resources": Mode("governance.sandbox.modes.resources"),
    "treeshap": Mode("governance.sandbox.modes.treeshap"),
    "script": Mode("governance.sandbox.modes.script", model=False, data=False),
}


def module_of(name: str) -> ModeModule:
    """The module of a mode. Raises ``KeyError`` for a mode that is not there."""
    return cast("ModeModule", importlib.import_module(MODES[name].module))
