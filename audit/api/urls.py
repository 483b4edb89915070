"""Addresses below /api/v1/audit/."""

from django.urls import path

from audit.api import views

urlpatterns = [
    path("audit/entries/", views.EntryList.as_view(), name="audit-entries"),
    path("audit/entries/<int:index>/", views.EntryDetail.as_view(), name="audit-entry"),
    path("audit/checkpoint/", views.LatestCheckpoint.as_view(), name="audit-checkpoint"),
    path("audit/consistency/", views.ConsistencyProof.as_view(), name="audit-consistency"),
]
