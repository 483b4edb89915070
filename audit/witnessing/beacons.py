"""Public random values as lower bounds in time: what is logged after one is later than its round.

A drand chain over HTTP (https://docs.drand.love/developer/http-api): ``<base>/<chain hash>/info`` and ``…/public/latest``.
The chain is pinned by its hash, which stands in BEACON_URL. Verified here: that the information hashes to that hash
(SHA-256 of period, genesis time, key, group hash and beacon id), that the value is the SHA-256 of the signature, and that
the round is the one of this moment. Not verified here: the BLS signature itself; it is logged with the value, so that
``drand``'s own tools verify it at any time.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit import services
from audit.models import Entry
from audit.subjects import Subject
from audit.witnessing.records import NOTARY, Failed
from config.outgoing import Unreachable, ask

ACTION: Final = "log.beacon"
STALE: Final = timedelta(hours=1)
AHEAD: Final = timedelta(minutes=2)
SECONDS: Final = 10.0
_LONGEST: Final = 16384


@dataclass(frozen=True, slots=True)
class Chain:
    """A drand chain: when its rounds are."""

    hash: str
    period: int
    genesis: int
    scheme: str

    def at(self, round_number: int) -> datetime:
        """When a round is due. Raises ``Failed`` for one that no clock reaches."""
        try:
            return datetime.fromtimestamp(self.genesis + (round_number - 1) * self.period, UTC)
        except (OverflowError, ValueError, OSError) as error:
            raise Failed(f"round {round_number} is at no moment") from error


@dataclass(frozen=True, slots=True)
class Value:
    """One round of a chain."""

    chain: Chain
    round: int
    randomness: str
    signature: str
    previous_signature: str

    @property
    def facts(self) -> dict[str, str | int]:
        """As it stands in the entry; all that a verifier needs beside the chain's key."""
        return {
            "chain": self.chain.hash,
            "scheme": self.chain.scheme,
            "round": self.round,
            "round_at": int(self.chain.at(self.round).timestamp()) * 1_000_000,
            "randomness": self.randomness,
            "signature": self.signature,
            "previous_signature": self.previous_signature,
        }


def read_chain(info: Any, pinned: str) -> Chain:  # noqa: ANN401 - parsed JSON
    """Read a chain's information and compare it with the pinned hash. Raises ``Failed``."""
    try:
        period, genesis = int(info["period"]), int(info["genesis_time"])
        key, group = bytes.fromhex(info["public_key"]), bytes.fromhex(info["groupHash"])
        beacon = str((info.get("metadata") or {}).get("beaconID", ""))
        hashed = hashlib.sha256(struct.pack(">Iq", period, genesis) + key + group)
        scheme = str(info.get("schemeID", ""))[:100]
    except (KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise Failed(f"what it says of its chain cannot be read: {type(error).__name__}") from error
    if beacon not in {"", "default"}:
        hashed.update(beacon.encode())
    if hashed.hexdigest() != pinned:
        raise Failed(f"what it says of its chain hashes to {hashed.hexdigest()}, not to {pinned}")
    return Chain(pinned, period, genesis, scheme)


def read_value(chain: Chain, value: Any, now: datetime) -> Value:  # noqa: ANN401 - parsed JSON
    """Read the latest round and verify what can be without pairings. Raises ``Failed``."""
    try:
        signature = bytes.fromhex(value["signature"])
        previous = bytes.fromhex(value.get("previous_signature") or "")
        number = value["round"]
        told = value.get("randomness") or hashlib.sha256(signature).hexdigest()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Failed(f"its value cannot be read: {type(error).__name__}") from error
    if (
        not isinstance(number, int)
        or isinstance(number, bool)
        or not 0 < number < 2**53
        or not 48 <= len(signature) <= 96
    ):
        raise Failed("its value has no round, or no signature of a drand chain")
    if len(previous) > 96 or told != hashlib.sha256(signature).hexdigest():
        raise Failed(f"its value of round {number} is not the SHA-256 of the signature")
    at = chain.at(number)
    if at > now + AHEAD:
        raise Failed(f"its round {number} is due at {at:%Y-%m-%d %H:%M:%S}, which is not yet: is the clock here right?")
    if at < now - STALE:
        raise Failed(
            f"its round {number} is of {at:%Y-%m-%d %H:%M:%S}: the beacon stands still, or the clock here is wrong"
        )
    return Value(chain, number, told, signature.hex(), previous.hex())


def fetch() -> Value:
    """Ask the configured beacon for its latest value. Raises ``Failed``."""
    base = str(settings.BEACON_URL)
    chain = read_chain(_json(f"{base}/info"), base.rpartition("/")[2])
    return read_value(chain, _json(f"{base}/public/latest"), timezone.now())


def log_beacon() -> Value:
    """Fetch a value and log it. Raises ``Failed``, also for a round that is no later than the last one logged."""
    value = fetch()
    last = Entry.objects.filter(action=ACTION).order_by("-index").first()
    if last is not None and last.facts.get("chain") == value.chain.hash and int(last.facts["round"]) >= value.round:
        raise Failed(f"its latest round is {value.round}, and round {last.facts['round']} is logged already")
    with transaction.atomic():
        subject = Subject("audit.log", "beacon", str(value.round))
        services.append(action=ACTION, subject=subject, by=NOTARY, facts=value.facts)
    return value


def lower_bound(index: int) -> tuple[Entry, datetime] | None:
    """The last beacon entry before entry ``index``, and the moment that everything after it is later than."""
    entry = Entry.objects.filter(action=ACTION, index__lt=index).order_by("-index").first()
    if entry is None:
        return None
    return entry, datetime.fromtimestamp(int(entry.facts["round_at"]) / 1_000_000, UTC)


def _json(url: str) -> Any:  # noqa: ANN401 - parsed JSON
    try:
        answer = ask(url, seconds=SECONDS, most=_LONGEST)
    except Unreachable as error:
        raise Failed(str(error)) from error
    if answer.status != HTTPStatus.OK:
        raise Failed(f"it answered {answer.status}")
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise Failed("its answer is no JSON") from error
