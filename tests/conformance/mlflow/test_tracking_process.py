"""The tracking process answers us only, and what our client reads from it."""

import httpx
import pytest

from registry.tracking import HEADER, NotThere, TrackingClient, TrackingDown
from tests.conformance.mlflow.tracking import SECRET

RUNS = "/api/2.0/mlflow/runs/search"


def test_without_the_secret_nothing_is_told(tracking_url: str) -> None:
    with httpx.Client(base_url=tracking_url, trust_env=False) as http:
        for headers in ({}, {HEADER: "wrong"}, {HEADER: ""}):
            answer = http.post(RUNS, json={"experiment_ids": ["0"]}, headers=headers)
            assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
        assert http.post(RUNS, json={"experiment_ids": ["0"]}, headers={HEADER: SECRET}).status_code == 200


def test_runs_and_their_files_are_read(tracking_url: str) -> None:
    with httpx.Client(base_url=tracking_url, headers={HEADER: SECRET}, trust_env=False) as http:
        made = http.post(
            "/api/2.0/mlflow/runs/create",
            json={"experiment_id": "0", "user_id": "ada", "tags": [{"key": "mlflow.user", "value": "ada"}]},
        ).json()["run"]
        run_id = made["info"]["run_id"]
        http.post("/api/2.0/mlflow/runs/log-parameter", json={"run_id": run_id, "key": "seed", "value": "7"})
        http.post(
            "/api/2.0/mlflow/runs/log-metric",
            json={"run_id": run_id, "key": "auc", "value": 0.75, "timestamp": 1, "step": 0},
        )
        http.post(
            "/api/2.0/mlflow/runs/log-metric",
            json={"run_id": run_id, "key": "broken", "value": "NaN", "timestamp": 1, "step": 0},
        )
        http.put(f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/m/sub/a b.txt", content=b"hello")
    with TrackingClient(tracking_url, SECRET) as tracking:
        run = tracking.run(run_id)
        assert (run.user, dict(run.parameters), dict(run.metrics)) == ("ada", {"seed": "7"}, {"auc": 0.75})
        root = f"{run.artifact_path}/m"
        assert [(file.path, file.size) for file in tracking.files(root)] == [(f"{root}/sub/a b.txt", 5)]
        with tracking.download(f"{root}/sub/a b.txt") as content:
            assert (content.read(2), content.read(100), content.read(1)) == (b"he", b"llo", b"")
        with pytest.raises(NotThere, match="has no run"):
            tracking.run("f" * 32)
        with pytest.raises(NotThere, match="has no logged model"):
            tracking.logged_model("m-" + "f" * 32)
        with pytest.raises(NotThere, match="has no artifact"), tracking.download(f"{root}/none"):
            pass
    with pytest.raises(TrackingDown), TrackingClient("http://127.0.0.1:9", SECRET) as nobody:
        nobody.run(run_id)
