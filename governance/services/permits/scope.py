"""What the permit of an approved request says. Both signers ask here, so that their bytes can only be equal or disagree."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from audit.models import Entry
from audit.receipts import receipt_of
from audit.selectors import entry_of
from audit.tlog_proof import TlogProof
from config.errors import Conflict
from governance.models import CheckRun, Decision, Permit, PromotionRequest
from governance.permits import trust, verifier
from governance.permits.statement import Approval, Check, Quorum, Scope, WaiverNote
from governance.policy import Policy, fill
from governance.selectors.permits import micro
from governance.services.permits.life import LIVING
from governance.standing import Standing, person_id, standing_of
from registry.models import Manifest

LONGEST_LIFE: Final = timedelta(days=365)


class NoLonger(Exception):
    """The approval is there, and what it rests on is not any more. Trying again would not help."""


def scope_of(request: PromotionRequest, permit_id: UUID, *, at: datetime) -> Scope:
    """What the request's permit says if it begins ``at``: it ends with the policy's time, or with the first waiver.

    Raises ``NoLonger`` if the verdict is not complete at that moment, and ``Conflict`` while a signature has no place in
    the log.
    """
    standing = standing_of(request, at=at)
    if not standing.verdict.approved:
        node = next(iter(standing.verdict.blocking()), None)
        raise NoLonger(f"{node.label}: {node.reason}" if node else "the verdict of the policy is not complete")
    policy, facts = standing.policy, standing.facts
    runs = CheckRun.objects.filter(request=request, round=request.round).order_by("position")
    waived = {node.waiver for node in standing.verdict.root.walk() if node.waiver}
    waivers = [
        WaiverNote(one.id, one.key, one.reason, micro(one.expires_at)) for one in facts.waivers if one.id in waived
    ]
    decisions = approvals_of(request, standing)
    previous = Permit.objects.filter(model=request.model, target=request.target, state__in=LIVING).first()
    return Scope(
        permit=str(permit_id),
        request=str(request.pk),
        model=request.model.name,
        version=request.version.number,
        target=request.target,
        manifest_digest=request.manifest_digest,
        files=_files(request.manifest_digest),
        intended_use=request.intended_use,
        namespaces=list(policy.namespaces),
        not_before=micro(at),
        expires_at=min([micro(at + _life(policy)), *(one.until for one in waivers)]),
        policy={"name": policy.name, "digest": policy.digest},
        evidence_digest=request.evidence_digest,
        checks=[Check(run.key, run.verdict, run.result_digest) for run in runs],
        quorum=[Quorum(index, slots.role, slots.n) for index, stage in enumerate(policy.review) for slots in stage.all],
        approvals=[_approval(decision) for decision in decisions],
        waivers=waivers,
        conditions=[decision.conditions for decision in decisions if decision.conditions],
        supersedes=str(previous.pk) if previous else "",
    )


def approvals_of(request: PromotionRequest, standing: Standing) -> list[Decision]:
    """The decisions that fill the places of the review, in the order of signing."""
    ids = [one.signature.id for one in fill(standing.policy, standing.facts) if one.signature is not None]
    return list(request.decisions.filter(pk__in=ids).select_related("person").order_by("signed_at", "pk"))


def check_logged(scope: Scope, decisions: list[Decision], root: trust.Document) -> None:
    """Every approval is the record that its signer's entry in the signed log names, about these bytes.

    What the countersigner asks beside comparing statements: the rows alone do not convince it. Raises ``Conflict``.
    """
    name, _, key = verifier.vkey(root["ledger"]["vkey"], 1)
    for approval, decision in zip(scope.approvals, decisions, strict=True):
        receipt = receipt_of(approval.entry_id)
        proof = TlogProof(receipt.index, receipt.hashes, receipt.checkpoint)
        proof.verify(receipt.leaf_hash, name, key)
        body: dict[str, Any] = json.loads(receipt.leaf)["body"]
        record = json.loads(decision.record)
        facts = body["facts"]
        if not (
            receipt.index == approval.leaf_index
            and body["action"] == "decision.signed"
            and body["actor"]["id"] == approval.person == record["person"]
            and facts["request"] == record["request"] == scope.request
            and facts["record_digest"] == approval.record_digest == hashlib.sha256(decision.record.encode()).hexdigest()
            and facts["manifest_digest"] == record["manifest_digest"] == scope.manifest_digest
            and facts["policy_digest"] == record["policy_digest"] == scope.policy["digest"]
            and facts["evidence_digest"] == record["evidence_digest"] == scope.evidence_digest
        ):
            raise Conflict(
                f"The signature of {approval.person} is not what the log says it is.",
                code="permit.signature_differs",
                remedy="An auditor must look: manage.py audit_verify, and the decision's entry.",
            )


def moment(microseconds: int) -> datetime:
    """The moment, exactly."""
    return datetime.fromtimestamp(microseconds // 1_000_000, tz=UTC).replace(microsecond=microseconds % 1_000_000)


def _files(manifest_digest: str) -> dict[str, str]:
    document = json.loads(Manifest.objects.get(digest=manifest_digest).document)
    return {one["path"]: one["sha256"] for one in document["files"]}


def _approval(decision: Decision) -> Approval:
    entry: Entry | None = entry_of(decision.entry_id)
    if entry is None:
        raise Conflict("A signature has no place in the log yet.", code="permit.not_integrated")
    return Approval(
        person=person_id(decision.person),
        stage=decision.stage,
        role=decision.role,
        outcome=decision.outcome,
        meaning=decision.meaning,
        record_digest=decision.record_digest,
        entry_id=decision.entry_id,
        leaf_index=entry.index,
    )


def _life(policy: Policy) -> timedelta:
    return timedelta(days=policy.valid_days) if policy.valid_days else LONGEST_LIFE
