"""The documents that a report's digests name, byte for byte, to be attached to it."""

from governance.documents.packs.common import json_file
from governance.documents.shape import File
from governance.models import EvidenceSnapshot, Permit, PromotionRequest


def files_of(request: PromotionRequest, permit: Permit | None, *, lineage: bool) -> list[File]:
    """Policy, manifest, evidence, permit and signed records of a request, as far as they are there; ``lineage``: that, too."""
    version = request.version
    found = [
        json_file(
            "policy.yaml", request.policy_version.document, "The policy, byte for byte as adopted", "application/yaml"
        )
    ]
    if version.manifest is not None:
        found.append(json_file("manifest.json", version.manifest.document, "Every sealed file: path, size, SHA-256"))
    snapshot = EvidenceSnapshot.objects.filter(digest=request.evidence_digest).first()
    if snapshot is not None:
        found.append(json_file("evidence.json", snapshot.document, "The evidence that was signed on"))
        if snapshot.lineage and lineage:
            found.append(json_file("prov.json", snapshot.lineage, "The lineage, as W3C PROV-JSON"))
    if permit is not None:
        found.append(
            json_file(
                "permit.dsse.json", permit.envelope, "The permit, as it was signed", "application/vnd.in-toto+json"
            )
        )
    return found + [
        json_file(f"signature-{place}.json", one.record, "A record that was signed, canonical JSON")
        for place, one in enumerate(request.decisions.order_by("signed_at", "pk"), 1)
    ]
