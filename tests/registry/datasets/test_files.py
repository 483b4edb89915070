"""Files of every kind, sound and not: what they are is found by their bytes, what is wrong is said without a value."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.errors import Invalid
from registry.formats import tabular
from registry.formats.examined import Examined, examine
from tests.registry.datasets.files import CSV, FORMATS, PACKINGS, ROWS, arrow, parquet, zstd

SECRET = "4711-0815"


def examined(
    tmp_path: Path, content: bytes, columns: dict[str, Any] | None = None, *, most: int = 64 << 30
) -> Examined:
    """What is found in the bytes."""
    path = tmp_path / "some.file"
    path.write_bytes(content)
    return examine(path, columns or {}, scratch=tmp_path, limits=tabular.Limits(bytes=most), k=10)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_rows_are_read_from_every_format_and_packing(tmp_path: Path, kind: str, packing: str) -> None:
    found = examined(tmp_path, PACKINGS[packing](FORMATS[kind]), {"label": "bad"})

    assert (found.format, found.compression, found.rows) == (kind.removesuffix("-stream"), packing, 3)
    assert found.schema == [
        {"name": "age", "type": "int64"},
        {"name": "sex", "type": "string"},
        {"name": "bad", "type": "int64"},
    ]
    assert found.label_kind == "binary"
    table = found.table or tmp_path / "some.file"
    assert pq.read_table(table).to_pydict() == ROWS
    assert (found.table is None) == (kind == "parquet" and not packing)
    assert tabular.read(tmp_path / "some.file")[1].to_pydict() == ROWS


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert examined(tmp_path, b"\xef\xbb\xbf" + CSV).schema[0]["name"] == "age"


def test_packed_in_several_members_it_is_one_file(tmp_path: Path) -> None:
    more = b"60,m,1\n"

    assert examined(tmp_path, gzip.compress(CSV) + gzip.compress(more)).rows == 4
    assert examined(tmp_path, zstd(CSV) + zstd(more)).rows == 4


def test_a_columns_type_does_not_depend_on_how_many_rows_were_looked_at(tmp_path: Path) -> None:
    rows = b"a,b,c,d,e\n" + b"1,1,true,2020-01-01,\n" * 500_000 + b"x,1.5,false,2020-01-01T10:00:00,3\n"
    assert len(rows) > 1 << 23

    types = {one["name"]: one["type"] for one in examined(tmp_path, rows).schema}

    assert types == {"a": "string", "b": "double", "c": "bool", "d": "timestamp[s]", "e": "int64"}


def test_large_row_groups_are_cut_into_small_ones(tmp_path: Path) -> None:
    found = examined(tmp_path, parquet({"a": list(range(200_000))}))

    assert found.table is not None
    metadata = pq.ParquetFile(found.table).metadata
    assert {metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)} == {65_536, 3_392}


def test_categories_of_arrow_become_their_values(tmp_path: Path) -> None:
    coded = pa.table({"c": pa.array(["x", "y", "x"]).dictionary_encode()})

    found = examined(tmp_path, arrow(coded))

    assert found.schema == [{"name": "c", "type": "string"}]


def _wide(count: int) -> bytes:
    return ",".join(f"c{at}" for at in range(count)).encode() + b"\n" + b",".join([b"1"] * count) + b"\n"


BAD: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "dataset.empty", "The file is empty"),
    "no rows": (b"a,b\n", "dataset.empty", "no rows"),
    "no rows of Parquet": (parquet({"a": pa.array([], pa.int64())}), "dataset.empty", "no rows"),
    "no rows of Arrow": (arrow({"a": pa.array([], pa.int64())}), "dataset.empty", "no rows"),
    "empty inside": (gzip.compress(b""), "dataset.empty", "The file is empty"),
    "first line": (b"\na,b\n1,2\n", "dataset.no_header", "first line is empty"),
    "unnamed": (b",a\n0,2\n", "dataset.unnamed_column", "Column 1 has no name"),
    "twice": (b"a,a\n1,2\n", "dataset.column_twice", "'a' occurs twice"),
    "twice in Arrow": (arrow(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])), "dataset.column_twice", "'a'"),
    "ten thousand columns": (_wide(10_000), "dataset.many_columns", "10000 columns; the limit is 5000"),
    "semicolons": (b"a;b\n1,5;2\n", "dataset.separator", "semicolons"),
    "tabs": (b"a\tb\n1\t2\n", "dataset.separator", "tabs"),
    "ragged": (b"a,b\n1,2\n" + f"1,2,{SECRET}\n".encode(), "dataset.ragged", "Row 3 has 3 field(s)"),
    "short": (b"a,b\n1,2\n1\n", "dataset.ragged", "Row 3 has 1 field(s)"),
    "quote": (b'a,b\n1,"2\n3,4\n', "dataset.quotes", "never closed"),
    "Latin-1": (b"a,b\n1,\xc3\xa9\n" + f"1,{SECRET}".encode() + b"\xe9\n", "dataset.encoding", "Line 3 holds a byte (0xE9"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "dataset.encoding", "UTF-16"),
    "null byte": (b"a,b\n1,\x00\n", "dataset.encoding", "Line 2 holds a null byte"),
    "Excel": (b"PK\x03\x04....", "dataset.unreadable", "Excel"),
    "JSON": (b'{"a": 1}', "dataset.unreadable", "JSON"),
    "pickle": (b"\x80\x04\x95....", "dataset.unreadable", "pickle"),
    "torn gzip": (gzip.compress(CSV)[:-9], "dataset.damaged", "cut off or damaged"),
    "torn zstd": (zstd(CSV)[:-3], "dataset.damaged", "cut off or damaged"),
    "after gzip": (gzip.compress(CSV) + b"more", "dataset.damaged", "cut off or damaged"),
    "packed twice": (gzip.compress(zstd(CSV)), "dataset.packed_twice", "inside gzip it is zstd"),
    "torn Parquet": (parquet()[:-20], "dataset.damaged", "Parquet file"),
    "torn Arrow": (arrow()[:-30], "dataset.damaged", "Arrow file"),
    "torn stream": (arrow(stream=True)[:-150], "dataset.damaged", "Arrow file"),
    "bomb of gzip": (gzip.compress(b"a\n" + b"1\n" * 5_000_000), "dataset.too_large", "larger than 1000000 bytes"),
    "bomb of zstd": (zstd(b"a\n" + b"1\n" * 5_000_000), "dataset.too_large", "larger than 1000000 bytes"),
    "bomb of Parquet": (parquet({"a": ["x" * 100] * 1_000_000}, use_dictionary=False), "dataset.too_large", "1000000"),
    "bomb of dictionaries": (parquet({"a": ["x" * 20_000] * 1_000}), "dataset.too_large", "1000000"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "code", "sentence"), list(BAD.values()), ids=list(BAD))
def test_what_is_wrong_is_said_with_a_remedy_and_without_a_value(
    tmp_path: Path, content: bytes, code: str, sentence: str
) -> None:
    with pytest.raises(Invalid) as refused:
        examined(tmp_path, content, most=1_000_000 if code == "dataset.too_large" else 64 << 30)

    assert (refused.value.code, refused.value.field) == (code, "file")
    assert sentence in refused.value.message
    assert refused.value.remedy or code == "dataset.empty"
    assert SECRET not in str(refused.value)
    assert {one.name for one in tmp_path.iterdir()} <= {"some.file", "table.parquet"}, "nothing unpacked stays behind"


@pytest.mark.parametrize(
    ("rows", "columns", "code", "field"),
    [
        (b"a,w\n1,0.5\n2,-1\n", {"weight": "w"}, "dataset.weight", "columns.weight"),
        (b"a,w\n1,0.5\n2,inf\n", {"weight": "w"}, "dataset.weight", "columns.weight"),
        (b"a,w\n1,0.5\n2,\n", {"weight": "w"}, "dataset.weight", "columns.weight"),
        (b"a,w\n1,0.5\n2,4711-0815\n", {"weight": "w"}, "dataset.weight", "columns.weight"),
        (b"a,w\n1,0\n2,0\n", {"weight": "w"}, "dataset.weight", "columns.weight"),
        (b"a,t\n1,5\n", {"time": "t"}, "dataset.time", "columns.time"),
        (b"a,t\n1,yesterday\n", {"time": "t"}, "dataset.time", "columns.time"),
        (b"a,s\n1,high\n", {"score": "s"}, "dataset.score", "columns.score"),
        (b"a\n1\n", {"id": "customer"}, "dataset.no_id", "columns.id"),
        (b"a\n1\n", {"prediction": "p"}, "dataset.no_prediction", "columns.prediction"),
        (b"a\n1\n", {"weight": "w"}, "dataset.no_weight", "columns.weight"),
        (b"a\n1\n", {"time": "t"}, "dataset.no_time", "columns.time"),
    ],
)
def test_a_column_that_does_not_fit_its_role_is_named(
    tmp_path: Path, rows: bytes, columns: dict[str, str], code: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        examined(tmp_path, rows, columns)

    assert (refused.value.code, refused.value.field) == (code, field)
    assert SECRET not in str(refused.value)


def test_weights_and_times_that_fit_are_taken(tmp_path: Path) -> None:
    rows = b"id,a,w,t\n1,3,0,2020-01-01\n2,4,2.5,2020-01-02\n"

    found = examined(tmp_path, rows, {"weight": "w", "time": "t", "id": "id"})

    assert [one["type"] for one in found.schema] == ["int64", "int64", "double", "date32[day]"]
