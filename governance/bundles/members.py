"""The members of a bundle besides the log: every byte string that its entries name by digest, or why it is not there.

All of it is what the log said up to the checkpoint and what has not changed since, so the same question at the same
checkpoint has the same answer, whatever happened in the meantime.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final
from uuid import UUID

from audit.canonical import canonical
from audit.exports.attachments import HEADS_AT_ONCE
from audit.exports.bundle import Contents, positions
from audit.exports.extract import Interval
from audit.models import Entry
from governance.bundles import report
from governance.bundles import subjects as objects
from governance.bundles.named import Named, named_by
from governance.bundles.questions import Question, stretch
from governance.bundles.rooms import LeftOut, Rooms
from governance.documents import Pack
from governance.models import PromotionRequest, Sample, StatusList, TrustRoot
from governance.permits import verify_permit
from registry.models import ModelVersion, User

PERMIT_VERIFIER: Final = Path(verify_permit.__file__)


def contents_of(question: Question, *, user: User, size: int) -> Contents:
    """Everything that belongs into the answer to a question at the checkpoint of ``size``, for this person to see."""
    document, ranges = {"heads": size <= HEADS_AT_ONCE, **question.document}, list[Interval]()
    more: list[tuple[str, bytes]] = []
    if question.kind == "period":
        begin, end = stretch(int(str(document["since"])), int(str(document["until"])), size)
        document |= {"begin": begin, "end": end}
        ranges = [(begin, end)]
    if question.kind == "sample":
        sample = Sample.objects.get(pk=question.subject)
        ranges = [(int(sample.plan["begin"]), int(sample.plan["end"]))]
        more.append(("sample.json", canonical({"sample": str(sample.pk), "items": sample.items or []})))
    subjects, hidden = _seen(objects.once(_subjects(question, size)), user)
    named = named_by(subjects, size)
    rooms = Rooms(named, user, left_out=hidden)
    rooms.look()
    pack: Pack | None = None
    if document.get("report") is True:
        pack, why = report.pack_of(question, user=user, size=size)
        rooms.left_out += [] if pack else [{"what": report.MEMBER, "why": why}]
    return Contents(
        kind=question.kind,
        heads=document["heads"] is True,
        question=document,
        members=chain(_members(named, rooms, more, size), (report.document_of(one) for one in (pack,) if one)),
        subjects=subjects,
        ranges=ranges,
        without=frozenset(rooms.hidden_entries),
        left_out=sorted(rooms.left_out, key=lambda one: one["what"]),
    )


def _subjects(question: Question, size: int) -> list[objects.Subject]:
    if question.kind == "request":
        return objects.of_requests([UUID(question.subject)])
    if question.kind == "version":
        model = ModelVersion.objects.values_list("model_id", flat=True).get(pk=question.subject)
        return [*objects.of_versions([UUID(question.subject)]), *objects.aliases_of(model, size)]
    if question.kind == "model":
        return objects.of_model(int(question.subject), size)
    if question.kind == "sample":
        items = Sample.objects.get(pk=question.subject).items or []
        return [("governance.sample", question.subject), *objects.of_entries([one["index"] for one in items])]
    return []


def _seen(subjects: list[objects.Subject], user: User) -> tuple[list[objects.Subject], list[LeftOut]]:
    """Without the requests of models that the person may not see, which only a sample could bring along."""
    asked = {UUID(key) for kind, key in subjects if kind == "governance.promotionrequest"}
    seen = set(PromotionRequest.objects.visible_to(user).filter(pk__in=asked).values_list("pk", flat=True))
    gone = {one for one in objects.of_requests(asked - seen) if one[0] != "governance.policyversion"}
    why = "It is about a model that the asker may not see."
    left_out = [{"what": f"request {key}", "why": why} for key in sorted(asked - seen)]
    return [subject for subject in subjects if subject not in gone], left_out


def _members(named: Named, rooms: Rooms, more: list[tuple[str, bytes]], size: int) -> Iterator[tuple[str, bytes]]:
    yield from more
    yield from rooms.members()
    for key in sorted(named.stories):
        yield f"requests/{key}.json", canonical(named.stories[key])
    if not named.permits:
        return
    roots = _roots(size)
    if roots:
        yield "trust/roots.json", f"[{','.join(roots)}]".encode()
        # One that was made for this very size may be followed by another, so it is one made for a size before.
        status = StatusList.objects.exclude(envelope="").filter(checkpoint_size__lt=size).order_by("-pk").first()
        if status is not None:
            yield "permits/status.json", status.envelope.encode()
    yield "verify_permit.py", PERMIT_VERIFIER.read_bytes()


def _roots(size: int) -> list[str]:
    """The trust roots that were adopted before the checkpoint; all, if the log does not say when."""
    logged = Entry.objects.filter(object_type="governance.trustroot", index__lt=size).values_list(
        "object_id", flat=True
    )
    versions = {int(str(key)) for key in logged}
    roots = list(TrustRoot.objects.order_by("version").values_list("version", "envelope"))
    return [envelope for version, envelope in roots if version in versions] or [envelope for _, envelope in roots]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large an answer will be: entries of the log, objects whose whole story is in it, members beside the log."""

    entries: int
    objects: int
    requests: int
    permits: int
    decisions: int
    checks: int


def scale_of(question: Question, *, size: int) -> Scale:
    """What the answer will hold, without writing it: for the page that offers it, and to tell a small one from a job."""
    subjects = objects.once(_subjects(question, size))
    kinds = Counter(kind for kind, _ in subjects)
    entries = len(positions(subjects, size))
    if question.kind == "period":
        begin, end = stretch(int(str(question.document["since"])), int(str(question.document["until"])), size)
        entries = end - begin
    if question.kind == "sample":
        plan = Sample.objects.values_list("plan", flat=True).get(pk=question.subject)
        entries += int(plan["end"]) - int(plan["begin"])
    return Scale(
        entries=entries,
        objects=len(subjects),
        requests=kinds["governance.promotionrequest"],
        permits=kinds["governance.permit"],
        decisions=kinds["governance.decision"],
        checks=kinds["governance.checkrun"],
    )
