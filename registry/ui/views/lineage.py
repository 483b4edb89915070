"""The lineage pages: where to start, and one object with everything up and down from it."""

from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from config.errors import NotFound
from config.pages import render_page, signed_in
from config.pagination import page_of
from registry.models import Node
from registry.selectors.lineage_seen import may_see, nodes_for
from registry.ui.lineage import ICONS, digests_of, drawing, title
from registry.ui.views.catalog import person

PER_PAGE = 50


@signed_in
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Data sets and versions to start from."""
    text = request.GET.get("q", "").strip().replace("\x00", "")
    page = page_of(
        nodes_for(person(request), text), after=request.GET.get("after", ""), size=PER_PAGE, keys=("-created_at", "pk")
    )
    rows = [{"node": node, "title": _title(node), "icon": ICONS[Node.Kind(node.kind)]} for node in page.rows]
    here = reverse("ui:lineage")
    kept = {"q": text} if text else {}
    context = {
        "section": "lineage",
        "rows": rows,
        "text": text,
        "older": f"{here}?{urlencode({**kept, 'after': page.next})}" if page.next else "",
        "newer": f"{here}?{urlencode(kept)}" if request.GET.get("after") else "",
    }
    return render_page(request, "registry/lineage_list.html", context, partial="results")


@signed_in
@require_safe
def node(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One object: what it was made from and what it went into."""
    found = Node.objects.filter(pk=pk).first()
    if found is None or not may_see(person(request), found):
        raise NotFound("There is no such object, or you may not see it.", code="lineage.unknown")
    context = {
        "section": "lineage",
        "node": found,
        "title": _title(found),
        "digests": digests_of(found),
        **drawing(found, person(request)),
    }
    return render_page(request, "registry/lineage_detail.html", context)


def _title(node: Node) -> str:
    return title(node.kind, node.name, node.version)
