"""Asking a witness for its cosignature (https://c2sp.org/tlog-witness, the log's side)."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.utils import timezone

from audit import notes, proofs, selectors
from audit.models import Checkpoint
from audit.notes import BadNote
from audit.witnessing import configured, cosignatures, protocol, records
from audit.witnessing.models import Cosignature
from audit.witnessing.policy import PolicyWitness
from audit.witnessing.protocol import AddCheckpoint, Malformed
from audit.witnessing.records import Contradicted, Failed
from config.outgoing import Answer, Unreachable, ask

SECONDS: Final = 10.0
TRIES: Final = 4
PACE: Final = 2
AHEAD: Final = timedelta(minutes=10)
"""How far a witness's clock may be ahead of ours."""


def name_of(witness: PolicyWitness) -> str:
    """Under which name its record is kept."""
    return f"witness:{witness.name}"


def target(now: datetime) -> Checkpoint | None:
    """The checkpoint to ask all witnesses about now: the last one before this stretch of ``PACE`` seconds.

    So those that are asked in the same stretch cosign the same head, without knowing of each other.
    """
    begin = datetime.fromtimestamp(now.timestamp() // PACE * PACE, UTC)
    return Checkpoint.objects.filter(at__lt=begin).order_by("-size").first()


def cosign(witness: PolicyWitness, head: Checkpoint) -> int | None:
    """Ask for a cosignature on a checkpoint, store it, and return its size; None when it has a later one already.

    If the witness has seen more of the log, it is asked about the latest checkpoint.
    Raises ``Failed``, and ``Contradicted`` if the witness has seen another history.
    """
    old = records.of(name_of(witness)).size
    if head.size <= old:
        return None
    _check_own(head)
    for _ in range(TRIES):
        if old > head.size:
            head = _at_least(witness, head, old)
        answer = _ask(witness, _request(old, head))
        if answer.status == HTTPStatus.OK:
            _store(witness, head, answer)
            return head.size
        if answer.status != HTTPStatus.CONFLICT:
            raise _refusal(witness, head, answer)
        theirs = _size(witness, answer)
        if theirs == old:  # how witnesses of earlier versions of the protocol say: same size, another root
            raise _contradiction(witness, head, f"it has another root for {theirs} entries than we have")
        old = theirs
    raise Failed("it names another size each time it is asked")


def _check_own(head: Checkpoint) -> None:
    """What we show must be signed by the log that the policy pins. Raises ``Contradicted``."""
    checkpoint = notes.parse_checkpoint(notes.parse(head.note).text)
    log = configured.log_of(checkpoint.origin)
    if log is None:
        known = ", ".join(one.name for one in configured.policy().logs)
        if known:
            why = f"the stored checkpoint is of the log {checkpoint.origin}; the policy pins {known}"
            raise Contradicted(why, size=head.size, evidence=head.note)
        return
    try:
        cosignatures.verify_log(head.note, log)
    except BadNote as bad:
        raise Contradicted(f"the stored checkpoint of {head.size} does not verify: {bad}", size=head.size) from bad


def _request(old: int, head: Checkpoint) -> bytes:
    proof = proofs.consistency(old, head.size).hashes if old else ()
    return AddCheckpoint(old, tuple(proof), head.note).encode()


def _ask(witness: PolicyWitness, body: bytes) -> Answer:
    try:
        return ask(f"{witness.url}/add-checkpoint", body=body, headers={"Content-Type": "text/plain"}, seconds=SECONDS)
    except Unreachable as error:
        raise Failed(f"{error}") from error


def _at_least(witness: PolicyWitness, head: Checkpoint, size: int) -> Checkpoint:
    """The latest checkpoint, which by now must be as large as what the witness signed. Raises ``Contradicted``."""
    newest = selectors.head() or head
    if newest.size < size:
        why = f"it has cosigned {size} entries of this log, which now has {newest.size}: the log was rolled back or cut"
        raise _contradiction(witness, newest, why)
    return newest


def _size(witness: PolicyWitness, answer: Answer) -> int:
    try:
        return protocol.parse_size(answer.body)
    except Malformed as bad:
        raise Failed(f"it answered 409 without a size: {_words(answer)}") from bad


def _refusal(witness: PolicyWitness, head: Checkpoint, answer: Answer) -> Failed:
    words = _words(answer)
    match answer.status:
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return _contradiction(witness, head, f"it refuses our head as no continuation of what it has seen: {words}")
        case HTTPStatus.NOT_FOUND:
            origin = notes.parse_checkpoint(notes.parse(head.note).text).origin
            return Failed(f"it does not know the log {origin} (or the address is wrong): give its operator our key")
        case HTTPStatus.FORBIDDEN:
            return Failed(f"it does not accept the log's signature: {words}")
        case status:
            return Failed(f"it answered {status}: {words}")


def _contradiction(witness: PolicyWitness, head: Checkpoint, why: str) -> Contradicted:
    """Look for the proof: what the witness publishes as the head that our own key signed."""
    checkpoint = notes.parse_checkpoint(notes.parse(head.note).text)
    log = configured.log_of(checkpoint.origin)
    address = f"{witness.url}/{protocol.origin_hash(checkpoint.origin)}/checkpoint"
    try:
        shown = ask(address, seconds=SECONDS)
        note = shown.body.decode("utf-8") if shown.status == HTTPStatus.OK else ""
        theirs = notes.parse_checkpoint(notes.parse(note).text)
        if log is not None:
            theirs = cosignatures.verify_log(note, log)
    except (Unreachable, UnicodeDecodeError, BadNote):
        return Contradicted(f"{why}. It shows no signed head that would prove it", size=head.size)
    if theirs.size <= head.size and (not theirs.size or proofs.root(theirs.size) == theirs.root):
        return Contradicted(f"{why}. But the head it shows is one of ours", size=head.size, evidence=note)
    signed = (
        f"The key of this log signed another history: {theirs.size} entries with another root" if log else "It shows it"
    )
    if theirs.size > head.size:
        signed = f"The key of this log signed {theirs.size} entries" if log else "It shows it"
    return Contradicted(f"{why}. {signed}", size=head.size, evidence=note, proved=log is not None)


def _words(answer: Answer) -> str:
    """The beginning of an answer, fit to be shown."""
    text = answer.body[:200].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text).strip() or "no reason"


def _store(witness: PolicyWitness, head: Checkpoint, answer: Answer) -> None:
    """Keep the lines of the pinned key; others are ignored, as the specification asks. Raises ``Failed``."""
    try:
        text = answer.body.decode("utf-8")
        parsed = notes.parse(protocol.with_lines(head.note, [text]))
    except (UnicodeDecodeError, BadNote) as error:
        raise Failed(f"its answer is no signature line: {error}") from error
    ours = len(notes.parse(head.note).signatures)
    stored = 0
    for line, signature in zip(text.split("\n"), parsed.signatures[ours:], strict=False):
        if not witness.verifier.made(signature):
            continue
        try:
            at = cosignatures.verify(parsed.text, signature, witness.verifier)
        except BadNote as bad:
            raise Failed(f"its answer does not verify: {bad}") from bad
        now = timezone.now()
        if at > (now + AHEAD).timestamp():
            raise Failed(f"its clock is ahead of ours: it signed as of {at}, and it is {int(now.timestamp())} here")
        moment = datetime.fromtimestamp(at, UTC)
        Cosignature.objects.create(size=head.size, witness=witness.name, line=f"{line}\n", at=moment)
        stored += 1
    if not stored:
        raise Failed(f"its answer holds no signature of the pinned key {witness.verifier.name}")
    records.worked(name_of(witness), head.size)
