"""Writes evidence bundles. The layout, and what proves what in it, is docs/auditors/bundle.md."""

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Final

from audit import keys
from audit.canonical import canonical
from audit.models import Checkpoint, Entry
from audit.proofs import inclusion
from audit.selectors import entries_about, head
from config.errors import NotFound

FORMAT: Final = "countersign-bundle/1"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
VERIFIER: Final = Path(__file__).with_name("verify.py")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")

README: Final = """Countersign evidence bundle

Check it, offline:

    pip install cryptography
    python verify.py bundle.zip --key ledger.pub.pem

Take verify.py and ledger.pub.pem from a place you trust, such as the auditor's page of the installation on another day,
or a colleague. The copies in this bundle show that the bundle agrees with itself; they cannot show who made it.

manifest.json lists every file with its SHA-256. log/ holds the ledger entries, each with a proof that leads to the root
in log/checkpoint.txt. What proves what is described in docs/auditors/bundle.md of the project.
"""


class BadMember(ValueError):
    """A member's name is taken, reserved or unsafe."""


def write_bundle(
    out: IO[bytes],
    *,
    members: Iterable[tuple[str, bytes]],
    entry_indices: Iterable[int] = (),
    subjects: Iterable[tuple[str, str]] = (),
    kind: str = "promotion",
) -> int:
    """Write a bundle to ``out`` and return the size of the log it is proved against.

    ``members`` are (name, content); the log part, the ledger key, the README, the verifier and the manifest are added.
    The log part has the entries named and all of each of ``subjects`` (type, id), up to the latest checkpoint. The same
    arguments at the same checkpoint give the same bytes.

    Raises ``BadMember``, and ``NotFound`` for an empty log or an entry it does not have.
    """
    checkpoint = head()
    if checkpoint is None:
        raise NotFound("The log has no checkpoint yet, so there is nothing to prove against.", code="ledger.empty")
    entries = _entries(checkpoint.size, set(entry_indices), sorted(set(subjects)))
    content = _log_members(checkpoint, entries)
    for name, data in members:
        if name in content or name == "manifest.json":
            raise BadMember(f"{name} is there twice, or is written by the bundle itself")
        if not _NAME.fullmatch(name) or ".." in name:
            raise BadMember(f"{name!r} is no safe member name")
        content[name] = data
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in content.items()}
    # Names have dots and slashes, so this one file is canonical only in its order: sorted keys, no spaces.
    manifest = {"format": FORMAT, "kind": kind, "members": listed}
    content["manifest.json"] = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(content):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, content[name])
    return checkpoint.size


def _entries(size: int, indices: set[int], subjects: Sequence[tuple[str, str]]) -> list[Entry]:
    """Return the entries asked for, by index."""
    found = {entry.index: entry for entry in Entry.objects.filter(index__in=indices, index__lt=size)}
    if missing := sorted(indices - set(found)):
        raise NotFound(f"The log of {size} entries has no entry {missing[0]} yet.", code="ledger.no_entry")
    for kind, identity in subjects:
        found.update({entry.index: entry for entry in entries_about(kind, identity).filter(index__lt=size)})
    return [found[index] for index in sorted(found)]


def _log_members(checkpoint: Checkpoint, entries: Sequence[Entry]) -> dict[str, bytes]:
    lines = [canonical({"index": entry.index, "leaf": entry.leaf_text}) + b"\n" for entry in entries]
    proofs = {
        str(entry.index): [digest.hex() for digest in inclusion(entry.index, checkpoint.size).hashes]
        for entry in entries
    }
    return {
        "README.txt": README.encode(),
        "verify.py": VERIFIER.read_bytes(),
        "keys/ledger.pub.pem": keys.public_pem(keys.ledger_public_key()),
        "log/checkpoint.txt": checkpoint.note.encode(),
        "log/entries.jsonl": b"".join(lines),
        "log/proofs.json": canonical({"size": checkpoint.size, "proofs": proofs, "streams": _streams(entries)}),
    }


def _streams(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Say of each object in the bundle how far its stream goes here and whether it has no hole."""
    streams: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        streams.setdefault((entry.subject_type, entry.subject_id), []).append(entry)
    return [
        {
            "type": kind,
            "id": identity,
            "n": stream[-1].stream_n,
            "complete": [entry.stream_n for entry in stream] == list(range(1, len(stream) + 1)),
        }
        for (kind, identity), stream in sorted(streams.items())
    ]
