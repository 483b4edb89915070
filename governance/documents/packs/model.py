"""The report of one model."""

from typing import Final

from governance.documents.cards import card_facts
from governance.documents.packs.common import (
    NOT_PROOF,
    PERMIT_MARKS,
    counted,
    installation,
    log_head,
    name_of,
    role_words,
    sentence,
    target_words,
    trail,
)
from governance.documents.packs.version import permits, permits_of, requests, requests_of
from governance.documents.shape import Column, Fact, Facts, Pack, Section, Table
from registry.models import Alias, ModelVersion, RegisteredModel, RoleGrant

NAME: Final = "model"
MOST_VERSIONS: Final = 1_000

_VERSIONS: Final = (
    Column("version", "Version", weight=0.6),
    Column("called", "Called", "list", optional=True, weight=1.2),
    Column("state", "State", weight=0.9),
    Column("registered_by", "Registered by", weight=1.3),
    Column("registered", "Registered", "day"),
    Column("sealed", "Sealed", "day", optional=True),
    Column("digest", "Files", "digest", optional=True),
)
_ROLES: Final = (
    Column("team", "Team", weight=1),
    Column("role", "Role", weight=1),
    Column("people", "People", "list", weight=3),
)


def build(model: RegisteredModel) -> Pack:
    """Everything on record about one model, at the moment shown or the latest checkpoint."""
    log = log_head()
    held = permits_of(model=model)
    versions = list(
        ModelVersion.objects.filter(model=model, deleted_at=None)
        .select_related("registered_by")
        .prefetch_related("aliases")
        .order_by("-number")[:MOST_VERSIONS]
    )
    aliases = Alias.objects.filter(model=model).select_related("version", "set_by").order_by("name")
    names = [
        {"alias": one.name, "version": f"v{one.version.number}", "by": name_of(one.set_by), "at": one.set_at}
        for one in aliases
    ]
    columns = (
        Column("alias", "Name"),
        Column("version", "Names"),
        Column("by", "Set by", optional=True),
        Column("at", "Set", "moment"),
    )
    grants = (
        RoleGrant.objects.filter(model=model)
        .select_related("team")
        .prefetch_related("team__user_set")
        .order_by("team__name", "role")
    )
    roles = [
        {
            "team": one.team.name,
            "role": role_words(one.role),
            "people": sorted(name_of(user) for user in one.team.user_set.all()),
        }
        for one in grants
    ]
    sections = [
        Section(
            "identity",
            "What it is",
            model.description or "It has no description.",
            [
                Facts(
                    "identity",
                    [
                        Fact("name", "Name", model.name),
                        Fact("use_case", "Use case", model.use_case),
                        Fact("tier", "Risk tier", model.get_tier_display()),
                        Fact("owner", "Owner", name_of(model.owner)),
                        Fact("team", "Owning team", model.team.name if model.team else None),
                        Fact("created_at", "Registered", model.created_at, "moment"),
                        Fact(
                            "evaluation",
                            "Held-out data set",
                            model.evaluation_dataset.name if model.evaluation_dataset else None,
                        ),
                    ],
                )
            ],
        ),
        Section(
            "names",
            "What is called what",
            f"{sentence(counted(len(names), 'name'))} set." if names else "No name is set.",
            [Table("names", columns, names)] if names else (),
        ),
        permits(held),
        requests(requests_of(model=model)),
        Section(
            "versions",
            "Versions",
            f"{sentence(counted(len(versions), 'version'))}.",
            [
                Table(
                    "versions",
                    _VERSIONS,
                    [
                        {
                            "version": f"v{one.number}",
                            "called": sorted(alias.name for alias in one.aliases.all()),
                            "state": one.get_status_display(),
                            "registered_by": name_of(one.registered_by),
                            "registered": one.created_at,
                            "sealed": one.sealed_at,
                            "digest": one.manifest_digest,
                        }
                        for one in versions
                    ],
                    nothing="It has no version.",
                )
            ],
        ),
        Section(
            "roles",
            "Who may do what",
            "Roles granted on this model alone; roles on every model come on top.",
            [Table("roles", _ROLES, roles, nothing="No role was granted on this model alone.")],
        ),
        Section("card", "Model card", "What its owners say of it.", [Facts("card", card_facts(model.card))]),
        Section(
            "log",
            "Log",
            "Every entry about the model.",
            [trail([("registry.registeredmodel", str(model.pk))], log.size)],
        ),
    ]
    live = [one for one in held if PERMIT_MARKS[one.state] == "pass"]
    said = "; ".join(f"v{one.version.number} may be called {target_words(one.target)}" for one in live)
    return Pack(
        report=NAME,
        kind="Report of a model",
        label=model.get_tier_display(),
        title=model.name,
        question=model.use_case,
        answer=f"{said}." if live else "No version of it holds a permit.",
        verdict="pass" if live else "",
        seal=2 if live else 0,
        subject={"type": "registry.registeredmodel", "id": str(model.pk), "ref": model.name},
        parameters={"model": model.name},
        log=log,
        sections=sections,
        limits=NOT_PROOF,
        installation=installation(),
    )
