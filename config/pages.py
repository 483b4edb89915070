"""Pages: whole for a browser, one partial of the same template for htmx, so that they cannot drift."""

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from django_htmx.middleware import HtmxDetails

from config.errors import Refusal
from config.problems import answer

P = ParamSpec("P")
THEMES = frozenset({"light", "dark"})
ERROR_PAGES = frozenset({400, 403, 404, 409})


def render_page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    partial: str = "",
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    """Render ``template``; for an htmx request (not a boosted one) only its ``partial``, if one is named."""
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    name = f"{template}#{partial}" if partial and htmx and not htmx.boosted else template
    response = render(request, name, dict(context), status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context every page has: version, theme, public address. Counts and seals come by htmx or from the view."""
    theme = request.COOKIES.get("theme", "")
    return {
        "product_version": settings.VERSION,
        "public_url": settings.PUBLIC_URL,
        "theme": theme if theme in THEMES else "",
    }


def signed_in(
    view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Send a visitor to the sign-in page and back. A region that htmx asks for leaves the whole page, not just itself."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        htmx: HtmxDetails | None = getattr(request, "htmx", None)
        if not htmx:
            return redirect_to_login(request.get_full_path())
        back = redirect_to_login(htmx.current_url_abs_path or "/")
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": back["Location"]})

    return guarded


def _wants_json(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/ajax-api/"))


def _error(request: HttpRequest, status: int, *, code: str, detail: str) -> HttpResponse:
    if _wants_json(request):
        return answer(request, status, code=code, detail=detail)
    return render(request, f"errors/{status}.html", {"detail": detail}, status=status)


def refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """A refusal that nobody caught, as the nearest error page; problem+json below ``/api/``."""
    status = int(refusal.status)
    if _wants_json(request):
        return answer(request, status, code=refusal.code, detail=str(refusal))
    page = status if status in ERROR_PAGES else 400
    return render(request, f"errors/{page}.html", {"detail": str(refusal)}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _error(request, 400, code="bad_request", detail="The request could not be understood.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403, with the reason if the code gave one."""
    return _error(request, 403, code="not_allowed", detail=str(exception) or "You may not do this.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, also for what may not be seen."""
    return _error(request, 404, code="not_found", detail="There is no such page, or you may not see it.")


def server_error(request: HttpRequest) -> HttpResponse:
    """500. The cause is in the log under the request id, never on the page."""
    return _error(request, 500, code="server_error", detail="Something broke on our side. Nothing was half-written.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that was open too long or came from elsewhere."""
    detail = "This form was open too long, or came from another site. Go back, reload the page and send it again."
    return _error(request, 403, code="csrf_failed", detail=detail)


@require_safe
def marks(request: HttpRequest) -> HttpResponse:
    """What each mark and colour means."""
    return render_page(request, "components/gallery.html", {})
