"""Waivers: the one dated way past a check that did not pass. Asked with a reason, signed by those the policy names."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from audit.actors import Actor
from audit.services import append
from config.errors import Conflict, Invalid, NotAllowed, NotFound
from governance import guards
from governance.models import CheckRun, PromotionRequest, Waiver, WaiverSignature
from governance.services.identity import authenticate, log_refusal
from governance.services.snapshots import finish_checks
from governance.services.transitions import locked
from governance.standing import policy_of, standing_of


@transaction.atomic
def ask(*, request: PromotionRequest, check_run_id: UUID, reason: str, until: datetime, by: Actor) -> Waiver:
    """Ask to let one check's result stand until a day. Raises ``NotAllowed``, ``Conflict`` and ``Invalid``."""
    request = locked(request.pk)
    run = CheckRun.objects.filter(pk=check_run_id, request=request).first()
    if run is None:
        raise Invalid("There is no such check in this request.", code="waiver.check", field="check_run_id")
    guards.check_can_ask_waiver(by, request, run)
    guards.check_waiver_until(request, until, timezone.now())
    verdict = standing_of(request, at=timezone.now()).verdict
    node = next((node for node in verdict.checks.children if node.key == f"checks/{run.key}"), None)
    if node is None or node.status.good:
        raise Conflict(f"“{run.title}” needs no waiver.", code="waiver.not_needed")
    if Waiver.objects.filter(request=request, check_run=run).exists():
        raise Conflict(f"A waiver for “{run.title}” was asked for already.", code="waiver.asked")
    waiver = Waiver.objects.create(
        request=request,
        check_run=run,
        reason=guards.text_of(reason, field="reason"),
        until=until,
        asked_by=guards.person(by),
    )
    append(
        action="waiver.asked", subject=waiver, by=by, reason=waiver.reason,
        facts={"request": str(request.pk), "check": run.key, "result_digest": run.result_digest, "until": _micro(until)},
    )  # fmt: skip
    return waiver


def sign(*, waiver_id: UUID, password: str, by: Actor) -> Waiver:
    """Agree to a waiver, with the password. The last signature wanted grants it and has the request judged again.

    Raises ``NotFound``, ``NotAllowed``, ``TooMany`` and ``Conflict``; a refused attempt is logged.
    """
    waiver = Waiver.objects.select_related("request__model").filter(pk=waiver_id).first()
    if waiver is None:
        raise NotFound("There is no such waiver, or you may not see it.", code="waiver.unknown")
    guards.check_can_see(by, waiver.request.model)
    guards.check_log_holds()
    authenticate(by, waiver.request, password)
    try:
        return _sign(waiver, by)
    except NotAllowed as refusal:
        with transaction.atomic():
            log_refusal(by, waiver.request, refusal)
        raise


@transaction.atomic
def _sign(waiver: Waiver, by: Actor) -> Waiver:
    request = locked(waiver.request_id)
    waiver = Waiver.objects.select_for_update(of=("self",)).select_related("check_run").get(pk=waiver.pk)
    guards.check_can_sign_waiver(by, request, waiver)
    signers = [*waiver.signatures.values_list("person_id", flat=True), guards.person(by).pk]
    waiver.__dict__["ledger_signers"] = signers
    entry_id = append(
        action="waiver.signed",
        subject=waiver,
        by=by,
        facts={"request": str(request.pk), "check": waiver.check_run.key, "until": _micro(waiver.until)},
    )
    WaiverSignature.objects.create(waiver=waiver, person=guards.person(by), entry_id=entry_id)
    rule = policy_of(request.policy_version).waivers
    if rule is not None and waiver.signatures.count() >= rule.by.n:
        waiver.granted_at = timezone.now()
        waiver.save(update_fields=["granted_at"])
        append(
            action="waiver.granted",
            subject=waiver,
            by=by,
            facts={"request": str(request.pk), "check": waiver.check_run.key},
        )
        finish_checks(request, by=by)
    return waiver


def _micro(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
