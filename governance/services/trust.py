"""The trust root of an installation: made once with its keys, then only followed by what its offline keys signed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from audit import keys, notes
from audit.actors import SYSTEM
from audit.services import append
from audit.witnessing import configured
from audit.witnessing.cosignatures import ED25519
from config.errors import Conflict, Invalid
from governance.models import Permit, TrustRoot
from governance.permits import dsse, keyfiles, signed, trust
from governance.selectors.permits import micro, trust_chain

ROOT_KEYS: Final = 2
DAYS: Final = 365
_LOCK: Final = 0x74727573  # one start-up at a time


@dataclass(frozen=True, slots=True)
class Places:
    """Where the private keys of a new installation are made."""

    issuer: Path
    countersigner: Path
    offline: Path

    @classmethod
    def default(cls) -> "Places":
        """Those of the settings; the offline keys where no server looks."""
        return cls(
            issuer=Path(settings.PERMIT_ISSUER_KEY or settings.KEYS_DIR / "permit-issuer.pem"),
            countersigner=Path(settings.PERMIT_COUNTERSIGNER_KEY or settings.KEYS_DIR / "permit-countersigner.pem"),
            offline=Path(settings.OFFLINE_KEYS_DIR),
        )


@dataclass(frozen=True, slots=True)
class SetUp:
    """What ``set_up`` did: the version in force, and the offline keys if it made them."""

    version: int
    expires_at: datetime
    offline_keys: tuple[Path, ...]


@transaction.atomic
def set_up(places: Places, *, witnesses: Sequence[str] = (), quorum: int = 0) -> SetUp:
    """Make keys and version 1 of the trust root, unless there is one. Needs the owner's role.

    Permits of an installation older than the two signers stay verifiable: their key gets the role ``permit-v1``, and can
    sign none of the new kind. Raises ``keyfiles.NoKey`` and ``Refused``.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    newest = TrustRoot.objects.order_by("-version").first()
    if newest is not None:
        return SetUp(newest.version, newest.expires_at, ())
    offline = tuple(places.offline / f"offline-root-{number}.pem" for number in range(1, ROOT_KEYS + 1))
    for path in (places.issuer, places.countersigner, *offline):
        keyfiles.make(path)
    signers = [keyfiles.public(keyfiles.public_path(path)) for path in (places.issuer, places.countersigner)]
    by_role = {
        "root": [keyfiles.public(keyfiles.public_path(path)) for path in offline],
        "permit": signers,
        "status": signers,
    }
    if (old := _key_of_old_permits()) is not None:
        by_role["permit-v1"] = [old]
    ledger = keys.ledger_public_key()
    contents = trust.Contents(
        keys=by_role,
        ledger_origin=keys.origin(ledger),
        ledger_vkey=notes.verifier_key(keys.origin(ledger), ledger),
        witnesses=witnesses,
        witness_quorum=quorum,
    )
    made = trust.document(contents, version=1, now=micro(timezone.now()), days=DAYS)
    row = _adopt(trust.sign(trust.draft(made), *(keyfiles.private(path) for path in offline)))
    return SetUp(row.version, row.expires_at, offline)


def witnesses_of_the_policy() -> tuple[list[str], int]:
    """The witnesses that the policy file names, and how many of them are enough: the fewest that satisfy it.

    Only Ed25519 cosignatures, which the stand-alone verifier reads. Raises ``audit.witnessing.configured.Misconfigured``.
    """
    policy = configured.policy()
    known = [one for one in policy.witnesses if one.verifier.kind == ED25519]
    enough = (
        number
        for number in range(len(known) + 1)
        if any(policy.satisfied(one.name for one in some) for some in combinations(known, number))
    )
    return [str(one.verifier) for one in known], next(enough, len(known))


@transaction.atomic
def adopt(text: str) -> TrustRoot:
    """Add the next version, signed by the threshold of the one before and by its own. Needs the owner's role.

    Raises ``Invalid`` for what is no trust root or not signed so, and ``Conflict`` for a version that does not follow.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    chain = trust_chain()
    try:
        made = trust.read(text)
        if made["version"] != len(chain) + 1:
            raise Conflict(f"Version {len(chain) + 1} follows here, not {made['version']}.", code="trust.version")
        trust.walk([*chain, text], now=micro(timezone.now()))
    except signed.Refused as refused:
        raise Invalid(f"{refused}.", code="trust.refused", field="file") from refused
    return _adopt(text)


def _adopt(text: str) -> TrustRoot:
    made = trust.read(text)
    payload, _, _ = signed.opened(json.loads(text), dsse.TRUST_ROOT, "the trust root")
    row = TrustRoot.objects.create(
        version=made["version"],
        envelope=text,
        digest=dsse.digest(payload),
        expires_at=datetime.fromtimestamp(made["expires_at"] // 1_000_000, tz=timezone.get_default_timezone()),
    )
    append(
        action="trust.root_adopted",
        subject=row,
        by=SYSTEM,
        facts={
            "digest": row.digest,
            "version": row.version,
            "signers": sorted(one["keyid"] for one in json.loads(text)["signatures"]),
        },
    )
    return row


def _key_of_old_permits() -> ec.EllipticCurvePublicKey | None:
    path = keys.directory() / "permit.p256.pub.pem"
    if not path.exists() or not Permit.objects.exists():
        return None
    key = load_pem_public_key(path.read_bytes())
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None
