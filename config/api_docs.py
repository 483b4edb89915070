"""The API's browsable documentation, without inline scripts. The relaxations below hold for these pages alone."""

from typing import Any, Final

from csp.decorators import csp_update
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView

from config.problems import CONTENT_TYPE

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


_REFUSALS: Final = {"400": "Malformed.", "401": "No valid credentials.", "403": "You may not.", "404": "Not there."}


def with_refusals(result: dict[str, Any], **_context: object) -> dict[str, Any]:
    """Postprocessing of the OpenAPI document: every operation can refuse, whether its view says so or not."""
    for item in result["paths"].values():
        for operation in item.values():
            for status, why in _REFUSALS.items():
                operation["responses"].setdefault(
                    status,
                    {
                        "description": why,
                        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                    },
                )
    return result
