"""Sealing a version from its uploads: only a whole MLflow model."""

import pytest

from config.errors import Conflict, Invalid, NotAllowed
from registry.digests import manifest_digest, manifest_document
from registry.models import ModelVersion, RegisteredModel, User
from registry.services import artifacts
from tests.factories import registry as make


def test_the_server_computes_the_manifest_and_reads_flavours_and_signature(
    pending: ModelVersion, scientist: User
) -> None:
    make.uploaded(pending, scientist, make.MLMODEL)
    make.uploaded(pending, scientist, b"weights", "model.skops")

    version = artifacts.finish_version(version=pending, by=make.actor(scientist))

    files = make.stored({"model.skops": b"weights", "MLmodel": make.MLMODEL})
    assert version.manifest_digest == manifest_digest(manifest_document(files))
    assert version.flavours == ["python_function", "sklearn"]
    assert version.signature == {"inputs": [{"name": "age", "type": "double"}]}
    again = artifacts.finish_version(version=version, by=make.actor(scientist))
    assert again.sealed_at == version.sealed_at
    assert make.actions().count("version.sealed") == 1


def test_an_open_upload_holds_it_back(pending: ModelVersion, scientist: User) -> None:
    make.uploaded(pending, scientist, make.MLMODEL)
    make.upload(pending, scientist, b"weights", "model.skops")

    with pytest.raises(Conflict, match=r"not complete: model\.skops"):
        artifacts.finish_version(version=pending, by=make.actor(scientist))

    pending.refresh_from_db()
    assert pending.status == ModelVersion.Status.PENDING


@pytest.mark.parametrize("path", ["", "model.bin", "deeper/MLmodel", "mlmodel"])
def test_a_model_that_is_no_mlflow_model_is_refused(pending: ModelVersion, scientist: User, path: str) -> None:
    if path:
        make.uploaded(pending, scientist, make.MLMODEL, path)

    with pytest.raises(Invalid, match="no MLflow model") as refused:
        artifacts.finish_version(version=pending, by=make.actor(scientist))

    assert refused.value.field == "files"
    pending.refresh_from_db()
    assert pending.status == ModelVersion.Status.PENDING


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "must be a mapping"),
        (b"- a\n", "must be a mapping"),
        (b"flavors: {}\n", "no flavors"),
        (b"name: x\n", "no flavors"),
        (b"\xff\xfe", "not valid YAML"),
        (b"a: [", "not valid YAML"),
        (b"flavors: !!python/object/apply:os.system [id]\n", "not valid YAML"),
        (b"a: &a [x]\nflavors: {b: *a, c: *a}\n", "aliases"),
        (b"[" * 5000, "not valid YAML"),
        (b"flavors: {a: {}}\nsignature: {inputs: '{'}\n", "not valid JSON"),
        (b"#" * (2**20 + 1), "larger than 1048576 bytes"),
    ],
    ids=["nothing", "list", "empty", "none", "binary", "torn", "python", "aliases", "deep", "signature", "long"],
)
def test_an_mlmodel_file_that_is_none_is_refused(
    pending: ModelVersion, scientist: User, content: bytes, cause: str
) -> None:
    make.uploaded(pending, scientist, content)

    with pytest.raises(Invalid, match=cause) as refused:
        artifacts.finish_version(version=pending, by=make.actor(scientist))

    assert refused.value.field == "MLmodel"


def test_a_file_and_a_directory_of_one_name_are_refused(pending: ModelVersion, scientist: User) -> None:
    make.uploaded(pending, scientist, make.MLMODEL)
    make.uploaded(pending, scientist, b"", "data")
    make.uploaded(pending, scientist, b"", "data/model.bin")

    with pytest.raises(Invalid, match="a file and also the directory"):
        artifacts.finish_version(version=pending, by=make.actor(scientist))


def test_a_version_that_is_read_from_a_run_is_not_finished_by_hand(model: RegisteredModel, scientist: User) -> None:
    version = make.pending_version(model, scientist, source="runs:/1/model")

    with pytest.raises(Conflict) as refused:
        artifacts.finish_version(version=version, by=make.actor(scientist))

    assert refused.value.code == "version.has_source"


def test_a_stranger_finishes_nothing(pending: ModelVersion, scientist: User, stranger: User) -> None:
    make.uploaded(pending, scientist, make.MLMODEL)

    with pytest.raises(NotAllowed):
        artifacts.finish_version(version=pending, by=make.actor(stranger))

    pending.refresh_from_db()
    assert not pending.is_sealed
