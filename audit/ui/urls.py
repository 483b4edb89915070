"""Addresses of the audit log's pages."""

from django.urls import path

from audit.ui.views import entry, log, status

urlpatterns = [
    path("audit/", log.index, name="audit"),
    path("audit/checkpoint.txt", status.checkpoint, name="audit-checkpoint"),
    path("audit/status/", status.status, name="log-status"),
    path("audit/<int:index>/", entry.entry, name="audit-entry"),
    path("audit/<int:index>/proof.json", entry.proof, name="audit-proof"),
]
