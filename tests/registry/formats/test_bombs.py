"""Files that ask for any amount of memory, time or disk end as a refusal with a sentence; their reader ends, nobody else."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.errors import Invalid
from registry.formats.apart import Bounds, Read, read_apart
from tests.registry.datasets.files import CSV, FORMATS, PACKINGS
from tests.registry.formats import bombs

MEMORY_MB = 512
SMALL, LARGE = 128 << 20, 4 << 30
FEW, MANY = 10_000_000, 2_000_000_000


def read(tmp_path: Path, content: bytes, size: int = LARGE, rows: int = FEW, **more: Any) -> Read:
    """What the file holds, read apart."""
    path = tmp_path / "file"
    path.write_bytes(content)
    bounds = Bounds(memory_mb=MEMORY_MB, seconds=more.pop("seconds", 300), bytes=size, rows=rows)
    return read_apart(path, more.pop("columns", {}), scratch=tmp_path, bounds=bounds, k=2, **more)


@pytest.mark.parametrize(
    ("bomb", "code", "size", "rows"),
    [
        (bombs.zeros_in_gzip, "dataset.too_large", SMALL, FEW),
        (bombs.zeros_in_zstd, "dataset.too_large", SMALL, FEW),
        (bombs.endless_gzip_members, "dataset.too_large", SMALL, FEW),
        (bombs.one_cell, "dataset.long_row", LARGE, FEW),
        (bombs.many_names, "dataset.memory", LARGE, FEW),
        (bombs.many_commas, "dataset.ragged", LARGE, FEW),
        (bombs.many_fields, "dataset.many_columns", LARGE, FEW),
        (bombs.many_parquet_columns, "dataset.many_columns", LARGE, FEW),
        (bombs.one_long_value, "dataset.memory", LARGE, FEW),
        (bombs.one_long_value_in_arrow, "dataset.memory", LARGE, FEW),
        (bombs.one_large_page, "dataset.memory", LARGE, MANY),
        (bombs.one_number_many_rows, "dataset.too_large", LARGE, FEW),
        (bombs.rows_of_nothing, "dataset.too_large", LARGE, FEW),
        (bombs.one_run, "dataset.unreadable", LARGE, FEW),
        (bombs.packed_buffer_that_lies, "dataset.memory", LARGE, FEW),
        (lambda: bombs.nested_deeply(3000), "dataset.damaged", LARGE, FEW),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_bomb_is_a_refusal(tmp_path: Path, bomb: Callable[[], bytes], code: str, size: int, rows: int) -> None:
    with pytest.raises(Invalid) as refused:
        read(tmp_path, bomb(), size, rows)
    assert refused.value.code == code
    assert refused.value.field == "file"
    assert refused.value.remedy


@pytest.mark.parametrize("odd", [bombs.nested_deeply, bombs.nested_widely, bombs.many_groups])
def test_what_is_only_odd_is_read(tmp_path: Path, odd: Callable[[], bytes]) -> None:
    assert read(tmp_path, odd()).rows in (3, 20_000)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", FORMATS)
def test_a_sound_file_is_read_as_it_is_in_one_process(tmp_path: Path, kind: str, packing: str) -> None:
    found = read(tmp_path, PACKINGS[packing](FORMATS[kind]), columns={"label": "bad"}, sealed=True)
    assert (found.rows, found.label_kind, found.format) == (3, "binary", kind.removesuffix("-stream"))
    assert [one["name"] for one in found.schema] == ["age", "sex", "bad"]
    assert (found.table is None) == (kind == "parquet" and not packing)


def test_a_refusal_of_the_reader_comes_back_whole(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        read(tmp_path, CSV, columns={"label": "outcome"})
    assert (refused.value.code, refused.value.field) == ("dataset.no_label", "columns.label")
    assert refused.value.remedy


def test_a_reader_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"takes more than 0\.1 seconds") as refused:
        read(tmp_path, bombs.many_names(), seconds=0.1)
    assert refused.value.code == "dataset.slow"
    assert children() == set()


def test_a_reader_that_is_killed_is_said_and_not_tried_for_ever(tmp_path: Path) -> None:
    """As the kernel does where the machine has less memory than the limit allows."""

    def kill() -> None:
        for child in children():
            os.kill(child, signal.SIGKILL)

    with pytest.raises(Invalid) as refused:
        read(tmp_path, bombs.zeros_in_gzip(), tick=kill, rows=MANY)
    assert refused.value.code == "dataset.memory"


def test_whoever_does_not_want_it_any_more_ends_the_reader(tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        read(tmp_path, bombs.many_names() + b"1\n", tick=cancel)
    assert children() == set()


def children() -> set[int]:
    """Readers that this process started and that still live."""
    found = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        for word in (task / "children").read_text().split():
            command = Path(f"/proc/{word}/cmdline")
            if command.exists() and b"apart_child" in command.read_bytes():
                found.add(int(word))
    return found
