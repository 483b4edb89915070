"""The blob store: content decides the name, and what is on disk is checked before it is used."""

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from pytest_django import Settings

from config.errors import Invalid, NotFound
from registry.digests import SealedFile
from registry.storage import BlobDamaged, DigestMismatch, blobs, remove_directory
from tests.factories import registry as make

pytestmark = pytest.mark.usefixtures("artifact_root")


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@how(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=5000))
def test_what_is_put_is_found_by_its_digest(content: bytes) -> None:
    store = blobs()

    sha256, size = store.put(io.BytesIO(content))

    assert (sha256, size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert store.exists(sha256)
    assert store.size(sha256) == size
    with store.open(sha256) as stream:
        assert stream.read() == content


def test_a_blob_is_one_read_only_file_and_nothing_else_is_left(artifact_root: Path) -> None:
    sha256, _ = blobs().put(io.BytesIO(b"weights"))
    blobs().put(io.BytesIO(b"weights"), expected_sha256=sha256)

    [path] = _files(artifact_root)
    assert path == artifact_root / "blobs" / sha256[:2] / sha256[2:4] / sha256
    assert path == blobs().path(sha256)
    assert path.stat().st_mode & 0o777 == 0o444


def test_other_bytes_than_declared_are_refused_and_dropped(artifact_root: Path) -> None:
    with pytest.raises(DigestMismatch) as refused:
        blobs().put(io.BytesIO(b"evil"), expected_sha256=make.sha256(b"good"))

    assert refused.value.field == "sha256"
    assert refused.value.extra == {"declared": make.sha256(b"good"), "actual": make.sha256(b"evil")}
    assert _files(artifact_root) == []


def test_too_many_bytes_are_refused_naming_the_limit(artifact_root: Path, settings: Settings) -> None:
    settings.MAX_UPLOAD_BYTES = 10

    assert blobs().put(io.BytesIO(b"x" * 10))[1] == 10
    with pytest.raises(Invalid, match="larger than 10 bytes"):
        blobs().put(io.BytesIO(b"x" * 11))

    assert len(_files(artifact_root)) == 1


def test_a_stream_that_breaks_leaves_nothing(artifact_root: Path) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        blobs().put(Broken())

    assert _files(artifact_root) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "AB" * 32, "a/b"])
def test_only_a_digest_names_a_blob(name: str) -> None:
    with pytest.raises(Invalid):
        blobs().open(name)


def test_a_blob_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="ab" * 32):
        blobs().open("ab" * 32)
    assert blobs().path("ab" * 32) is None


def test_a_manifest_is_laid_out_as_a_read_only_tree_of_copies(tmp_path: Path) -> None:
    files = make.stored({"MLmodel": b"flavors", "data/deep/model.bin": b"weights", "empty": b""})

    target = blobs().local_directory(files, tmp_path / "model")

    assert {str(path.relative_to(target)): path.read_bytes() for path in _files(target)} == {
        "MLmodel": b"flavors",
        "data/deep/model.bin": b"weights",
        "empty": b"",
    }
    assert {path.stat().st_mode & 0o222 for path in [target, *target.rglob("*")]} == {0}
    stored = blobs().path(files[0].sha256)
    assert stored is not None
    assert not (target / files[0].path).samefile(stored), "who can write the copy cannot write the blob"
    remove_directory(target)
    remove_directory(target)
    assert not target.exists()


def test_a_blob_that_was_changed_on_disk_is_found_out_and_named(tmp_path: Path) -> None:
    good, bad = make.stored({"MLmodel": b"flavors", "model.bin": b"weights"})
    damaged = blobs().path(bad.sha256)
    assert damaged is not None
    damaged.chmod(0o644)
    damaged.write_bytes(b"Weights")

    with pytest.raises(BlobDamaged) as refused:
        blobs().local_directory([good, bad], tmp_path / "model")

    assert bad.sha256 in refused.value.message
    assert "model.bin" in refused.value.message
    assert not (tmp_path / "model").exists()
    assert blobs().put(io.BytesIO(b"weights"))[0] == bad.sha256, "storing it again heals it"
    blobs().local_directory([good, bad], tmp_path / "model")


def test_a_size_that_does_not_agree_is_found_out(tmp_path: Path) -> None:
    [file] = make.stored({"a": b"abc"})

    with pytest.raises(BlobDamaged):
        blobs().local_directory([SealedFile("a", 2, file.sha256)], tmp_path / "model")
