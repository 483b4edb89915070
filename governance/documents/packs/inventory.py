"""The model inventory as practised under SR 26-2: one row and one record for every model, empty fields said to be empty."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from governance.documents.cards import FIELDS, field_fact
from governance.documents.citations import SR_26_2
from governance.documents.packs.common import counted, installation, log_head, name_of, sentence, target_words
from governance.documents.shape import Column, Fact, Facts, Pack, Section, Table
from governance.models import Decision, Permit, PromotionRequest, Waiver
from governance.states import OPEN_REQUEST_STATES, PermitState
from registry.models import Alias, Edge, ModelVersion, Node, RegisteredModel, User
from registry.reach import VIEW, holds

NAME: Final = "sr-26-2-inventory"
_KEYS: Final = tuple(one.key for one in FIELDS if "SR 26-2" in one.asked_by)
_BATCH: Final = 500


@dataclass(slots=True)
class _Known:
    """What the batches of queries found about one model."""

    live: Alias | None = None
    latest: ModelVersion | None = None
    permits: list[Permit] = field(default_factory=list)
    decided: PromotionRequest | None = None
    validated: Decision | None = None
    open: int = 0
    waivers: list[Waiver] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)


_COLUMNS: Final = (
    Column("model", "Model", weight=2),
    Column("tier", "Tier", "count"),
    Column("use", "Purpose", weight=2.6),
    Column("owner", "Owner", weight=1.3),
    Column("live", "Live", optional=True, weight=0.6),
    Column("validated", "Validated", "day", optional=True),
    Column("until", "Permit until", "day", optional=True),
    Column("open", "Open", "count"),
    Column("empty", "Empty fields", "count"),
)


def build(reader: User, *, tier: int | None = None, view: str = "all") -> Pack:
    """The inventory of the living models that ``reader`` may see: of one tier, if given; ``view`` "live" for those in use."""
    log = log_head()
    found = RegisteredModel.objects.alive().visible_to(reader).select_related("owner", "team").order_by("name")
    if tier is not None:
        found = found.filter(tier=tier)
    models = list(found)
    known = _known(models)
    if view == "live":
        models = [model for model in models if known[model.pk].live is not None]
    records = [_record(model, known[model.pk]) for model in models]
    rows = [_row(model, known[model.pk], record) for model, record in zip(models, records, strict=True)]
    live = sum(row["live"] is not None for row in rows)
    empty = sum(row["empty"] for row in rows)
    unpermitted = [row for row in rows if row["live"] and row["until"] is None]
    by_tier = [
        {
            "tier": one.label,
            "models": sum(m.tier == one.value for m in models),
            "live": sum(m.tier == one.value and known[m.pk].live is not None for m in models),
        }
        for one in RegisteredModel.Tier
    ]
    answer = f"{sentence(counted(len(models), 'model'))}, {live} of them live."
    if unpermitted:
        answer += f" {len(unpermitted)} live without a permit in force."
    if empty:
        answer += f" {empty} fields are empty and are shown as such."
    sections = [
        Section(
            "summary",
            "Summary",
            "Tiers are this installation's measure of materiality; an unassessed model counts as tier 1.",
            [
                Table(
                    "tiers",
                    (Column("tier", "Tier"), Column("models", "Models", "count"), Column("live", "Live", "count")),
                    by_tier,
                ),
            ],
        ),
        Section(
            "inventory",
            "Inventory",
            f"{sentence(counted(len(rows), 'model'))}, by name.",
            [
                Table("models", _COLUMNS, rows, nothing="There is no model on record."),
            ],
        ),
        *(
            Section(f"model-{model.pk}", model.name, "", [Facts("record", record)], record=True)
            for model, record in zip(models, records, strict=True)
        ),
    ]
    everything = holds(reader, VIEW)
    return Pack(
        report=NAME,
        kind="Model inventory",
        label="SR 26-2",
        title="Model inventory",
        question="Which models are there, what are they for, who answers for them, and what state are they in?",
        answer=answer,
        verdict="caution" if unpermitted else "",
        log=log,
        sections=sections,
        sources=(SR_26_2,),
        parameters={"tier": tier, "view": view, "every_model": everything},
        head=[
            Fact(
                "scope",
                "Models",
                "Every model on record" if everything else "Only the models that the person who asked may see",
            ),
            Fact("tier", "Tier", f"Tier {tier}" if tier else "All tiers"),
            Fact("view", "Use", "Live only" if view == "live" else "Live or not"),
        ],
        limits=(
            "What is not registered here is not listed: the completeness of an inventory is a question to the organisation.",
            "Monitoring results are not part of this installation yet; the monitoring plan is what the model's card says.",
        ),
        installation=installation(),
    )


def _row(model: RegisteredModel, known: _Known, record: list[Fact]) -> dict[str, Any]:
    active = [one for one in known.permits if one.state == PermitState.ACTIVE]
    return {
        "model": model.name,
        "tier": model.tier,
        "use": model.use_case or None,
        "owner": name_of(model.owner),
        "live": f"v{known.live.version.number}" if known.live else None,
        "validated": known.validated.signed_at if known.validated else None,
        "until": max((one.expires_at for one in active), default=None),
        "open": known.open,
        "empty": sum(fact.empty and fact.key not in _ORDINARY for fact in record),
    }


_ORDINARY: Final = frozenset({"live", "latest", "permit", "waivers", "team", "validated", "decided", "data"})
"""Facts whose absence is a state of the model, and no field that somebody left empty."""


def _record(model: RegisteredModel, known: _Known) -> list[Fact]:
    permits = [
        f"{target_words(one.target)}: v{one.version.number}, {one.get_state_display().lower()}, until {one.expires_at:%-d %b %Y}"
        for one in known.permits
    ]
    waivers = [f"{one.check_run.title} until {one.until:%-d %b %Y}" for one in known.waivers]
    validated = (
        f"{name_of(known.validated.person)} on {known.validated.signed_at:%-d %B %Y}" if known.validated else None
    )
    decided = f"{known.decided.ref}: {known.decided.get_state_display().lower()}" if known.decided else None
    facts = [
        Fact("use_case", "Purpose", model.use_case),
        Fact("description", "Description", model.description),
        Fact("owner", "Owner", name_of(model.owner)),
        Fact("team", "Owning team", model.team.name if model.team else None, why="No team owns it."),
        Fact("tier", "Risk tier", model.get_tier_display()),
        Fact("tier_inputs", "What set the tier", _words(model.tier_inputs), why="The tier was not assessed here."),
        Fact(
            "live",
            "Live version",
            f"v{known.live.version.number}, since {known.live.set_at:%-d %B %Y}" if known.live else None,
            why="Nothing is called production.",
        ),
        Fact("latest", "Newest version", f"v{known.latest.number}" if known.latest else None, why="It has no version."),
        Fact("permit", "Permits", permits, "list", why="None was issued."),
        Fact("decided", "Last decision", decided, why="Nothing was decided."),
        Fact("validated", "Last validated by", validated, why="No validator signed."),
        Fact("waivers", "Waivers in force", waivers, "list", why="Nothing is waived."),
        Fact("open", "Open requests", known.open, "count"),
        Fact(
            "data", "Data and code behind the live version", known.inputs, "list", why="No lineage is recorded for it."
        ),
    ]
    return facts + [field_fact(model.card, key) for key in _KEYS]


def _words(inputs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in sorted(inputs.items()))


def _known(models: list[RegisteredModel]) -> dict[int, _Known]:
    """Everything the rows need, in a number of queries that does not depend on how many models there are (per 500)."""
    known = {model.pk: _Known() for model in models}
    keys = list(known)
    for start in range(0, len(keys), _BATCH):
        _batch(keys[start : start + _BATCH], known)
    return known


def _batch(keys: list[int], known: dict[int, _Known]) -> None:
    for alias in Alias.objects.filter(model__in=keys, name="production").select_related("version"):
        known[alias.model_id].live = alias
    newest = ModelVersion.objects.filter(model__in=keys, deleted_at=None).order_by("model_id", "-number")
    for version in newest.distinct("model_id").only("model_id", "number"):
        known[version.model_id].latest = version
    living = (PermitState.ACTIVE, PermitState.SUSPENDED)
    for permit in (
        Permit.objects.filter(model__in=keys, state__in=living).select_related("version").order_by("target", "pk")
    ):
        known[permit.model_id].permits.append(permit)
    decided = PromotionRequest.objects.filter(model__in=keys, closed_at__isnull=False).order_by(
        "model_id", "-closed_at", "pk"
    )
    for request in decided.distinct("model_id"):
        known[request.model_id].decided = request
    for model_id in PromotionRequest.objects.filter(model__in=keys, state__in=OPEN_REQUEST_STATES).values_list(
        "model_id", flat=True
    ):
        known[model_id].open += 1
    signed = Decision.objects.filter(request__model__in=keys, role="validator", outcome__startswith="approve")
    for decision in (
        signed.select_related("person", "request")
        .order_by("request__model_id", "-signed_at")
        .distinct("request__model_id")
    ):
        known[decision.request.model_id].validated = decision
    granted = Waiver.objects.filter(request__model__in=keys, request__permit__state__in=living).exclude(granted_at=None)
    for waiver in granted.select_related("check_run", "request").order_by("until", "pk"):
        known[waiver.request.model_id].waivers.append(waiver)
    _inputs({one.live.version_id: key for key in keys if (one := known[key]).live is not None}, known)


def _inputs(live: Mapping[Any, int], known: dict[int, _Known]) -> None:
    """Names of what the live versions were made from, one or two steps back."""
    names = {f"version:{version}": key for version, key in live.items()}
    direct = list(Edge.objects.filter(dst__namespace__in=list(names)).select_related("src", "dst"))
    owners: dict[Any, set[int]] = defaultdict(set)
    for edge in direct:
        owners[edge.src_id].add(names[edge.dst.namespace])
    runs = [edge.src_id for edge in direct if edge.src.kind == Node.Kind.RUN]
    further = Edge.objects.filter(dst__in=runs).select_related("src").order_by("src__kind", "src__name")
    for edge in _known_kinds([*direct, *further]):
        for key in owners[edge.src_id] | owners.get(edge.dst_id, set()):
            if edge.src.name not in known[key].inputs:
                known[key].inputs.append(edge.src.name)


def _known_kinds(edges: Iterable[Edge]) -> list[Edge]:
    wanted = {Node.Kind.DATASET, Node.Kind.CODE, Node.Kind.VERSION}
    return [edge for edge in edges if edge.src.kind in wanted and edge.relation != Edge.Relation.RETRACTS]
