"""A sequencer process that kills itself ``before`` or ``after`` a named step, both given as arguments."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django


def main(step: str, when: str) -> None:
    """Run one batch and die on the way."""
    django.setup()
    from audit import guard, keys, sequencer  # noqa: PLC0415 - needs settings

    holder_name, _, name = step.rpartition(".")
    holder = {"": sequencer, "Sequencer": sequencer.Sequencer, "Guard": guard.Guard}[holder_name]
    original: Callable[..., Any] = getattr(holder, name)

    def deadly(*args: object, **kwargs: object) -> object:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(holder, name, deadly)
    sequencer.run_once(key=keys.ledger_key(), guard=guard.Guard.default())


if __name__ == "__main__":
    main(*sys.argv[1:])
