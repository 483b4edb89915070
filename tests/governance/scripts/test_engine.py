"""A script of the policy through the engine: judged by the policy, an error with its line, used again only as it was."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.errors import Invalid
from governance.checks.script_params import ScriptParams
from governance.models import CheckRun
from registry.models import User
from tests.factories import governance as make
from tests.governance.engine import models
from tests.governance.engine.test_execute import asked, run_all, run_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

SCRIPT = """\
import json, sys
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
place = Path(sys.argv[1])
data, predictions = pq.read_table(place / "data.parquet"), pq.read_table(place / "predictions.parquet")
wrong = np.asarray(data["y"]) != np.asarray(predictions["prediction"])
share = float(wrong.mean())
figure = {"key": "wrong", "value": share, "n": len(wrong), "better": "lower", "ci_low": share - 0.01, "ci_high": share + 0.01}
Path("result.json").write_text(json.dumps({"figures": [figure]}))
"""
ECHO = """\
import json, sys
from pathlib import Path
said = (Path(sys.argv[1]) / "parameters.json").read_text()
Path("result.json").write_text(json.dumps({"not_applicable": "It only tells what it was given.", "findings": [said]}))
"""


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)


def policy(*scripts: tuple[str, str, str]) -> str:
    """A policy of these scripts: (key, source, limit)."""
    checks = ""
    for key, source, limit in scripts:
        text = "".join(f"        {line}\n" for line in source.splitlines())
        checks += f"  - use: script\n    id: {key}\n    data: {{role: test}}\n    params:\n      script: |\n{text}"
        checks += f"    require: {{wrong: {{le: {limit}}}}}\n"
    return (
        'policy: house\ngoverns: {tiers: [1, 2, 3], targets: ["alias:production"]}\nchecks:\n'
        f"{checks}review:\n  - {{stage: approval, all: [{{role: approver, n: 1}}]}}\n"
    )


def test_its_figures_are_judged_by_the_policy_and_its_faults_named(scientist: User) -> None:
    rule = policy(
        ("good", SCRIPT, "0.5"),
        ("strict", SCRIPT, "0.001"),
        ("broken", "x = 1\n\n1 / 0\n", "1"),
        ("silent", "pass\n", "1"),
        ("online", "import socket\nsocket.socket()\n", "1"),
        ("odd", "import json\nopen('result.json', 'w').write(json.dumps({'figures': [{'key': 'A B'}]}))\n", "1"),
    )
    files = models.sound_model()
    request = run_all(asked(scientist, files, policy=rule))
    found = {run.key: (run.verdict, run.error_code, run.summary) for run in request.checks.all()}
    assert found["good"][0] == "pass", found
    assert found["strict"][0] == "fail", found
    assert found["broken"] == ("error", "raised", "The script raised: line 3: ZeroDivisionError: division by zero")
    assert found["silent"][1] == "output_invalid"
    assert found["online"][1:] == (
        "forbidden", "The script tried to open a socket. The sandbox refused it and ended the run.",
    )  # fmt: skip
    assert found["odd"][1] == "script.answer"
    good = run_of(request, "good")
    assert good.result is not None
    assert good.result["facts"]["script_sha256"] == ScriptParams(SCRIPT).digest
    assert good.sandbox["layers"]
    assert good.title.endswith("good")

    again = make.request(make.sealed_version(request.model, scientist, files), scientist)
    reused = {key: run_of(again, key) for key in ("good", "strict")}
    assert {one.reused_from.key for one in reused.values() if one.reused_from} <= {"good", "strict"}
    assert {key: one.verdict for key, one in reused.items()} == {"good": "pass", "strict": "fail"}
    assert reused["good"].summary == good.summary
    other = policy(("good", f"{SCRIPT}# other\n", "0.5"))
    make.policy(other)
    third = make.request(make.sealed_version(request.model, scientist, files), scientist)
    assert CheckRun.objects.get(request=third, key="good").reused_from is None


def test_it_is_given_what_the_policy_says_and_which_column_is_what(scientist: User) -> None:
    """``parameters.json``, so that an auditor who has the policy has everything the script had."""
    rule = policy(("given", ECHO, "1"))
    rule = rule.replace("    require: {wrong: {le: 1}}\n", "      arguments: {limit: 0.2}\n      seed: 41\n")
    run = run_of(run_all(asked(scientist, models.sound_model(), policy=rule)), "given")
    assert run.result is not None, run.summary
    (said,) = run.result["findings"]
    given = json.loads(said)
    assert (given["arguments"], given["seed"]) == ({"limit": 0.2}, 41)
    assert run.dataset is not None
    assert (given["roles"]["label"], given["roles"]["sensitive"]) == ("y", ["sex"])


def test_a_policy_with_a_script_that_is_no_python_is_not_adopted(house: object) -> None:
    with pytest.raises(Invalid, match=r"no Python \(line 1\)"):
        make.policy(policy(("broken", "if:\n", "1")))
