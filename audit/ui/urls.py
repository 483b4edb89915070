"""Addresses of the audit log's pages."""

from django.urls import path

from audit.ui.views import entry, keeping, log, status, verify

urlpatterns = [
    path("audit/", log.index, name="audit"),
    path("audit/checkpoint.txt", status.checkpoint, name="audit-checkpoint"),
    path("audit/head/", verify.head, name="audit-head"),
    path("audit/verify/", verify.verify, name="audit-verify"),
    path("audit/retention/", keeping.index, name="audit-keeping"),
    path("audit/retention/holds/<int:pk>/release/", keeping.release, name="hold-release"),
    path("audit/retention/rules/<int:pk>/drop/", keeping.drop_rule, name="retention-drop"),
    path("audit/status/", status.status, name="log-status"),
    path("audit/<int:index>/", entry.entry, name="audit-entry"),
    path("audit/<int:index>/proof.json", entry.proof, name="audit-proof"),
]
