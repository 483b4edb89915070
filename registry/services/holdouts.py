"""Sealed hold-outs: nobody reads one, whatever the door. A refusal is an entry, but a thousand refusals are not."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import BinaryIO, Final, NoReturn

from django.db import connection, transaction
from django.utils import timezone

from audit.actors import Actor
from audit.canonical import Json
from audit.services import append
from audit.subjects import mention
from config import as_of
from config.errors import Conflict, NotAllowed
from registry import reach
from registry.models import DatasetVersion, HoldoutAttempt, User
from registry.selectors.datasets import holdout_of, may_read
from registry.storage import blobs

QUIET: Final = timedelta(hours=1)
"""After an entry about somebody and a hold-out, their further attempts are counted this long; the next entry tells the number."""
CODE: Final = "holdout.sealed"


def check_can_create(person: User) -> None:
    """Raise ``NotAllowed``: hold-outs are made by those who judge models, not by those who make them."""
    if not any(reach.holds_anywhere(person, permission) for permission in (reach.VALIDATE, reach.APPROVE)):
        raise NotAllowed(
            "You may not register a sealed hold-out: that needs the role validator or compliance officer.",
            code="holdout.not_allowed",
            field="role",
            remedy="Ask one of them to register it; they upload the file themselves.",
        )


def opened(version: DatasetVersion, *, by: Actor, door: str) -> BinaryIO:
    """The file of a sealed version, for who may have it.

    Raises ``NotAllowed`` for others, and for everybody if it is a hold-out or shares its bytes with one; ``Conflict``
    while it is not sealed.
    """
    if version.is_holdout:
        refuse(version, by=by, door=door)
    if not isinstance(by.user, User) or not may_read(by.user, version):
        raise NotAllowed(
            f"The rows of {version} are for who registered it, validators and auditors.", code="dataset.not_readable"
        )
    if version.status != DatasetVersion.Status.SEALED or not version.blob_id:
        raise Conflict(f"{version} is not sealed.", code="dataset.not_sealed")
    check_bytes(version.blob_id, by=by, door=door)
    return blobs().open(version.blob_id)


def check_bytes(sha256: str, *, by: Actor, door: str) -> None:
    """Raise ``NotAllowed``, and log the attempt, if these bytes are a hold-out's: whatever else they are registered as."""
    if (found := holdout_of(sha256)) is not None:
        refuse(found, by=by, door=door)


def refuse(version: DatasetVersion, *, by: Actor, door: str) -> NoReturn:
    """Log that somebody tried to read a hold-out, and raise ``NotAllowed``. ``door`` says where, in a word."""
    if as_of.current():
        _apart(lambda: _log(version, by, door))
    else:
        _log(version, by, door)
    raise NotAllowed(
        f"{version} is a sealed hold-out: only a worker opens it, for checks. That you asked is in the audit log.",
        code=CODE,
        remedy="Its size, its columns and the results of checks on it can be seen.",
    )


@transaction.atomic
def _log(version: DatasetVersion, by: Actor, door: str) -> None:
    """One entry per person, hold-out and hour; it tells how many attempts since the last were not logged."""
    now, unlogged = timezone.now(), 0
    if by.user is not None:
        row, made = HoldoutAttempt.objects.get_or_create(
            dataset_id=version.pk, user_id=by.user.pk, defaults={"logged_at": now}
        )
        if not made:
            row = HoldoutAttempt.objects.select_for_update().get(pk=row.pk)
            if row.logged_at > now - QUIET:
                row.unlogged += 1
                row.save(update_fields=["unlogged"])
                return
            unlogged, row.unlogged, row.logged_at = row.unlogged, 0, now
            row.save(update_fields=["unlogged", "logged_at"])
    facts: dict[str, Json] = {"door": door, "unlogged_before": unlogged}
    append(action="holdout.refused", subject=mention(version), by=by, facts=facts)


def _apart(act: Callable[[], None]) -> None:
    """On a connection of its own: the one of a request that shows the past can write nothing."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            failed.append(error)
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
