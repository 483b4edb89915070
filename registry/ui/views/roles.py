"""Who holds which role: today, or as of a past day."""

from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from config.pages import render_page, signed_in
from config.pagination import page_of
from registry.roles import LABELS, Role
from registry.selectors.access import grants_visible_to
from registry.ui.views.catalog import person

PER_PAGE: Final = 50


@signed_in
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Each role a team holds, on what, since when, who gave it, and who is in the team."""
    name = request.GET.get("model", "").strip()
    rows = grants_visible_to(person(request), model=name)
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("role", "team__name", "pk"))
    here, kept = reverse("ui:roles"), [("model", name)] if name else []
    context = {
        "section": "roles",
        "rows": [(LABELS[Role(grant.role)], grant) for grant in page.rows],
        "model": name,
        "older": f"{here}?{urlencode([*kept, ('after', page.next)])}" if page.next else "",
        "newer": f"{here}?{urlencode(kept)}" if request.GET.get("after") else "",
    }
    return render_page(request, "registry/role_list.html", context)
