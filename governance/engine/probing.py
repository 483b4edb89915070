"""Questions of a check to the model and to the live version: its own rows predicted, and the model read as a sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from governance.checks import CheckInputs, Probe, ProbeCheck
from governance.engine.workspace import SandboxRefused
from governance.sandbox import SandboxOutcome

NO_RUN = frozenset({"refused_by_scan", "cannot_load", "forbidden", "killed"})
"""Ends that say something about the model as a whole, not about the rows it was asked about."""

Ask = Callable[[str, pa.Table], SandboxOutcome]


def probed(check: ProbeCheck, inputs: CheckInputs, params: Any, *, ask: Ask, live: Ask | None) -> CheckInputs:  # noqa: ANN401 - of the check's own type
    """The inputs with the answers to the check's rows; ``ask`` runs a mode of the sandbox over a table, ``live`` that version.

    A model that gives no answer to one table has that for an answer; the live version may give none to all of them. Raises
    ``SandboxRefused`` for a model that does not run.
    """
    needs = set(check.manifest.needs)
    asked = check.probes(inputs, params)
    encoded = check.encoded(inputs, params) if "trees" in needs else None
    inputs = replace(inputs, probes=_answers(asked, ask, strict=True), trees=_trees(encoded, ask))
    if live is not None and "live_probe" in needs:
        inputs = replace(inputs, live_probes=_answers(asked, live, strict=False), live_trees=_trees(encoded, live))
    return inputs


def _answers(asked: Mapping[str, pa.Table], ask: Ask, *, strict: bool) -> Mapping[str, Probe]:
    answers = {}
    for name, table in asked.items():
        outcome = ask("predict", table)
        if strict and outcome.code in NO_RUN:
            raise SandboxRefused(outcome)
        answers[name] = Probe(outcome.predictions, "" if outcome.ok else outcome.message)
    return answers


def _trees(encoded: pa.Table | None, ask: Ask) -> Mapping[str, Any] | None:
    """The model as a sum, the reason why it is none, or None when it could not be read at all."""
    return None if encoded is None else ask("treeshap", encoded).report
