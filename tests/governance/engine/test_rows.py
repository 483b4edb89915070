"""Rows are mapped from disk column by column: the same table, verified bytes, and memory that does not grow with it."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from django.conf import settings

from config.errors import Invalid
from config.waiting import until
from governance.checks import CheckError, CheckInputs, Roles, get, run_check
from governance.checks.contract import Manifest
from governance.engine import rows, rows_kept
from governance.engine.inputs import columns_read
from registry.storage import BlobDamaged, blobs, remove_directory

LIMIT_MIB = 256
MANY = 3_000_000
WITHIN = {
    "y": (
        *("performance.binary", "compare.champion", "fairness.groups", "fairness.proxies"),
        *("drift.columns", "drift.classifier", "data.quality", "data.leakage"),
    ),
    "amount": ("performance.regression", "performance.slices", "fairness.regression"),
}
"""Checks by the label they are run with: each in one process, one after the other."""


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path, artifact_root: Path) -> None:
    """Scratch directories belong to the test."""
    settings.DATA_DIR = tmp_path / "data"


def sealed(table: pa.Table, path: Path, kind: str = "parquet") -> str:
    if kind == "csv":
        pa.csv.write_csv(table, path)
    else:
        pa.parquet.write_table(table, path, row_group_size=7)
    with path.open("rb") as stream:
        return blobs().put(stream)[0]


@pytest.fixture
def table() -> pa.Table:
    return pa.table({
        "n": pa.array([1, None, *range(40)], pa.int32()),
        "word": pa.array(["ä", None, *map(str, range(40))]),
        "group": pa.array([None, "b", *["a"] * 40]).dictionary_encode(),
        "a.b": np.linspace(0, 1, 42),
    })  # fmt: skip


def test_the_columns_come_back_as_they_were_sealed(table: pa.Table, tmp_path: Path) -> None:
    sha256 = sealed(table, tmp_path / "file")
    for _ in range(2):  # decoded, then mapped again
        assert rows.table_of(sha256).equals(table.cast(rows.table_of(sha256).schema))
        assert rows.table_of(sha256).to_pylist() == table.to_pylist()
    some = rows.table_of(sha256, ["a.b", "nothing", "n"])
    assert some.column_names == ["n", "a.b"]
    assert rows.table_of(sha256, []).num_rows == 42


def test_only_the_columns_that_are_wanted_are_decoded(table: pa.Table, tmp_path: Path) -> None:
    sha256 = sealed(table, tmp_path / "file")
    rows.table_of(sha256, ["word"])
    room = settings.DATA_DIR / "scratch" / "rows" / sha256
    assert [path.name for path in room.glob("*.arrow")] == ["column-1.arrow"]


def test_a_file_of_another_format_has_its_rows(tmp_path: Path) -> None:
    table = pa.table({"x": [1, 2, 3], "y": ["a", "b", "c"]})
    sha256 = sealed(table, tmp_path / "file", "csv")
    assert rows.table_of(sha256).to_pylist() == table.to_pylist()
    assert pa.parquet.read_table(rows.parquet_file(sha256)).to_pylist() == table.to_pylist()
    assert rows.rows_in(sha256) == 3


def test_bytes_that_were_changed_are_noticed_also_after_columns_were_decoded(table: pa.Table, tmp_path: Path) -> None:
    sha256 = sealed(table, tmp_path / "file")
    rows.table_of(sha256)
    place = blobs().path(sha256)
    assert place is not None
    content = bytearray(place.read_bytes())
    content[20] ^= 1
    place.chmod(0o600)
    place.write_bytes(content)
    with pytest.raises(BlobDamaged):
        rows.table_of(sha256)


def test_what_is_no_table_and_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"PAR1 but nothing more PAR1")
    with (tmp_path / "file").open("rb") as stream:
        sha256, _ = blobs().put(stream)
    with pytest.raises(Invalid, match="Parquet"):
        rows.table_of(sha256)
    with pytest.raises(CheckError, match="not in the artifact store"):
        rows.table_of("0" * 64)


def test_copies_unused_for_a_day_and_what_killed_workers_left_are_removed(table: pa.Table, tmp_path: Path) -> None:
    sha256 = sealed(table, tmp_path / "file")
    mapped = rows.table_of(sha256)
    scratch = settings.DATA_DIR / "scratch"
    orphan = scratch / "check-killed" / "model-1"
    orphan.mkdir(parents=True)
    (orphan / "MLmodel").write_text("flavors: {}")
    orphan.chmod(0o555)
    rows_kept.forget()
    assert orphan.exists()
    old = time.time() - rows_kept.KEPT_FOR - 60
    for place in (orphan.parent, scratch / "rows" / sha256):
        os.utime(place, (old, old))
    rows_kept.forget()
    assert list(scratch.glob("check-*")) == list((scratch / "rows").iterdir()) == []
    assert mapped.to_pylist() == table.to_pylist()


def left() -> set[str]:
    return {path.name for path in rows_kept.base().iterdir()}


def test_the_copies_not_used_for_longest_go_when_all_take_too_much(settings: Any, tmp_path: Path) -> None:
    names = [sealed(pa.table({"x": np.full(100_000, float(number))}), tmp_path / str(number)) for number in range(3)]
    for age, sha256 in zip((30, 50, 10), names, strict=True):
        rows.table_of(sha256)
        os.utime(settings.DATA_DIR / "scratch" / "rows" / sha256, (time.time() - age,) * 2)
    rows_kept.forget()
    assert left() == set(names)
    settings.ROW_COPIES_MB = 2
    rows_kept.forget()
    assert left() == {names[0], names[2]}
    with rows_kept.locked(rows_kept.base() / names[0]):  # somebody fills it
        settings.ROW_COPIES_MB = 1
        rows_kept.forget()
        assert names[0] in left()
    assert rows.table_of(names[1]).num_rows == 100_000


def test_without_room_on_the_disk_older_copies_go_and_then_it_is_said(settings: Any, tmp_path: Path) -> None:
    first, second = (sealed(pa.table({"x": [number]}), tmp_path / str(number)) for number in range(2))
    rows.table_of(first)
    settings.ROW_COPIES_FREE_MB = 2**40
    with pytest.raises(CheckError, match="do not fit") as error:
        rows.table_of(second)
    assert error.value.code == "rows.no_room"
    assert not (rows_kept.base() / first).exists()
    assert list((rows_kept.base() / second).glob("*.arrow")) == []
    assert list((rows_kept.base() / second).glob("*.part")) == []
    settings.ROW_COPIES_FREE_MB = 0
    assert rows.table_of(second).to_pylist() == [{"x": 1}]


def entered(room: Path) -> bool:
    with rows_kept.locked(room) as held:
        return held.is_dir() and (held / "lock").exists()


def somebody_waits() -> bool:
    """Whether a thread of this process is held up by a lock on a file: proc(5), ``/proc/locks``."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and str(os.getpid()) in line.split() for line in lines)


def test_who_waited_for_a_room_that_was_removed_gets_a_new_one(tmp_path: Path) -> None:
    room = rows_kept.base() / "a"
    with ThreadPoolExecutor(1) as pool:
        with rows_kept.locked(room) as held:
            waiting = pool.submit(entered, room)
            assert until(somebody_waits, seconds=10)
            remove_directory(held)
        assert waiting.result(timeout=10)


def test_a_check_is_given_the_columns_with_a_role_and_those_it_names() -> None:
    about = Manifest("x", 1, "X", "data", "", "any", ("data",), (), "x:X", reads="roles")
    roles = Roles("y", ("sex",), ("age",), weight="w", id="key")
    read = columns_read(about, roles, {"strata": "region", "reference": ["race=blue"], "bins": 3})
    assert read is not None
    assert {"y", "sex", "w", "key", "region", "race"} <= set(read)
    assert "age" not in read
    assert columns_read(Manifest("x", 1, "X", "data", "", "any", ("data",), (), "x:X"), roles, {}) is None


@pytest.mark.slow
def test_a_file_larger_than_the_memory_is_checked_with_the_same_result(tmp_path: Path, artifact_root: Path) -> None:
    """256 MiB beyond an idle worker, for a file of 330 MB, its predictions and as much training data."""
    random = np.random.default_rng(1)
    files = tmp_path / "data.parquet", tmp_path / "scores.parquet"
    writers: list[pa.parquet.ParquetWriter] = []
    for _ in range(MANY // 250_000):
        score = random.random(250_000)
        part = pa.table({
            **{f"x{number:02}": random.normal(size=250_000) for number in range(12)},
            "y": (random.random(250_000) < score).astype("int8"),
            "amount": score + random.normal(size=250_000),
            "sex": pa.array(np.array(["female", "male"])[random.integers(0, 2, 250_000)]),
        })  # fmt: skip
        said = pa.table({"prediction": (score > 0.5).astype("int64"), "score": score})
        writers = writers or [
            pa.parquet.ParquetWriter(path, one.schema) for path, one in zip(files, (part, said), strict=True)
        ]
        for writer, rows_of in zip(writers, (part, said), strict=True):
            writer.write_table(rows_of)
    digests = []
    for writer, path in zip(writers, files, strict=True):
        writer.close()
        with path.open("rb") as stream:
            digests.append(blobs().put(stream)[0])
    assert files[0].stat().st_size > LIMIT_MIB << 20
    environment = os.environ | {"ARTIFACT_ROOT": str(artifact_root), "DATA_DIR": str(settings.DATA_DIR)}
    whole, scores = (pa.parquet.read_table(path) for path in files)
    features = tuple(name for name in whole.column_names if name.startswith("x"))
    for label, uses in WITHIN.items():
        command = [
            sys.executable,
            "-m",
            "tests.governance.engine.rows_within",
            str(LIMIT_MIB),
            *digests,
            digests[0],
            label,
        ]
        ended = subprocess.run([*command, "sex", *uses], env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr[-2000:]
        inputs = CheckInputs(whole, Roles(label, ("sex",), features), scores, scores, whole)
        assert json.loads(ended.stdout)["digests"] == {use: run_check(get(use), inputs).digest for use in uses}
