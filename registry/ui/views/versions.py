"""A version: what it is, made from what, proven how. One address a tab, each a whole page."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from audit.selectors import entries_about
from config.errors import NotFound
from config.pages import render_page
from registry import storage
from registry.models import ManifestFile, ModelVersion
from registry.selectors import catalog
from registry.ui.lineage import drawing_of_version
from registry.ui.views.catalog import person

TABS = (("overview", "Overview"), ("lineage", "Lineage"), ("checks", "Checks"), ("artifacts", "Artifacts"))
MORE_TABS = (("card", "Card"), ("audit", "Audit"))
FILES_SHOWN = 500
ENTRIES_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a model's recorded signature."""

    name: str
    type: str
    required: bool


def _frame(version: ModelVersion, tab: str) -> dict[str, object]:
    here = reverse("ui:version", args=[version.model.name, version.number])
    tabs = [
        {"key": key, "label": label, "url": here if key == "overview" else f"{here}{key}/"}
        for key, label in (*TABS, *MORE_TABS)
    ]
    others = version.model.versions.filter(deleted_at=None).order_by("-number").prefetch_related("aliases")[:12]
    return {"section": "models", "version": version, "model": version.model, "tab": tab, "tabs": tabs, "others": others}


def _version(request: HttpRequest, name: str, number: int) -> ModelVersion:
    model = catalog.model_by_name(name, person(request))
    return catalog.version_by_number(model, number)


@login_required
@require_safe
def overview(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Identity, parameters, metrics, how to load it, and where it stands."""
    version = _version(request, name, number)
    context = {
        **_frame(version, "overview"),
        "parameters": sorted(version.parameters.items()),
        "metrics": sorted(version.metrics.items()),
        "tags": version.tags.order_by("key"),
        "aliases": version.aliases.order_by("name"),
        "files": version.manifest.file_count if version.manifest else 0,
    }
    return render_page(request, "registry/version_overview.html", context, partial="tab")


@login_required
@require_safe
def lineage(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Everything it was made from and went into: drawing and table."""
    version = _version(request, name, number)
    context = {**_frame(version, "lineage"), **drawing_of_version(version, person(request))}
    return render_page(request, "registry/version_lineage.html", context, partial="tab")


@login_required
@require_safe
def checks(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The requests that judged it, with their checks (shown by governance's own part of the template)."""
    return render_page(
        request, "registry/version_checks.html", _frame(_version(request, name, number), "checks"), partial="tab"
    )


@login_required
@require_safe
def artifacts(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Every sealed file with size and digest, and the inputs that the signature declares."""
    version = _version(request, name, number)
    files: Sequence[ManifestFile] = []
    if version.manifest_id:
        files = list(ManifestFile.objects.filter(manifest_id=version.manifest_id).select_related("blob")[:FILES_SHOWN])
    context = {
        **_frame(version, "artifacts"),
        "files": files,
        "inputs": _columns(version.signature.get("inputs")),
        "outputs": _columns(version.signature.get("outputs")),
    }
    return render_page(request, "registry/version_artifacts.html", context, partial="tab")


def _columns(declared: object) -> list[Column]:
    if not isinstance(declared, list):
        return []
    return [
        Column(
            name=str(column.get("name", f"column {position}")),
            type=str(column.get("type", "")),
            required=bool(column.get("required", True)),
        )
        for position, column in enumerate(declared, 1)
        if isinstance(column, dict)
    ]


@login_required
@require_safe
def card(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The model's card as it is now."""
    version = _version(request, name, number)
    labels = {
        "intended_use": "Intended use",
        "limitations": "Limitations",
        "affected_groups": "People affected",
        "monitoring_plan": "Monitoring plan",
    }
    fields = {**dict.fromkeys(labels, ""), **version.model.card}
    rows = [(labels.get(key, key.replace("_", " ").capitalize()), text) for key, text in fields.items()]
    return render_page(request, "registry/version_card.html", {**_frame(version, "card"), "card": rows}, partial="tab")


@login_required
@require_safe
def audit(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The ledger's entries about it, newest first."""
    version = _version(request, name, number)
    entries = entries_about("registry.modelversion", str(version.pk)).order_by("-index")
    context = {**_frame(version, "audit"), "entries": entries[:ENTRIES_SHOWN], "count": entries.count()}
    return render_page(request, "registry/version_audit.html", context, partial="tab")


@login_required
@require_safe
def file(request: HttpRequest, name: str, number: int, path: str) -> FileResponse:
    """One sealed file, streamed as an attachment: never shown by the browser as a page of ours."""
    version = _version(request, name, number)
    found = ManifestFile.objects.filter(manifest_id=version.manifest_id, path=path).first()
    if found is None:
        raise NotFound(f"{version} has no file {path}.")
    return FileResponse(
        storage.blobs().open(found.blob_id),
        as_attachment=True,
        filename=path.rpartition("/")[2],
        content_type="application/octet-stream",
    )
