"""Policy files, verifier keys and cosignatures: what the specifications show, and what they forbid."""

import base64
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import notes
from audit.witnessing import cosignatures, policy
from audit.witnessing.cosignatures import ED25519, LOG_ED25519, MLDSA44, BadKey, Cosigner, Verifier, parse_vkey
from audit.witnessing.policy import BadPolicy
from tests.audit.witnessing.logs import MemoryLog

# The example of https://c2sp.org/signed-note.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""


def witness_key(name: str) -> str:
    return str(Cosigner(f"w.example/{name}", Ed25519PrivateKey.generate()).verifier)


def log_key() -> str:
    return str(MemoryLog().verifier)


def test_the_key_and_the_note_that_the_specification_shows() -> None:
    verifier = parse_vkey(VKEY)
    assert (verifier.name, verifier.kind, str(verifier)) == ("example.com/foo", LOG_ED25519, VKEY)
    assert notes.verify(NOTE, verifier.name, verifier.key) == "This is an example message.\n"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        "", "example.com/foo", VKEY.replace("530d903a", "530d903b"), VKEY.replace("foo", "fop"), VKEY + "+x", VKEY[:-4],
        VKEY.replace("+530d903a", "+530D903A"), "a b+" + VKEY.partition("+")[2], VKEY[:-1] + "l",
        "example.com/foo+530d903a+" + base64.b64encode(b"\x09" + bytes(32)).decode(),
        "example.com/foo+530d903a+" + base64.b64encode(b"\x06" + bytes(32)).decode(),
    ],
)  # fmt: skip
def test_what_is_no_verifier_key_is_refused(line: str) -> None:
    with pytest.raises(BadKey):
        parse_vkey(line)


@pytest.mark.parametrize("key", [Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate()], ids=["ed25519", "mldsa"])
def test_a_cosignature_is_over_name_moment_and_head(key: cosignatures.PrivateKey) -> None:
    log = MemoryLog()
    log.grow(3)
    cosigner = Cosigner("w.example/1", key)
    line = notes.parse(log.note() + cosigner.cosign(log.text(), 1_679_315_147)).signatures[-1]
    assert cosignatures.verify(log.text(), line, parse_vkey(str(cosigner.verifier))) == 1_679_315_147
    later = notes.Signature(line.name, line.key_hash, line.signature[:7] + b"\xff" + line.signature[8:])
    for text, spoiled in ((log.text(2), line), (log.text(), later)):
        with pytest.raises(notes.BadNote, match="does not fit"):
            cosignatures.verify(text, spoiled, cosigner.verifier)
    for signature in (
        line.signature[:-1],
        line.signature + b"x",
        bytes(8) + line.signature[8:],
        b"\xff" + line.signature[1:],
    ):
        with pytest.raises(notes.BadNote):
            cosignatures.verify(log.text(), notes.Signature(line.name, line.key_hash, signature), cosigner.verifier)
    if cosigner.verifier.kind == MLDSA44:
        other = Verifier("w.example/2", MLDSA44, cosigner.verifier.key)
        renamed = notes.Signature(other.name, other.key_id, line.signature)
        with pytest.raises(notes.BadNote, match="does not fit"):
            cosignatures.verify(log.text(), renamed, other)


def test_the_signed_message_is_that_of_the_specification() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    ed = Cosigner("witness.example.com/w1", Ed25519PrivateKey.generate()).verifier
    assert cosignatures.message(ed, text, 1679315147) == (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    pq = Cosigner("witness.example.com/w1", MLDSA44PrivateKey.generate()).verifier
    root = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    assert cosignatures.message(pq, text, 1679315147) == (
        b"subtree/v1\n\0" + b"\x16witness.example.com/w1" + (1679315147).to_bytes(8, "big")
        + b"\x1bexample.com/behind-the-sofa" + bytes(8) + (20852163).to_bytes(8, "big") + root
    )  # fmt: skip


def test_groups_count_as_the_specification_says() -> None:
    names = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    lines = [f"log {log_key()} https://log.example/"]
    lines += [f"witness {name} {witness_key(name)} https://{name}.example/w/" for name in names]
    lines += [
        "# two of one house",
        "\tgroup X 2 X1 X2 X3",
        "group Y any Y1 Y2 Y3",
        "group both all X Y ",
        "quorum both",
        "",
    ]
    read = policy.parse("\n".join(lines))
    assert [one.url for one in read.witnesses][:1] == ["https://X1.example/w"]
    assert read.satisfied(["X1", "X3", "Y2"])
    assert not read.satisfied(["X1", "X2", "X3"])
    assert not read.satisfied(["X1", "Y1", "Y2", "Y3"])
    assert not read.satisfied([])
    assert read.words == "2 of 2"
    assert policy.parse("quorum none\n").satisfied([])


A, B = witness_key("a"), witness_key("b")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no quorum"),
        ("quorum x\n", "no witness or group"),
        ("quorum none\nquorum none\n", "two quorum"),
        (f"witness none {A}\nquorum none\n", "taken"),
        (f"witness a {A}\nwitness a {B}\nquorum a\n", "taken"),
        (f"witness a {A}\nwitness b {A}\nquorum a\n", "one key, one voice"),
        (f"witness a {log_key()}\nquorum a\n", "no witness's"),
        (f"log {A}\nquorum none\n", "no log's"),
        (f"witness a {A}\ngroup g 2 a\nquorum g\n", "cannot be asked"),
        (f"witness a {A}\ngroup g 0 a\nquorum g\n", "cannot be asked"),
        (f"witness a {A}\ngroup g some a\nquorum g\n", "cannot be asked"),
        (f"witness a {A}\ngroup g any a a\nquorum g\n", "twice"),
        (f"witness a {A}\ngroup g any a\ngroup h any a\nquorum h\n", "twice"),
        (f"group g any a\nwitness a {A}\nquorum g\n", "of a line before"),
        (f"witness a {A}\ngroup g any none\nquorum g\n", "of a line before"),
        (f"witness a {A}\ngroup g any\nquorum g\n", "no log, witness"),
        (f"witness a {A} https://x.example extra\nquorum a\n", "no log, witness"),
        (f"witness a {A} ftp://x.example\nquorum a\n", "no http"),
        (f"witness a {A} https://user:secret@x.example\nquorum a\n", "plain prefix"),
        (f"witness a {A} https://x.example/?q\nquorum a\n", "plain prefix"),
        (f"witness a {A} http://x.example:99999\nquorum a\n", "Port"),
        ("quorum none\r\n", "control character"),
        ("witness a nonsense\nquorum a\n", "no verifier key"),
    ],
    ids=count(),  # the keys are new in each process
)
def test_what_is_no_policy_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(BadPolicy, match=why) as refused:
        policy.parse(text)
    assert "secret" not in str(refused.value)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading(content: bytes) -> None:
    for junk in (content, b"quorum none\n" + content):
        try:
            policy.parse(junk)
        except BadPolicy:
            continue


def test_ed25519_is_the_kind_of_an_ordinary_witness() -> None:
    assert parse_vkey(A).kind == ED25519
