"""Reactions to the ledger: each follower reads every entry it asked for, in order, at least once, from its own cursor.

A follower that fails is tried again later, with a growing pause, and says so in ``manage.py audit_status``; it never
skips an entry, never holds up the others and never holds up the sequencer.
"""

import logging
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import ClassVar, Final

from django.conf import settings
from django.db import OperationalError, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from audit.models import Checkpoint, Cursor, Entry

logger = logging.getLogger(__name__)

LONGEST_PAUSE: Final = 300
PER_ROUND: Final = 200


class Follower(ABC):
    """Subclass with a ``name`` that never changes, the ``actions`` you want (none = all) and ``handle``."""

    name: ClassVar[str]
    actions: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def handle(self, entry: Entry) -> None:
        """React to one entry, in a transaction that also moves the cursor, and that other entries may share.

        May be called again for the same entry if it or one near it fails, or if an effect outside the database (a task, a
        mail) was followed by a crash: make those idempotent, and start them with ``transaction.on_commit``.
        """

    def tick(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what is due without an entry, after each round of reading; a second apart at most, outside a transaction."""


class BadFollower(TypeError):
    """settings.FOLLOWERS names something that is no follower, or two of one name."""


def configured() -> list[Follower]:
    """Return one instance of each follower of ``settings.FOLLOWERS``. Raises ``ImportError`` or ``BadFollower``."""
    followers: list[Follower] = []
    for path in settings.FOLLOWERS:
        cls = import_string(path)
        if not (isinstance(cls, type) and issubclass(cls, Follower) and hasattr(cls, "name")):
            raise BadFollower(f"{path} is no Follower with a name")
        if cls.name in {follower.name for follower in followers}:
            raise BadFollower(f"two followers are named {cls.name}: they would share a cursor")
        followers.append(cls())
    return followers


def run_all(followers: list[Follower], *, limit: int = PER_ROUND) -> int:
    """Let each follower handle up to ``limit`` entries; return how many were handled. Raises none of their errors."""
    newest = Checkpoint.objects.order_by("-size").values_list("size", flat=True).first() or 0
    handled = sum(run(follower, newest, limit=limit) for follower in followers)
    for follower in followers:
        _tick(follower)
    return handled


def run(follower: Follower, newest: int, *, limit: int = PER_ROUND) -> int:
    """Let one follower handle up to ``limit`` entries below index ``newest``; return how many it handled.

    All in one transaction. If one of them fails it is found by handling each in a transaction of its own: what stands
    before it is done, and it will be the first of the next round.
    """
    try:
        return _handle(follower, newest, limit)
    except Exception as error:  # noqa: BLE001 - the entry at fault is yet to be found
        logger.debug("Follower %s goes on one by one: %s", follower.name, error)
    for handled in range(limit):
        try:
            if not _handle(follower, newest, 1):
                return handled
        except Exception as error:  # noqa: BLE001 - the boundary: recorded, logged, tried again
            _fail(follower, error)
            return handled
    return limit


def _tick(follower: Follower) -> None:
    try:
        follower.tick()
    except OperationalError:
        raise
    except Exception:
        logger.exception("What is due of follower %s failed; again in a second", follower.name)


def _handle(follower: Follower, newest: int, limit: int) -> int:
    """Handle the next entries and move the cursor past them, in one transaction; return how many there were."""
    with transaction.atomic():
        cursor = _locked(follower.name)
        if cursor is None or cursor.next_index >= newest or (cursor.retry_at and cursor.retry_at > timezone.now()):
            return 0
        wanted = Entry.objects.filter(index__gte=cursor.next_index, index__lt=newest).order_by("index")
        if follower.actions:
            wanted = wanted.filter(action__in=sorted(follower.actions))
        entries = list(wanted[:limit])
        for entry in entries:
            follower.handle(entry)
        cursor.next_index = entries[-1].index + 1 if len(entries) == limit else newest
        cursor.failures, cursor.last_error, cursor.retry_at = 0, "", None
        cursor.moved_at = timezone.now()
        cursor.save()
        return len(entries)


def _locked(name: str) -> Cursor | None:
    """Return the follower's cursor, locked, or None while another process holds it."""
    ours = Cursor.objects.select_for_update(skip_locked=True).filter(name=name)
    found = ours.first()
    if found is None and not Cursor.objects.filter(name=name).exists():
        Cursor.objects.bulk_create([Cursor(name=name)], ignore_conflicts=True)
        found = ours.first()
    return found


def _fail(follower: Follower, error: Exception) -> None:
    with transaction.atomic():
        cursor = _locked(follower.name)
        if cursor is None:
            return
        cursor.failures += 1
        pause = min(2 ** min(cursor.failures - 1, 20), LONGEST_PAUSE)
        cursor.last_error = f"{type(error).__name__}: {error}"[:2000]
        cursor.retry_at = timezone.now() + timedelta(seconds=pause)
        cursor.save()
    logger.error(
        "Follower %s failed on the entry at or after %d, attempt %d; again in %d s",
        follower.name, cursor.next_index, cursor.failures, pause, exc_info=error,
    )  # fmt: skip
