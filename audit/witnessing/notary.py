"""The process that asks those outside: each in a thread of its own, so that one who is slow holds up nobody.

It signs nothing and holds no key of the log. The sequencer knows nothing of it.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from audit import selectors
from audit.models import Checkpoint
from audit.witnessing import anchors, beacons, client, configured, git, heads, records, worm
from audit.witnessing.configured import Misconfigured
from audit.witnessing.models import Attestor
from audit.witnessing.policy import PolicyWitness
from audit.witnessing.records import Failed

logger = logging.getLogger(__name__)

LOCK: Final = 0x6E6F74617279  # "notary"; advisory lock of the one notary of a database
LOOK: Final = 1.0
AGAIN: Final = 5.0


@dataclass(frozen=True, slots=True)
class Errand:
    """One thing to do outside: under which name it is on record, and what to do if it is due. True: it was done."""

    name: str
    run: Callable[[Attestor], bool]


def errands() -> list[Errand]:
    """Everything that is configured. Raises ``Misconfigured``."""
    found = [_witness(witness) for witness in configured.policy().witnesses if witness.url]
    if settings.TIMESTAMP_URL:
        found.append(Errand("timestamp", _stamp))
    if settings.ANCHOR_S3["bucket"]:
        found.append(Errand(worm.NAME, lambda record: _anchor(record, worm.put)))
    if settings.ANCHOR_GIT_REMOTE:
        found.append(Errand(git.NAME, lambda record: _anchor(record, git.put)))
    if settings.BEACON_URL:
        found.append(Errand("beacon", _beacon))
    return [*found, Errand("heads", _heads)]


def once(errand: Errand, *, patient: bool = True) -> bool:
    """Do it if it is due and, if ``patient``, its pause after a failure is over. True: it was done.

    A failure is on record and in the log of the process, and is not raised; ``DatabaseError`` is.
    """
    record = records.of(errand.name)
    if patient and record.retry_at and record.retry_at > timezone.now():
        return False
    try:
        return errand.run(record)
    except Failed as failure:
        records.failed(errand.name, failure)
    except DatabaseError:
        raise
    except Exception as error:
        logger.exception("%s: a mistake of ours", errand.name)
        records.failed(
            errand.name, Failed(f"a mistake of ours, {type(error).__name__}; the log of the notary says more")
        )
    return False


def ask_all(*, everything: bool = False) -> None:
    """Ask each witness about the latest checkpoint, now; with ``everything``, do all the others as if they were due."""
    head = selectors.head()
    for witness in configured.policy().witnesses:
        if head is not None and witness.url:
            once(Errand(client.name_of(witness), _asking(witness, head)), patient=False)
    if everything:
        for errand in errands():
            if not errand.name.startswith("witness:"):
                once(Errand(errand.name, _at_once(errand)), patient=False)


def _at_once(errand: Errand) -> Callable[[Attestor], bool]:
    def run(record: Attestor) -> bool:
        record.succeeded_at = None  # as if it had never been done
        return errand.run(record)

    return run


def _witness(witness: PolicyWitness) -> Errand:
    def run(_: Attestor) -> bool:
        checkpoint = client.target(timezone.now())
        return checkpoint is not None and client.cosign(witness, checkpoint) is not None

    return Errand(client.name_of(witness), run)


def _asking(witness: PolicyWitness, head: Checkpoint) -> Callable[[Attestor], bool]:
    return lambda _: client.cosign(witness, head) is not None


def _is_time(record: Attestor, interval: timedelta) -> bool:
    return record.succeeded_at is None or record.succeeded_at + interval <= timezone.now()


def _stamp(record: Attestor) -> bool:
    from audit.witnessing import timestamps  # noqa: PLC0415 - its library only where it is used

    checkpoint = timestamps.due(record)
    if checkpoint is not None:
        timestamps.stamp(checkpoint)
    return checkpoint is not None


def _anchor(record: Attestor, put: Callable[[int], object]) -> bool:
    size = anchors.next_size(record.name) if _is_time(record, settings.ANCHOR_INTERVAL) else None
    if size is not None:
        put(size)
    return size is not None


def _beacon(record: Attestor) -> bool:
    if not _is_time(record, settings.BEACON_INTERVAL):
        return False
    beacons.log_beacon()
    records.worked(record.name, _size())
    return True


def _heads(record: Attestor) -> bool:
    if not _is_time(record, settings.HEADS_INTERVAL):
        return False
    logged = heads.log_heads()
    if logged is not None:
        records.worked(record.name, logged.size)
    return logged is not None


def _size() -> int:
    head = selectors.head()
    return head.size if head else 0


def tend(errand: Errand, stop: threading.Event) -> None:
    """Do one errand whenever it is due, until told to stop."""
    look = LOOK if errand.name.startswith("witness:") else AGAIN
    try:
        while not stop.is_set():
            try:
                close_old_connections()
                once(errand)
            except DatabaseError as error:
                logger.warning("%s interrupted, trying again: %s", errand.name, error)
                connection.close()
            stop.wait(look)
    finally:
        connection.close()


def work(stop: threading.Event) -> None:
    """Tend all errands; begin anew when the policy changes. Raises ``Misconfigured`` only at the start."""
    known = errands()
    while not stop.is_set():
        over, policy = threading.Event(), configured.policy()
        names = ", ".join(errand.name for errand in known)
        logger.info("The notary tends %s", names)
        threads = [threading.Thread(target=tend, args=(errand, over), name=errand.name) for errand in known]
        for thread in threads:
            thread.start()
        try:
            known = _until_changed(policy, stop) or known
        finally:
            over.set()
            for thread in threads:
                thread.join()


def _until_changed(policy: object, stop: threading.Event) -> list[Errand] | None:
    """Wait for the end or for another policy file; one that cannot be read changes nothing but is said, once."""
    told = ""
    while not stop.wait(AGAIN):
        try:
            if configured.policy() != policy:
                return errands()
        except Misconfigured as error:
            if str(error) != told:
                told = str(error)
                logger.error("The policy of witnesses changed and cannot be used; the one before stays: %s", told)  # noqa: TRY400
    return None
