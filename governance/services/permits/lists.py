"""The status list: made by the issuer when a permit changed and every so often, countersigned, and only then published.

Wanted, signed by one, published: a row each, so that whoever dies in between leaves it to the next. A list that the
countersigner finds to promise more than the rows do is thrown away; the change that made it wrong has asked for another.
"""

import json
import logging
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit import notes
from audit.models import Checkpoint
from audit.selectors import head
from governance.models import Permit, StatusList
from governance.permits import dsse, signed, status, trust, verifier
from governance.selectors.permits import current_root, micro, newest_list, roots, trust_root
from governance.services.permits.issuing import countersigner_key, issuer_key
from governance.services.permits.scope import moment
from governance.states import PermitState

logger = logging.getLogger(__name__)

RENEWED: Final = 24
"""A list is made anew when this part of its life is over, so that a pause of the signers is not felt at once."""
KEPT: Final = timedelta(days=30)
FOLDER: Final = "trust"


def want() -> None:
    """Ask for a list, in the transaction of whoever learnt of a change. Repeated, it changes nothing."""
    if not StatusList.objects.filter(payload="").exists():
        StatusList.objects.create()


def prepare_due() -> bool:
    """Make and sign a list as the issuer, if one is wanted or the newest grows old; say whether one was made.

    Raises ``keyfiles.NoKey`` and ``signed.Refused``; the list stays wanted.
    """
    now = timezone.now()
    newest = StatusList.objects.exclude(payload="").order_by("-pk").first()
    grown = newest is None or newest.issued_at is None or now - newest.issued_at > _life() / RENEWED
    if not grown and not StatusList.objects.filter(payload="").exists():
        return False
    checkpoint = head()
    if checkpoint is None:
        return False
    root, key = current_root(now), issuer_key()
    with transaction.atomic():
        wanted = StatusList.objects.select_for_update().filter(payload="").order_by("pk").first() or StatusList()
        payload = _document(checkpoint, root, now)
        wanted.payload = payload.decode()
        wanted.issuer_key_id = signed.fingerprint(key.public_key())
        wanted.issuer_signature = dsse.signature(dsse.STATUS, payload, key)
        wanted.checkpoint_size, wanted.issued_at, wanted.valid_until = checkpoint.size, now, now + _life()
        wanted.save()
    return True


def countersign_newest() -> bool:
    """Sign the newest list as the countersigner and publish it, if it holds; say whether one was published.

    Raises ``keyfiles.NoKey`` and ``signed.Refused``.
    """
    waiting = StatusList.objects.exclude(payload="").filter(envelope="").order_by("-pk")
    if not waiting.exists():
        return False
    now = timezone.now()
    root, key = current_root(now), countersigner_key()
    with transaction.atomic():
        newest = waiting.select_for_update().first()
        if newest is None:
            return False
        waiting.exclude(pk=newest.pk).delete()
        payload = newest.payload.encode()
        if why := _wrong(payload, root, now):
            logger.warning("A status list is not countersigned: %s", why)
            newest.delete()
            return False
        signatures = {
            newest.issuer_key_id: bytes(newest.issuer_signature),
            signed.fingerprint(key.public_key()): dsse.signature(dsse.STATUS, payload, key),
        }
        made = dsse.envelope(dsse.STATUS, payload, signatures)
        outer = signed.load(made, "the status list")
        signed.check_threshold(outer, dsse.STATUS, *signed.role(root, "status"), "the status list")
        newest.envelope = made
        newest.save(update_fields=["envelope"])
        StatusList.objects.filter(made_at__lt=now - KEPT, pk__lt=newest.pk).delete()
    publish_files()
    return True


def publish_files() -> Path:
    """Write trust root, chain and newest list as files, DATA_DIR/trust: for web servers and disks that are not ours."""
    folder = Path(settings.DATA_DIR) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    newest = newest_list()
    contents = {"root.json": trust_root(), "roots.json": roots()}
    if newest is not None:
        contents["permit-status.json"] = newest.envelope
    for name, text in contents.items():
        draft = folder / f".{name}.{os.getpid()}"
        draft.write_text(text)
        draft.chmod(0o644)
        draft.replace(folder / name)
    return folder


def _life() -> timedelta:
    return timedelta(hours=settings.PERMIT_STATUS_HOURS)


def _document(checkpoint: Checkpoint, root: trust.Document, now: datetime) -> bytes:
    return status.document(
        {str(pk): state for pk, state in Permit.objects.order_by("pk").values_list("pk", "state")},
        origin=root["ledger"]["origin"],
        size=checkpoint.size,
        root=bytes(checkpoint.root).hex(),
        trust_root=root["version"],
        issued_at=micro(now),
        valid_until=micro(now + _life()),
    )


def _wrong(payload: bytes, root: trust.Document, now: datetime) -> str:
    """Why the countersigner would not say this now, or "". Less than what holds may be said, more may not."""
    said = json.loads(payload)
    issued, until = moment(said["issued_at"]), moment(said["valid_until"])
    if said["_type"] != status.STATUS_TYPE or said["trust_root"] != root["version"]:
        return "it is of another kind, or of another version of the trust root"
    if not now - _life() / 2 < issued <= now or until - issued > _life():
        return "it is too old, of the future, or would be good for too long"
    checkpoint = Checkpoint.objects.filter(size=said["checkpoint"]["size"]).first()
    if checkpoint is None or bytes(checkpoint.root).hex() != said["checkpoint"]["root"]:
        return "the log has no such checkpoint"
    name, _, key = verifier.vkey(root["ledger"]["vkey"], 1)
    try:
        signed = notes.verify_checkpoint(checkpoint.note, name, key)
    except notes.BadNote as bad:
        return f"its checkpoint is not signed by the log: {bad}"
    if (signed.size, signed.root) != (checkpoint.size, bytes(checkpoint.root)) or said["checkpoint"]["origin"] != name:
        return "its checkpoint is not what the log signed"
    states = {str(pk): state for pk, state in Permit.objects.values_list("pk", "state")}
    more = [pk for pk, state in said["permits"].items() if state == PermitState.ACTIVE and states.get(pk) != state]
    lost = [pk for pk in said["permits"] if pk not in states]
    return f"it calls {more[0]} active" if more else f"it names {lost[0]}, which there is not" if lost else ""
