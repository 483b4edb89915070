"""Addresses of the audit log's pages."""

from django.urls import path

from audit.ui import views

urlpatterns = [
    path("audit/", views.index, name="audit"),
    path("audit/checkpoint.txt", views.checkpoint, name="audit-checkpoint"),
    path("audit/status/", views.status, name="log-status"),
    path("audit/<int:index>/", views.entry, name="audit-entry"),
    path("audit/<int:index>/proof.json", views.proof, name="audit-proof"),
]
