"""What is scanned is what is loaded: no file gets past the gate by looking like something else."""

import pickle
from pathlib import Path

import pytest
import yaml

from governance.sandbox import SandboxJob, run
from governance.sandbox.child.load import CannotLoadError, pickled
from registry.formats.scan import scan_directory

RUNS_CODE = b"cos\nsystem\n(S'touch ran'\ntR."
"""Protocol 0: plain text, without a magic number."""


def model(folder: Path, name: str, content: bytes, flavors: dict[str, object]) -> Path:
    folder = folder / "model"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}))
    return folder


def sklearn(name: str, **more: object) -> dict[str, object]:
    return {"sklearn": {"pickled_model": name, "serialization_format": "cloudpickle", **more}}


@pytest.mark.parametrize("name", ["model", "model.txt", "model.json", "data/model.md"])
def test_a_pickle_in_plain_text_is_refused_whatever_its_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(RUNS_CODE)
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": sklearn(name)}))
    report = scan_directory(folder)
    assert not report.ok
    assert any("os.system" in finding.message for finding in report.refused)


@pytest.mark.parametrize("key", ["model_path", "data", "pickled_model"])
@pytest.mark.parametrize("name", ["model.txt", "weights"])
def test_the_file_of_the_python_function_is_a_pickle_too(tmp_path: Path, key: str, name: str) -> None:
    flavors: dict[str, object] = {"python_function": {"loader_module": "mlflow.sklearn", key: name}}
    report = scan_directory(model(tmp_path, name, RUNS_CODE, flavors))
    assert any("os.system" in finding.message for finding in report.refused)


@pytest.mark.parametrize(
    "start", [b"PAR1", b"ARROW1", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"BZh9", b"\x1f\x8b", b"\x93NUMPY\x01\x00"]
)
def test_a_pickled_model_must_be_a_pickle(tmp_path: Path, start: bytes) -> None:
    assert not scan_directory(model(tmp_path, "model.pkl", start + RUNS_CODE, sklearn("model.pkl"))).ok


def test_a_skops_model_must_be_an_archive(tmp_path: Path) -> None:
    flavors = sklearn("model.skops", serialization_format="skops")
    assert not scan_directory(model(tmp_path, "model.skops", b"PAR1" + b"\0" * 40, flavors)).ok


@pytest.mark.parametrize("named", ["sklearn.utils._available_if MethodType", "sklearn.utils._repr_html.estimator Path"])
def test_a_foreign_name_that_a_library_imports_is_refused(tmp_path: Path, named: str) -> None:
    module, name = named.split()
    data = b"c" + module.encode() + b"\n" + name.encode() + b"\n."
    assert not scan_directory(model(tmp_path, "model.pkl", data, sklearn("model.pkl"))).ok


@pytest.mark.parametrize(
    "content",
    [RUNS_CODE, b"csklearn.utils._available_if\nabc\n.", b"csklearn.metrics.pairwise\nPAIRWISE_DISTANCE_FUNCTIONS\n."],
)
def test_loading_asks_the_allow_list_once_more(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(CannotLoadError):
        pickled(path, listed_only=True)


def test_an_honest_model_is_still_let_in_and_scored(tmp_path: Path, people: Path) -> None:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow to import

    made = LogisticRegression().fit([[20, 1], [60, 2], [30, 1], [50, 2]], [0, 1, 0, 1])
    for protocol in (4, 5):
        folder = model(tmp_path / str(protocol), "model.pkl", pickle.dumps(made, protocol), sklearn("model.pkl"))
        assert scan_directory(folder).ok
        outcome = run(SandboxJob(mode="predict", model_dir=folder, data=people, label="y", features=("age", "noise")))
        assert outcome.code == "ok", outcome.message
