"""Whoever shows nothing gets JSON 401 at every address of the protocol, whatever the method: never a page, never a redirect."""

import json
from typing import Final

import pytest
from django.test import Client

from registry.mlflow import urls

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
OPEN: Final = {"version", "health"}
"""What MLflow's client asks before it has anything to show: the release that is spoken, and whether we are there."""
PAGES: Final = "mlflow/"
"""MLflow's own pages are for a browser, which is sent to the sign-in page."""
BELOW: Final = [
    *(f"2.0/mlflow/{name}" for name in urls._RPCS),
    "2.0/mlflow/webhooks",
    "2.0/mlflow/webhooks/w1",
    "2.0/mlflow/webhooks/w1/test",
    "2.0/mlflow/runs/create",
    "2.0/mlflow/experiments/search",
    "2.0/mlflow/logged-models/m-1/tags",
    "2.0/mlflow/nonsense",
    "3.0/mlflow/traces/search",
    "2.0/mlflow-artifacts/artifacts",
    "2.0/mlflow-artifacts/artifacts/sealed/1/1/MLmodel",
    "2.0/mlflow-artifacts/artifacts/1/run/artifacts/x",
    "2.0/mlflow-artifacts/mpu/create/1/run/artifacts/x",
    "2.0/mlflow-artifacts/presigned/1/run/artifacts/x",
    "2.0/preview/mlflow/registered-models/get",
]
ADDRESSES: Final = [f"{prefix}/{rest}" for prefix in ("api", "ajax-api") for rest in BELOW]


def test_every_address_of_the_table_is_tried() -> None:
    tried = [
        pattern
        for pattern in urls.urlpatterns
        if any(pattern.resolve(address) is not None for address in [*ADDRESSES, *OPEN, PAGES, f"{PAGES}x"])
    ]
    assert [str(pattern.pattern) for pattern in urls.urlpatterns if pattern not in tried] == []


@pytest.mark.django_db
@pytest.mark.parametrize("credentials", [None, "Bearer csn_nonsense.x"])
def test_without_credentials_every_address_answers_json_401(credentials: str | None) -> None:
    client = Client(headers={"authorization": credentials} if credentials else {})
    for address in ADDRESSES:
        for method in METHODS:
            answer = client.generic(method, f"/{address}", b"{}", content_type="application/json")
            assert answer.status_code == 401, (method, address, answer.status_code)
            assert answer["Content-Type"] == "application/json", (method, address)
            told = json.loads(answer.content)
            assert told["error_code"] == "UNAUTHENTICATED", (method, address, told)
            assert told["message"]
            assert "Bearer" in answer["WWW-Authenticate"]
            assert "Location" not in answer
