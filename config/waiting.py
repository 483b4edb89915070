"""Waiting, with an end, for what another process does and tells nobody about."""

import time
from collections.abc import Callable
from typing import TypeVar

_Found = TypeVar("_Found")


def until(look: Callable[[], _Found], *, seconds: float, every: float = 0.1) -> _Found:
    """Look every so often and return the first true result, or the last one after ``seconds``.

    It is for the caller to say what a false result means. ``look`` may raise when waiting on is of no use.
    """
    give_up = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < give_up:
        time.sleep(every)
    return found
