"""The ZIP writer: what it writes every program reads, however many members there are and however far they go."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.exports.archive import Archive, BadMember

NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,8}(/[A-Za-z0-9_-]{1,8}){0,2}", fullmatch=True)


@given(st.dictionaries(NAMES, st.binary(max_size=200), max_size=20))
def test_python_reads_back_what_was_written(members: dict[str, bytes]) -> None:
    out = io.BytesIO()
    archive = Archive(out)
    for name, data in members.items():
        archive.add(name, data)
    archive.close()
    assert archive.sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    assert archive.size == len(out.getvalue())
    with zipfile.ZipFile(out) as read:
        assert read.testzip() is None
        assert {info.filename: read.read(info) for info in read.infolist()} == members
        assert {info.date_time for info in read.infolist()} <= {(1980, 1, 1, 0, 0, 0)}


def test_more_members_than_a_plain_directory_can_count() -> None:
    out = io.BytesIO()
    archive = Archive(out)
    for number in range(70_000):
        archive.add(f"m/{number}", b"%d" % number)
    archive.close()
    with zipfile.ZipFile(out) as read:
        assert len(read.infolist()) == 70_000
        assert read.read("m/69999") == b"69999"


def test_a_member_beyond_four_gibibytes(tmp_path: Path) -> None:
    with (tmp_path / "far.zip").open("wb") as out:
        out.seek(2**32 + 5)  # a hole: the file takes no room
        archive = Archive(out)
        archive.size = 2**32 + 5
        archive.add("far", b"away")
        archive.add("farther", b"still")
        archive.close()
    with zipfile.ZipFile(tmp_path / "far.zip") as read:
        assert {name: read.read(name) for name in read.namelist()} == {"far": b"away", "farther": b"still"}


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/../b", "a b", "a\\b", "ä", "a\n", "C:a"])
def test_a_name_that_could_mean_something_else_is_refused(name: str) -> None:
    out = io.BytesIO()
    with pytest.raises(BadMember):
        Archive(out).add(name, b"")
    assert out.getvalue() == b""


def test_a_name_is_given_once() -> None:
    archive = Archive(io.BytesIO())
    archive.add("a", b"")
    with pytest.raises(BadMember, match="there twice"):
        archive.add("a", b"")
