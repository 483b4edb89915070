"""What a permit says: an in-toto Statement v1 with our predicate, version 2.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md. The fields are those of docs/auditors/permits.md.
Version 1 (one key, no leaf indexes, no namespaces) is read and verified for ever, and made no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from governance.permits import openssf
from governance.permits.dsse import canonical

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://countersign.dev/permit/v2"
OPENSSF_NAME: Final = "OpenSSF model signing root"
MOST_FILE_SUBJECTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the evidence."""

    key: str
    verdict: str
    digest: str


@dataclass(frozen=True, slots=True)
class Approval:
    """One signature that counts: ``entry_id`` is its entry in the ledger, ``leaf_index`` where that stands."""

    person: str
    stage: int
    role: str
    outcome: str
    meaning: str
    record_digest: str
    entry_id: str
    leaf_index: int


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many signatures of a role a stage asks for."""

    stage: int
    role: str
    n: int


@dataclass(frozen=True, slots=True)
class WaiverNote:
    """A waiver that the approval rests on. ``until`` in microseconds."""

    id: str
    key: str
    reason: str
    until: int


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything a permit says. Moments are integer microseconds since 1970. ``files``: path to SHA-256."""

    permit: str
    request: str
    model: str
    version: int
    target: str
    manifest_digest: str
    files: Mapping[str, str]
    intended_use: str
    namespaces: Sequence[str]
    not_before: int
    expires_at: int
    policy: Mapping[str, str]
    evidence_digest: str
    checks: Sequence[Check]
    quorum: Sequence[Quorum]
    approvals: Sequence[Approval]
    waivers: Sequence[WaiverNote]
    conditions: Sequence[str]
    supersedes: str

    def predicate(self) -> dict[str, Any]:
        """The predicate: all of the scope but what the subjects say."""
        plain = asdict(self)
        del plain["manifest_digest"], plain["files"]
        return plain

    def subjects(self) -> list[dict[str, Any]]:
        """The artifact first, by the digest of its canonical manifest; what follows are aliases of it or its parts.

        Files are named up to a thousand; of a larger artifact the manifest's digest still binds each of them.
        """
        found = [
            (f"{self.model}/{self.version}", self.manifest_digest),
            (OPENSSF_NAME, openssf.root(self.files)),
        ]
        if len(self.files) <= MOST_FILE_SUBJECTS:
            found += [(f"file:{path}", sha256) for path, sha256 in sorted(self.files.items())]
        return [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in found]


def statement(scope: Scope) -> bytes:
    """The payload: equal scopes give equal bytes."""
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": scope.subjects(),
            "predicateType": PREDICATE_TYPE,
            "predicate": scope.predicate(),
        }
    )
