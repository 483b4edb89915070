"""A version: what it is, made from what, proven how. One address a tab, each a whole page."""

from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from audit.actors import Actor
from audit.models import Entry
from audit.personal import named
from audit.selectors import entries_about
from config.errors import NotFound
from config.pages import render_page, signed_in
from config.pagination import Page, page_of
from registry import storage
from registry.models import ManifestFile, ModelVersion
from registry.selectors import catalog
from registry.selectors.model_signatures import newest
from registry.services import holdouts
from registry.ui.forms import CardForm
from registry.ui.lineage import drawing_of_version
from registry.ui.views.catalog import person

TABS: Final = {
    "overview": "Overview",
    "lineage": "Lineage",
    "checks": "Checks",
    "artifacts": "Artifacts",
    "card": "Card",
    "audit": "Audit",
}
Row = TypeVar("Row", bound=Model)
VERSIONS_SHOWN: Final = 12
FILES_PER_PAGE: Final = 200
SIGNATURE_MARKS: Final = {
    "verified": "pass",
    "partial": "caution",
    "untrusted": "na",
    "uncompared": "na",
    "differs": "fail",
    "invalid": "fail",
}
ENTRIES_PER_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a model's recorded signature."""

    name: str
    type: str
    required: bool


def _frame(version: ModelVersion, tab: str) -> dict[str, object]:
    """What every tab shows: the head, the other versions, the tabs with how much is behind them."""
    here = reverse("ui:version", args=[version.model.name, version.number])
    counts = {"artifacts": version.manifest.file_count if version.manifest else 0, "audit": _entries(version).count()}
    tabs = [
        {"key": key, "label": label, "url": here if key == "overview" else f"{here}{key}/", "count": counts.get(key, 0)}
        for key, label in TABS.items()
    ]
    others = version.model.versions.filter(deleted_at=None).order_by("-number").prefetch_related("aliases")
    return {
        "section": "models",
        "version": version,
        "model": version.model,
        "purpose": version.model.use_case.rstrip(". "),
        "aliases": list(version.aliases.order_by("name")),
        "tab": tab,
        "tab_label": TABS[tab],
        "tabs": tabs,
        "counts": counts,
        "others": others[:VERSIONS_SHOWN],
    }


def _entries(version: ModelVersion) -> QuerySet[Entry]:
    return entries_about("registry.modelversion", str(version.pk))


def _version(request: HttpRequest, name: str, number: int) -> ModelVersion:
    model = catalog.model_by_name(name, person(request))
    return catalog.version_by_number(model, number)


@signed_in
@require_safe
def overview(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Identity, parameters, metrics, how to load it, and where it stands."""
    version = _version(request, name, number)
    context = {
        **_frame(version, "overview"),
        "parameters": sorted(version.parameters.items()),
        "metrics": sorted(version.metrics.items()),
        "tags": version.tags.order_by("key"),
    }
    return render_page(request, "registry/version_overview.html", context)


@signed_in
@require_safe
def lineage(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Everything it was made from and went into: drawing and table."""
    version = _version(request, name, number)
    context = {**_frame(version, "lineage"), **drawing_of_version(version, person(request))}
    return render_page(request, "registry/version_lineage.html", context)


@signed_in
@require_safe
def checks(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The requests that judged it, with their checks (shown by governance's own part of the template)."""
    return render_page(request, "registry/version_checks.html", _frame(_version(request, name, number), "checks"))


@signed_in
@require_safe
def artifacts(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Every sealed file with size and digest, and the inputs that the signature declares."""
    version = _version(request, name, number)
    page = page_of(
        ManifestFile.objects.filter(manifest_id=version.manifest_id).select_related("blob"),
        after=request.GET.get("after", ""),
        size=FILES_PER_PAGE,
        keys=("path", "pk"),
    )
    context = {
        **_frame(version, "artifacts"),
        **_pages(request, page),
        "files": page.rows,
        "signatures": [(look, SIGNATURE_MARKS[look.state]) for look in newest(version)],
        "inputs": _columns(version.signature.get("inputs")),
        "outputs": _columns(version.signature.get("outputs")),
    }
    return render_page(request, "registry/version_artifacts.html", context)


def _pages(request: HttpRequest, page: Page[Row]) -> dict[str, str]:
    """Addresses of the next page and of the first."""
    return {
        "older": f"{request.path}?{urlencode({'after': page.next})}" if page.next else "",
        "newer": request.path if request.GET.get("after") else "",
    }


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


@signed_in
@require_safe
def card(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The model's card as it is now."""
    version = _version(request, name, number)
    labels = {key: str(CardForm.base_fields[key].label) for key in CardForm.CARD_FIELDS}
    fields = {**dict.fromkeys(labels, ""), **version.model.card}
    rows = [(labels.get(key, key.replace("_", " ").capitalize()), text) for key, text in fields.items()]
    context = {**_frame(version, "card"), "card": rows, "written": sum(bool(text) for _, text in rows)}
    return render_page(request, "registry/version_card.html", context)


@signed_in
@require_safe
def audit(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The ledger's entries about it, newest first."""
    version = _version(request, name, number)
    page = page_of(_entries(version), after=request.GET.get("after", ""), size=ENTRIES_PER_PAGE, keys=("-index",))
    return render_page(
        request,
        "registry/version_audit.html",
        {**_frame(version, "audit"), **_pages(request, page), "entries": named(page.rows)},
    )


@signed_in
@require_safe
def file(request: HttpRequest, name: str, number: int, path: str) -> FileResponse:
    """One sealed file, streamed as an attachment: never shown by the browser as a page of ours."""
    version = _version(request, name, number)
    found = None
    if version.manifest_id and "\x00" not in path:
        found = ManifestFile.objects.filter(manifest_id=version.manifest_id, path=path).first()
    if found is None:
        raise NotFound(f"{version} has no file {path[:200]!r}.", code="version.no_file")
    holdouts.check_bytes(found.blob_id, by=Actor.of(request), door="page")
    return FileResponse(
        storage.blobs().open(found.blob_id),
        as_attachment=True,
        filename=path.rpartition("/")[2],
        content_type="application/octet-stream",
    )
