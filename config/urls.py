"""Addresses. Apps are named as strings: the floor imports none of them."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView

from config import api_docs, health, pages

ui: list[URLPattern | URLResolver] = [
    path("", include("registry.ui.urls")),
    path("", include("governance.ui.urls")),
    path("", include("audit.ui.urls")),
]
api: list[URLPattern | URLResolver] = [
    path("", include("registry.api.urls")),
    path("", include("governance.api.urls")),
    path("", include("audit.api.urls")),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
]

urlpatterns = [
    path("", include("registry.mlflow.urls")),  # first: by far the most requests are these
    path("", include((ui, "ui"))),
    path("sign-in/", include("registry.ui.sign_in")),
    path("sign-out/", LogoutView.as_view(), name="logout"),
    path("marks/", pages.marks, name="marks"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("api/v1/", include((api, "api"))),
    path("api/docs/", api_docs.swagger, name="api-docs"),
    path("api/reference/", api_docs.redoc, name="api-reference"),
    path("admin/", admin.site.urls),
]

handler400 = "config.pages.bad_request"
handler403 = "config.pages.permission_denied"
handler404 = "config.pages.page_not_found"
handler500 = "config.pages.server_error"
