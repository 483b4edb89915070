"""Addresses of the registry below ``/api/v1/``."""

from django.urls import path, register_converter

from registry.api.converters import FilePathConverter, NameConverter, NumberConverter
from registry.api.views import (
    accounts,
    datasets,
    experiments,
    files,
    lineage,
    models,
    people,
    roles,
    signatures,
    uploads,
    versions,
    webhooks,
)

register_converter(NameConverter, "name")
register_converter(FilePathConverter, "file")
register_converter(NumberConverter, "number")

urlpatterns = [
    path("me", accounts.Me.as_view(), name="me"),
    path("tokens", accounts.Tokens.as_view(), name="tokens"),
    path("tokens/<slug:prefix>", accounts.Token.as_view(), name="token"),
    path("roles", roles.Roles.as_view(), name="roles"),
    path("accounts/<number:account>/erasure", people.Erasure.as_view(), name="erasure"),
    path("models", models.Models.as_view(), name="models"),
    path("models/<name:name>", models.Model.as_view(), name="model"),
    path("models/<name:name>/aliases", models.Aliases.as_view(), name="aliases"),
    path("models/<name:name>/aliases/<name:alias>", models.OneAlias.as_view(), name="alias"),
    path("models/<name:name>/versions", versions.Versions.as_view(), name="versions"),
    path("models/<name:name>/versions/<number:number>", versions.Version.as_view(), name="version"),
    path("models/<name:name>/versions/<number:number>/finish", versions.Finish.as_view(), name="version-finish"),
    path("models/<name:name>/versions/<number:number>/lineage", lineage.Lineage.as_view(), name="version-lineage"),
    path(
        "models/<name:name>/versions/<number:number>/signatures",
        signatures.Signatures.as_view(),
        name="version-signatures",
    ),
    path("models/<name:name>/versions/<number:number>/files", files.VersionFiles.as_view(), name="version-files"),
    path(
        "models/<name:name>/versions/<number:number>/files/<file:path>", files.Download.as_view(), name="version-file"
    ),
    path("uploads/<uuid:upload>", uploads.OneUpload.as_view(), name="upload"),
    path("uploads/<uuid:upload>/complete", uploads.CompleteUpload.as_view(), name="upload-complete"),
    path("datasets", datasets.Datasets.as_view(), name="datasets"),
    path("datasets/<name:name>", datasets.OneDataset.as_view(), name="dataset"),
    path("datasets/<name:name>/versions", datasets.DatasetVersions.as_view(), name="dataset-versions"),
    path("datasets/<name:name>/versions/<number:number>", datasets.OneDatasetVersion.as_view(), name="dataset-version"),
    path("datasets/<name:name>/versions/<number:number>/profile", datasets.Profile.as_view(), name="dataset-profile"),
    path("datasets/<name:name>/versions/<number:number>/file", datasets.Download.as_view(), name="dataset-download"),
    path("datasets/<name:name>/versions/<number:number>/files", files.DatasetFiles.as_view(), name="dataset-files"),
    path("datasets/<name:name>/versions/<number:number>/finish", datasets.Finish.as_view(), name="dataset-finish"),
    path("experiments", experiments.Experiments.as_view(), name="experiments"),
    path("experiments/<slug:experiment>", experiments.OneExperiment.as_view(), name="experiment"),
    path("experiments/<slug:experiment>/grants/<name:team>", experiments.Grant.as_view(), name="experiment-grant"),
    path("webhooks", webhooks.Webhooks.as_view(), name="webhooks"),
    path("webhook-events", webhooks.Events.as_view(), name="webhook-events"),
    path("webhooks/<uuid:webhook>", webhooks.OneWebhook.as_view(), name="webhook"),
    path("webhooks/<uuid:webhook>/test", webhooks.Sample.as_view(), name="webhook-test"),
    path("webhooks/<uuid:webhook>/deliveries", webhooks.Deliveries.as_view(), name="webhook-deliveries"),
    path("webhooks/<uuid:webhook>/deliveries/<uuid:delivery>", webhooks.OneDelivery.as_view(), name="webhook-delivery"),
    path(
        "webhooks/<uuid:webhook>/deliveries/<uuid:delivery>/redeliver",
        webhooks.Redelivery.as_view(),
        name="webhook-redeliver",
    ),
]
