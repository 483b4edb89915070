"""How a change is told in the ledger: the value itself while it is short, its digest when it is long."""

import hashlib
from typing import Final

from audit.canonical import Json, canonical

LONGEST: Final = 8 * 1024


def told(value: Json) -> Json:
    """Return ``value``, or ``{"sha256", "bytes"}`` of its canonical form when that is longer than 8 KiB.

    An entry of the ledger has a largest size; a long text can be shown to be the one that was written all the same.
    Text is hashed as its UTF-8 bytes.
    """
    body = canonical(value)
    if len(body) <= LONGEST:
        return value
    content = value.encode() if isinstance(value, str) else body
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def change(before: Json, after: Json) -> Json:
    """Return the two sides of a change, each as ``told``."""
    return {"before": told(before), "after": told(after)}
