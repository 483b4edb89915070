"""Separation of duties: who holds which duty, who did what on each decision, and every conflict between the two."""

from collections import defaultdict
from datetime import datetime
from typing import Any, Final

from governance.documents.citations import DUTIES
from governance.documents.packs.common import counted, installation, log_head, name_of, names_of, role_words, sentence
from governance.documents.shape import Column, Fact, Pack, Section, Table
from governance.selectors.duties import Duty, decided_between, duties, refusals_between
from governance.standing import conflicts_of, person_id
from registry.models import RegisteredModel, User
from registry.reach import VIEW, holds

NAME: Final = "separation-of-duties"
_CLASHES: Final = (
    ("contributor", "approver", "makes versions, and may approve those of others"),
    ("contributor", "validator", "makes versions, and may validate those of others"),
    ("administrator", "approver", "grants roles, and may approve"),
    ("administrator", "validator", "grants roles, and may validate"),
    ("auditor", "approver", "audits, and may approve what is audited"),
    ("auditor", "contributor", "audits, and makes versions"),
)
"""Pairs of duties that one person should not hold on one model. The system refuses votes on one's own work in any case."""

_PEOPLE: Final = (
    Column("person", "Person", weight=1.4),
    Column("account", "Account", "code", weight=1.2),
    Column("duties", "Duties", "list", weight=2.2),
    Column("scope", "On", "list", weight=2),
    Column("service", "Service", "yesno"),
    Column("superuser", "Superuser", "yesno"),
)
_HELD: Final = (
    Column("person", "Person", weight=1.4),
    Column("scope", "On", weight=1.6),
    Column("pair", "Duties", weight=1.8),
    Column("why", "Why it is one", weight=3),
)
_DECISIONS: Final = (
    Column("request", "Request", weight=0.9),
    Column("about", "Version", weight=1.6),
    Column("state", "Decided", weight=1),
    Column("asked_by", "Asked by", weight=1.1),
    Column("made_by", "Made by", "list", weight=1.4),
    Column("validated_by", "Validated by", "list", optional=True, weight=1.3),
    Column("approved_by", "Approved by", "list", optional=True, weight=1.3),
    Column("conflict", "Conflict", "verdict"),
)
_FOUND: Final = (
    Column("request", "Request", weight=1),
    Column("person", "Person", weight=1.4),
    Column("why", "Why", weight=4),
)
_REFUSED: Final = (
    Column("index", "Entry", "entry"),
    Column("at", "When", "moment", weight=1.2),
    Column("who", "Who", weight=1.2),
    Column("what", "Tried", weight=1.6),
    Column("why", "Refused because", weight=4),
)


def build(reader: User, *, since: datetime, until: datetime) -> Pack:
    """Duties as they are at the checkpoint; decisions and refused attempts of the period, on models ``reader`` may see."""
    log = log_head()
    models = RegisteredModel.objects.alive().visible_to(reader)
    everything = holds(reader, VIEW)
    held = [one for one in duties() if everything or one.model_id is None or models.filter(pk=one.model_id).exists()]
    clashes = _clashes(held)
    decisions, found = _decisions(reader, since, until)
    entries = refusals_between(reader, since, until, log.size)
    names = names_of(str(entry.actor_id) for entry in entries)
    refused = [
        {
            "index": entry.index,
            "at": entry.at,
            "who": names[str(entry.actor_id)],
            "what": f"sign {entry.object_version}",
            "why": entry.reason,
        }
        for entry in entries
    ]
    answer = (
        f"{sentence(counted(len(found), 'conflict'))} found in {counted(len(decisions), 'decision')}; "
        f"{counted(len(refused), 'attempt')} to sign refused; {counted(len(clashes), 'pair')} of duties held by one person."
    )
    period = f"{since:%-d %B %Y} to {until:%-d %B %Y}"
    sections = [
        Section(
            "conflicts",
            "Conflicts found in decisions",
            "A signature that counted, of somebody who had a part in what was signed."
            if found
            else f"None in {counted(len(decisions), 'decision')} of the period.",
            [
                Table(
                    "conflicts",
                    _FOUND,
                    found,
                    nothing="No signature that counted was given by somebody with a part in it.",
                )
            ],
        ),
        Section(
            "decisions",
            "Who did what",
            f"Decisions of {period}.",
            [Table("decisions", _DECISIONS, decisions, nothing="Nothing was decided in the period.")],
        ),
        Section(
            "refused",
            "Attempts that were refused",
            "The rule at work: each refusal is an entry of the log.",
            [Table("refused", _REFUSED, refused, nothing="Nobody was refused in the period.")],
        ),
        Section(
            "held",
            "Duties held together",
            "What one person could do on one model; their vote on their own work never counts.",
            [Table("held", _HELD, clashes, nothing="Nobody holds two duties that should be apart.")],
        ),
        Section(
            "people",
            "Who holds which duty",
            "Everybody with a role, as of the checkpoint.",
            [Table("people", _PEOPLE, _people(held), nothing="Nobody holds a role.")],
        ),
    ]
    return Pack(
        report=NAME,
        kind="Separation of duties",
        label=period,
        title="Separation of duties",
        question="Who can author, request, validate and approve; who did; and did anybody do two of these on the same thing?",
        answer=answer,
        verdict="fail" if found else ("caution" if clashes else "pass"),
        log=log,
        sections=sections,
        sources=(DUTIES,),
        parameters={"since": since, "until": until, "every_model": everything},
        head=[
            Fact(
                "scope",
                "Models",
                "Every model on record" if everything else "Only the models that the person who asked may see",
            ),
            Fact("period", "Period", period),
        ],
        limits=(
            "One person with two accounts is seen as two people.",
            "Whoever operates the host, its keys and its database is outside these roles; the log makes their acts visible.",
        ),
        installation=installation(),
    )


def _scope(one: Duty) -> str:
    return one.model or "every model"


def _people(held: list[Duty]) -> list[dict[str, Any]]:
    by_person: dict[int, list[Duty]] = defaultdict(list)
    for one in held:
        by_person[one.user.pk].append(one)
    rows = [
        {
            "person": name_of(mine[0].user),
            "account": mine[0].user.get_username(),
            "duties": list(dict.fromkeys(role_words(one.role) for one in mine)),
            "scope": list(dict.fromkeys(_scope(one) for one in mine)),
            "service": mine[0].user.is_service,
            "superuser": mine[0].user.is_superuser,
        }
        for mine in by_person.values()
    ]
    return sorted(rows, key=lambda row: str(row["account"]))


def _clashes(held: list[Duty]) -> list[dict[str, Any]]:
    roles: dict[tuple[int, int | None], set[str]] = defaultdict(set)
    users: dict[int, User] = {}
    scopes: dict[int | None, str] = {None: "every model"}
    for one in held:
        roles[one.user.pk, one.model_id].add(one.role)
        users[one.user.pk] = one.user
        scopes[one.model_id] = _scope(one)
    rows = []
    for (person, model), own in roles.items():
        all_roles = own | roles.get((person, None), set())
        for first, second, why in _CLASHES:
            both = {first, second}
            if (
                both <= all_roles
                and (model is None or both & own)
                and (model is None or not both <= roles.get((person, None), set()))
            ):
                rows.append(
                    {
                        "person": name_of(users[person]),
                        "scope": scopes[model],
                        "why": why,
                        "pair": f"{role_words(first)} and {role_words(second).lower()}",
                    }
                )
    return sorted(rows, key=lambda row: (row["person"], row["scope"], row["pair"]))


def _decisions(reader: User, since: datetime, until: datetime) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for request in decided_between(reader, since, until):
        conflicts: dict[str, list[str]] = defaultdict(list)
        for one in conflicts_of(request.version, request.requested_by_id):
            conflicts[one.person].append(one.because)
        counting = [one for one in request.decisions.all() if one.round == request.round]
        bad = [one for one in counting if person_id(one.person) in conflicts]
        found += [
            {"request": request.ref, "person": name_of(one.person), "why": "; ".join(conflicts[person_id(one.person)])}
            for one in bad
        ]
        makers = [request.version.registered_by, request.version.trained_by, request.version.code_author]
        signers = [one for one in counting if one.outcome.startswith("approve")]
        rows.append(
            {
                "request": request.ref,
                "about": str(request.version),
                "state": request.get_state_display(),
                "asked_by": name_of(request.requested_by),
                "made_by": list(dict.fromkeys(name_of(user) for user in makers if user)),
                "validated_by": [name_of(one.person) for one in signers if one.role == "validator"],
                "approved_by": [name_of(one.person) for one in signers if one.role != "validator"],
                "conflict": "fail" if bad else "pass",
                "closed_at": request.closed_at,
            }
        )
    return rows, found
