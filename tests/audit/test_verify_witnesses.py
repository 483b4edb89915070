"""What others vouch for, checked by the verifier: cosignatures of witnesses, time stamps of an authority."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import keys
from audit.exports import verify as program
from audit.exports.verify import Broken, Options
from audit.witnessing.cosignatures import Cosigner
from tests.audit.promotion import Promotion, pack, unpack
from tests.audit.witnessing.test_timestamps import OPENSSL, Authority

pytestmark = pytest.mark.django_db
NOTE = "log/checkpoint.txt"
AT = 1_790_000_000


@pytest.fixture
def members(keys_dir: Path, tmp_path: Path) -> dict[str, bytes]:
    """A bundle, opened."""
    keys.ensure_keys(keys_dir)
    return unpack(Promotion().build(tmp_path / "guard.json"))


def said(members: dict[str, bytes], place: Path, options: Options) -> list[str]:
    path = place / "bundle.zip"
    path.write_bytes(pack(members))
    return program.verify(str(path), options)


def cosigned(members: dict[str, bytes], *witnesses: Cosigner) -> dict[str, bytes]:
    note = members[NOTE].decode()
    text = note.rpartition("\n\n")[0] + "\n"
    return {**members, NOTE: (note + "".join(one.cosign(text, AT) for one in witnesses)).encode()}


def test_a_known_witness_is_named_with_its_moment(members: dict[str, bytes], tmp_path: Path) -> None:
    one, other = (Cosigner(f"witness.example/{name}", Ed25519PrivateKey.generate()) for name in "ab")
    lines = said(cosigned(members, one, other), tmp_path, Options(witnesses=(str(one.verifier),)))
    assert "ok  cosigned by the witness witness.example/a 2026-09-21 14:13:20 UTC" in lines
    assert not any("witness.example/b" in line for line in lines)


def test_fewer_witnesses_than_asked_for_are_refused(members: dict[str, bytes], tmp_path: Path) -> None:
    one, other = (Cosigner(f"witness.example/{name}", Ed25519PrivateKey.generate()) for name in "ab")
    known = (str(one.verifier), str(other.verifier))
    with pytest.raises(Broken, match="has 1 of the 2 cosignatures"):
        said(cosigned(members, one), tmp_path, Options(witnesses=known, quorum=2))
    # The same one twice is still one.
    with pytest.raises(Broken, match="has 1 of the 2 cosignatures"):
        said(cosigned(members, one, one), tmp_path, Options(witnesses=known, quorum=2))
    assert said(cosigned(members, one, other), tmp_path, Options(witnesses=known, quorum=2))


def test_a_cosignature_that_does_not_fit_is_refused(members: dict[str, bytes], tmp_path: Path) -> None:
    one = Cosigner("witness.example/a", Ed25519PrivateKey.generate())
    forged = cosigned(members, one)
    line = forged[NOTE].decode().splitlines()[-1]
    earlier = one.cosign("another\n1\nAAAA\n", AT).strip()
    changed = {**forged, NOTE: forged[NOTE].replace(line.encode(), earlier.encode())}
    with pytest.raises(Broken, match=r"the cosignature of witness\.example/a in log/checkpoint\.txt is wrong"):
        said(changed, tmp_path, Options(witnesses=(str(one.verifier),)))


@pytest.mark.parametrize("key", ["nonsense", "a+00000000+BAAA", "a b+00000000+BA=="])
def test_a_key_that_is_none_is_refused(members: dict[str, bytes], tmp_path: Path, key: str) -> None:
    with pytest.raises(Broken):
        said(members, tmp_path, Options(witnesses=(key,)))


def stamped(members: dict[str, bytes], authority: Authority, data: bytes) -> dict[str, bytes]:
    place = authority.place
    (place / "data").write_bytes(data)
    query = [OPENSSL, "ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "asked"]
    subprocess.run(query, cwd=place, check=True, capture_output=True)
    _, _, answer = authority.reply("", (place / "asked").read_bytes())
    return {**members, "log/timestamps/local-1.tsr": answer}


def test_a_time_stamp_is_of_this_checkpoint_and_of_the_authority(members: dict[str, bytes], tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    root = (authority.place / "root.pem").read_bytes()
    good = stamped(members, authority, members[NOTE])
    assert any("its authority is not checked without --tsa" in line for line in said(good, tmp_path, Options()))
    assert any("by the authority you gave" in line for line in said(good, tmp_path, Options(tsa=root)))
    # A witness that signs afterwards changes the file, not what was stamped.
    later = cosigned(good, Cosigner("witness.example/a", Ed25519PrivateKey.generate()))
    assert said(later, tmp_path, Options(tsa=root))


def test_a_time_stamp_of_something_else_or_of_somebody_else_is_refused(
    members: dict[str, bytes], tmp_path: Path
) -> None:
    authority, stranger = Authority(tmp_path / "authority"), Authority(tmp_path / "stranger")
    root = (authority.place / "root.pem").read_bytes()
    with pytest.raises(Broken, match="is a time stamp of something else"):
        said(stamped(members, authority, b"another note"), tmp_path, Options())
    with pytest.raises(Broken, match="not of the authority you gave"):
        said(stamped(members, stranger, members[NOTE]), tmp_path, Options(tsa=root))


def test_one_flipped_bit_anywhere_in_a_time_stamp_is_noticed(members: dict[str, bytes], tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    root = (authority.place / "root.pem").read_bytes()
    good = stamped(members, authority, members[NOTE])
    name = "log/timestamps/local-1.tsr"
    note, token = good[NOTE].decode().encode(), good[name]
    told = program.check_timestamp(name, token, note, root)
    for place in range(0, len(token), 7):
        changed = bytearray(token)
        changed[place] ^= 1
        try:
            # What is not signed (such as the status text, or a certificate that is not needed) may change and says nothing.
            assert program.check_timestamp(name, bytes(changed), note, root) == told
        except (Broken, ValueError, LookupError):
            continue
