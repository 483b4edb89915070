"""Addresses of the registry's pages."""

from django.urls import path

from registry.ui.views import account, catalog, datasets, experiments, lineage, people, roles, versions, webhooks

VERSION = "models/<str:name>/versions/<int:number>/"

urlpatterns = [
    path("models/", catalog.models, name="models"),
    path("models/<str:name>/", catalog.model, name="model"),
    path(VERSION, versions.overview, name="version"),
    path(f"{VERSION}lineage/", versions.lineage, name="version-lineage"),
    path(f"{VERSION}checks/", versions.checks, name="version-checks"),
    path(f"{VERSION}artifacts/", versions.artifacts, name="version-artifacts"),
    path(f"{VERSION}card/", versions.card, name="version-card"),
    path(f"{VERSION}audit/", versions.audit, name="version-audit"),
    path(f"{VERSION}files/<path:path>", versions.file, name="version-file"),
    path("datasets/", datasets.index, name="datasets"),
    path("datasets/<str:name>/", datasets.detail, name="dataset"),
    path("datasets/<str:name>/versions/<int:number>/", datasets.version, name="dataset-version"),
    path("datasets/<str:name>/versions/<int:number>/file/", datasets.file, name="dataset-file"),
    path("datasets/<str:name>/versions/<int:number>/predictions/", datasets.predictions, name="dataset-predictions"),
    path("lineage/", lineage.index, name="lineage"),
    path("lineage/<uuid:pk>/", lineage.node, name="lineage-node"),
    path("experiments/", experiments.index, name="experiments"),
    path("experiments/<slug:tracking_id>/", experiments.detail, name="experiment"),
    path("experiments/<slug:tracking_id>/restrict/", experiments.restrict, name="experiment-restrict"),
    path("experiments/<slug:tracking_id>/grant/", experiments.grant, name="experiment-grant"),
    path("experiments/<slug:tracking_id>/grants/<int:team>/revoke/", experiments.revoke, name="experiment-revoke"),
    path("roles/", roles.index, name="roles"),
    path("account/", account.account, name="account"),
    path("account/tokens/<int:pk>/revoke/", account.token_revoke, name="token-revoke"),
    path("account/password/", account.password_change, name="password-change"),
    path("people/", people.index, name="people"),
    path("people/<int:pk>/erase/", people.erase, name="person-erase"),
    path("webhooks/", webhooks.index, name="webhooks"),
    path("webhooks/<uuid:pk>/", webhooks.detail, name="webhook"),
    path("webhooks/<uuid:pk>/test/", webhooks.test, name="webhook-test"),
    path("webhooks/<uuid:pk>/switch/", webhooks.switch, name="webhook-switch"),
    path("webhooks/<uuid:pk>/delete/", webhooks.delete, name="webhook-delete"),
    path("webhooks/<uuid:pk>/deliveries/<uuid:delivery>/again/", webhooks.again, name="webhook-again"),
    path("first-run/", account.first_run, name="first-run"),
]
