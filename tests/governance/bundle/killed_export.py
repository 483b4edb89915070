"""A worker process that kills itself at a named step of writing an export, given with the export's id as arguments."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import django


def main(export_id: str, step: str) -> None:
    """Write, and die on the way."""
    django.setup()
    from audit.exports import archive  # noqa: PLC0415 - needs settings
    from governance.services import evidence, exports  # noqa: PLC0415

    holder, name = {
        "middle": (archive.Archive, "add"),
        "written": (Path, "replace"),
        "unlogged": (evidence, "log_export"),
    }[step]
    original: Callable[..., Any] = getattr(holder, name)
    calls = 0

    def deadly(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if step != "middle" or calls == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(holder, name, deadly)
    exports.write(UUID(export_id), owner="doomed")


if __name__ == "__main__":
    main(*sys.argv[1:])
