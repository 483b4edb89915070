"""Mode ``script``: a script of the policy's, with the data and the predictions as Parquet files. No model is loaded.

The script is run as ``python script.py DIRECTORY`` would be: ``sys.argv[1]`` is the directory with ``data.parquet``,
``predictions.parquet`` (unless the model has none) and ``parameters.json``; the working directory is the only place where it
can write; what it leaves there as ``result.json`` is its answer.
"""

# ruff: noqa: ANN401 - the signatures of a mode
from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from governance.sandbox.modes import Output, Progress
from governance.sandbox.output import InvalidOutputError, read_file

ANSWER = "result.json"
MAX_ANSWER = 1024 * 1024


class ScriptFailed(Exception):
    """The script raised; the message says where."""


def work(model: Any, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Run it. Raises what it raises, with the line of the script."""
    script = job["files"]["script.py"]
    sys.argv = [script, os.path.dirname(script)]  # noqa: PTH120
    os.chdir(job["scratch"])
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ended:
        if ended.code not in (None, 0):
            raise ScriptFailed(f"it ended with status {str(ended.code)[:200]}") from ended
    except (MemoryError, OSError):
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == script]
        where = f"line {lines[-1]}: " if lines else ""
        raise ScriptFailed(where + traceback.format_exception_only(error)[-1].strip()[:400]) from error
    return {}


def read(report: Mapping[str, Any], asked: Mapping[str, Any], scratch: Path) -> Output:
    """The answer as JSON without NaN; what it means is for ``governance.checks.scripted`` to see."""
    data = read_file(scratch / ANSWER, MAX_ANSWER)
    if data is None:
        raise InvalidOutputError(f"The script left no {ANSWER} in its working directory.")
    try:
        found = json.loads(data, parse_constant=_no_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidOutputError(f"{ANSWER} is not the JSON that was asked for: {str(error)[:200]}.") from error
    if not isinstance(found, dict):
        raise InvalidOutputError(f"{ANSWER} is no JSON object.")
    return Output("The script has run.", report=found)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"“{name[:100]}” is there twice")
        found[name] = value
    return found
