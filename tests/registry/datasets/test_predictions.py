"""Predictions of a model that is not here: of which version, for which rows, checked and put into their order."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from audit.actors import Actor
from config.errors import Invalid, NotAllowed, Refusal
from registry.models import DatasetVersion, ModelVersion, User
from registry.roles import Role
from registry.services import artifacts, datasets, sealing
from registry.storage import blobs
from tests.factories import registry as make
from tests.registry.datasets.files import parquet

pytestmark = pytest.mark.usefixtures("by_hand")

WORKER = Actor.service("ingest")
DATA = {"customer": ["c", "a", "b"], "x": [1.0, 2.0, 3.0], "y": [0, 1, 0]}


def sealed(version: DatasetVersion, by: User, content: bytes) -> DatasetVersion:
    """What the worker makes of a file."""
    make.uploaded(version, by, content, path="data")
    datasets.finish_dataset(dataset_version=version, by=make.actor(by))
    return sealing.seal_dataset(dataset_version=version, by=WORKER)


@pytest.fixture
def data(scientist: User, artifact_root: Path) -> DatasetVersion:
    """Three rows with ids."""
    columns = {"label": "y", "id": "customer"}
    version = datasets.register_dataset(name="exam", role="test", by=make.actor(scientist), columns=columns)
    return sealed(version, scientist, parquet(DATA))


@pytest.fixture
def vendors(scientist: User, artifact_root: Path) -> ModelVersion:
    """A version whose model is elsewhere."""
    version = make.pending_version(make.registered_model(scientist), scientist)
    make.uploaded(version, scientist, b"The score is bought from a vendor.", path="vendor.md")
    return artifacts.finish_version(version=version, by=make.actor(scientist), runnable=False)


def uploaded(
    by: User, version: ModelVersion, data: DatasetVersion, rows: dict[str, Any], **columns: str
) -> DatasetVersion:
    """Predictions with these columns."""
    of = datasets.Of(version=version, data=data, digest=data.digest)
    made = datasets.register_dataset(
        name="answers", role="predictions", by=make.actor(by), columns=columns, predictions=of
    )
    return sealed(made, by, parquet(rows))


@dataclass
class Case:
    """Who uploads, for which version, on which data."""

    scientist: User
    vendors: ModelVersion
    data: DatasetVersion


@pytest.fixture
def case(scientist: User, vendors: ModelVersion, data: DatasetVersion) -> Case:
    """All three."""
    return Case(scientist, vendors, data)


def rows_of(version: DatasetVersion) -> dict[str, list[Any]]:
    """What checks read."""
    path = blobs().path(str(version.table_id))
    assert path is not None
    found: dict[str, list[Any]] = pq.read_table(path).to_pydict()
    return found


def test_row_by_row_and_by_id_they_are_put_into_the_order_of_the_data(
    scientist: User, vendors: ModelVersion, data: DatasetVersion
) -> None:
    plain = uploaded(scientist, vendors, data, {"p": [0, 1, 1], "s": [0.1, 0.9, 0.6]}, prediction="p", score="s")
    named = uploaded(scientist, vendors, data, {"who": ["a", "b", "c"], "s": [0.9, 0.6, 0.1]}, score="s", id="who")

    assert (plain.status, plain.status_message) == ("sealed", "")
    assert rows_of(plain) == {"prediction": [0, 1, 1], "score": [0.1, 0.9, 0.6]}
    assert rows_of(named) == {"score": [0.1, 0.9, 0.6]}
    assert (named.predictions_of, named.predictions_for) == (vendors, data)
    registered = next(one for one in make.entries() if one["facts"].get("for"))
    assert registered["facts"]["of"] == str(vendors.pk)


@pytest.mark.parametrize(
    ("rows", "columns", "cause"),
    [
        ({"p": [0, 1]}, {"prediction": "p"}, "2 predictions for 3 rows"),
        ({"p": [0, 1, None]}, {"prediction": "p"}, "missing in 1 row"),
        ({"p": [0.0, 1.0, float("nan")]}, {"prediction": "p"}, "not finite"),
        ({"p": ["no", "yes", "no"]}, {"prediction": "p"}, "holds text, and the data set's label numbers"),
        ({"p": [[1], [2], [3]]}, {"prediction": "p"}, "is of type list"),
        ({"s": [0.1, 0.2, 1.2]}, {"score": "s"}, "outside 0 to 1"),
        ({"s": ["a", "b", "c"]}, {"score": "s"}, "not a number"),
        ({"s": [0.1, 0.2, 0.3]}, {"score": "t"}, "no column 't'"),
        ({"i": ["a", "b", "z"], "s": [0.1, 0.2, 0.3]}, {"score": "s", "id": "i"}, "1 row(s) of the data set have no"),
        ({"i": ["a", "b", "b"], "s": [0.1, 0.2, 0.3]}, {"score": "s", "id": "i"}, "occurs twice"),
        ({"i": ["a", "b", None], "s": [0.1, 0.2, 0.3]}, {"score": "s", "id": "i"}, "missing or occurs twice"),
        ({"i": [1, 2, 3], "s": [0.1, 0.2, 0.3]}, {"score": "s", "id": "i"}, "The id is of type int64"),
    ],
)
def test_what_does_not_fit_the_data_ends_them(
    case: Case, rows: dict[str, Any], columns: dict[str, str], cause: str
) -> None:
    version = uploaded(case.scientist, case.vendors, case.data, rows, **columns)

    assert version.status == "failed"
    assert cause in version.status_message
    assert version.table is None


def test_of_a_model_that_can_be_run_nobody_uploads_predictions(scientist: User, data: DatasetVersion) -> None:
    version = make.pending_version(make.registered_model(scientist), scientist)
    make.uploaded(version, scientist, make.MLMODEL)
    runnable = artifacts.finish_version(version=version, by=make.actor(scientist))

    with pytest.raises(Invalid) as refused:
        uploaded(scientist, runnable, data, {"p": [0, 1, 1]}, prediction="p")
    assert refused.value.code == "predictions.runnable"


def test_a_file_that_was_not_this_one_is_refused(scientist: User, vendors: ModelVersion, data: DatasetVersion) -> None:
    with pytest.raises(Invalid) as refused:
        datasets.register_dataset(
            name="answers",
            role="predictions",
            by=make.actor(scientist),
            columns={"score": "s"},
            predictions=datasets.Of(version=vendors, data=data, digest="ab" * 32),
        )
    assert (refused.value.code, refused.value.field) == ("predictions.digest", "predictions.digest")


@pytest.mark.parametrize(
    ("role", "columns", "given", "code"),
    [
        ("predictions", {"score": "s"}, False, "predictions.of_what"),
        ("test", {"label": "y"}, True, "predictions.of_what"),
        ("predictions", {"label": "y"}, True, "predictions.columns"),
    ],
)
def test_role_and_columns_go_with_predictions(
    case: Case, role: str, columns: dict[str, str], given: bool, code: str
) -> None:
    of = datasets.Of(version=case.vendors, data=case.data, digest=case.data.digest) if given else None
    with pytest.raises(Refusal) as refused:
        datasets.register_dataset(
            name="answers", role=role, by=make.actor(case.scientist), columns=columns, predictions=of
        )
    assert refused.value.code == code


def test_who_may_not_contribute_to_the_model_uploads_none(
    stranger: User, vendors: ModelVersion, data: DatasetVersion
) -> None:
    other = make.person(Role.VALIDATOR)
    for user in (stranger, other):
        with pytest.raises(NotAllowed):
            uploaded(user, vendors, data, {"s": [0.1, 0.2, 0.3]}, score="s")


@pytest.mark.parametrize(
    ("path", "runnable", "code"),
    [
        ("MLmodel", False, "version.runnable"),
        ("vendor.md", True, "version.no_mlmodel"),
        ("", False, "version.no_files"),
    ],
)
def test_whether_a_model_is_here_is_said_and_held_against_its_files(
    scientist: User,
    artifact_root: Path,
    path: str,
    runnable: bool,
    code: str,
) -> None:
    version = make.pending_version(make.registered_model(scientist), scientist)
    if path:
        make.uploaded(version, scientist, make.MLMODEL, path=path)

    with pytest.raises(Invalid) as refused:
        artifacts.finish_version(version=version, by=make.actor(scientist), runnable=runnable)
    assert refused.value.code == code
