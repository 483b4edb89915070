"""The text form of an offline proof (https://c2sp.org/tlog-proof): written, read, verified, and refused when malformed."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import notes, tlog_proof
from audit.merkle import BadProof, leaf_hash, node_hash
from audit.tlog_proof import BadTlogProof, TlogProof

KEY = Ed25519PrivateKey.generate()
NAME = "example.com/fancylog"
LEAVES = [leaf_hash(bytes([number])) for number in range(3)]
ROOT = node_hash(node_hash(LEAVES[0], LEAVES[1]), LEAVES[2])
CHECKPOINT = notes.sign(str(notes.CheckpointText(NAME, 3, ROOT)), NAME, KEY)
PROOF = TlogProof(0, (LEAVES[1], LEAVES[2]), CHECKPOINT, b"somewhere else")
TEXT = str(PROOF)
HASH = base64.b64encode(LEAVES[1]).decode()


def test_a_proof_is_written_as_the_specification_shows_it() -> None:
    lines = TEXT.split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", f"extra {base64.b64encode(b'somewhere else').decode()}", "index 0"]
    assert lines[3:5] == [base64.b64encode(one).decode() for one in LEAVES[1:]]
    assert lines[5] == ""
    assert "\n".join(lines[6:]) == CHECKPOINT
    assert str(TlogProof(2, (), CHECKPOINT)).startswith("c2sp.org/tlog-proof@v1\nindex 2\n\nexample.com")


def test_what_is_written_is_read_back_and_verifies() -> None:
    assert tlog_proof.parse(TEXT) == tlog_proof.parse(TEXT.encode()) == PROOF
    assert PROOF.verify(LEAVES[0], NAME, KEY.public_key()).root == ROOT


def test_cosignatures_of_witnesses_travel_along() -> None:
    line = notes.sign(str(notes.CheckpointText(NAME, 3, ROOT)), "witness.example", Ed25519PrivateKey.generate())
    cosigned = TlogProof(0, PROOF.hashes, CHECKPOINT + line.split("\n\n")[1])
    assert tlog_proof.parse(str(cosigned)).verify(LEAVES[0], NAME, KEY.public_key()).size == 3


def test_another_leaf_another_key_or_another_log_is_not_proved() -> None:
    with pytest.raises(BadProof):
        PROOF.verify(LEAVES[1], NAME, KEY.public_key())
    with pytest.raises(notes.BadNote):
        PROOF.verify(LEAVES[0], NAME, Ed25519PrivateKey.generate().public_key())
    with pytest.raises(notes.BadNote):
        PROOF.verify(LEAVES[0], "example.com/other", KEY.public_key())


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("@v1", "@v2"),
        TEXT.replace("c2sp.org", " c2sp.org"),
        TEXT.replace("index 0", "index 00"),
        TEXT.replace("index 0", "index -1"),
        TEXT.replace("index 0", "index ٣"),
        TEXT.replace("index 0", "index  0"),
        TEXT.replace("index 0", "index 9223372036854775808"),
        TEXT.replace("index 0\n", ""),
        TEXT.replace("extra ", "extra"),
        TEXT.replace("extra ", "extra !"),
        TEXT.replace(f"extra {base64.b64encode(b'somewhere else').decode()}", "extra "),
        TEXT.replace(HASH, HASH[:-4]),
        TEXT.replace(HASH, f"{HASH} "),
        TEXT.replace(HASH, "A" * 43 + "B"),
        TEXT.replace(HASH, "not base64"),
        TEXT.replace(HASH, "\n".join([HASH] * 63)),
        TEXT.replace("\n\n", "\n"),
        TEXT[:-1],
        TEXT.split("\n\n", maxsplit=1)[0] + "\n\n",
        TEXT.replace("\n3\n", "\n03\n"),
        f"{TEXT}\n",
        TEXT.replace("\n", "\r\n"),
    ],
)
def test_a_malformed_proof_is_refused(text: str) -> None:
    with pytest.raises((BadTlogProof, notes.BadNote)):
        tlog_proof.parse(text)


def test_base64_that_hides_bits_is_refused() -> None:
    hidden = HASH[:-2] + chr(ord(HASH[-2]) + 1) + "="
    assert base64.b64decode(hidden) == LEAVES[1]
    with pytest.raises(BadTlogProof, match="canonical"):
        tlog_proof.parse(TEXT.replace(HASH, hidden))


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(BadTlogProof, match="UTF-8"):
        tlog_proof.parse(b"\xff" + TEXT.encode())


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_arbitrary_text_never_does_worse_than_a_refusal(data: str | bytes) -> None:
    with pytest.raises((BadTlogProof, notes.BadNote)):
        tlog_proof.parse(data)


@given(st.integers(0, len(TEXT.encode()) * 8 - 1))
def test_one_flipped_bit_anywhere_but_in_the_extra_data_is_refused(bit: int) -> None:
    data = bytearray(TEXT.encode())
    data[bit // 8] ^= 1 << bit % 8
    if data.startswith(b"c2sp.org/tlog-proof@v1\nextra ") and data.split(b"\n")[2:] == TEXT.encode().split(b"\n")[2:]:
        return
    with pytest.raises((BadTlogProof, notes.BadNote, BadProof)):
        tlog_proof.parse(bytes(data)).verify(LEAVES[0], NAME, KEY.public_key())
