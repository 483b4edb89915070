"""Every report there is: what it answers, for whom, what it needs to be told, who may ask for it, and how its pack is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, Final

from config import as_of
from config.errors import Invalid, NotAllowed, NotFound
from governance.documents import citations
from governance.documents.packs import annex_iv, duties, inventory, iso42001, ll144, model, part11, request, version
from governance.documents.shape import Pack, Source
from governance.selectors.requests import request_of
from registry.models import ModelVersion, RegisteredModel, User
from registry.reach import APPROVE, AUDIT, holds, holds_anywhere
from registry.selectors.catalog import model_by_name, version_by_number

PERIOD: Final = timedelta(days=365)
Parameters = Mapping[str, Any]
Thunk = Callable[[], Pack]
"""What builds the pack, once it is known that it may be had."""


@dataclass(frozen=True, slots=True)
class Report:
    """One kind of report. ``needs`` and ``takes`` name its parameters; ``open_to`` says in words who may ask for it."""

    name: str
    title: str
    answers: str
    audience: str
    prepare: Callable[[User, Parameters], Thunk] = field(repr=False)
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    source: Source = citations.OWN_RECORD
    open_to: str = "Auditors and compliance officers"


def _auditor(user: User, about: RegisteredModel | None = None) -> None:
    """Raise ``NotAllowed`` for whoever is neither auditor nor compliance officer, of that model or of any."""
    for permission in (AUDIT, APPROVE):
        if holds(user, permission, about.pk) if about else holds_anywhere(user, permission):
            return
    raise NotAllowed(
        "This report is for auditors and compliance officers.",
        code="report.no_auditor",
        remedy="Ask an administrator for the role, or one of them for the report.",
    )


def _everywhere(user: User) -> None:
    if not (holds(user, AUDIT) or holds(user, APPROVE)):
        raise NotAllowed(
            "This report names everybody with a role, so it needs the role of auditor or compliance officer on every model.",
            code="report.no_auditor",
            remedy="Ask an administrator for the role.",
        )


def _model(user: User, parameters: Parameters) -> RegisteredModel:
    return model_by_name(_text(parameters, "model"), user)


def _version(user: User, parameters: Parameters) -> ModelVersion:
    """The version asked for; without a number the live one, else the newest."""
    found = _model(user, parameters)
    number = parameters.get("version")
    if number is None:
        live = ModelVersion.objects.filter(model=found, deleted_at=None, aliases__name="production").first()
        newest = live or ModelVersion.objects.filter(model=found, deleted_at=None).order_by("-number").first()
        if newest is None:
            raise NotFound(f"{found.name} has no version.", code="version.unknown")
        number = newest.number
    return version_by_number(found, _whole(number, "version"))


def _text(parameters: Parameters, name: str) -> str:
    value = str(parameters.get(name) or "").strip()
    if not value:
        raise Invalid(f"Say which {name} the report is about.", code="report.parameter", field=name)
    return value


def _whole(value: object, name: str) -> int:
    text = str(value).strip().removeprefix("v")
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) < 2**31:
        raise Invalid(f"The {name} is a number from 1 on.", code="report.parameter", field=name)
    return int(text)


def _day(parameters: Parameters, name: str) -> datetime | None:
    value = str(parameters.get(name) or "").strip()
    if not value:
        return None
    try:
        return datetime.combine(date.fromisoformat(value), time(), UTC)
    except ValueError as error:
        raise Invalid(f"“{value[:40]}” is no day like 2026-03-14.", code="report.parameter", field=name) from error


def _period(parameters: Parameters) -> tuple[datetime, datetime]:
    """From the first day on, to the end of the last; without them the last 365 days."""
    last = _day(parameters, "until") or datetime.combine(as_of.now().astimezone(UTC).date(), time(), UTC)
    until = last + timedelta(days=1)
    since = _day(parameters, "since") or until - PERIOD
    if since >= until:
        raise Invalid("The period must begin before it ends.", code="report.parameter", field="since")
    return since, until


def _request_report(user: User, parameters: Parameters) -> Thunk:
    return partial(request.build, request_of(user, _text(parameters, "request")), user)


def _version_report(user: User, parameters: Parameters) -> Thunk:
    return partial(version.build, _version(user, parameters), user)


def _model_report(user: User, parameters: Parameters) -> Thunk:
    return partial(model.build, _model(user, parameters))


def _inventory(user: User, parameters: Parameters) -> Thunk:
    _auditor(user)
    tier = parameters.get("tier")
    if tier not in {None, "", 1, 2, 3, "1", "2", "3"}:
        raise Invalid("The tier is 1, 2 or 3.", code="report.parameter", field="tier")
    view = parameters.get("view") or "all"
    if view not in {"all", "live"}:
        raise Invalid("Choose all models or live ones.", code="report.parameter", field="view")
    return partial(inventory.build, user, tier=int(tier) if tier else None, view=str(view))


def _annex_iv(user: User, parameters: Parameters) -> Thunk:
    found = _version(user, parameters)
    _auditor(user, found.model)
    return partial(annex_iv.build, found, user)


def _ll144(user: User, parameters: Parameters) -> Thunk:
    found = _version(user, parameters)
    _auditor(user, found.model)
    return partial(ll144.build, found)


def _part11(user: User, parameters: Parameters) -> Thunk:
    found = request_of(user, _text(parameters, "request"))
    _auditor(user, found.model)
    return partial(part11.build, found)


def _duties(user: User, parameters: Parameters) -> Thunk:
    _everywhere(user)
    since, until = _period(parameters)
    return partial(duties.build, user, since=since, until=until)


def _iso42001(user: User, parameters: Parameters) -> Thunk:
    _auditor(user)
    return partial(iso42001.build, user)


_SEEN: Final = "Everybody who may see it"
REPORTS: Final = (
    Report(
        request.NAME,
        "Report of a promotion",
        "What was asked, what was measured, who signed, and what came of it?",
        "Whoever must explain the decision",
        _request_report,
        needs=("request",),
        open_to=_SEEN,
    ),
    Report(
        version.NAME,
        "Report of a version",
        "What is this version, made from what, allowed for what?",
        "Whoever relies on it",
        _version_report,
        needs=("model",),
        takes=("version",),
        open_to=_SEEN,
    ),
    Report(
        model.NAME,
        "Report of a model",
        "Which versions are there, which are live, who decided, who may do what?",
        "Owners and reviewers",
        _model_report,
        needs=("model",),
        open_to=_SEEN,
    ),
    Report(
        inventory.NAME,
        "Model inventory",
        "Which models are there, what for, who answers for them, in what state?",
        "Bank supervisors, model risk",
        _inventory,
        takes=("tier", "view"),
        source=citations.SR_26_2,
    ),
    Report(
        annex_iv.NAME,
        "AI Act technical documentation",
        "Does the file hold what Annex IV asks for, and what is missing?",
        "Notified bodies, market surveillance",
        _annex_iv,
        needs=("model",),
        takes=("version",),
        source=citations.ANNEX_IV,
    ),
    Report(
        ll144.NAME,
        "Bias audit summary",
        "Selection or scoring rates and impact ratios by sex and race/ethnicity?",
        "The public, candidates",
        _ll144,
        needs=("model",),
        takes=("version",),
        source=citations.LL_144,
    ),
    Report(
        part11.NAME,
        "Part 11 inspection copy",
        "The record, its signatures as they show, and its audit trail.",
        "FDA investigators, quality assurance",
        _part11,
        needs=("request",),
        source=citations.PART_11,
    ),
    Report(
        duties.NAME,
        "Separation of duties",
        "Who can and who did author, request, validate and approve; any conflict?",
        "Auditors",
        _duties,
        takes=("since", "until"),
        source=citations.DUTIES,
        open_to="Auditors and compliance officers of every model",
    ),
    Report(
        iso42001.NAME,
        "ISO/IEC 42001 evidence map",
        "For which Annex A controls is there evidence here, for which none?",
        "Certification auditors",
        _iso42001,
        source=citations.ISO_42001,
    ),
)
BY_NAME: Final[Mapping[str, Report]] = {report.name: report for report in REPORTS}


def report_named(name: str) -> Report:
    """The report of that name. Raises ``NotFound``."""
    if name not in BY_NAME:
        raise NotFound("There is no such report.", code="report.unknown")
    return BY_NAME[name]


def prepare(name: str, parameters: Parameters, *, reader: User) -> Thunk:
    """What builds the pack of a report as ``reader`` may have it; whether they may is found out here, and cheaply.

    Raises ``NotFound`` (also for what may not be seen), ``NotAllowed`` and ``Invalid`` naming the parameter.
    """
    report = report_named(name)
    if unknown := sorted(set(parameters) - {*report.needs, *report.takes}):
        raise Invalid(f"This report takes no {unknown[0][:40]!r}.", code="report.parameter", field=unknown[0][:40])
    return report.prepare(reader, parameters)


def build(name: str, parameters: Parameters, *, reader: User) -> Pack:
    """The pack of a report. Raises what ``prepare`` raises, and ``Conflict`` for a log without a checkpoint."""
    return prepare(name, parameters, reader=reader)()
