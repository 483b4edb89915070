"""How a permit is made, after the last signature has its place in the log. Two processes, one key each.

1. ``begin`` (follower, on ``promotion.approved``): the request gets the id of its one permit.
2. ``prepare_waiting`` (the issuer, in the sequencer's process): the statement, and the issuer's signature over it.
3. ``countersign_waiting`` (the countersigner, a process of its own): writes the statement anew from the rows, compares,
   checks each approval against the signed log, signs, and in the same transaction makes the permit, ends the one before
   it and moves the governed name.

Each step is one transaction that looks before it acts, so any of them may be cut short or repeated. What is refused keeps
its reason, is shown with it, and is tried again; no key, no trust root, no agreement: no permit.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from audit.actors import Actor
from audit.services import append
from config.errors import Refusal
from governance import guards
from governance.models import Permit, PermitIssuance, PromotionRequest
from governance.permits import dsse, keyfiles, signed, trust
from governance.permits.statement import Scope, statement
from governance.selectors.permits import current_root
from governance.services.permits import life, scope
from governance.services.transitions import locked
from governance.standing import standing_of
from governance.states import APPROVED, ISSUANCE_FOLLOWS, IssuanceState, PermitState

logger = logging.getLogger(__name__)

SIGNERS: Final = Actor.service("permits")
LONGEST_PAUSE: Final = 60
OLDEST_DRAFT: Final = timedelta(minutes=15)
"""A draft that waited longer for its countersignature is written anew, so that a permit begins when it is made."""
_STEP: Final = 50


class _Refuse(Exception):
    """The attempt ends here; the sentence is for people."""


def issuer_key() -> ec.EllipticCurvePrivateKey:
    """The key of this process, if it is the issuer's. Raises ``keyfiles.NoKey``."""
    return keyfiles.private(Path(settings.PERMIT_ISSUER_KEY or settings.KEYS_DIR / "permit-issuer.pem"))


def countersigner_key() -> ec.EllipticCurvePrivateKey:
    """The key of this process, if it is the countersigner's. Raises ``keyfiles.NoKey``."""
    return keyfiles.private(Path(settings.PERMIT_COUNTERSIGNER_KEY or settings.KEYS_DIR / "permit-countersigner.pem"))


def begin(request_id: UUID) -> None:
    """Give the approved request the id of its one permit. Repeated, it changes nothing."""
    request = PromotionRequest.objects.filter(pk=request_id, state__in=APPROVED, permit=None).first()
    if request is not None:
        PermitIssuance.objects.get_or_create(request=request)


def prepare_waiting() -> int:
    """Sign, as the issuer, every statement that is due; return how many were signed."""
    now = timezone.now()
    due = Q(state=IssuanceState.WAITING) | Q(state=IssuanceState.REFUSED, retry_at__lte=now)
    due |= Q(state=IssuanceState.PREPARED, prepared_at__lt=now - OLDEST_DRAFT)
    waiting = PermitIssuance.objects.filter(due).order_by("begun_at").values_list("pk", flat=True)[:_STEP]
    return sum(_alone(pk, partial(_prepare, pk, due)) for pk in list(waiting))


@transaction.atomic
def _prepare(pk: UUID, due: Q) -> bool:
    mine = PermitIssuance.objects.select_for_update(of=("self",), skip_locked=True).filter(due, pk=pk)
    issuance = mine.select_related("request__version__model", "request__policy_version__policy").first()
    if issuance is None:
        return False
    now = timezone.now()

    def attempt() -> None:
        key, root = issuer_key(), current_root(now)
        key_id = _own_id(key, root, "permit")
        said = scope.scope_of(issuance.request, issuance.permit_id, at=now)
        payload = statement(said)
        issuance.payload = payload.decode()
        issuance.issuer_key_id = key_id
        issuance.issuer_signature = dsse.signature(dsse.PERMIT, payload, key)
        issuance.prepared_at, issuance.retry_at, issuance.problem = now, None, ""
        issuance.state = IssuanceState.PREPARED
        issuance.save()

    return _attempt(issuance, attempt)


def countersign_waiting() -> int:
    """Make the permit of every statement that the issuer signed and that holds; return how many were made."""
    waiting = PermitIssuance.objects.filter(state=IssuanceState.PREPARED).order_by("prepared_at")
    return sum(_alone(pk, partial(_countersign, pk)) for pk in list(waiting.values_list("pk", flat=True)[:_STEP]))


@transaction.atomic
def _countersign(pk: UUID) -> bool:
    request = locked(pk)
    issuance = PermitIssuance.objects.select_for_update(of=("self",)).get(pk=pk)
    if issuance.state != IssuanceState.PREPARED:
        return False  # another countersigner was here, or the issuer writes it anew

    def attempt() -> None:
        now = timezone.now()
        key, root = countersigner_key(), current_root(now)
        if request.state not in APPROVED:
            raise scope.NoLonger(f"{request.ref} is {request.get_state_display().lower()}")
        guards.check_log_holds()
        said, signatures = _agreed(issuance, request, key, root, now)
        _make(request, said, dsse.envelope(dsse.PERMIT, issuance.payload.encode(), signatures), issuance.issuer_key_id)
        issuance.state, issuance.problem, issuance.ended_at = IssuanceState.ISSUED, "", now
        issuance.save()

    return _attempt(issuance, attempt)


def _alone(pk: UUID, act: Callable[[], bool]) -> bool:
    """One that fails in a way nobody foresaw holds up no other; a server that is away holds up all."""
    try:
        return act()
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("The permit of request %s could not be worked on", pk)
        return False


def _agreed(
    issuance: PermitIssuance,
    request: PromotionRequest,
    key: ec.EllipticCurvePrivateKey,
    root: trust.Document,
    now: datetime,
) -> tuple[Scope, dict[str, bytes]]:
    """The scope and both signatures, if the countersigner would have written the very same statement."""
    payload = issuance.payload.encode()
    began = scope.moment(signed.load(payload, "the statement")["predicate"]["not_before"])
    if not now - OLDEST_DRAFT <= began <= now:
        raise _Refuse("the issuer's statement is too old, or of the future")
    said = scope.scope_of(request, issuance.permit_id, at=began)
    scope.scope_of(request, issuance.permit_id, at=now)  # still complete
    if statement(said) != payload:
        raise _Refuse("the issuer's statement is not what the countersigner would write; it is written anew")
    scope.check_logged(said, scope.approvals_of(request, standing_of(request, at=began)), root)
    own = _own_id(key, root, "permit")
    signatures = {
        issuance.issuer_key_id: bytes(issuance.issuer_signature),
        own: dsse.signature(dsse.PERMIT, payload, key),
    }
    keys, threshold = signed.role(root, "permit")
    made = signed.load(dsse.envelope(dsse.PERMIT, payload, signatures), "the permit")
    signed.check_threshold(made, dsse.PERMIT, keys, threshold, "the permit")
    return said, signatures


def _make(request: PromotionRequest, said: Scope, envelope: str, key_id: str) -> None:
    """Store the permit, end the one before it, move the name; the caller holds all locks."""
    living = Permit.objects.filter(model=request.model, target=request.target, state__in=life.LIVING)
    for old in living.select_for_update(of=("self",)):
        why = f"Superseded by the permit of {request.ref}."
        life.end(old, PermitState.SUPERSEDED, why, by=SIGNERS, successor=UUID(said.permit))
    permit = Permit.objects.create(
        id=UUID(said.permit),
        request=request,
        version=request.version,
        model=request.model,
        target=request.target,
        manifest_digest=request.manifest_digest,
        envelope=envelope,
        key_id=key_id,
        not_before=scope.moment(said.not_before),
        expires_at=scope.moment(said.expires_at),
    )
    append(
        action="permit.issued",
        subject=permit,
        by=SIGNERS,
        facts={
            "request": str(request.pk),
            "payload_digest": dsse.digest(statement(said)),
            "key_id": key_id,
            "manifest_digest": request.manifest_digest,
        },
    )
    life.move_target(permit, by=SIGNERS)


def _own_id(key: ec.EllipticCurvePrivateKey, root: trust.Document, role: str) -> str:
    own = signed.fingerprint(key.public_key())
    if own not in root["roles"][role]["keyids"]:
        raise _Refuse(
            f"the key {own[:16]} of this process has not the role “{role}” in version {root['version']} of the trust root"
        )
    return own


def _attempt(issuance: PermitIssuance, act: Callable[[], None]) -> bool:
    """Do it all, or do nothing but write down why not."""
    try:
        with transaction.atomic():
            act()
    except scope.NoLonger as gone:
        _put_off(issuance, IssuanceState.ABANDONED, f"What was approved no longer holds: {gone}")
    except (Refusal, _Refuse, keyfiles.NoKey, signed.Refused, IntegrityError, ValueError) as refused:
        _put_off(issuance, IssuanceState.REFUSED, str(refused))
    else:
        return True
    return False


def _put_off(issuance: PermitIssuance, state: IssuanceState, why: str) -> None:
    was = PermitIssuance.objects.get(pk=issuance.pk)
    if state not in ISSUANCE_FOLLOWS[IssuanceState(was.state)]:
        raise ValueError(f"an issuance that is {was.state} cannot become {state}")
    now = timezone.now()
    was.state, was.problem, was.attempts = state, why, was.attempts + 1
    was.retry_at = now + timedelta(seconds=min(2 ** min(was.attempts, 10), LONGEST_PAUSE))
    if state == IssuanceState.ABANDONED:
        was.retry_at, was.ended_at = None, now
    was.save()
    logger.warning("No permit for request %s: %s", issuance.pk, why)
