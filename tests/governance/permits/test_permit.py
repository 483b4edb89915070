"""The permit as a document: what is signed verifies, and nothing else does."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from governance.permits import (
    Approval,
    Check,
    NotGenuine,
    Quorum,
    Scope,
    pre_authentication,
    sign,
    statement,
    verify,
)

KEY = ec.generate_private_key(ec.SECP256R1())
SCOPE = Scope(
    permit="p", request="r", model="credit", version=3, target="alias:production", manifest_digest="a" * 64,
    intended_use="Tests.", not_before=0, expires_at=1, policy={"name": "house", "digest": "b" * 64}, evidence_digest="c" * 64,
    checks=[Check("performance.binary", "pass", "d" * 64)], quorum=[Quorum(0, "approver", 1)],
    approvals=[Approval("user:1", "Ada", 0, "approver", "approve", "approval", "e" * 64, "entry")],
    waivers=[], conditions=[], supersedes="",
)  # fmt: skip


def test_the_pre_authentication_encoding_is_that_of_the_specification() -> None:
    # The test vector of https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
    assert pre_authentication("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_what_was_signed_verifies_and_is_an_in_toto_statement() -> None:
    made = verify(sign(SCOPE, KEY).envelope, KEY.public_key())
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["subject"] == [{"name": "credit/3", "digest": {"sha256": "a" * 64}}]
    assert made["predicate"]["quorum"] == [{"stage": 0, "role": "approver", "n": 1}]


def test_equal_scopes_give_equal_payloads() -> None:
    assert statement(SCOPE) == statement(replace(SCOPE))
    assert sign(SCOPE, KEY).payload_digest == sign(SCOPE, KEY).payload_digest


@given(st.data())
def test_no_changed_byte_of_the_payload_verifies(data: st.DataObject) -> None:
    envelope = json.loads(sign(SCOPE, KEY).envelope)
    payload = bytearray(base64.b64decode(envelope["payload"]))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    envelope["payload"] = base64.b64encode(bytes(payload)).decode()
    with pytest.raises(NotGenuine):
        verify(json.dumps(envelope), KEY.public_key())


def test_another_key_does_not_verify() -> None:
    with pytest.raises(NotGenuine):
        verify(sign(SCOPE, KEY).envelope, ec.generate_private_key(ec.SECP256R1()).public_key())


@pytest.mark.parametrize(
    "envelope", ["", "[]", "{}", '{"payloadType": 1}', '{"payloadType":"x","payload":"!","signatures":[]}']
)
def test_what_is_no_envelope_is_refused(envelope: str) -> None:
    with pytest.raises(NotGenuine):
        verify(envelope, KEY.public_key())


def test_a_payload_of_another_type_is_refused() -> None:
    envelope = json.loads(sign(SCOPE, KEY).envelope)
    envelope["payloadType"] = "text/plain"
    with pytest.raises(NotGenuine, match="text/plain"):
        verify(json.dumps(envelope), KEY.public_key())
