"""Entries as the product writes them, in numbers that it takes years to write."""

import secrets
from collections.abc import Iterator
from typing import Final

from audit import services
from audit.canonical import canonical
from benchmarks.stack import Machine

FIRST: Final = 1_750_000_000_000_000
OBJECTS: Final = 5
"""Entries that each object has on average."""


def bodies(first: int, last: int) -> Iterator[str]:
    """Canonical entries of a sealed version, some 800 bytes each, over one object for every five."""
    for number in range(first, last):
        digest = f"{number:064x}"
        body = {
            "v": services.FORMAT,
            "id": f"{number:08x}-0000-7000-8000-{secrets.token_hex(6)}",
            "salt": secrets.token_hex(16),
            "at": FIRST + number * 1000,
            "action": "version.sealed",
            "actor": {"id": f"user:{number % 500}", "kind": "user", "session": "0123456789abcdef", "auth": "session"},
            "object": {
                "type": "registry.modelversion", "id": f"{number // OBJECTS:032x}", "version": "3", "digest": digest,
            },
            "request_id": secrets.token_hex(16),
            "diff": {"manifest_digest": ["", digest], "state": ["pending", "sealed"]},
            "reason": "",
            "facts": {"bytes": 123_456 + number, "files": 12, "manifest_digest": digest},
            "commitments": [{"field": "name", "subject": f"user:{number % 500}", "value": digest}],
            "source": "0.4.0",
        }  # fmt: skip
        yield canonical(body).decode()


def fill_inbox(machine: Machine, first: int, last: int) -> None:
    """Have so many entries wait, as if committed."""
    with (
        machine.owner() as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY audit_inbox (canon) FROM STDIN") as copy,
    ):
        for body in bodies(first, last):
            copy.write_row((body,))
