"""The API's browsable documentation, without inline scripts. The relaxations below hold for these pages alone."""

from csp.decorators import csp_update
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView

# Both programs write style elements as they run. Scripts stay files of this site; Redoc searches in a worker it makes.
_STYLES = {"style-src": ["'unsafe-inline'"]}
_swagger = SpectacularSwaggerSplitView.as_view(url_name="api:openapi", template_name="api/swagger.html")
_redoc = SpectacularRedocView.as_view(url_name="api:openapi", template_name="api/redoc.html")


@login_required
@csp_update(_STYLES)
def swagger(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
    """Swagger UI: try the API in the browser, as the person who is signed in."""
    return _swagger(request, *args, **kwargs)


@login_required
@csp_update({**_STYLES, "worker-src": ["blob:"]})
def redoc(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
    """Redoc: the reference to read."""
    return _redoc(request, *args, **kwargs)
