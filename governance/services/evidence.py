"""Evidence that leaves the house: a bundle is written, and that it was is logged, with its digest."""

import io
from typing import IO, Final

from django.db import transaction

from audit.actors import Actor
from audit.exports.bundle import Progress, Written, checkpoint_of, write_bundle
from audit.selectors import entry_of
from audit.services import append
from audit.subjects import Subject
from config.errors import Conflict
from governance import guards
from governance.bundles import questions
from governance.bundles.members import contents_of
from governance.bundles.questions import Question
from governance.bundles.rooms import result_bytes
from governance.models import PromotionRequest
from registry.models import ModelVersion, RegisteredModel

__all__ = ["bundle_bytes", "export_bundle", "export_version", "log_export", "result_bytes", "write"]

WITNESSES_SECONDS: Final = 5.0
"""How long whoever downloads a bundle waits for the witnesses of what was signed a moment ago; they are asked every second."""
_SUBJECTS: Final = {
    "request": "governance.promotionrequest",
    "version": "registry.modelversion",
    "model": "registry.registeredmodel",
    "sample": "governance.sample",
}


def write(
    question: Question, *, by: Actor, out: IO[bytes], size: int | None = None, progress: Progress | None = None
) -> tuple[Written, int]:
    """Write the answer to ``out``; return what was written and how much was left out. Logs nothing.

    Proved against the checkpoint of ``size``, or the latest. The same question at the same checkpoint, asked by somebody who
    may see as much, gives the same bytes.
    """
    size = checkpoint_of(size).size
    contents = contents_of(question, user=guards.person(by), size=size)
    return write_bundle(out, contents, size=size, progress=progress), len(contents.left_out)


def log_export(question: Question, written: Written, *, by: Actor, export: str = "") -> None:
    """Say in the ledger what left the house, in the caller's transaction.

    It changes nothing of what was exported: the entry comes after the checkpoint of the bundle.
    """
    kind = _SUBJECTS.get(question.kind)
    subject = (
        Subject(kind, question.subject, question.title) if kind else Subject("governance.export", export or "period")
    )
    append(
        action="evidence.exported",
        subject=subject,
        by=by,
        facts={
            "kind": question.kind,
            "question": dict(question.document),
            "log_size": written.log_size,
            "sha256": written.sha256,
            "length": written.length,
            "export": export,
        },
    )


def export_bundle(*, request: PromotionRequest, by: Actor, out: IO[bytes], size: int | None = None) -> Written:
    """Write the bundle of a request, in whatever state, to ``out``, and log it.

    Raises ``NotFound`` for whoever may not see the request, and ``Conflict`` if it was signed so lately that a signature
    has no place in the log yet (a second at most).
    """
    guards.check_can_export(by, request)
    if size is None:
        size = checkpoint_of(at_least=_check_sequenced(request), seconds=WITNESSES_SECONDS).size
    return _export(questions.about_request(guards.person(by), request), by=by, out=out, size=size)


def export_version(*, version: ModelVersion, by: Actor, out: IO[bytes], size: int | None = None) -> Written:
    """Write the bundle of a version, with all requests about it, to ``out``, and log it. Raises ``NotFound``."""
    return _export(questions.about_version(guards.person(by), version), by=by, out=out, size=size)


def export_model(*, model: RegisteredModel, by: Actor, out: IO[bytes], size: int | None = None) -> Written:
    """Write the bundle of a model, with all of its versions and requests, to ``out``, and log it. Raises ``NotFound``."""
    return _export(questions.about_model(guards.person(by), model), by=by, out=out, size=size)


def bundle_bytes(*, request: PromotionRequest, by: Actor, size: int | None = None) -> bytes:
    """The bundle of a request in memory: it holds digests and documents, not the model's files."""
    out = io.BytesIO()
    export_bundle(request=request, by=by, out=out, size=size)
    return out.getvalue()


def _export(question: Question, *, by: Actor, out: IO[bytes], size: int | None) -> Written:
    written, _ = write(question, by=by, out=out, size=size)
    with transaction.atomic():
        log_export(question, written, by=by)
    return written


def _check_sequenced(request: PromotionRequest) -> int:
    """The size of the log that has every signature of the request."""
    last = request.decisions.order_by("signed_at", "pk").last()
    if last is None:
        return 0
    entry = entry_of(last.entry_id)
    if entry is None:
        raise Conflict(
            "The last signature has no place in the log yet.",
            code="evidence.not_sequenced",
            remedy="Try again in a second; if this stays, the sequencer is not running.",
        )
    return int(entry.index) + 1
