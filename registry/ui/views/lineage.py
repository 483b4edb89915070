"""The lineage pages: where to start, and one object with everything up and down from it."""

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from config.errors import NotFound
from config.pages import render_page
from config.pagination import page_of
from registry.models import Node
from registry.selectors.lineage_seen import may_see, nodes_for
from registry.ui.lineage import ICONS, drawing
from registry.ui.views.catalog import person

PER_PAGE = 50


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Data sets and versions to start from."""
    text = request.GET.get("q", "").strip().replace("\x00", "")
    page = page_of(
        nodes_for(person(request), text), after=request.GET.get("after", ""), size=PER_PAGE, keys=("-created_at", "pk")
    )
    rows = [{"node": node, "icon": ICONS[Node.Kind(node.kind)]} for node in page.rows]
    here = reverse("ui:lineage")
    older = f"{here}?{urlencode({'q': text, 'after': page.next})}" if page.next else ""
    context = {"section": "lineage", "rows": rows, "text": text, "older": older, "newer": here if "after" in request.GET else ""}
    return render_page(request, "registry/lineage_list.html", context, partial="results")


@login_required
@require_safe
def node(request: HttpRequest, pk: str) -> HttpResponse:
    """One object: what it was made from and what it went into."""
    found = get_object_or_404(Node, pk=pk)
    if not may_see(person(request), found):
        raise NotFound("There is no such object, or you may not see it.")
    context = {"section": "lineage", "node": found, **drawing(found, person(request))}
    return render_page(request, "registry/lineage_detail.html", context, partial="graph")
