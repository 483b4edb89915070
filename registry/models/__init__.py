"""Data of the registry: accounts, catalogue, artifacts, lineage."""

from registry.models.accounts import ApiToken, RoleGrant, User
from registry.models.artifacts import Blob, Manifest, ManifestFile, Upload
from registry.models.catalog import (
    Alias,
    IdempotencyKey,
    ModelTag,
    ModelVersion,
    RegisteredModel,
    RegisteredModelGroupObjectPermission,
    RegisteredModelUserObjectPermission,
    VersionTag,
)
from registry.models.datasets import Dataset, DatasetVersion, HoldoutAttempt
from registry.models.experiments import Experiment, ExperimentGroupObjectPermission
from registry.models.lineage import Edge, Node
from registry.models.signatures import ModelSignature
from registry.models.webhooks import Webhook, WebhookDelivery

__all__ = [
    "Alias",
    "ApiToken",
    "Blob",
    "Dataset",
    "DatasetVersion",
    "Edge",
    "Experiment",
    "ExperimentGroupObjectPermission",
    "HoldoutAttempt",
    "IdempotencyKey",
    "Manifest",
    "ManifestFile",
    "ModelSignature",
    "ModelTag",
    "ModelVersion",
    "Node",
    "RegisteredModel",
    "RegisteredModelGroupObjectPermission",
    "RegisteredModelUserObjectPermission",
    "RoleGrant",
    "Upload",
    "User",
    "VersionTag",
    "Webhook",
    "WebhookDelivery",
]
