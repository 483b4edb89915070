"""What tests need of the ledger: entries, and a sequencer with a key and a guard file of the test's own."""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import IntegrityError, connection, models, transaction

from audit import actions, partitions, sequencer, services
from audit.actors import Actor
from audit.canonical import Json
from audit.guard import Guard
from audit.models import Entry, Inbox
from audit.subjects import Subject

KEY = Ed25519PrivateKey.generate()
TOUCHED = actions.register("test.touched", "{actor} touched {object}").name
VOUCHED = actions.register("test.vouched", "{actor} vouched for {object}").name
ROBOT = Actor.service("robot")


def touch(name: str = "1", *, by: Actor = ROBOT, action: str = TOUCHED, **facts: Json) -> str:
    """Log one change of thing ``name`` in a transaction of its own; return the entry's id."""
    with transaction.atomic():
        return services.append(action=action, subject=Subject("test.thing", name), by=by, facts=facts)


def vouch(*rows: models.Model) -> None:
    """Log rows that a test wrote by itself as they are now, each under its own name, so that they may be committed."""
    with transaction.atomic():
        for row in rows:
            services.append(action=VOUCHED, subject=row, by=ROBOT)


def integrate(guard: Guard | None = None, key: Ed25519PrivateKey = KEY) -> int:
    """Give everything that is committed its place, as the sequencer would; return how many entries that was.

    What is not committed yet because it is a test's, is committed for the ledger: it must have its entries by now.

    Without a guard, the log is taken as it is: a test's database forgets between tests, a guard file would not.
    """
    settled()
    if guard is not None:
        return sequencer.run_once(key=key, guard=guard)
    with tempfile.TemporaryDirectory() as directory:
        return sequencer.run_once(key=key, guard=Guard(Path(directory) / "guard.json", adopt=True))


def log_of(size: int) -> list[Entry]:
    """Make a log of ``size`` entries about seven things; return them, oldest first."""
    for number in range(size):
        touch(str(number % 7), number=number)
    integrate()
    return list(Entry.objects.order_by("index"))


def narrow_partitions(width: int, *, count: int = 1) -> None:
    """Give an empty log ``count`` partitions of ``width`` entries, a multiple of 256. What comes after has the usual width."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE audit_entry_from_0, audit_checkpoint_from_1")
        for low in range(0, count * width, width):
            cursor.execute("SELECT audit_make_partition('audit_entry', %s, %s)", [low, low + width])
            cursor.execute("SELECT audit_make_partition('audit_checkpoint', %s, %s)", [low + 1, low + width + 1])


def usual_partitions() -> None:
    """Give an empty log the partitions of a new one, after a test that committed others."""
    with connection.cursor() as cursor:
        for table in ("audit_entry", "audit_checkpoint"):
            cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table])
            for (partition,) in cursor.fetchall():
                cursor.execute(f"DROP TABLE {partition}")
        cursor.execute("SELECT audit_make_partition('audit_entry', 0, %s)", [partitions.WIDTH])
        cursor.execute("SELECT audit_make_partition('audit_checkpoint', 1, %s)", [partitions.WIDTH + 1])


_by_hand: list[bool] = []
_MISSING = re.compile(r"an entry of the ledger about (\S+?):(\S+) in the same transaction")


def settle() -> None:
    """Let this transaction pass: make up the entries that PostgreSQL misses, and take them back when it has looked."""
    made_up = []
    while True:
        try:
            with transaction.atomic():
                connection.check_constraints()
        except IntegrityError as error:
            found = _MISSING.search(str(error))
            if found is None:
                raise
            made_up.append(services.append(action=VOUCHED, subject=Subject(found[1], found[2]), by=ROBOT))
        else:
            if made_up:
                Inbox.objects.filter(
                    pk__in=[row.pk for row in Inbox.objects.all() if json.loads(row.canon)["id"] in made_up]
                ).delete()
            return


def settled() -> None:
    """What a test has not committed is committed for the ledger that it advances: each change must have its entry."""
    if _by_hand and connection.in_atomic_block:
        settle()
    connection.check_constraints()


@contextmanager
def by_hand() -> Iterator[None]:
    """What is written in this block needs no entries: they are made up at its end, in its transaction."""
    with transaction.atomic():
        yield
        settle()


@contextmanager
def writing_by_hand() -> Iterator[None]:
    """The same for a whole test that is one transaction, also at each ``integrate``."""
    _by_hand.append(True)
    try:
        yield
        if connection.in_atomic_block and not connection.needs_rollback:
            settle()
    finally:
        _by_hand.pop()
