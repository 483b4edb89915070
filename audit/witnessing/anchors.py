"""What the anchors share: which checkpoint to put there, under which name, and whether what is there is our history."""

import re
from datetime import datetime

from django.utils import timezone

from audit import notes, proofs, selectors
from audit.notes import BadNote, CheckpointText
from audit.witnessing import configured, cosignatures, records
from audit.witnessing.models import Anchor
from audit.witnessing.records import Contradicted, Failed
from audit.witnessing.selectors import cosigned_note, cosigned_size


def next_size(kind: str) -> int | None:
    """The checkpoint to anchor next: the latest that a quorum cosigned, or the latest, if that is newer than the last."""
    last = records.of(kind).size
    cosigned = cosigned_size()
    if cosigned is not None and cosigned > last:
        return cosigned
    head = selectors.head()
    return head.size if head and head.size > last else None


def content(size: int) -> tuple[str, str]:
    """The name of the log as a file name, and the note with its cosignatures."""
    note = cosigned_note(size)
    origin = notes.parse_checkpoint(notes.parse(note).text).origin
    return re.sub(r"[^A-Za-z0-9.-]", "-", origin), note


def check(found: bytes, where: str) -> CheckpointText:
    """Compare a checkpoint that lies at an anchor with our log. Raises ``Contradicted``, and ``Failed`` if it is none.

    Whoever can write there could leave anything, so what the log's key did not sign is no contradiction.
    """
    newest = selectors.head()
    try:
        note = found.decode("utf-8")
        theirs = notes.parse_checkpoint(notes.parse(note).text)
        log = configured.log_of(theirs.origin)
        if log is not None:
            theirs = cosignatures.verify_log(note, log)
    except (UnicodeDecodeError, BadNote) as bad:
        raise Failed(f"what lies at {where} is no checkpoint of this log: {bad}") from bad
    size = newest.size if newest else 0
    if newest is None or theirs.size > size:
        why = f"{where} holds a checkpoint of {theirs.size} entries, the log has {size}: it was rolled back or cut"
        raise Contradicted(why, size=size, evidence=note, proved=log is not None)
    if proofs.root(theirs.size) != theirs.root:
        why = f"{where} holds another root for {theirs.size} entries than the log has: it was rewritten"
        raise Contradicted(why, size=size, evidence=note, proved=log is not None)
    return theirs


def keep(kind: str, size: int, place: str, until: datetime | None = None) -> Anchor:
    """Put on record where the copy is."""
    kept = Anchor.objects.create(size=size, kind=kind, place=place, until=until, received_at=timezone.now())
    records.worked(kind, size)
    return kept
