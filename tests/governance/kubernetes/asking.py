"""AdmissionReviews as a cluster sends them."""

import json
from typing import Any
from uuid import uuid4

from governance.kubernetes.review import Ask, read

APPROVED = "a" * 64
STRANGE = "b" * 64
NAMESPACE = "credit"
_GROUPS = {"Pod": "", "InferenceService": "serving.kserve.io", "Job": "batch", "CronJob": "batch"}
Object = dict[str, Any]


def annotated(*digests: str, **more: str) -> dict[str, str]:
    """Annotations that declare the digests."""
    declared = {"countersign.dev/model-digest": ",".join(f"sha256:{digest}" for digest in digests)} if digests else {}
    return declared | {f"countersign.dev/{name.replace('_', '-')}": value for name, value in more.items()}


def pod(*digests: str, image: str = "server:1", **more: str) -> Object:
    """A pod with one container."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "scorer", "namespace": NAMESPACE, "annotations": annotated(*digests, **more)},
        "spec": {"containers": [{"name": "server", "image": image}]},
    }


def workload(kind: str, *digests: str, replicas: int = 1, image: str = "server:1", **more: str) -> Object:
    """A Deployment or the like, whose template declares the digests; what ``more`` annotates stands on itself."""
    template = {"metadata": pod(*digests)["metadata"], "spec": pod(image=image)["spec"]}
    spec: Object = {"replicas": replicas, "template": template}
    if kind == "CronJob":
        spec = {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": template}}}
    metadata = {"name": "scorer", "namespace": NAMESPACE, "annotations": annotated(**more)}
    return {"kind": kind, "metadata": metadata, "spec": spec}


def service(*digests: str, predictor: Object | None = None, **more: str) -> Object:
    """An InferenceService that loads one model from a bucket."""
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://models/credit-default/14"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "scorer", "namespace": NAMESPACE, "annotations": annotated(*digests, **more)},
        "spec": {"predictor": predictor or {"model": model}},
    }


def review(
    new: Object | None,
    *,
    old: Object | None = None,
    operation: str = "CREATE",
    sub_resource: str = "",
    dry_run: bool = False,
    user: str = "ada",
    groups: tuple[str, ...] = ("system:authenticated",),
    kind: str = "",
) -> Object:
    """What the API server sends, by the example in Kubernetes' documentation."""
    named = kind or (new or old or {})["kind"]
    group = _GROUPS.get(named, "apps")
    version = "v1beta1" if named == "InferenceService" else "v1"
    resource = {"group": group, "version": version, "resource": f"{named.lower()}s"}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": str(uuid4()),
            "kind": {"group": group, "version": version, "kind": named},
            "resource": resource,
            "subResource": sub_resource,
            "requestKind": {"group": group, "version": version, "kind": named},
            "requestResource": resource,
            "name": "scorer",
            "namespace": NAMESPACE,
            "operation": operation,
            "userInfo": {"username": user, "uid": "1", "groups": list(groups)},
            "object": new,
            "oldObject": old,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": f"{operation.title()}Options"},
            "dryRun": dry_run,
        },
    }


def asked(*args: Any, **given: Any) -> Ask:
    """The same, read."""
    return read(json.dumps(review(*args, **given)).encode())
