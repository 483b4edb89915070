"""Addresses below /api/v1/audit/ and, for tools of tiled logs, /api/v1/log/."""

from django.urls import path

from audit.api import keeping, status, tiles, views

urlpatterns = [
    path("audit/entries/", views.EntryList.as_view(), name="audit-entries"),
    path("audit/entries/<int:index>/", views.EntryDetail.as_view(), name="audit-entry"),
    path("audit/holds/", keeping.Holds.as_view(), name="audit-holds"),
    path("audit/holds/<int:hold>/release/", keeping.Release.as_view(), name="audit-hold-release"),
    path("audit/retention/", keeping.Rules.as_view(), name="audit-retention"),
    path("audit/retention/<int:rule>/", keeping.Rule.as_view(), name="audit-retention-rule"),
    path("audit/checkpoint/", views.LatestCheckpoint.as_view(), name="audit-checkpoint"),
    path("audit/consistency/", views.ConsistencyProof.as_view(), name="audit-consistency"),
    path("audit/status/", status.LogStatusView.as_view(), name="audit-status"),
    path("audit/verifications/", status.Verifications.as_view(), name="audit-verifications"),
    path("audit/verifications/<int:verification>/", status.VerificationDetail.as_view(), name="audit-verification"),
    # Without a slash at the end: these are the names that C2SP tools append to a prefix.
    path("log/checkpoint", tiles.LogCheckpoint.as_view(), name="audit-log-checkpoint"),
    path("log/tile/<path:path>", tiles.LogTile.as_view(), name="audit-log-tile"),
]
