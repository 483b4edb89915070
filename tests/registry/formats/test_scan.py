"""The artifact gate: what it lets in, and what it refuses without importing it."""

from __future__ import annotations

import builtins
import gzip
import io
import os
import pickle
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from registry.formats.scan import scan_directory
from registry.formats.scan.archives import Inside, look
from registry.formats.scan.pickles import Named, UnreadablePickleError, names_in_pickles

ITS_FLAVOR: dict[str, Any] = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle", "code": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, data: bytes, *, name: str = "model.pkl", **flavors: Any) -> Path:
    made = flavors or {"sklearn": {**ITS_FLAVOR, "pickled_model": name}}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": made}))
    (folder / name).write_bytes(data)
    return folder


def codes(folder: Path) -> set[str]:
    return {finding.code for finding in scan_directory(folder).refused}


class Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "attack",
    [
        Calls(os.system, "true"),
        Calls(builtins.eval, "1"),
        Calls(builtins.exec, "1"),
        Calls(subprocess.run, ["true"]),
        Calls(builtins.getattr, os, "system"),
        Calls(builtins.__import__, "os"),
        Calls(np.load, "x"),
        Calls(__import__("importlib").import_module, "os"),
        Calls(pickle.loads, b""),
        Calls(io.open, "/etc/passwd"),
    ],
)
def test_a_pickle_that_would_run_code_is_refused(folder: Path, attack: Any, protocol: int) -> None:
    if isinstance(attack.call[1][0], type(os)):
        attack = Calls(attack.call[0], "a", "b")
    assert codes(write(folder, pickle.dumps(attack, protocol))) == {"pickle.global"}


@pytest.mark.parametrize("model", [RandomForestClassifier(3), KNeighborsClassifier(algorithm="kd_tree"), SVC()])
def test_ordinary_estimators_are_let_in(folder: Path, model: Any) -> None:
    random = np.random.default_rng(0)
    model.fit(random.normal(size=(30, 3)), np.arange(30) % 2)
    report = scan_directory(write(folder, cloudpickle.dumps(model)))
    assert report.ok, report.refused
    assert any(name.startswith("sklearn.") for name in report.globals)


def test_code_by_value_is_refused_in_words(folder: Path) -> None:
    class Model:
        def predict(self, rows: Any) -> Any:
            return rows

    report = scan_directory(write(folder, cloudpickle.dumps(Model())))
    assert any("carries its own code" in finding.message for finding in report.refused)


def test_a_name_with_dots_does_not_pass_as_a_class(folder: Path) -> None:
    data = b"\x80\x04\x8c\x10sklearn.pipeline\x8c\x0cPipeline.sys\x93."
    assert codes(write(folder, data)) == {"pickle.global"}


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93.",  # by memo
        b"\x80\x02cos\nsystem\n.",
        b"\x80\x02(S'true'\nios\nsystem\n.",
        b"\x80\x04K\x01.\x80\x04\x8c\x02os\x8c\x06system\x93.",  # in a second pickle
        b"\x80\x04(\x8c\x02os1\x8c\x02os\x8c\x06system\x93.",  # after a mark that was thrown away
    ],
)
def test_hiding_the_name_does_not_help(folder: Path, data: bytes) -> None:
    report = scan_directory(write(folder, data))
    assert "os.system" in report.globals
    assert not report.ok


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8c\x02os\x8c\x03sys\x85\x93.",  # the name is a tuple's remains
        b"\x80\x04\x82\x01.",
        b"\x80\x04K\x01Q.",
        b"\x80\x02Pabc\n.",  # extension registry, persistent ids
        b"\x80\x04\x8c\x02os",
        b"\x80\x04h\x07.",
        b"\x80\x04\x93.",
        b"\x80\x04",
        b"\x80\x04\xff.",
    ],
)
def test_what_cannot_be_followed_is_refused(folder: Path, data: bytes) -> None:
    assert codes(write(folder, data)) <= {"pickle.global", "pickle.unreadable"}
    assert not scan_directory(folder).ok


def test_reading_names_imports_nothing() -> None:
    assert "antigravity" not in sys.modules
    assert list(names_in_pickles(b"\x80\x02cantigravity\nfly\n.")) == [Named("antigravity", "fly")]
    assert "antigravity" not in sys.modules
    with pytest.raises(UnreadablePickleError):
        list(names_in_pickles(b"\x80\x02}"))


def _zipped(data: bytes, name: str = "inner.pkl") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(name, data)
    return held.getvalue()


@pytest.mark.parametrize("wrap", [gzip.compress, zlib.compress, _zipped, lambda data: _zipped(gzip.compress(data))])
def test_wrapped_pickles_are_unwrapped(folder: Path, wrap: Any) -> None:
    report = scan_directory(write(folder, wrap(pickle.dumps(Calls(os.system, "true")))))
    assert any("posix.system" in finding.message for finding in report.refused)


def test_an_array_of_objects_is_a_pickle_in_disguise(folder: Path) -> None:
    held = io.BytesIO()
    np.save(held, np.array([{}], dtype=object), allow_pickle=True)
    assert codes(write(folder, held.getvalue(), name="extra.npy")) == {"array.objects"}


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("helper.py", b"print(1)", "file.code"),
        ("lib.so", b"\x7fELF", "file.code"),
        ("run", b"#!/bin/sh\n", "file.code"),
        ("blob.bin", b"\x00\xff\x00\xfe", "file.unknown"),
        ("bomb.zip", b"PK\x03\x04broken", "archive.unreadable"),
        ("evil.skops", b"", ""),
    ],
)
def test_other_files_are_judged_by_their_bytes(folder: Path, name: str, data: bytes, code: str) -> None:
    write(folder, pickle.dumps({"a": 1}))
    (folder / name).write_bytes(data)
    assert codes(folder) == ({code} if code else set())


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_whatever_a_codec_says_of_a_broken_member_is_a_finding(method: int, place: int, bit: int) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        archive.writestr("weights.json", bytes(range(256)) * 8)
    broken = bytearray(held.getvalue())
    broken[place % len(broken)] ^= 1 << bit
    assert all(finding.message for finding in look("a.zip", bytes(broken), Inside()))


def test_a_member_whose_lzma_stream_is_broken_is_unreadable(folder: Path) -> None:
    write(folder, pickle.dumps({"a": 1}))
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("weights.bin", bytes(1000))
    start = 30 + len("weights.bin")  # local header; then two version bytes, the size of the properties, the properties
    broken = bytearray(held.getvalue())
    broken[start + 4] = 0xFF
    (folder / "extra.zip").write_bytes(bytes(broken))
    assert codes(folder) == {"archive.unreadable"}


def test_links_are_refused(folder: Path) -> None:
    write(folder, pickle.dumps(1))
    (folder / "link").symlink_to("/etc")
    assert codes(folder) == {"file.special"}


def test_a_skops_file_is_read_without_skops(folder: Path) -> None:
    schema = b'{"__class__": "system", "__module__": "os", "__loader__": "ObjectNode", "content": []}'
    assert codes(write(folder, _zipped(schema, "schema.json"), name="model.skops")) == {"skops.type"}
    schema = b'{"__class__": "dict", "__module__": "builtins", "__loader__": "OperatorFuncNode"}'
    assert codes(write(folder, _zipped(schema, "schema.json"), name="model.skops")) == {"skops.loader"}


@pytest.mark.parametrize(
    ("flavors", "code"),
    [
        ({"sklearn": {**ITS_FLAVOR, "code": "code"}}, "mlmodel.code"),
        ({"sklearn": ITS_FLAVOR, "python_function": {"loader_module": "my.module"}}, "mlmodel.loader"),
        ({"sklearn": ITS_FLAVOR, "spacy": {"data": "model.pkl"}}, "mlmodel.flavor"),
        ({"sklearn": {**ITS_FLAVOR, "pickled_model": "../../etc/passwd"}}, "mlmodel.path_outside"),
        ({"sklearn": {**ITS_FLAVOR, "pickled_model": "other.pkl"}}, "file.missing"),
    ],
)
def test_mlmodel_is_held_to_the_allow_list(folder: Path, flavors: dict[str, Any], code: str) -> None:
    assert code in codes(write(folder, pickle.dumps(1), **flavors))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "mlmodel.missing"),
        ("a: [", "mlmodel.invalid"),
        ("a: 1", "mlmodel.no_flavors"),
        ("flavors: {}", "mlmodel.no_flavors"),
        ("flavors: [sklearn]", "mlmodel.no_flavors"),
        ("a: &x [1]\nb: *x\nflavors: {sklearn: {}}", "mlmodel.invalid"),
        ("flavors: !!python/object/apply:os.system [true]", "mlmodel.invalid"),
        ("flavors: {sklearn: 3}", "mlmodel.invalid"),
    ],
)
def test_a_model_that_is_no_mlflow_model_is_told_so(folder: Path, text: str | None, code: str) -> None:
    if text is not None:
        (folder / "MLmodel").write_text(text)
    assert codes(folder) == {code}


def test_the_report_is_plain_json(folder: Path) -> None:
    (folder / "requirements.txt").write_text("scikit-learn==1.9.1  # why\n\n")
    report = scan_directory(write(folder, pickle.dumps({"a": 1}))).as_dict()
    assert report["requirements"] == ["scikit-learn==1.9.1"]
    assert report["files"] == 3
    assert report["findings"] == []
