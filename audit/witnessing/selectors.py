"""What others attested, verified again before it is handed out: being stored proves nothing."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Subquery

from audit import notes, selectors
from audit.models import Checkpoint
from audit.notes import BadNote
from audit.witnessing import configured, cosignatures
from audit.witnessing.client import name_of
from audit.witnessing.models import Anchor, Attestor, Cosignature, TimeStamp
from audit.witnessing.policy import Policy, PolicyWitness
from config.errors import NotFound


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness of the policy that vouches for a head, since ``at``."""

    witness: str
    at: datetime
    line: str


@dataclass(frozen=True, slots=True)
class Quorum:
    """Whether the head of ``size`` is cosigned as the policy asks. ``words`` is what it asks, empty for nothing."""

    size: int
    words: str
    reached: bool
    cosigned: tuple[Cosigned, ...]

    @property
    def at(self) -> datetime | None:
        """When the latest of them signed."""
        return max((one.at for one in self.cosigned), default=None)


@dataclass(frozen=True, slots=True)
class Standing:
    """How it goes with one attestor. ``state``: ``good``, ``behind``, ``failing``, ``contradicts`` or ``waiting``."""

    kind: str
    name: str
    state: str
    size: int
    succeeded_at: datetime | None
    failures: int
    last_error: str
    retry_at: datetime | None
    alarm: str
    evidence: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Attested:
    """All that a status page shows. ``misconfigured`` says what is wrong with the policy file, if anything is."""

    head: Quorum | None
    quorum: Quorum | None
    """The largest head that reached it, of those cosigned lately; the head itself, if it did."""
    standings: tuple[Standing, ...]
    misconfigured: str = ""

    @property
    def alarms(self) -> tuple[Standing, ...]:
        """Those who contradict our log."""
        return tuple(one for one in self.standings if one.alarm)


LOOK_BACK = 64


def quorum(size: int) -> Quorum:
    """Say who cosigned the checkpoint of ``size`` and whether they are enough. Raises ``NotFound``, ``Misconfigured``."""
    policy = configured.policy()
    checkpoint = _checkpoint(size)
    return _quorum(checkpoint.size, checkpoint.note, policy, Cosignature.objects.filter(size=size))


def is_attested(size: int) -> bool:
    """Whether a quorum vouches for the log up to ``size`` entries: on that head, or on any later one."""
    policy = configured.policy()
    return policy.satisfied(()) or any(_sizes(policy, size, newest=newest) is not None for newest in (False, True))


def cosigned_size(at_least: int = 0) -> int | None:
    """The largest checkpoint, of ``at_least`` entries, that a quorum cosigned: the one to hand out to others.

    Without a quorum in the policy, the latest there is. Raises ``Misconfigured``.
    """
    policy = configured.policy()
    if not policy.satisfied(()):
        return _sizes(policy, at_least, newest=True)
    head = selectors.head()
    return head.size if head and head.size >= at_least else None


def attested(*, addresses: bool = True) -> Attested:
    """Everything about those who attest the log, with seven queries at most."""
    try:
        policy = configured.policy()
    except configured.Misconfigured as error:
        return Attested(None, None, (), str(error))
    head = selectors.head()
    standings = tuple(_standings(policy, head.size if head else 0, addresses=addresses))
    if head is None:
        return Attested(None, None, standings)
    at_head = _quorum(head.size, head.note, policy, Cosignature.objects.filter(size=head.size))
    best: Quorum | None = at_head
    if not at_head.reached:
        size = _sizes(policy, 0, newest=True)
        best = quorum(size) if size is not None else None
    return Attested(at_head, best, standings)


def alarm() -> str:
    """Who contradicts our log and how, in one sentence; empty when nobody does."""
    found = Attestor.objects.exclude(alarm="").order_by("name").first()
    return _contradiction(found.name, found.alarm) if found else ""


def head_and_contradiction() -> tuple[Checkpoint | None, str]:
    """The latest checkpoint, and who proves that our key signed another history; one query, for every page.

    What somebody only claims is an ``alarm`` and not in here: nobody outside can stop the work without proof.
    """
    proven = Attestor.objects.exclude(alarm="").exclude(evidence="").order_by("name")
    name, said = (Subquery(proven.values(field)[:1]) for field in ("name", "alarm"))
    head = Checkpoint.objects.order_by("-size").annotate(contradicted_by=name, contradiction=said).first()
    if head is None or not vars(head)["contradicted_by"]:
        return head, ""
    return head, _contradiction(vars(head)["contradicted_by"], vars(head)["contradiction"])


def _contradiction(name: str, alarm: str) -> str:
    return f"{name.replace(':', ' ')} contradicts the log: {alarm}."


def cosigned_note(size: int) -> str:
    """Return the checkpoint of ``size`` with the line of every witness of the policy that cosigned it.

    It begins with the note that the log signed, byte for byte: that part is what time stamps are over.
    Raises ``NotFound`` when the log signed no checkpoint of that size.
    """
    found = quorum(size)
    return _checkpoint(size).note + "".join(one.line for one in found.cosigned)


def timestamps(size: int) -> list[tuple[str, bytes]]:
    """Return the RFC 3161 responses over the checkpoint of ``size`` as files: name and DER.

    Each is over the log's own note (``Checkpoint.note``). What is stored and over something else is left out; that the
    authority's signature holds is for the reader to verify, with the certificate that the reader trusts.
    """
    note = _checkpoint(size).note.encode()
    rows = TimeStamp.objects.filter(size=size).order_by("id")
    named = [(f"{row.authority}-{row.pk}.tsr", bytes(row.token)) for row in rows]
    return [(name, token) for name, token in named if _imprint(token) == hashlib.sha256(note).digest()]


def timestamped(at_least: int) -> int | None:
    """The smallest checkpoint of ``at_least`` entries or more that has a time stamp."""
    return TimeStamp.objects.filter(size__gte=at_least).order_by("size").values_list("size", flat=True).first()


def anchors(size: int) -> list[Anchor]:
    """Where copies of the checkpoint of ``size`` were put."""
    return list(Anchor.objects.filter(size=size).order_by("id"))


def _imprint(token: bytes) -> bytes:
    from audit.witnessing.timestamps import decode  # noqa: PLC0415 - its library only where it is used

    try:
        return bytes(decode(token).tst_info.message_imprint.message)
    except ValueError:
        return b""


def _checkpoint(size: int) -> Checkpoint:
    found = Checkpoint.objects.filter(size=size).first()
    if found is None:
        raise NotFound(f"The log signed no checkpoint of {size} entries.", code="ledger.no_checkpoint")
    return found


def _quorum(size: int, note: str, policy: Policy, rows: Iterable[Cosignature]) -> Quorum:
    text = notes.parse(note).text
    verified: dict[str, Cosigned] = {}
    known = {witness.name: witness for witness in policy.witnesses}
    for row in rows:
        one = _verified(note, text, row, known)
        if one and (one.witness not in verified or one.at > verified[one.witness].at):
            verified[one.witness] = one
    cosigned = tuple(verified[name] for name in sorted(verified))
    return Quorum(size, policy.words, policy.satisfied(verified), cosigned)


def _verified(note: str, text: str, row: Cosignature, known: Mapping[str, PolicyWitness]) -> Cosigned | None:
    witness = known.get(row.witness)
    if witness is None:
        return None
    try:
        line = notes.parse(note + row.line).signatures[-1]
        at = cosignatures.verify(text, line, witness.verifier)
        moment = datetime.fromtimestamp(at, tz=row.at.tzinfo)
    except (BadNote, ValueError, OverflowError, OSError):
        return None
    return Cosigned(row.witness, moment, row.line)


def _sizes(policy: Policy, at_least: int, *, newest: bool) -> int | None:
    """The largest or smallest head, of those cosigned last or first, that enough witnesses cosigned."""
    order = ("-size", "id") if newest else ("size", "id")
    rows = Cosignature.objects.filter(size__gte=at_least).order_by(*order)[: LOOK_BACK * max(len(policy.witnesses), 1)]
    by_size: dict[int, list[Cosignature]] = {}
    for row in rows:
        by_size.setdefault(row.size, []).append(row)
    # Only those are read whose rows could be enough.
    able = [size for size, some in by_size.items() if policy.satisfied({row.witness for row in some})]
    notes_of = dict(Checkpoint.objects.filter(size__in=able).values_list("size", "note"))
    for size in able:
        if size in notes_of and _quorum(size, notes_of[size], policy, by_size[size]).reached:
            return size
    return None


def _standings(policy: Policy, size: int, *, addresses: bool) -> Iterable[Standing]:
    rows = {row.name: row for row in Attestor.objects.all()}
    for witness in policy.witnesses:
        row = rows.get(name_of(witness)) or Attestor(name=name_of(witness))
        yield _standing("witness", witness.name, row, size, witness.url if addresses else "")
    for kind, label in _others():
        yield _standing(kind, label, rows.get(kind) or Attestor(name=kind), 0)


def _others() -> Iterable[tuple[str, str]]:
    """The configured ones beside the witnesses: kind, which is also the name of the record, and a name for people."""
    configured_ones = (
        ("timestamp", settings.TIMESTAMP_URL),
        ("worm", settings.ANCHOR_S3["bucket"]),
        ("git", settings.ANCHOR_GIT_REMOTE),
        ("beacon", settings.BEACON_URL),
        ("heads", "every hour"),
    )
    return [(kind, str(label)) for kind, label in configured_ones if label]


def _standing(kind: str, label: str, row: Attestor, size: int, address: str = "") -> Standing:
    state = "waiting" if row.succeeded_at is None else "behind" if row.size < size else "good"
    state = "contradicts" if row.alarm else "failing" if row.failures else state
    return Standing(
        kind=kind,
        name=label,
        state=state,
        size=row.size,
        succeeded_at=row.succeeded_at,
        failures=row.failures,
        last_error=row.last_error,
        retry_at=row.retry_at,
        alarm=row.alarm,
        evidence=row.evidence,
        address=address,
    )
