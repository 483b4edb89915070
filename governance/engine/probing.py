"""Questions of a check to the model and to the live version: its own rows predicted, and the model read as a sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from governance.checks import CheckInputs, Probe, ProbeCheck
from governance.checks.contract import Roles
from governance.engine.workspace import SandboxRefused, Workspace
from governance.sandbox import SandboxOutcome
from registry.models import ModelVersion

NO_RUN = frozenset({"refused_by_scan", "cannot_load", "forbidden", "killed"})
"""Ends that say something about the model as a whole, not about the rows it was asked about."""

_LIVE = "live_probe"

Ask = Callable[[str, pa.Table], SandboxOutcome]


def asked_of(work: Workspace, check: ProbeCheck, inputs: CheckInputs) -> CheckInputs:
    """The inputs with what the request's version says to the check's own rows, and the live version where that is compared."""
    live = work.run.request.replaces if _LIVE in check.manifest.needs else None
    params = check.params.from_mapping(work.run.parameters)
    ask = _asking(work, work.version, inputs.roles)
    return probed(check, inputs, params, ask=ask, live=_asking(work, live, inputs.roles) if live is not None else None)


def _asking(work: Workspace, version: ModelVersion, roles: Roles) -> Ask:
    def ask(mode: str, table: pa.Table) -> SandboxOutcome:
        path, record = work.directory / "probe.parquet", work.record
        pa.parquet.write_table(table, path)
        outcome = work.run_model(mode, version, path, roles=roles)
        path.unlink()
        if version.pk != work.version.pk:
            work.record = record  # what is recorded is how the version went that is judged
        return outcome

    return ask


def probed(check: ProbeCheck, inputs: CheckInputs, params: Any, *, ask: Ask, live: Ask | None) -> CheckInputs:  # noqa: ANN401 - of the check's own type
    """The inputs with the answers to the check's rows; ``ask`` runs a mode of the sandbox over a table, ``live`` that version.

    A model that gives no answer to one table has that for an answer; the live version may give none to all of them. Raises
    ``SandboxRefused`` for a model that does not run.
    """
    needs = set(check.manifest.needs)
    asked = check.probes(inputs, params)
    encoded = check.encoded(inputs, params) if "trees" in needs else None
    inputs = replace(inputs, probes=_answers(asked, ask, strict=True), trees=_trees(encoded, ask))
    if live is not None and _LIVE in needs:
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
