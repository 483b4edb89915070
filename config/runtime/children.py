"""Starting child processes that cannot outlive the process that started them."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from config.runtime.account import Account

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    output: IO[bytes] | int,
    orphan_signal: signal.Signals = signal.SIGTERM,
    account: Account | None = None,
    cwd: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start ``command`` in a session of its own, its output and errors going to ``output``.

    On Linux the kernel sends it ``orphan_signal`` when this process dies, however it dies (prctl(2),
    PR_SET_PDEATHSIG). The kernel ties it to the *thread* that called, so call from the main thread only.
    """
    return subprocess.Popen(
        command,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
        # After Popen has changed the user: a change of credentials clears the setting.
        # It is unsafe beside threads, of which the supervisor has none.
        preexec_fn=_tie_to_parent(orphan_signal),  # noqa: PLW1509
    )


def _tie_to_parent(orphan_signal: signal.Signals) -> Callable[[], None] | None:
    if _LIBC is None:
        return None
    prctl, parent = _LIBC.prctl, os.getpid()

    def tie() -> None:
        if prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(1)  # the parent died between fork and prctl, or the kernel refuses to tie us

    return tie
