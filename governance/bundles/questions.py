"""What one can take away: one request, version, model, period or sample. A question is only made for what its asker may see."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from audit.canonical import Json
from config.errors import Invalid, NotAllowed, NotFound
from governance.models import PromotionRequest, Sample
from registry.models import ModelVersion, RegisteredModel, User
from registry.reach import AUDIT, holds

KINDS: Final = ("request", "version", "model", "period", "sample")
REPORTED: Final = ("request", "version", "model")
"""The kinds that have a report."""
_DAY: Final = "%d %B %Y %H:%M"


@dataclass(frozen=True, slots=True)
class Question:
    """``document`` is what is stored and goes into the bundle, ids and integers only; ``title`` is for people."""

    kind: str
    title: str
    document: Mapping[str, Json] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The id of the one object that the question is about; "" for a period."""
        return str(self.document.get(self.kind, ""))


def about_request(user: User, request: PromotionRequest) -> Question:
    """One request, in whatever state. Raises ``NotFound`` for whoever may not see it."""
    if not PromotionRequest.objects.visible_to(user).filter(pk=request.pk).exists():
        raise NotFound("There is no such request, or you may not see it.", code="promotion.unknown")
    return Question("request", request.ref, {"request": str(request.pk)})


def about_version(user: User, version: ModelVersion) -> Question:
    """One version with every request about it. Raises ``NotFound``."""
    if not ModelVersion.objects.visible_to(user).filter(pk=version.pk).exists():
        raise NotFound("There is no such version, or you may not see it.", code="version.unknown")
    return Question("version", str(version), {"version": str(version.pk)})


def about_model(user: User, model: RegisteredModel) -> Question:
    """One model with all of its versions and requests. Raises ``NotFound``."""
    if not RegisteredModel.objects.visible_to(user).filter(pk=model.pk).exists():
        raise NotFound("There is no such model, or you may not see it.", code="model.unknown")
    return Question("model", model.name, {"model": str(model.pk)})


def about_period(user: User, since: datetime, until: datetime) -> Question:
    """Everything that was logged from ``since`` to before ``until``. Raises ``NotAllowed`` and ``Invalid``."""
    check_auditor(user)
    if since >= until:
        raise Invalid("The period ends before it begins.", code="evidence.period", field="until")
    title = f"{since.astimezone(UTC):{_DAY}} to {until.astimezone(UTC):{_DAY}} UTC"
    return Question("period", title, {"since": micro(since), "until": micro(until)})


def about_sample(user: User, sample: Sample) -> Question:
    """A sample that was drawn, with its whole population. Raises ``NotAllowed`` and ``Invalid``."""
    check_auditor(user)
    if sample.drawn_at is None:
        raise Invalid("This sample is planned, not drawn.", code="sample.not_drawn", remedy="Draw it first.")
    return Question("sample", sample.title, {"sample": str(sample.pk)})


def asked(user: User, kind: str, document: Mapping[str, Any]) -> Question:
    """The question of a stored document, asked again: what the asker may no longer see, they no longer get.

    Raises ``NotFound`` and ``NotAllowed``.
    """
    question = _asked(user, kind, document)
    if document.get("heads") is True:
        question = with_heads(question)
    return with_report(question) if document.get("report") is True else question


def _asked(user: User, kind: str, document: Mapping[str, Any]) -> Question:
    if kind == "period":
        return about_period(user, moment(int(document["since"])), moment(int(document["until"])))
    if kind == "sample":
        return about_sample(user, sample_of(user, document["sample"]))
    if kind == "request":
        request = PromotionRequest.objects.select_related("version__model").filter(pk=UUID(document["request"])).first()
        if request is not None:
            return about_request(user, request)
    if kind == "version":
        version = ModelVersion.objects.select_related("model").filter(pk=UUID(document["version"])).first()
        if version is not None:
            return about_version(user, version)
    if kind == "model":
        model = RegisteredModel.objects.filter(pk=int(document["model"])).first()
        if model is not None:
            return about_model(user, model)
    raise NotFound("What this is about is no longer there.", code="evidence.gone")


def sample_of(user: User, which: UUID | str) -> Sample:
    """The sample, for auditors. Raises ``NotFound``, to everybody else for each sample."""
    found = Sample.objects.select_related("planned_by").filter(pk=which).first() if holds(user, AUDIT) else None
    if found is None:
        raise NotFound("There is no such sample, or you may not see it.", code="sample.unknown")
    return found


def with_heads(question: Question) -> Question:
    """The same question, asking also for the proof that its objects have no other entries: a job, for a large log."""
    return Question(question.kind, question.title, {**question.document, "heads": True})


def with_report(question: Question) -> Question:
    """The same question, asking also for the report as PDF: always a job, because only workers set documents.

    Raises ``Invalid`` for a period or a sample, of which there is none.
    """
    if question.kind not in REPORTED:
        raise Invalid(f"Of a {question.kind} there is no report.", code="evidence.report", field="report")
    return Question(question.kind, question.title, {**question.document, "report": True})


def check_auditor(user: User) -> None:
    """Raise ``NotAllowed`` for everybody without the auditor's permission on all models, as the log itself does."""
    if not holds(user, AUDIT):
        raise NotAllowed(
            "A stretch of the log speaks of every model, so taking it needs the auditor role on all models.",
            code="ledger.not_auditor",
            remedy="Ask for one request, version or model, or ask an administrator for the role.",
        )


def stretch(since: int, until: int, size: int) -> tuple[int, int]:
    """The positions, below ``size``, from the first to the last entry written in the period (microseconds); (0, 0): none.

    Entries in between that were written before or after it are part of the stretch: it has no holes.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(min(index), 0), coalesce(max(index) + 1, 0) FROM audit_entry "
            "WHERE at >= %s AND at < %s AND index < %s",
            [moment(since), moment(until), size],
        )
        begin, end = cursor.fetchone()
    return int(begin), int(end)


def micro(when: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return int(when.timestamp()) * 1_000_000 + when.microsecond


def moment(microseconds: int) -> datetime:
    """The moment of so many microseconds."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)
