"""Data sets: registered, filled, sealed by a worker that reads them; what is wrong with one is said by column."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from audit.actors import Actor
from config.errors import Conflict, Invalid, NotAllowed
from registry.models import DatasetVersion, User
from registry.roles import Role
from registry.services import datasets, sealing
from tests.factories import registry as make

pytestmark = pytest.mark.usefixtures("by_hand")

WORKER = Actor.service("ingest")
COLUMNS = {"label": "bad", "features": ["age"], "sensitive": ["sex"], "positive": 1}
ROWS: dict[str, list[Any]] = {"age": [30, 40, 50], "sex": ["f", "m", "f"], "bad": [0, 1, 0]}


def parquet(table: pa.Table | dict[str, list[Any]]) -> bytes:
    """The rows as the bytes of a Parquet file."""
    out = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), out)
    return out.getvalue()


def sealed(by: User, content: bytes, **columns: Any) -> DatasetVersion:
    """What the worker makes of the bytes."""
    return sealing.seal_dataset(dataset_version=make.finished_dataset(by, content, **columns), by=WORKER)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_file_is_read_checked_and_fixed(scientist: User, kind: str) -> None:
    content = parquet(ROWS) if kind == "parquet" else b"age,sex,bad\n30,f,0\n40,m,1\n50,f,0\n"

    version = sealed(scientist, content, **COLUMNS)

    assert (version.status, version.status_message) == (DatasetVersion.Status.SEALED, "")
    assert (version.format, version.rows, version.digest) == (kind, 3, make.sha256(content))
    assert version.schema == [
        {"name": "age", "type": "int64"},
        {"name": "sex", "type": "string"},
        {"name": "bad", "type": "int64"},
    ]
    entry = make.entries()[-1]
    assert entry["action"] == "dataset.sealed"
    assert (entry["facts"]["rows"], entry["facts"]["label_kind"]) == (3, "binary")


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0.5, 1.5, 2.5], "numeric"), (["a", "b", "c"], "categorical"), ([True, False, True], "binary")],
)
def test_the_kind_of_label_is_told(scientist: User, values: list[object], kind: str) -> None:
    sealed(scientist, parquet({**ROWS, "bad": values}), label="bad")

    assert make.entries()[-1]["facts"]["label_kind"] == kind


def _twice() -> bytes:
    return parquet(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["age", "age"]))


@pytest.mark.parametrize(
    ("content", "columns", "cause"),
    [
        (parquet({"age": [1]}), {"label": "bad"}, "no column 'bad', which is named as label. The file has: age"),
        (parquet(ROWS), {"sensitive": ["sex", "race"]}, "no column 'race', which is named as sensitive"),
        (parquet(ROWS), {"features": ["income"]}, "no column 'income', which is named as features"),
        (parquet({"age": pa.array([], pa.int64())}), {}, "no rows"),
        (b"age,bad\n", {}, "no rows"),
        (b"", {}, "empty"),
        (_twice(), {}, "column 'age' occurs twice"),
        (b"age,age\n1,2\n", {"label": "age"}, "column 'age' occurs twice"),
        (parquet({"bad": [0, None, 1]}), {"label": "bad"}, "label 'bad' is missing in 1 row"),
        (parquet({"bad": [1, 1, 1]}), {"label": "bad"}, "one value only"),
        (b"PAR1 and then nothing of the kind", {}, "The Parquet file is cut off or damaged"),
        (parquet(ROWS)[:-20], {}, "The Parquet file is cut off or damaged"),
        (b"a,b\n1,2,3\n", {}, "Row 2 has 3 field(s), and the header has 2"),
        (parquet({"a\x00b": [1]}), {}, "null byte"),
    ],
    ids=["label", "sensitive", "feature", "rows", "csv-rows", "bytes", "twice", "csv-twice", "null", "one-class",
         "magic", "torn", "ragged", "name"],
)  # fmt: skip
def test_what_is_wrong_with_it_is_said_and_ends_it(
    scientist: User, content: bytes, columns: dict[str, Any], cause: str
) -> None:
    version = sealed(scientist, content, **columns)

    assert version.status == DatasetVersion.Status.FAILED
    assert cause in version.status_message
    assert version.sealed_at is None
    entry = make.entries()[-1]
    assert (entry["action"], entry["object"]["id"]) == ("dataset.failed", str(version.pk))
    assert cause in entry["reason"]


def test_delivered_twice_it_is_sealed_once(scientist: User) -> None:
    version = sealed(scientist, parquet(ROWS), **COLUMNS)

    assert sealing.seal_dataset(dataset_version=version, by=WORKER).sealed_at == version.sealed_at
    assert make.actions().count("dataset.sealed") == 1


def test_versions_are_numbered_by_data_set_and_a_data_set_is_its_owners(scientist: User) -> None:
    for number in (1, 2):
        version = datasets.register_dataset(name="credit", role="test", by=make.actor(scientist))
        assert version.number == number

    with pytest.raises(NotAllowed) as refused:
        datasets.register_dataset(name="credit", role="test", by=make.actor(make.person(Role.CONTRIBUTOR)))
    assert refused.value.field == "name"
    assert DatasetVersion.objects.count() == 2
    assert datasets.register_dataset(name="other", role="test", by=make.actor(make.person(Role.VALIDATOR))).number == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"role": "secret"}, "role"),
        ({"columns": {"labels": "x"}}, "columns.labels"),
        ({"columns": {"sensitive": "sex"}}, "columns.sensitive"),
        ({"columns": {"label": "a\x00"}}, "columns.label"),
        ({"columns": {"positive": 0.5}}, "columns.positive"),
        ({"columns": {"positive": 2**53}}, "columns.positive"),
        ({"description": "x" * 50_001}, "description"),
    ],
    ids=str,
)
def test_bad_input_is_refused_by_field(scientist: User, given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        datasets.register_dataset(by=make.actor(scientist), **{"name": "credit", "role": "test", **given})

    assert refused.value.field == field
    assert not DatasetVersion.objects.exists()


def test_a_stranger_registers_none(stranger: User) -> None:
    with pytest.raises(NotAllowed):
        datasets.register_dataset(name="credit", role="test", by=make.actor(stranger))


def test_nothing_is_finished_before_its_file_is_there(scientist: User, stranger: User) -> None:
    version = datasets.register_dataset(name="credit", role="test", by=make.actor(scientist))
    with pytest.raises(Conflict, match="Nothing was uploaded"):
        datasets.finish_dataset(dataset_version=version, by=make.actor(scientist))
    make.upload(version, scientist, b"a\n1\n")
    with pytest.raises(Conflict, match="not complete"):
        datasets.finish_dataset(dataset_version=version, by=make.actor(scientist))
    with pytest.raises(NotAllowed):
        datasets.finish_dataset(dataset_version=version, by=make.actor(stranger))

    version.refresh_from_db()
    assert version.status == DatasetVersion.Status.OPEN


def test_finishing_twice_is_no_error_and_is_logged_once(scientist: User) -> None:
    version = make.finished_dataset(scientist, parquet(ROWS))

    assert datasets.finish_dataset(dataset_version=version, by=make.actor(scientist)).status == "sealing"
    assert make.actions().count("dataset.finished") == 1


@pytest.mark.parametrize(
    "change", [{"digest": "ab" * 32}, {"rows": 0}, {"columns": {}}, {"schema": []}, {"role": "train"}, {"number": 9}]
)
def test_sql_changes_nothing_of_what_was_sealed(scientist: User, change: dict[str, Any]) -> None:
    version = sealed(scientist, parquet(ROWS), **COLUMNS)

    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        DatasetVersion.objects.filter(pk=version.pk).update(**change)
    with pytest.raises(DatabaseError, match="never deleted"), transaction.atomic():
        DatasetVersion.objects.filter(pk=version.pk)._raw_delete("default")


def test_one_that_ends_its_worker_each_time_fails_with_the_reason(scientist: User) -> None:
    version = make.finished_dataset(scientist, b"a,label\n1,0\n2,1\n", label="label")
    DatasetVersion.objects.filter(pk=version.pk).update(seal_attempts=3)
    ended = sealing.seal_dataset(dataset_version=version, by=WORKER)
    assert ended.status == DatasetVersion.Status.FAILED
    assert "ended the worker 3 times" in ended.status_message


def test_while_somebody_reads_it_nobody_else_does(scientist: User) -> None:
    version = make.finished_dataset(scientist, b"a,label\n1,0\n2,1\n", label="label")
    lease = timezone.now() + sealing.SEAL_LEASE
    DatasetVersion.objects.filter(pk=version.pk).update(seal_lease_until=lease)
    assert sealing.seal_dataset(dataset_version=version, by=WORKER).status == DatasetVersion.Status.SEALING
    assert not sealing.waiting().exists()
