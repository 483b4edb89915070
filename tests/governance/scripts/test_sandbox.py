"""A script in the sandbox: what it is given, what it may do, and how each bad end is named."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from governance.sandbox import Limits, SandboxJob, SandboxOutcome, run

GOOD = """
import json, sys
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq

place = Path(sys.argv[1])
data, predictions = pq.read_table(place / "data.parquet"), pq.read_table(place / "predictions.parquet")
parameters = json.loads((place / "parameters.json").read_text())
wrong = np.asarray(data["y"]) != np.asarray(predictions["prediction"])
Path("result.json").write_text(json.dumps({"figures": [
    {"key": "wrong_share", "value": float(wrong.mean()), "n": len(wrong), "better": "lower"}],
    "findings": [str(parameters["arguments"])]}))
"""


def asked(tmp_path: Path, script: str, *, seconds: float = 60) -> SandboxOutcome:
    files = {"script.py": tmp_path / "s.py", "data.parquet": tmp_path / "d", "predictions.parquet": tmp_path / "p",
             "parameters.json": tmp_path / "j"}  # fmt: skip
    files["script.py"].write_text(script)
    files["parameters.json"].write_text(json.dumps({"arguments": {"a": 1}}))
    pyarrow.parquet.write_table(pa.table({"y": [0, 1, 1, 0]}), files["data.parquet"])
    pyarrow.parquet.write_table(pa.table({"prediction": [0, 1, 0, 0]}), files["predictions.parquet"])
    limits = Limits(wall_seconds=seconds, file_bytes=4 * 2**20)
    return run(SandboxJob(mode="script", files=files, limits=limits))


def test_it_reads_data_predictions_and_parameters_and_answers(tmp_path: Path) -> None:
    outcome = asked(tmp_path, GOOD)
    assert outcome.ok, outcome.message + outcome.detail
    assert outcome.report is not None
    assert outcome.report["figures"][0]["value"] == 0.25
    assert outcome.report["findings"] == ["{'a': 1}"]
    assert outcome.layers.on["landlock"]


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("x = 1\n\n1 / 0\n", "raised", "line 3: ZeroDivisionError"),
        ("import sys\nsys.exit('no')\n", "raised", "status no"),
        ("pass\n", "output_invalid", "result.json"),
        ("open('result.json', 'w').write('[1]')\n", "output_invalid", "JSON object"),
        ("open('result.json', 'w').write('{\"figures\": NaN}')\n", "output_invalid", "NaN"),
        ("open('result.json', 'w').write('{\"a\": 1, \"a\": 2}')\n", "output_invalid", "twice"),
        ("open('result.json', 'w').write('[' * 100000)\n", "output_invalid", "JSON"),
        ("open('result.json', 'w').write(' ' * 2 * 2**20)\n", "output_invalid", "bytes"),
        ("import os\nos.symlink('/etc/passwd', 'result.json')\n", "forbidden", "Permission"),
        ("import os\nos.mkdir('result.json')\n", "output_invalid", "plain file"),
        ("import socket\nsocket.socket()\n", "forbidden", "socket"),
        ("import subprocess\nsubprocess.run(['true'])\n", "forbidden", "start a program"),
        ("open('/etc/passwd').read()\n", "forbidden", "Permission"),
        ("import sys, pathlib\npathlib.Path(sys.argv[1], 'x').write_text('x')\n", "forbidden", "Permission"),
        ("import os, signal\nos.kill(os.getppid(), signal.SIGTERM)\n", "forbidden", "signal"),
        ("open('big', 'wb').write(b'x' * 2**23)\n", "output_too_large", ""),
    ],
)  # fmt: skip
def test_each_bad_end_has_its_code(tmp_path: Path, script: str, code: str, said: str) -> None:
    outcome = asked(tmp_path, script)
    assert (outcome.code, said in outcome.message) == (code, True), outcome.message + outcome.detail


def test_one_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    assert asked(tmp_path, "while True: pass\n", seconds=3).code in {"timeout", "cpu"}
