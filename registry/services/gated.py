"""Asking the gate, so that a refusal leaves nothing changed and yet is on record.

A service that asks stands under two decorators, in this order:

    @recording_refusals
    @transaction.atomic
    def set_alias(...):
        with asking(model, by) as gate:
            gate.check_alias(...)

Called inside a transaction of the caller's, a verb writes the refusal's entry there: it lives if the caller goes on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from django.db import models, transaction

from audit.actors import Actor
from audit.services import append
from audit.subjects import Subject, mention
from config.errors import Refusal
from registry.gates import Gatekeeper, gatekeeper

P = ParamSpec("P")
R = TypeVar("R")
_LONGEST_REASON: Final = 1000


class _Gated(Exception):
    """Carries a gate's refusal, with whom and what it is about, out of the transaction that it ended."""

    def __init__(self, refusal: Refusal, subject: Subject, by: Actor) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.subject = subject
        self.by = by


@contextmanager
def asking(subject: models.Model, by: Actor) -> Iterator[Gatekeeper]:
    """Put a question to the gate. Only below ``recording_refusals``, which turns a no into the refusal and its entry."""
    try:
        yield gatekeeper()
    except Refusal as refusal:
        raise _Gated(refusal, mention(subject), by) from refusal


def recording_refusals(verb: Callable[P, R]) -> Callable[P, R]:
    """Write ``gate.refused`` after the refused transaction was rolled back, then raise the refusal."""

    @wraps(verb)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(*args, **kwargs)
        except _Gated as gated:
            with transaction.atomic():
                append(
                    action="gate.refused",
                    subject=gated.subject,
                    by=gated.by,
                    reason=gated.refusal.message[:_LONGEST_REASON],
                    facts={"verb": verb.__name__, "code": gated.refusal.code},
                )
            raise gated.refusal from None

    return wrapped
