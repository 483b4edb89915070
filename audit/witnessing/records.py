"""How it goes with each attestor, on record: successes, failures with a growing pause, and contradictions."""

import hashlib
import logging
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from audit import services
from audit.actors import Actor
from audit.subjects import Subject
from audit.witnessing.models import Attestor

logger = logging.getLogger(__name__)

NOTARY: Final = Actor.service("notary")
LONGEST_PAUSE: Final = 300
LONGEST_MESSAGE: Final = 2000


class Failed(Exception):
    """It did not work this time. The message says why, for people, and holds no secret."""


class Contradicted(Failed):
    """Somebody outside knows another history than ours. ``evidence`` is what shows it, if it was shown."""

    def __init__(self, message: str, *, size: int, evidence: str = "", proved: bool = False) -> None:
        super().__init__(message)
        self.size, self.evidence, self.proved = size, evidence, proved


def of(name: str) -> Attestor:
    """Return what is known of an attestor, a new one if nothing is."""
    return Attestor.objects.filter(name=name).first() or Attestor(name=name)


def worked(name: str, size: int) -> None:
    """It attested our head of ``size`` (or, for a schedule, was done at it). Ends an alarm."""
    done = {"size": size, "succeeded_at": timezone.now(), "failures": 0, "last_error": "", "retry_at": None}
    before = of(name)
    Attestor.objects.update_or_create(name=name, defaults=done | {"alarm": "", "evidence": ""})
    if before.alarm:
        logger.warning("%s attests the log again, at %d: the alarm is over", name, size)


def failed(name: str, error: Failed) -> Attestor:
    """It failed: remember why and pause, longer each time. A contradiction is logged in the ledger, once."""
    with transaction.atomic():
        Attestor.objects.bulk_create([Attestor(name=name)], ignore_conflicts=True)
        row = Attestor.objects.select_for_update().get(name=name)
        row.failures += 1
        row.last_error = (str(error) or type(error).__name__)[:LONGEST_MESSAGE]
        row.retry_at = timezone.now() + timedelta(seconds=min(2 ** min(row.failures - 1, 20), LONGEST_PAUSE))
        if isinstance(error, Contradicted):
            if row.alarm != row.last_error:
                _log_contradiction(name, error)
            row.alarm, row.evidence = row.last_error, error.evidence
        row.save()
    if row.alarm:
        logger.critical("THE LOG IS CONTRADICTED by %s: %s", name, row.alarm)
    else:
        logger.warning("%s failed, attempt %d: %s", name, row.failures, row.last_error)
    return row


def _log_contradiction(name: str, error: Contradicted) -> None:
    services.append(
        action="log.contradicted",
        subject=Subject("audit.attestor", name),
        by=NOTARY,
        reason=str(error)[:LONGEST_MESSAGE],
        facts={
            "size": error.size,
            "proved": error.proved,
            "evidence": error.evidence[:8000],
            "evidence_digest": hashlib.sha256(error.evidence.encode()).hexdigest() if error.evidence else "",
        },
    )
