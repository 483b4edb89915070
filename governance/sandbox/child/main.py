"""Entry of the sandboxed process: read the job, confine, load the model, work, answer.

The answer is ``answer.json`` (and ``predictions.arrow``) in the scratch directory; progress goes over a pipe. The
model shares this process, so the parent believes none of it without checking.
"""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from time import perf_counter
from typing import Any, NoReturn

from governance.sandbox.child import load
from governance.sandbox.child.confine import confine, watch
from governance.sandbox.child.load import CannotLoadError
from governance.sandbox.levels import missing
from governance.sandbox.modes import MODES, module_of

LEFT_FORBIDDEN, LEFT_REFUSED = 71, 72


def main(*, forked: bool = False) -> None:
    """Run one job. Never returns normally: the exit status is 0 when an answer was written.

    ``forked``: this process comes from a template, so it takes on the job's environment and directory first.
    """
    with open(0, "rb", closefd=False) as stdin:
        job: dict[str, Any] = json.loads(stdin.read())
    if forked:
        os.environ.clear()
        os.environ.update(job["environment"])
        os.chdir(job["scratch"])
    channel = int(job["channel"])
    layers = confine(job)
    say(channel, {"layers": layers})
    if missing(layers, job["level"]):
        os._exit(LEFT_REFUSED)
    sys.path.extend(job["sites"])
    try:
        load.imports(job)
        mode = module_of(job["mode"])  # loads numpy, so only now
        watch(lambda attempt: _forbidden(channel, attempt))
        started = perf_counter()
        model = _loaded(job) if MODES[job["mode"]].model else None
        job["load_seconds"] = perf_counter() - started
        say(channel, {"loaded": True})
        report = mode.work(model, job, lambda done, total: say(channel, {"done": done, "total": total}))
        answer = {"code": "ok", "report": report}
    except BaseException as error:  # noqa: BLE001 - whatever a model raises, also SystemExit, is its answer
        answer = _failure(error)
    try:
        _write(job, answer)
    except BaseException as error:  # noqa: BLE001 - a report that is no JSON is the model's doing too
        _write(job, _failure(error))
    os._exit(0)  # no atexit hook or destructor of the model's runs after the answer


def _loaded(job: dict[str, Any]) -> Any:
    try:
        return load.load(job)
    except (CannotLoadError, MemoryError, PermissionError):
        raise
    except BaseException as error:
        raise CannotLoadError(last_line(error)) from error


def say(channel: int, message: dict[str, Any]) -> None:
    """One line to the parent."""
    os.write(channel, json.dumps(message).encode() + b"\n")


def _forbidden(channel: int, attempt: str) -> NoReturn:
    say(channel, {"forbidden": attempt})
    os._exit(LEFT_FORBIDDEN)


def _failure(error: BaseException) -> dict[str, Any]:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return {"code": "memory", "message": ""}
    if isinstance(error, CannotLoadError):
        return {"code": "cannot_load", "message": str(error)[:500]}
    if isinstance(error, OSError) and error.errno in (errno.EFBIG, errno.ENOSPC):
        return {"code": "output_too_large", "message": last_line(error)}
    if isinstance(error, PermissionError) or (isinstance(error, OSError) and error.errno == errno.EXDEV):
        return {"code": "forbidden", "message": last_line(error)}
    return {"code": "raised", "message": last_line(error)}


def last_line(error: BaseException) -> str:
    """The last line of the traceback, cut to 500 characters."""
    return traceback.format_exception_only(error)[-1].strip()[:500]


def _write(job: dict[str, Any], answer: dict[str, Any]) -> None:
    descriptor = os.open(os.path.join(job["scratch"], "answer.json"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # noqa: PTH118
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(json.dumps(answer).encode())
