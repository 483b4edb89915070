"""The status list: what each permit ever issued is now, bound to a checkpoint, good for a day, signed like a permit.

The simplest of its kind on purpose: permit ids are random and the list has one word for each, so whoever reads one line of
JSON knows. (Of the W3C's bitstring status lists, https://www.w3.org/TR/vc-bitstring-status-list/, it has the idea.)
"""

from collections.abc import Mapping
from typing import Final

from governance.permits.dsse import canonical

STATUS_TYPE: Final = "https://countersign.dev/permit-status/v1"


def document(
    permits: Mapping[str, str], *, origin: str, size: int, root: str, trust_root: int, issued_at: int, valid_until: int
) -> bytes:
    """The payload. ``permits`` maps each id to ``active``, ``suspended``, ``revoked``, ``superseded`` or ``expired``."""
    return canonical(
        {
            "_type": STATUS_TYPE,
            "checkpoint": {"origin": origin, "size": size, "root": root},
            "trust_root": trust_root,
            "issued_at": issued_at,
            "valid_until": valid_until,
            "permits": dict(permits),
        }
    )
