"""Addresses below /api/v1/audit/ and, for tools of tiled logs, /api/v1/log/."""

from django.urls import path

from audit.api import status, tiles, views

urlpatterns = [
    path("audit/entries/", views.EntryList.as_view(), name="audit-entries"),
    path("audit/entries/<int:index>/", views.EntryDetail.as_view(), name="audit-entry"),
    path("audit/checkpoint/", views.LatestCheckpoint.as_view(), name="audit-checkpoint"),
    path("audit/consistency/", views.ConsistencyProof.as_view(), name="audit-consistency"),
    path("audit/status/", status.LogStatusView.as_view(), name="audit-status"),
    path("audit/verifications/", status.Verifications.as_view(), name="audit-verifications"),
    path("audit/verifications/<int:verification>/", status.VerificationDetail.as_view(), name="audit-verification"),
    # Without a slash at the end: these are the names that C2SP tools append to a prefix.
    path("log/checkpoint", tiles.LogCheckpoint.as_view(), name="audit-log-checkpoint"),
    path("log/tile/<path:path>", tiles.LogTile.as_view(), name="audit-log-tile"),
]
