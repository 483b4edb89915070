"""What a model leaves behind, read as hostile: every file that is not exactly what was asked for is refused in words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pytest

from governance.sandbox import Limits, SandboxJob
from governance.sandbox.levels import LEVELS
from governance.sandbox.output import InvalidOutputError, read_answer, read_file, read_predictions
from governance.sandbox.process import Ended
from governance.sandbox.runner import _judge

ROWS = 3
GOOD: dict[str, Any] = {"prediction": pa.array([1, 0, 1]), "score": pa.array([0.0, 0.5, 1.0])}


def written(folder: Path, columns: dict[str, Any]) -> Path:
    table = pa.table(columns)
    path = folder / "predictions.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return path


def read(folder: Path, *, rows: int = ROWS, max_bytes: int = 10**6) -> pa.Table:
    return read_predictions(folder, rows=rows, max_bytes=max_bytes)


@pytest.mark.parametrize(
    "columns",
    [GOOD, {"prediction": pa.array([0.1, -2.0, 1e300])}, {"prediction": pa.array(["yes", "no", ""])}],
)
def test_sound_predictions_are_read_in_their_order(tmp_path: Path, columns: dict[str, Any]) -> None:
    written(tmp_path, columns)
    assert read(tmp_path).to_pydict() == pa.table(columns).to_pydict()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (GOOD | {"score": pa.array([0.5, 1.0000001, 0.0])}, "outside 0 to 1"),
        (GOOD | {"score": pa.array([0.5, -1e-9, 0.0])}, "outside 0 to 1"),
        (GOOD | {"score": pa.array([0.5, float("nan"), 0.0])}, "NaN or infinity"),
        (GOOD | {"score": pa.array([0.5, None, 0.0])}, "are missing"),
        (GOOD | {"score": pa.array([0, 1, 0])}, "scores are not numbers"),
        ({"prediction": pa.array([0.5, float("inf"), 0.0])}, "NaN or infinity"),
        ({"prediction": pa.array([1, None, 0])}, "1 values of “prediction” are missing"),
        ({"prediction": pa.array([True, False, True])}, "neither numbers nor text"),
        ({"prediction": pa.array([[1], [2], [3]])}, "neither numbers nor text"),
        ({"score": pa.array([0.1, 0.2, 0.3])}, "unexpected columns"),
        (GOOD | {"more": pa.array([1, 2, 3])}, "unexpected columns"),
    ],
)
def test_values_that_are_no_predictions_are_refused(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    written(tmp_path, columns)
    with pytest.raises(InvalidOutputError, match=said):
        read(tmp_path)


@pytest.mark.parametrize("rows", [ROWS - 1, ROWS + 1])
def test_a_prediction_more_or_less_than_rows_is_refused(tmp_path: Path, rows: int) -> None:
    written(tmp_path, GOOD)
    with pytest.raises(InvalidOutputError, match=f"gave {ROWS} predictions for {rows} rows"):
        read(tmp_path, rows=rows)


def test_text_that_is_none_is_refused_though_its_lengths_fit(tmp_path: Path) -> None:
    """Bytes that are no UTF-8: whoever shows them later would fail, not the model."""
    path = written(tmp_path, {"prediction": pa.array(["one", "two", "six"])})
    path.write_bytes(path.read_bytes().replace(b"two", b"\xff\xfe\xff"))
    with pytest.raises(InvalidOutputError, match="not a valid Arrow file"):
        read(tmp_path)


def test_a_file_may_have_as_many_bytes_as_are_allowed_and_no_more(tmp_path: Path) -> None:
    size = written(tmp_path, GOOD).stat().st_size
    assert read(tmp_path, max_bytes=size).num_rows == ROWS
    with pytest.raises(InvalidOutputError, match=f"at most {size - 1} are allowed"):
        read(tmp_path, max_bytes=size - 1)


def _elsewhere(path: Path) -> None:
    other = path.with_name("elsewhere")
    path.rename(other)
    path.symlink_to(other)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [_elsewhere, _pipe, _directory])
def test_only_a_plain_file_is_read(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """A link could lead out of the sandbox, a pipe would hold the worker up."""
    spoil(written(tmp_path, GOOD))
    with pytest.raises(InvalidOutputError, match="is not a plain file"):
        read(tmp_path)
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps({"code": "ok"}))
    spoil(answer)
    with pytest.raises(InvalidOutputError, match="is not a plain file"):
        read_file(answer, 100)


@pytest.mark.parametrize(
    "answer", [b"{", b"[" * 100_000, b"[]", b'"ok"', b"{}", b'{"code": "fine"}', b'{"code": null}', b"\xff"]
)
def test_an_answer_without_a_known_code_is_none(tmp_path: Path, answer: bytes) -> None:
    (tmp_path / "answer.json").write_bytes(answer)
    with pytest.raises(InvalidOutputError):
        read_answer(tmp_path)


def test_no_file_is_no_answer_and_no_predictions(tmp_path: Path) -> None:
    assert read_answer(tmp_path) is None
    with pytest.raises(InvalidOutputError, match="gave no predictions"):
        read(tmp_path)


@pytest.mark.parametrize("lacking", sorted(LEVELS["full"]))
def test_an_answer_given_under_less_than_the_demanded_level_is_not_taken(tmp_path: Path, lacking: str) -> None:
    """The child refuses first; its word is not all that is asked."""
    job = SandboxJob("predict", tmp_path, tmp_path / "data", level="full")
    layers = dict.fromkeys(LEVELS["full"], "on")
    assert _judge(job, Ended(status=0, layers=layers)) is None
    outcome = _judge(job, Ended(status=0, layers=layers | {lacking: "not allowed here"}))
    assert outcome is not None
    assert outcome.code == "level_unmet"
    assert f"{lacking} (not allowed here)" in outcome.message


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ({"forbidden": "tried to open a socket"}, "forbidden"),
        ({"stopped": "timeout"}, "timeout"),
        ({"stopped": "memory"}, "memory"),
        ({"stopped": "noise"}, "output_too_large"),
        ({"stopped": "output_too_large"}, "output_too_large"),
        ({"status": 3}, "killed"),
        ({"status": -9}, "killed"),
        ({"status": -24}, "cpu"),  # SIGXCPU
        ({"status": -9, "cpu_seconds": 600.0}, "cpu"),  # the kernel's second limit kills
        ({"status": -25}, "output_too_large"),  # SIGXFSZ
        ({"status": -31}, "forbidden"),  # SIGSYS
    ],
)
def test_every_other_end_is_an_error_of_its_own_whatever_was_left_behind(
    tmp_path: Path, ended: dict[str, Any], code: str
) -> None:
    job = SandboxJob("predict", tmp_path, tmp_path / "data", limits=Limits(cpu_seconds=600))
    outcome = _judge(job, Ended(layers=dict.fromkeys(LEVELS["full"], "on"), **ended))
    assert outcome is not None
    assert (outcome.code, outcome.predictions, outcome.report) == (code, None, None)
    assert outcome.message


def test_a_child_that_never_said_how_it_is_confined_has_given_no_answer(tmp_path: Path) -> None:
    outcome = _judge(SandboxJob("predict", tmp_path, tmp_path / "data"), Ended(status=0))
    assert outcome is not None
    assert "could not be set up" in outcome.message
