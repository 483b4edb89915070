"""The data scientist's journey with the client they have: the README's lines, a fresh process, a token and an address."""

import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from sklearn.datasets import load_diabetes

from tests.journeys.doors import Api, new_token
from tests.journeys.house import ROOT, House

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
ROWS: Final = load_diabetes(as_frame=True, scaled=False).data.astype("float64").head(30).to_dict("records")


def client(house: House, token: str, folder: Path, **asked: Any) -> dict[str, Any]:
    """Run the client in a process that knows the address and a token, and nothing else of us."""
    answer = folder / "answer.json"
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ} | {
        "HOME": str(folder),
        "MLFLOW_TRACKING_URI": house.url,
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    told = subprocess.run(
        [sys.executable, "-m", "tests.journeys.client"],
        cwd=ROOT,
        env=environment,
        input=json.dumps({**asked, "answer": str(answer)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-4000:]
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


def readme_lines(url: str) -> str:
    """The four lines as README.md has them, with the address of this installation."""
    block = re.search(r"```python\n(import mlflow\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block, "README.md shows no lines that begin with import mlflow"
    return re.sub(r'set_tracking_uri\("[^"]+"\)', f'set_tracking_uri("{url}")', block[1])


def test_the_lines_of_the_readme_register_a_sealed_version_that_loads(
    house: House, scientist: Api, tmp_path: Path
) -> None:
    told = client(
        house,
        scientist.token,
        tmp_path,
        register=readme_lines(house.url),
        predict={"models:/credit-default/1": None},
        refused=[["set_registered_model_alias", "credit-default", "production", 1]],
    )
    assert told["models:/credit-default/1"] == told["trained"]
    version = scientist.get("/models/credit-default/versions/1")
    assert version["status"] == "READY"
    assert re.fullmatch(r"[0-9a-f]{64}", version["manifest_digest"])
    assert f"{house.url}/models/credit-default/versions/1/promote/" in told["refused"][0]
    assert scientist.get("/models/credit-default")["aliases"] == {}


def test_after_approval_the_alias_is_exactly_the_approved_bytes(
    house: House, scientist: Api, signed: str, tmp_path: Path
) -> None:
    by_number, by_alias = "models:/diabetes-followup/2", "models:/diabetes-followup@production"
    told = client(
        house,
        scientist.token,
        tmp_path,
        predict={by_number: ROWS, by_alias: ROWS},
        download=[by_number, by_alias],
        refused=[["set_registered_model_alias", "diabetes-followup", "production", 1]],
    )
    assert told[by_number] == told[by_alias]
    assert set(told[by_alias]) == {0, 1}, "a model that always says the same would prove nothing"
    rows = scientist.get("/models/diabetes-followup/versions/2/files")["results"]
    sealed = {row["path"]: row["sha256"] for row in rows}
    assert told["digests"] == {by_number: sealed, by_alias: sealed}
    request = scientist.get(f"/requests/{signed}")
    assert request["manifest_digest"] == scientist.get("/models/diabetes-followup/versions/2")["manifest_digest"]
    assert house.url in told["refused"][0]
    assert scientist.get("/models/diabetes-followup")["aliases"] == {"production": 2}


def test_an_expired_and_a_revoked_token_are_told_so(house: House, tmp_path: Path) -> None:
    expired, revoked = new_token(house, "ds-1"), new_token(house, "ds-1")
    with house.superuser() as server, server.transaction():
        named = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'registry_apitoken'::regclass AND tgname LIKE 'ledger_entry_%'"
        triggers = [str(row[0]) for row in server.execute(named).fetchall()]
        for trigger in triggers:
            server.execute(f"ALTER TABLE registry_apitoken DISABLE TRIGGER {trigger}")
        server.execute(
            "UPDATE registry_apitoken SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'"
            " WHERE prefix = %s",
            [_prefix(expired)],
        )
        for trigger in triggers:
            server.execute(f"ALTER TABLE registry_apitoken ENABLE ALWAYS TRIGGER {trigger}")
    with closing(Api(house, revoked)) as api:
        assert api.call("DELETE", f"/tokens/{_prefix(revoked)}").status_code == 204

    first, second, third = client(house, "", tmp_path, tokens=[expired, revoked, "csn_nonsense.x"])["tokens"]

    assert "expired" in first
    assert "revoked" in second
    assert third
    for token in (expired, revoked):
        with closing(Api(house, token)) as api:
            answer = api.call("GET", "/me")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"


def _prefix(token: str) -> str:
    return token.removeprefix("csn_").partition(".")[0]
