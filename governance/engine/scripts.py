"""Running a script of the policy's in the sandbox: what it is given, and how its end is said. Workers only."""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet
from django.conf import settings

from governance import sandbox
from governance.checks import CheckError
from governance.checks.script_params import ScriptParams
from governance.engine.workspace import SandboxRefused, Workspace, protection

_SCRIPTS: Final = {
    "raised": "The script raised: ",
    "cannot_load": "The script cannot be run: ",
}
_RAISED: Final = "governance.sandbox.modes.script.ScriptFailed: "
"""Its own line is in the message already."""


def answer_of(work: Workspace, predictions: pa.Table | None) -> Mapping[str, Any]:
    """What the script left as its answer, JSON and no more. Raises ``SandboxRefused`` and ``CheckError``."""
    params = ScriptParams.from_mapping(work.run.parameters)
    given = {
        "script.py": params.script.encode(),
        "parameters.json": json.dumps(_parameters(work, params), sort_keys=True).encode(),
    }
    files = {"data.parquet": work.file(work.dataset())}
    for name, content in given.items():
        files[name] = work.directory / name
        files[name].write_bytes(content)
    if predictions is not None:
        files["predictions.parquet"] = work.directory / "predictions.parquet"
        pa.parquet.write_table(predictions, files["predictions.parquet"])
    outcome = sandbox.run(
        sandbox.SandboxJob(
            mode="script",
            files=files,
            **protection(work.run),
            limits=sandbox.Limits(
                wall_seconds=float(settings.CHECK_TIME_LIMIT),
                cpu_seconds=math.ceil(settings.CHECK_TIME_LIMIT),
                memory_bytes=settings.SANDBOX_MEMORY_MB * 2**20,
            ),
        ),
        progress=work.progress,
    )
    work.record = {
        **outcome.record(),
        "platform": f"python {sys.version.split()[0]}, {platform.system()} {platform.machine()}",
    }
    if not outcome.ok:
        raise SandboxRefused(_about_scripts(outcome))
    if outcome.report is None:
        raise CheckError("script.answer", "The script gave no answer.")
    return outcome.report


def _parameters(work: Workspace, params: ScriptParams) -> dict[str, Any]:
    """``parameters.json``: the policy's arguments, the seed, and which column is what."""
    roles = work.roles()
    return {
        "arguments": dict(params.arguments),
        "seed": params.seed,
        "roles": {
            "label": roles.label,
            "positive": roles.positive,
            "sensitive": list(roles.sensitive),
            "features": list(roles.features),
            "weight": roles.weight,
            "id": roles.id,
            "time": roles.time,
        },
    }


def _about_scripts(outcome: sandbox.SandboxOutcome) -> sandbox.SandboxOutcome:
    """The sandbox speaks of models; here it is a script that ended so."""
    message = outcome.message
    if outcome.code in _SCRIPTS:
        message = _SCRIPTS[outcome.code] + message.partition(": ")[2].removeprefix(_RAISED)
    return replace(
        outcome, message=message.replace("The model", "The script").replace("process of the model", "process")
    )
