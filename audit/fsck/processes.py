"""The processes that share a verification. They read the snapshot of the one that started them."""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connection, connections, transaction
from psycopg import sql

from audit.fsck import segments
from audit.fsck.report import Report
from audit.fsck.segments import Expected, Stretch
from audit.guard import Head

Job = Callable[[Report], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that another process holds open, and the database it is of."""

    name: str
    database: str


def run(job: Job | Stretch, key: bytes, remembered: Head | None, guard: str, snapshot: Snapshot) -> Report:
    """Do one job in a transaction that sees what the snapshot sees."""
    report = Report()
    connections["default"].settings_dict["NAME"] = snapshot.database
    with transaction.atomic():
        enter(snapshot.name)
        if isinstance(job, Stretch):
            return segments.check(job, Expected(Ed25519PublicKey.from_public_bytes(key), remembered, guard))
        job(report)
    return report


def enter(snapshot: str = "") -> None:
    """Make the transaction that has just begun one that only reads, from one snapshot, and may take its time."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        if snapshot:
            cursor.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        # For sorts of a few hundred bytes an entry; what is more goes to disk.
        cursor.execute("SET LOCAL work_mem = '64MB'")
