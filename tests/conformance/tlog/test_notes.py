"""Signed notes and checkpoints: the published example, and every malformed one we can think of."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from audit import notes

# The example of golang.org/x/mod/sumdb/note, whose format C2SP signed-note describes.
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_NOTE = (
    PETER_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key()
NAME = "example.com/log"
ROOT = base64.b64encode(bytes(32)).decode()
GOOD = f"{NAME}\n7\n{ROOT}\n"


def peter() -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(PETER_KEY.split("+", 2)[2])[1:])


def test_the_published_example_verifies() -> None:
    assert notes.verifier_key("PeterNeumann", peter()) == PETER_KEY
    assert notes.verify(PETER_NOTE, "PeterNeumann", peter()) == PETER_TEXT


def test_a_checkpoint_comes_back_as_it_was_signed() -> None:
    note = notes.sign(GOOD, NAME, KEY)
    assert notes.verify_checkpoint(note, NAME, PUBLIC) == notes.CheckpointText(NAME, 7, bytes(32))
    assert str(notes.CheckpointText(NAME, 7, bytes(32))) == GOOD


def test_signatures_of_others_are_ignored() -> None:
    other = notes.sign(GOOD, "witness.example", Ed25519PrivateKey.generate()).split("\n\n")[1]
    note = notes.sign(GOOD, NAME, KEY) + other
    assert notes.verify(note, NAME, PUBLIC) == GOOD


def test_a_wrong_signature_in_the_name_of_the_key_is_not_ignored() -> None:
    note = notes.sign(GOOD, NAME, KEY)
    other = notes.sign(GOOD.replace("7", "8"), NAME, KEY).split("\n\n")[1]
    with pytest.raises(notes.BadNote, match="does not fit"):
        notes.verify(note + other, NAME, PUBLIC)


def test_a_note_of_somebody_else_is_refused_by_name() -> None:
    note = notes.sign(GOOD, "other", Ed25519PrivateKey.generate())
    with pytest.raises(notes.BadNote, match=r"not signed by example\.com/log\+.*but by other"):
        notes.verify(note, NAME, PUBLIC)


SIGNED = notes.sign(GOOD, NAME, KEY)
LINE = SIGNED.split("\n\n")[1]
BLOB = LINE.split(" ")[2].strip()


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        GOOD,
        f"{GOOD}\n",
        SIGNED[:-1],
        SIGNED + "\n",
        SIGNED.replace("—", "-"),
        SIGNED.replace("— ", "—"),
        SIGNED.replace("\n\n", "\n"),
        f"\n\n{LINE}",
        f"{GOOD}\n— {NAME}\n",
        f"{GOOD}\n— {NAME}  {BLOB}\n",
        f"{GOOD}\n—  {BLOB}\n",
        f"{GOOD}\n— a+b {BLOB}\n",
        f"{GOOD}\n— a\u00a0b {BLOB}\n",
        f"{GOOD}\n— {NAME} {BLOB[:-4]}!!!!\n",
        f"{GOOD}\n— {NAME} AAAA\n",
        f"{GOOD}\n— {NAME} {BLOB} more\n",
        f"tab\there\n\n{LINE}",
        f"carriage\r\n\n{LINE}",
        f"{GOOD}\n" + LINE * 101,
        "x" * 1_000_001 + "\n\n" + LINE,
    ],
)
def test_a_malformed_note_is_refused(note: str) -> None:
    with pytest.raises(notes.BadNote):
        notes.parse(note)


def test_a_note_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(notes.BadNote, match="UTF-8"):
        notes.parse(b"\xff\n\n" + LINE.encode())


def test_base64_that_hides_bits_is_refused() -> None:
    blob = base64.b64encode(b"12345678").decode()
    hidden = blob[:-2] + chr(ord(blob[-2]) + 1) + "="
    assert base64.b64decode(hidden) == b"12345678"
    with pytest.raises(notes.BadNote, match="canonical"):
        notes.parse(f"{GOOD}\n— {NAME} {hidden}\n")


@pytest.mark.parametrize(
    "text",
    [
        f"\n7\n{ROOT}\n",
        f"{NAME}\n7\n",
        f"{NAME}\n07\n{ROOT}\n",
        f"{NAME}\n-1\n{ROOT}\n",
        f"{NAME}\n+1\n{ROOT}\n",
        f"{NAME}\n \n{ROOT}\n",
        f"{NAME}\n٣\n{ROOT}\n",
        f"{NAME}\n9223372036854775808\n{ROOT}\n",
        f"{NAME}\n7\n{ROOT[:-4]}\n",
        f"{NAME}\n7\nnot base64\n",
        f"{NAME}\n7\n{ROOT}\n\nextension\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(notes.BadNote):
        notes.parse_checkpoint(text)


def test_a_checkpoint_of_another_log_is_refused_though_the_key_signed_it() -> None:
    note = notes.sign(GOOD.replace(NAME, "example.com/else"), NAME, KEY)
    with pytest.raises(notes.BadNote, match=r"of example\.com/else"):
        notes.verify_checkpoint(note, NAME, PUBLIC)


@pytest.mark.parametrize(
    ("text", "name"), [("no newline", NAME), ("", NAME), ("a\x07\n", NAME), (GOOD, "a b"), (GOOD, "")]
)
def test_what_no_reader_would_accept_is_not_signed(text: str, name: str) -> None:
    with pytest.raises(notes.BadNote):
        notes.sign(text, name, KEY)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_do_worse_than_a_refusal(data: bytes) -> None:
    with pytest.raises(notes.BadNote):
        notes.verify(data, NAME, PUBLIC)


@given(st.integers(0, len(SIGNED.encode()) * 8 - 1))
def test_one_flipped_bit_anywhere_is_refused(bit: int) -> None:
    data = bytearray(SIGNED.encode())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(notes.BadNote):
        notes.verify_checkpoint(bytes(data), NAME, PUBLIC)
