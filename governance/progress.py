"""How far a check is, and how long it will still take. Reads rows, writes nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from governance.models import CheckRun
from governance.states import CheckState

_TOO_EARLY: Final = 0.02
"""Before this share is done, the time so far says nothing about the time left."""


@dataclass(frozen=True, slots=True)
class Progress:
    """``share`` from 0 to 1; ``left`` None when nobody can tell; ``parts`` is 0 for a check that was not split."""

    share: float
    left: timedelta | None
    parts: int = 0
    parts_done: int = 0

    @property
    def percent(self) -> int:
        """Of a hundred, never 100 before the end."""
        return min(99, int(self.share * 100)) if self.share < 1 else 100

    @property
    def words(self) -> str:
        """For people: “42 %, about 3 minutes left”."""
        said = [f"{self.percent} %"] if self.share else []
        if self.parts:
            said.append(f"{self.parts_done} of {self.parts} parts")
        if self.left is not None:
            said.append(f"about {_spoken(self.left)} left")
        return ", ".join(said) or "started"


def progress_of(run: CheckRun, *, now: datetime | None = None) -> Progress:
    """Of one run: finished, running, or waiting for its parts."""
    if run.state == CheckState.FINISHED:
        return Progress(1.0, timedelta(0))
    share = run.progress_done / run.progress_total if run.progress_total else 0.0
    if run.state == CheckState.RUNNING:
        return Progress(share, _left(share, run.started_at, now))
    parts = list(run.parts.values_list("state", "started_at")) if run.progress_total else []
    begun = min((started for _, started in parts if started), default=None)
    done = sum(state == CheckState.FINISHED for state, _ in parts)
    return Progress(share, _left(share, begun, now), len(parts), done)


def _left(share: float, started: datetime | None, now: datetime | None) -> timedelta | None:
    if started is None or not _TOO_EARLY <= share < 1:
        return None
    return ((now or timezone.now()) - started) * ((1 - share) / share)


def _spoken(left: timedelta) -> str:
    seconds = max(1, round(left.total_seconds()))
    for size, name in ((3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = round(seconds / size)
            return f"{number} {name}{'s' if number > 1 else ''}"
    return f"{seconds} second{'s' if seconds > 1 else ''}"
