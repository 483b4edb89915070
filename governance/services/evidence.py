"""The evidence bundle of an approved request: what an auditor verifies on a laptop, without us."""

import io
from typing import IO, Any

from django.db import transaction

from audit import keys
from audit.actors import Actor
from audit.canonical import canonical
from audit.exports.bundle import write_bundle
from audit.selectors import entry_of
from audit.services import append
from config.errors import Conflict
from governance import guards
from governance.models import CheckRun, Decision, EvidenceSnapshot, Permit, PromotionRequest
from governance.services.checks import error_document
from registry.models import Manifest
from registry.storage import blobs

_MEMBERS = tuple[str, bytes]


def export_bundle(*, request: PromotionRequest, by: Actor, out: IO[bytes]) -> int:
    """Write the bundle of docs/auditors/bundle.md to ``out``, log the export, and return the size of the log it rests on.

    Raises ``NotFound`` for whoever may not see the request, and ``Conflict`` if it was not approved, or so lately that its
    signatures have no place in the log yet (a second at most).
    """
    guards.check_can_export(by, request)
    permit = Permit.objects.filter(request=request).first()
    if permit is None:
        raise Conflict(
            f"{request.ref} has no permit, so there is nothing that a bundle could prove.", code="evidence.no_permit"
        )
    decisions = list(request.decisions.order_by("signed_at", "pk"))
    _check_sequenced(decisions)
    runs = list(CheckRun.objects.filter(request=request, round=request.round).order_by("position"))
    members, subjects = _members(request, permit, decisions, runs), _subjects(request, permit, decisions, runs)
    size = write_bundle(out, members=members, subjects=subjects)
    with transaction.atomic():
        append(action="evidence.exported", subject=request, by=by, facts={"log_size": size, "permit": str(permit.pk)})
    return size


def bundle_bytes(*, request: PromotionRequest, by: Actor) -> bytes:
    """The same, in memory: a bundle holds digests and documents, not the model's files."""
    out = io.BytesIO()
    export_bundle(request=request, by=by, out=out)
    return out.getvalue()


def _check_sequenced(decisions: list[Decision]) -> None:
    last = decisions[-1].entry_id if decisions else ""
    if entry_of(last) is None:
        raise Conflict(
            "The last signature has no place in the log yet.",
            code="evidence.not_sequenced",
            remedy="Try again in a second; if this stays, the sequencer is not running.",
        )


def _subjects(
    request: PromotionRequest, permit: Permit, decisions: list[Decision], runs: list[CheckRun]
) -> list[tuple[str, str]]:
    """Every object whose whole story belongs into the bundle."""
    found = [("governance.promotionrequest", str(request.pk)), ("governance.permit", str(permit.pk))]
    found += [("governance.decision", str(one.pk)) for one in decisions]
    found += [("governance.checkrun", str(one.pk)) for one in runs]
    found += [("governance.waiver", str(one.pk)) for one in request.waivers.all()]
    found += [
        ("governance.policyversion", str(request.policy_version_id)),
        ("registry.modelversion", str(request.version_id)),
    ]
    return found


def _members(
    request: PromotionRequest, permit: Permit, decisions: list[Decision], runs: list[CheckRun]
) -> list[_MEMBERS]:
    snapshot = EvidenceSnapshot.objects.get(digest=request.evidence_digest)
    manifest = Manifest.objects.get(digest=request.manifest_digest)
    members = [
        ("request.json", canonical(_request_document(request, permit))),
        ("permit/permit.dsse.json", permit.envelope.encode()),
        ("keys/permit.pub.pem", keys.public_pem(keys.permit_key().public_key())),
        ("policy/policy.yaml", request.policy_version.document.encode()),
        ("artifact/manifest.json", manifest.document.encode()),
        ("evidence/snapshot.json", snapshot.document.encode()),
    ]
    members += [(f"decisions/{one.pk}.json", one.record.encode()) for one in decisions]
    members += [(f"checks/{run.key}.json", result_bytes(run)) for run in runs]
    if snapshot.lineage:
        members.append(("lineage/prov.json", snapshot.lineage.encode()))
    return members


def result_bytes(run: CheckRun) -> bytes:
    """The bytes that ``result_digest`` covers: the stored result, or the document of the error."""
    if run.result_blob_id is None:
        return error_document(run)
    with blobs().open(run.result_blob_id) as stream:
        return stream.read()


def _request_document(request: PromotionRequest, permit: Permit) -> dict[str, Any]:
    """For people; nothing rests on it but the id."""
    return {
        "id": str(request.pk),
        "ref": request.ref,
        "model": request.model.name,
        "version": request.version.number,
        "target": request.target,
        "intended_use": request.intended_use,
        "state": request.state,
        "round": request.round,
        "requested_by": request.requested_by.get_username(),
        "requested_at": request.created_at.isoformat(),
        "closed_at": request.closed_at.isoformat() if request.closed_at else "",
        "policy": str(request.policy_version),
        "permit": str(permit.pk),
        "permit_state_at_export": permit.state,
        "comments": [
            {"author": one.author.get_username(), "at": one.created_at.isoformat(), "text": one.text}
            for one in request.comments.select_related("author")
        ],
    }
