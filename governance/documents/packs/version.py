"""The report of one version; its tables of permits and requests serve the model's, too."""

from typing import Final

from config.figures import figure
from governance.documents.cards import card_facts
from governance.documents.display import number
from governance.documents.packs.common import (
    NOT_PROOF,
    PERMIT_MARKS,
    ancestry,
    counted,
    installation,
    json_file,
    lineage,
    log_head,
    name_of,
    sentence,
    subjects_of,
    target_words,
    trail,
)
from governance.documents.shape import Column, Fact, Facts, Pack, Section, Table
from governance.models import Permit, PromotionRequest
from registry.models import ManifestFile, ModelVersion, User

NAME: Final = "version"
MOST_FILES: Final = 500

_PERMITS: Final = (
    Column("version", "Version", weight=0.6),
    Column("target", "Lets be called", weight=1),
    Column("state", "State", "verdict"),
    Column("words", "", weight=0.8),
    Column("request", "Request", weight=0.9),
    Column("issued", "Issued", "day"),
    Column("until", "Until", "day"),
    Column("ended", "Ended", "day", optional=True),
    Column("why", "Why it ended", optional=True, weight=2),
)
_REQUESTS: Final = (
    Column("request", "Request", weight=0.8),
    Column("version", "Version", weight=0.6),
    Column("target", "To be called", weight=1),
    Column("state", "State", weight=1.2),
    Column("policy", "Policy", weight=1.4),
    Column("asked_by", "Asked by", weight=1.2),
    Column("asked", "Asked", "day"),
    Column("decided", "Decided", "day", optional=True),
)
_FILES: Final = (
    Column("path", "Path", "code", weight=2),
    Column("size", "Size", "size"),
    Column("sha256", "SHA-256", "digest"),
)
_VALUES: Final = (Column("name", "Name", "code", weight=1), Column("value", "Value", "code", weight=2))


def permits(found: list[Permit]) -> Section:
    """Permits, newest first."""
    rows = [
        {
            "version": f"v{one.version.number}",
            "target": target_words(one.target),
            "state": PERMIT_MARKS[one.state],
            "words": one.get_state_display().lower(),
            "request": one.request.ref,
            "issued": one.issued_at,
            "until": one.expires_at,
            "ended": one.ended_at,
            "why": one.ended_reason,
            "permit": str(one.pk),
        }
        for one in found
    ]
    live = [row for row in rows if row["state"] == "pass"]
    names = ", ".join(f"{row['version']} as {row['target']} until {row['until']:%-d %B %Y}" for row in live)
    said = f"In force: {names}." if live else "No permit is in force."
    return Section("permits", "Permits", said, [Table("permits", _PERMITS, rows, nothing="None was ever issued.")])


def requests(found: list[PromotionRequest]) -> Section:
    """Requests, newest first."""
    rows = [
        {
            "request": one.ref,
            "version": f"v{one.version.number}",
            "target": target_words(one.target),
            "state": one.get_state_display(),
            "policy": str(one.policy_version),
            "asked_by": name_of(one.requested_by),
            "asked": one.created_at,
            "decided": one.closed_at,
        }
        for one in found
    ]
    said = f"{sentence(counted(len(rows), 'request'))}." if rows else "Nobody asked for a promotion."
    return Section("requests", "Requests", said, [Table("requests", _REQUESTS, rows)] if rows else ())


def permits_of(**which: object) -> list[Permit]:
    """Permits by field, newest first."""
    rows = Permit.objects.filter(**which).select_related("version", "request", "model")
    return list(rows.order_by("-issued_at", "pk"))


def requests_of(**which: object) -> list[PromotionRequest]:
    """Requests by field, newest first."""
    rows = PromotionRequest.objects.filter(**which).select_related("version", "requested_by", "policy_version__policy")
    return list(rows.order_by("-number"))


def build(version: ModelVersion, reader: User) -> Pack:
    """Everything on record about one version that ``reader`` may see, at the moment shown or the latest checkpoint."""
    log = log_head()
    model = version.model
    aliases = [one.name for one in version.aliases.order_by("name")]
    graph = ancestry(version, reader)
    held = permits_of(version=version)
    sections = [
        Section(
            "identity",
            "What it is",
            "Its identity is the digest of its files.",
            [
                Facts(
                    "identity",
                    [
                        Fact("model", "Model", model.name),
                        Fact("number", "Version", f"v{version.number}"),
                        Fact("status", "State", version.get_status_display()),
                        Fact("description", "Description", version.description),
                        Fact(
                            "manifest_digest",
                            "Files (manifest)",
                            version.manifest_digest,
                            "digest",
                            why="It is not sealed.",
                        ),
                        Fact("size", "Size", version.size_bytes, "size"),
                        Fact("sealed_at", "Sealed", version.sealed_at, "moment", why="It is not sealed."),
                        Fact("aliases", "Called", aliases, "list", why="No name points to it."),
                        Fact("stage", "Stage", version.stage),
                        Fact("flavours", "Flavours", list(version.flavours), "list"),
                        Fact("source", "Registered from", version.source, "code"),
                        Fact("run", "Run", version.run_id, "code"),
                        Fact("registered_by", "Registered by", name_of(version.registered_by)),
                        Fact(
                            "trained_by",
                            "Trained by",
                            name_of(version.trained_by),
                            why="No run names a person known here.",
                        ),
                        Fact(
                            "code_author",
                            "Code written by",
                            name_of(version.code_author),
                            why="No commit names a person known here.",
                        ),
                    ],
                )
            ],
        ),
        permits(held),
        requests(requests_of(version=version)),
        Section(
            "values",
            "Parameters and metrics",
            "As logged by whoever trained it; what checks measured stands in the reports of its requests.",
            [
                _values("parameters", "Parameters", version.parameters),
                _values("metrics", "Metrics", {name: number(value) for name, value in version.metrics.items()}),
            ],
        ),
        _files(version),
        Section(
            "lineage", "Where it comes from", f"{max(len(graph.nodes) - 1, 0)} objects lie upstream.", [lineage(graph)]
        ),
        Section("card", "Model card", "What the model's owners say of it.", [Facts("card", card_facts(model.card))]),
        Section("log", "Log", "Every entry about the version and its model.", [trail(subjects_of(version), log.size)]),
    ]
    in_force = [one for one in held if PERMIT_MARKS[one.state] == "pass"]
    answer = (
        f"It may be called {target_words(in_force[0].target)} until {in_force[0].expires_at:%-d %B %Y}."
        if in_force
        else "No permit is in force for it."
    )
    files = [json_file("manifest.json", version.manifest.document, "Every sealed file")] if version.manifest else []
    return Pack(
        report=NAME,
        kind="Report of a version",
        label=f"v{version.number}",
        title=f"{model.name} v{version.number}",
        question=model.use_case,
        answer=answer,
        verdict="pass" if in_force else "",
        seal=2 if in_force else 0,
        subject={"type": "registry.modelversion", "id": str(version.pk), "ref": str(version)},
        parameters={"model": model.name, "version": version.number},
        log=log,
        sections=sections,
        limits=NOT_PROOF,
        files=files,
        installation=installation(),
    )


def _values(key: str, title: str, values: dict[str, object]) -> Table:
    rows = [{"name": name, "value": str(value)} for name, value in sorted(values.items())]
    return Table(key, _VALUES, rows, title, nothing="None were logged.")


def _files(version: ModelVersion) -> Section:
    found = ManifestFile.objects.filter(manifest_id=version.manifest_id).select_related("blob").order_by("path")
    rows = [{"path": one.path, "size": one.blob.size, "sha256": one.blob_id} for one in found[:MOST_FILES]]
    total = version.manifest.file_count if version.manifest else 0
    note = f"The first {MOST_FILES} of {figure(total)}; the attached manifest has all." if total > MOST_FILES else ""
    said = f"{sentence(counted(total, 'file'))}, sealed by content." if total else "It has no sealed files."
    return Section("files", "Files", said, [Table("files", _FILES, rows, note=note, nothing="None.")])
