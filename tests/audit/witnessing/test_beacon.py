"""Public random values: what is verified of them, and what being later than one means."""

import hashlib
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from audit.models import Attestor, Entry
from audit.witnessing import beacons, notary
from audit.witnessing.records import Failed
from tests.audit.witnessing.answering import answering
from tests.factories.audit import integrate, touch

pytestmark = pytest.mark.django_db

# drand's main chain, as published: its information and its first round.
MAIN = {
    "public_key": "868f005eb8e6e4ca0a47c8a77ceaa5309a47978a7c71bc5cce96366b5d7a569937c529eeda66c7293784a9402801af31",
    "period": 30,
    "genesis_time": 1595431050,
    "hash": "8990e7a9aaed2ffed73dbd7092123d6f289930540d7651336225dc172e51b2ce",
    "groupHash": "176f93498eac9ca337150b46d21dd58673ea4e3581185f869672e59fa4cb390a",
    "schemeID": "pedersen-bls-chained",
    "metadata": {"beaconID": "default"},
}
FIRST = {
    "round": 1,
    "randomness": "101297f1ca7dc44ef6088d94ad5fb7ba03455dc33d53ddb412bbc4564ed986ec",
    "signature": "8d61d9100567de44682506aea1a7a6fa6e5491cd27a0a0ed349ef6910ac5ac20ff7bc3e09d7c046566c9f7f3c6f3b10104990e7cb4"
    "24998203d8f7de586fb7fa5f60045417a432684f85093b06ca91c769f0e7ca19268375e659c2a2352b4655",
    "previous_signature": "176f93498eac9ca337150b46d21dd58673ea4e3581185f869672e59fa4cb390a",
}


def chain(**changes: object) -> dict[str, Any]:
    """A chain of our own that began an hour ago, of three-second rounds."""
    made: dict[str, Any] = {
        "public_key": "ab" * 96, "period": 3, "genesis_time": int(timezone.now().timestamp()) - 3600,
        "groupHash": "cd" * 32, "schemeID": "bls-unchained-g1-rfc9380", "metadata": {"beaconID": "test"},
    } | changes  # fmt: skip
    hashed = struct.pack(">Iq", made["period"], made["genesis_time"])
    hashed += bytes.fromhex(made["public_key"]) + bytes.fromhex(made["groupHash"]) + b"test"
    return made | {"hash": hashlib.sha256(hashed).hexdigest()}


def latest(info: dict[str, Any], *, late: int = 0) -> dict[str, Any]:
    number = (int(timezone.now().timestamp()) - info["genesis_time"]) // info["period"] + 1 - late
    signature = hashlib.sha512(str(number).encode()).digest()[:48]
    return {"round": number, "randomness": hashlib.sha256(signature).hexdigest(), "signature": signature.hex()}


def serve(info: object, value: Callable[[], object]) -> Callable[[str, bytes], tuple[int, str, bytes]]:
    def reply(path: str, _: bytes) -> tuple[int, str, bytes]:
        if path.endswith("/info"):
            return 200, "application/json", json.dumps(info).encode()
        return 200, "application/json", json.dumps(value()).encode()

    return reply


def errand() -> notary.Errand:
    return next(one for one in notary.errands() if one.name == "beacon")


def test_the_main_chain_and_its_first_round_hash_as_published() -> None:
    read = beacons.read_chain(MAIN, str(MAIN["hash"]))
    assert read.at(1) == datetime.fromtimestamp(1595431050, UTC)
    value = beacons.read_value(read, FIRST, read.at(1) + timedelta(seconds=5))
    assert (value.round, value.randomness) == (1, FIRST["randomness"])


def test_a_value_is_logged_and_what_follows_is_later(settings: Settings) -> None:
    info = chain()
    touch()
    with answering(serve(info, lambda: latest(info))) as url:
        settings.BEACON_URL = f"{url}/{info['hash']}"
        assert notary.once(errand())
        assert not notary.once(errand()), "an hour is not over"
    touch()
    integrate()
    entry = Entry.objects.get(action="log.beacon")
    assert (entry.actor_id, entry.object_type, entry.object_id) == ("service:notary", "audit.log", "beacon")
    assert entry.facts["chain"] == info["hash"]
    assert entry.facts["randomness"] == hashlib.sha256(bytes.fromhex(str(entry.facts["signature"]))).hexdigest()
    assert beacons.lower_bound(entry.index) is None
    found = beacons.lower_bound(entry.index + 1)
    assert found is not None
    assert found[0] == entry
    assert timedelta(0) <= timezone.now() - found[1] < timedelta(minutes=1)


def test_the_same_round_is_not_logged_twice(settings: Settings) -> None:
    info = chain()
    value = latest(info)
    with answering(serve(info, lambda: value)) as url:
        settings.BEACON_URL = f"{url}/{info['hash']}"
        beacons.log_beacon()
        integrate()
        with pytest.raises(Failed, match="is logged already"):
            beacons.log_beacon()


@pytest.mark.parametrize(
    ("spoil_info", "spoil_value", "why"),
    [
        ({"period": 4}, {}, "hashes to"),
        ({"public_key": "xy"}, {}, "cannot be read"),
        ({"genesis_time": None}, {}, "cannot be read"),
        ({"metadata": []}, {}, "hashes to"),
        ({"metadata": [1]}, {}, "cannot be read"),
        ({}, {"randomness": "00" * 32}, "not the SHA-256"),
        ({}, {"signature": "00"}, "no signature"),
        ({}, {"signature": "zz"}, "cannot be read"),
        ({}, {"signature": None}, "cannot be read"),
        ({}, {"round": 0}, "no round"),
        ({}, {"round": True}, "no round"),
        ({}, {"round": "7"}, "no round"),
        ({}, {"round": 2**52}, "at no moment"),
        ({}, {"round": 10**6}, "which is not yet"),
        ({}, {"round": 1}, None),
        ({}, {"previous_signature": "ab" * 200}, "not the SHA-256"),
    ],
)
def test_values_that_are_not_what_they_say_are_refused(
    settings: Settings, spoil_info: dict[str, Any], spoil_value: dict[str, Any], why: str | None
) -> None:
    info = chain(genesis_time=int(timezone.now().timestamp()) - 7200)
    value = latest(info) | spoil_value
    with answering(serve(info | spoil_info, lambda: value)) as url:
        settings.BEACON_URL = f"{url}/{info['hash']}"
        with pytest.raises(Failed, match=why or "stands still"):
            beacons.log_beacon()
    assert not Entry.objects.exists()


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"[" * 5000, b"\xff", b'"x"'])
def test_answers_that_are_no_beacon_are_failures_in_words(settings: Settings, body: bytes) -> None:
    with answering(lambda *_: (200, "application/json", body)) as url:
        settings.BEACON_URL = f"{url}/{'ab' * 32}"
        assert not notary.once(errand())
    record = Attestor.objects.get(name="beacon")
    assert record.failures == 1
    assert "mistake of ours" not in record.last_error
