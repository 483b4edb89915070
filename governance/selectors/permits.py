"""What is published of permits: trust root, status list, and each permit with all that proves it. Nothing here is secret."""

import json
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from audit import receipts
from audit.models import Entry
from audit.selectors import entries_about
from audit.tlog_proof import TlogProof
from audit.witnessing import selectors as witnessed
from config.errors import Conflict, NotFound
from governance.models import Permit, StatusList, TrustRoot
from governance.permits import dsse, signed, trust
from governance.permits.keyfiles import NoKey
from governance.states import PermitState

FILE_FORMAT = "countersign-permit-file/1"


class NoTrustRoot(NoKey):
    """The installation has no trust root, or its newest ended. No permit is made before there is one."""


def micro(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def trust_chain() -> list[str]:
    """Every version of the trust root, oldest first, as signed."""
    return list(TrustRoot.objects.order_by("version").values_list("envelope", flat=True))


def trust_root() -> str:
    """The newest version of the trust root, as signed. Raises ``NotFound``."""
    newest = TrustRoot.objects.order_by("-version").values_list("envelope", flat=True).first()
    if newest is None:
        raise NotFound("This installation has no trust root yet.", code="trust.none", remedy="manage.py setup_trust")
    return newest


def roots() -> str:
    """The whole chain as one JSON list, what ``verifier.py --chain`` takes."""
    return f"[{','.join(trust_chain())}]"


def current_root(at: datetime) -> trust.Document:
    """The newest trust root, after walking the whole chain. Raises ``NoTrustRoot``: none, broken, ended."""
    try:
        return trust.walk(trust_chain(), now=micro(at))
    except signed.Refused as refused:
        raise NoTrustRoot(f"the trust root does not hold: {refused}") from refused


def newest_list() -> StatusList | None:
    """The status list that is published, or None."""
    return StatusList.objects.exclude(envelope="").order_by("-pk").first()


def status_list() -> str:
    """The newest status list, as signed. It may be stale; whoever reads it must look. Raises ``NotFound``."""
    found = newest_list()
    if found is None:
        raise NotFound(
            "No status list has been signed yet.",
            code="permit.no_status",
            remedy="Wait for the countersigner's process.",
        )
    return found.envelope


def issuing_entry(permit: Permit) -> Entry | None:
    """The entry that issued it, or None while that waits for its place in the log."""
    return entries_about("governance.permit", str(permit.pk)).filter(action="permit.issued").first()


def permit_file(permit: Permit) -> str:
    """The permit with everything that proves it, for one file: ``.permit.json``, docs/auditors/permits.md.

    Raises ``Conflict`` while the log has not taken it in yet or no status list names it, and ``NotFound`` without any list.
    """
    entry = issuing_entry(permit)
    if entry is None:
        raise Conflict(
            "The permit has no place in the log yet.",
            code="permit.not_integrated",
            remedy="Try again in a second; if this stays, the sequencer is not running.",
        )
    size = witnessed.cosigned_size(entry.index + 1)
    if size is None:
        raise Conflict(
            "The permit's entry is not cosigned by enough witnesses yet.",
            code="permit.not_cosigned",
            remedy="Try again in a few seconds; if this stays, look at the page of the log.",
        )
    receipt = receipts.receipt_of(str(entry.entry_id), size=size)
    listed = json.loads(status_list())
    if str(permit.pk) not in _named(listed):
        raise Conflict(
            "No status list names the permit yet, so nobody outside would accept it.",
            code="permit.not_listed",
            remedy="Try again in a second; if this stays, the countersigner is not running.",
        )
    made = {
        "format": FILE_FORMAT,
        "envelope": json.loads(permit.envelope),
        "entry": receipt.leaf,
        "proof": str(TlogProof(receipt.index, receipt.hashes, witnessed.cosigned_note(size))),
        "trust": [json.loads(one) for one in trust_chain()],
        "status": listed,
    }
    return dsse.canonical(made).decode()


def _named(listed: dict[str, Any]) -> dict[str, str]:
    payload, _, _ = signed.opened(listed, dsse.STATUS, "the status list")
    named: dict[str, str] = json.loads(payload)["permits"]
    return named


def in_force(permit: Permit, *, at: datetime | None = None) -> bool:
    """What the server calls active: in that state, begun and not ended at ``at`` (now)."""
    moment = at or timezone.now()
    return permit.state == PermitState.ACTIVE and permit.not_before <= moment < permit.expires_at


def statement_of(permit: Permit) -> dict[str, Any]:
    """The signed statement, for reading; every permit here was verified before it was stored."""
    return statement_in(permit.envelope)


def statement_in(envelope: str) -> dict[str, Any]:
    """The statement in an envelope, unverified. Raises ``ValueError`` for what is none."""
    try:
        payload, _, _ = signed.opened(json.loads(envelope), dsse.PERMIT, "the permit")
        made: dict[str, Any] = json.loads(payload)
    except signed.Refused as refused:
        raise ValueError(f"the stored envelope of a permit is no DSSE envelope: {refused}") from refused
    return made


def signers_of(envelope: str) -> list[str]:
    """The ids of the keys that the envelope names."""
    return [one.get("keyid", "") for one in json.loads(envelope)["signatures"]]


def public_addresses() -> dict[str, str]:
    """Where trust root and status list are published, for programs without an account."""
    base = f"{settings.PUBLIC_URL}/trust"
    return {"root": f"{base}/root.json", "roots": f"{base}/roots.json", "status": f"{base}/permit-status.json",
            "verifier": f"{base}/verify_permit.py"}  # fmt: skip
