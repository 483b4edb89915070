"""The evidence snapshot: what a signer signs on, as one canonical document whose digest every signature carries."""

import hashlib
import json
from collections.abc import Sequence

from django.utils import timezone

from audit.actors import Actor
from audit.canonical import Json, canonical
from audit.services import append
from governance.models import CheckRun, EvidenceSnapshot, PromotionRequest, Waiver
from governance.services.planned import not_applicable
from governance.services.transitions import move
from governance.standing import Standing, filled_card, standing_of
from governance.states import RequestState
from registry.formats import prov
from registry.selectors.lineage import node_of, upstream

FORMAT = "countersign-evidence/1"


def finish_checks(request: PromotionRequest, *, by: Actor) -> None:
    """Judge the finished round of the (locked) request: take the snapshot and move to ready or checks_failed.

    Also called when a waiver was granted; the request then stays in checks_failed if something else is not met.
    """
    standing = standing_of(request, at=timezone.now())
    snapshot = take_snapshot(request)
    request.evidence_digest = snapshot.digest
    ready = standing.verdict.ready_for_review
    to = RequestState.READY if ready else RequestState.CHECKS_FAILED
    if request.state == to:
        request.save(update_fields=["evidence_digest", "updated_at"])
        facts = {
            "evidence_digest": snapshot.digest,
            "verdict": standing.verdict.status.value,
            "blocking": _blocking(standing),
        }
        append(action="promotion.evidence_renewed", subject=request, by=by, facts=facts)
        return
    move(
        request,
        to,
        action="promotion.checks_finished",
        by=by,
        facts={
            "evidence_digest": snapshot.digest,
            "verdict": standing.verdict.status.value,
            "blocking": _blocking(standing),
        },
    )


def _blocking(standing: Standing) -> list[Json]:
    branches = (standing.verdict.checks, standing.verdict.card)
    return [node.key for branch in branches for node in branch.walk() if not node.children and not node.status.good]


def take_snapshot(request: PromotionRequest) -> EvidenceSnapshot:
    """Store the snapshot of the present round and return it. The same evidence gives the same row."""
    lineage = lineage_text(request)
    document = snapshot_document(request, lineage)
    digest = hashlib.sha256(document).hexdigest()
    snapshot, _ = EvidenceSnapshot.objects.get_or_create(
        digest=digest,
        defaults={
            "request": request,
            "round": request.round,
            "document": document.decode(),
            "lineage": lineage,
            "items": len(_runs(request)),
        },
    )
    return snapshot


def current_digest(request: PromotionRequest) -> str:
    """Digest of the snapshot as it would be taken now. Differs from the request's if any evidence has changed."""
    return hashlib.sha256(snapshot_document(request, lineage_text(request))).hexdigest()


def snapshot_document(request: PromotionRequest, lineage: str) -> bytes:
    """Canonical JSON over everything a signer relies on; by digest where it is long."""
    runs = _runs(request)
    datasets = {str(run.dataset_id): run.dataset for run in runs if run.dataset is not None}
    return canonical(
        {
            "format": FORMAT,
            "request": str(request.pk),
            "round": request.round,
            "model": request.model.name,
            "version": request.version.number,
            "target": request.target,
            "intended_use": request.intended_use,
            "replaces": request.replaces.manifest_digest if request.replaces else "",
            "manifest_digest": request.version.manifest_digest,
            "policy_digest": request.policy_version.digest,
            "card_digest": hashlib.sha256(canonical(filled_card(request.model))).hexdigest(),
            "lineage_digest": hashlib.sha256(lineage.encode()).hexdigest() if lineage else "",
            "datasets": [
                {"name": one.dataset.name, "number": one.number, "digest": one.digest}
                for _, one in sorted(datasets.items())
            ],
            "checks": [_check(run) for run in runs],
            "waivers": [_waiver(one) for one in request.waivers.order_by("pk") if one.granted_at is not None],
        }
    )


def lineage_text(request: PromotionRequest) -> str:
    """PROV-JSON of everything upstream of the version, or "" if no lineage was recorded for it. Deterministic."""
    node = node_of(request.version)
    if node is None:
        return ""
    document = prov.document(upstream(node))
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _runs(request: PromotionRequest) -> Sequence[CheckRun]:
    runs = CheckRun.objects.filter(request=request, round=request.round).order_by("position")
    return list(runs.select_related("dataset__dataset"))


def _check(run: CheckRun) -> dict[str, Json]:
    return {
        "key": run.key,
        "check": str(run.requirement.get("use", run.key)),
        "verdict": run.verdict,
        "result_digest": run.result_digest,
        "dataset_digest": run.dataset.digest if run.dataset else "",
        **not_applicable(run),
    }


def _waiver(waiver: Waiver) -> dict[str, Json]:
    return {
        "id": str(waiver.pk),
        "check_run": str(waiver.check_run_id),
        "reason": waiver.reason,
        "until": int(waiver.until.timestamp() * 1_000_000),
    }
