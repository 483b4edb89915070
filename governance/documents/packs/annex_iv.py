"""The technical documentation of one version after Annex IV of the AI Act: its nine points, in its own numbers."""

from dataclasses import replace
from typing import Final

from config.figures import figure
from governance.documents.cards import field_fact
from governance.documents.citations import ANNEX_IV
from governance.documents.packs import evidence, groups
from governance.documents.packs.common import (
    ancestry,
    datasets,
    entry_indexes,
    installation,
    json_file,
    lineage,
    log_head,
    name_of,
    signature,
)
from governance.documents.packs.version import permits
from governance.documents.shape import Block, Column, Fact, Facts, Pack, Section, Signatures, Table
from governance.models import CheckRun, Permit, PromotionRequest
from governance.selectors.decision import live_results
from governance.selectors.requests import newest_request
from governance.standing import Standing, standing_of
from registry.models import DatasetVersion, ModelVersion, User
from registry.selectors.lineage import Graph

NAME: Final = "ai-act-annex-iv"


def build(version: ModelVersion, reader: User) -> Pack:
    """The dossier of a version, with the evidence of its newest request. What nobody wrote is said to be empty."""
    log = log_head()
    graph = ancestry(version, reader)
    request = newest_request(version)
    standing = standing_of(request, at=log.at) if request else None
    runs = [run for run in request.checks.all() if run.round == request.round] if request else []
    sections = [
        _general(version, graph),
        _elements(version, graph, request, standing, runs, size=log.size),
        _control(version, runs, standing),
        _part(version, "metrics", "Appropriateness of the performance metrics", "Annex IV 4", ("metrics_rationale",)),
        _part(
            version, "risks", "Risk management system", "Annex IV 5, Article 9", ("risk_management", "societal_impact")
        ),
        _changes(version),
        _part(version, "standards", "Harmonised standards and specifications", "Annex IV 7", ("standards_applied",)),
        _part(
            version,
            "declaration",
            "EU declaration of conformity",
            "Annex IV 8, Article 47",
            ("declaration_of_conformity",),
        ),
        _part(
            version,
            "monitoring",
            "Post-market monitoring",
            "Annex IV 9, Article 72",
            ("monitoring_plan", "incident_contact"),
        ),
    ]
    empty = [
        fact.label
        for section in sections
        for block in section.blocks
        if isinstance(block, Facts)
        for fact in block.facts
        if fact.empty
    ]
    total = sum(len(block.facts) for section in sections for block in section.blocks if isinstance(block, Facts))
    answer = (
        f"{total - len(empty)} of {total} fields have content; {len(empty)} are empty and are shown as such."
        if empty
        else (f"All {total} fields have content.")
    )
    manifest = version.manifest
    return Pack(
        report=NAME,
        kind="Technical documentation",
        label="AI Act, Annex IV",
        title=f"{version.model.name} v{version.number}",
        question="Does the file hold what Annex IV asks for, and what is still missing?",
        answer=answer,
        verdict="caution" if empty else "pass",
        log=log,
        sections=sections,
        sources=(ANNEX_IV,),
        subject={"type": "registry.modelversion", "id": str(version.pk), "ref": str(version)},
        parameters={"model": version.model.name, "version": version.number},
        head=[
            Fact("use", "Purpose", version.model.use_case),
            Fact(
                "class",
                "Class under the AI Act",
                version.model.card.get("ai_act_class"),
                why="Nobody said it on the card.",
            ),
            Fact("digest", "Files", version.manifest_digest, "digest", why="It is not sealed."),
        ],
        limits=(
            "That a field is filled in does not make it true, and an empty one may not apply: both are for people to judge.",
            "Whether a system is of high risk (Article 6), and who its provider is, is not decided here.",
        ),
        files=[json_file("manifest.json", manifest.document, "Every sealed file")] if manifest else [],
        installation=installation(),
    )


def _part(version: ModelVersion, key: str, title: str, source: str, fields: tuple[str, ...]) -> Section:
    card = version.model.card
    facts = [field_fact(card, one) for one in fields]
    missing = sum(fact.empty for fact in facts)
    said = (
        ""
        if not missing
        else ("Nobody has written it." if missing == len(facts) else f"{missing} of {len(facts)} fields are empty.")
    )
    return Section(key, title, said, [Facts(key, facts)], source=source)


def _general(version: ModelVersion, graph: Graph) -> Section:
    card, model = version.model.card, version.model
    earlier = f"v{version.number}; {version.number - 1} earlier numbers" if version.number > 1 else "v1, the first"
    return Section(
        "general",
        "General description",
        "",
        [
            Facts(
                "general",
                [
                    field_fact(card, "intended_use", source="1(a)"),
                    field_fact(card, "legal_entity", label="Provider", source="1(a)"),
                    Fact("version", "Version, in relation to earlier ones", earlier, source="1(a)"),
                    field_fact(
                        card, "dependencies", label="Interaction with other hardware and software", source="1(b)"
                    ),
                    Fact(
                        "software",
                        "Versions of relevant software",
                        _software(version, graph),
                        "list",
                        source="1(c)",
                        why="No environment is recorded.",
                    ),
                    field_fact(card, "distribution_forms", source="1(d)"),
                    field_fact(card, "hardware", source="1(e)"),
                    field_fact(card, "user_interface", source="1(g)"),
                    field_fact(card, "instructions_for_use", source="1(h)"),
                    Fact("owner", "Owner here", name_of(model.owner)),
                ],
            )
        ],
        source="Annex IV 1",
    )


def _software(version: ModelVersion, graph: Graph) -> list[str]:
    found = [f"{node.name} {node.version[:12]}".strip() for node in graph.nodes if node.kind in {"environment", "code"}]
    return found + [str(one) for one in version.flavours]


_INPUTS: Final = (
    Column("name", "Input", "code", weight=2),
    Column("type", "Type", "code", weight=1),
    Column("required", "Required", "yesno"),
)


def _elements(
    version: ModelVersion,
    graph: Graph,
    request: PromotionRequest | None,
    standing: Standing | None,
    runs: list[CheckRun],
    *,
    size: int,
) -> Section:
    card = version.model.card
    used = list(
        DatasetVersion.objects.filter(
            digest__in=[
                str(node.digests["sha256"])
                for node in graph.nodes
                if node.kind == "dataset" and node.digests.get("sha256")
            ]
        )
        .select_related("dataset")
        .order_by("dataset__name", "number")
    )
    tested = sorted({run.dataset for run in runs if run.dataset is not None}, key=str)
    parameters = [{"name": name, "value": str(value)} for name, value in sorted(version.parameters.items())]
    columns = (Column("name", "Parameter", "code", weight=1), Column("value", "Value", "code", weight=2))
    blocks: list[Block] = [
        Facts(
            "process",
            [
                field_fact(card, "methods", source="2(a)"),
                field_fact(card, "suppliers", label="Pre-trained systems and tools of others", source="2(a)"),
                field_fact(card, "architecture", source="2(b), 2(c)"),
                field_fact(card, "assumptions", source="2(b)"),
                field_fact(card, "outputs", source="2(b)"),
                field_fact(card, "users", label="Persons or groups it is meant for", source="2(b)"),
                field_fact(card, "compute", source="2(c)"),
                field_fact(card, "data_provenance", source="2(d)"),
                field_fact(card, "data_preparation", source="2(d)"),
                field_fact(card, "human_oversight", label="Assessment of human oversight", source="2(e)"),
                field_fact(card, "predetermined_changes", source="2(f)"),
                field_fact(card, "validation", label="Validation and testing procedures", source="2(g)"),
                field_fact(card, "security", source="2(h)"),
            ],
        ),
        Table("parameters", columns, parameters, "Parameters as logged (2(b))", nothing="No parameter was logged."),
        Table(
            "datasets",
            (*datasets(()).columns,),
            datasets(used).rows,
            "Data it was made from, as sealed here (2(d))",
            nothing="No data set that was sealed here lies upstream of it.",
        ),
        Table(
            "tested", (*datasets(()).columns,), datasets(tested).rows, "Data it was tested on (2(g))", nothing="None."
        ),
        replace(lineage(graph), title="Lineage (2(d))"),
    ]
    if request is not None and standing is not None:
        decisions = list(request.decisions.order_by("signed_at", "pk").select_related("person"))
        indexes = entry_indexes([one.entry_id for one in decisions], size)
        voids = {fact.id: (fact.void, fact.stage) for fact in standing.facts.signatures}
        signed = [
            signature(one, stage=voids[str(one.pk)][1], void=voids[str(one.pk)][0], indexes=indexes)
            for one in decisions
        ]
        tests = evidence.checks(request, standing.verdict, live_results(request))
        blocks += [*tests.blocks, Signatures("signatures", signed, f"Test reports signed with {request.ref} (2(g))")]
    said = (
        "No promotion was asked for, so there are no test reports."
        if request is None
        else f"Test reports: {request.ref}."
    )
    return Section("elements", "Elements and process of development", said, blocks, source="Annex IV 2")


def _control(version: ModelVersion, runs: list[CheckRun], standing: Standing | None) -> Section:
    card = version.model.card
    inputs = version.signature.get("inputs") if isinstance(version.signature, dict) else None
    rows = [
        {"name": one.get("name", ""), "type": str(one.get("type", "")), "required": bool(one.get("required", True))}
        for one in (inputs if isinstance(inputs, list) else [])
        if isinstance(one, dict)
    ]
    blocks: list[Block] = [
        Facts(
            "control",
            [
                field_fact(card, "limitations", source="3"),
                field_fact(card, "affected_groups", source="3"),
                field_fact(
                    card, "prohibited_uses", label="Foreseeable misuse and what it must not be used for", source="3"
                ),
                field_fact(card, "human_oversight", source="3, Article 14"),
                field_fact(card, "inputs", label="Specification of input data", source="3"),
                field_fact(card, "logging_retention", source="Article 12"),
            ],
        ),
        Table(
            "inputs",
            _INPUTS,
            rows,
            f"Inputs the signature declares ({figure(len(rows))})",
            nothing="No signature was logged.",
        ),
    ]
    if standing is not None:
        blocks += list(groups.groups(runs, standing.verdict).blocks)
    return Section("control", "Monitoring, functioning and control", "", blocks, source="Annex IV 3")


_CHANGES: Final = (
    Column("version", "Version", weight=0.7),
    Column("sealed", "Sealed", "day", optional=True),
    Column("by", "Registered by", weight=1.2),
    Column("description", "What the provider says of it", optional=True, weight=3),
    Column("digest", "Files", "digest", optional=True),
)


def _changes(version: ModelVersion) -> Section:
    found = ModelVersion.objects.filter(model=version.model, number__lte=version.number, deleted_at=None)
    rows = [
        {
            "version": f"v{one.number}",
            "sealed": one.sealed_at,
            "by": name_of(one.registered_by),
            "description": one.description,
            "digest": one.manifest_digest,
        }
        for one in found.select_related("registered_by").order_by("-number")[:200]
    ]
    held = list(
        Permit.objects.filter(model=version.model).select_related("version", "request").order_by("-issued_at", "pk")
    )
    return Section(
        "changes",
        "Changes through the lifecycle",
        "Every version up to this one, and what was allowed when.",
        [Table("versions", _CHANGES, rows), *permits(held).blocks],
        source="Annex IV 6",
    )
