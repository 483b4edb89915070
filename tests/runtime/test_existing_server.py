"""``MLFLOW_TRACKING_URI``: what is read of it, what is refused, and which processes start."""

from base64 import b64decode

import pytest
from django.test import Client
from pydantic import ValidationError
from pytest_django import Settings

from config.env import Env
from config.runtime.services import SERVICES, services

THEIRS = "https://mlflow.example.org/team"


def env(**given: str) -> Env:
    known = {"secret_key": "s" * 40, "database_url": "postgresql://app:x@127.0.0.1:1/x", "port": "8000"}
    return Env(**{**known, **given})  # type: ignore[arg-type]


def test_its_address_and_its_credentials_are_read() -> None:
    assert env(mlflow_tracking_uri=f"{THEIRS}/").mlflow_tracking_uri == THEIRS
    assert env(mlflow_tracking_uri=THEIRS).tracking_authorization() == ""
    assert env(mlflow_tracking_uri=THEIRS, mlflow_tracking_token="abc").tracking_authorization() == "Bearer abc"
    basic = env(mlflow_tracking_uri=THEIRS, mlflow_tracking_username="us", mlflow_tracking_password="p:ß")
    scheme, _, coded = basic.tracking_authorization().partition(" ")
    assert (scheme, b64decode(coded).decode()) == ("Basic", "us:p:ß")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"mlflow_tracking_uri": "http://127.0.0.1:8000"}, "own address"),
        ({"mlflow_tracking_uri": "http://localhost:8000/"}, "own address"),
        ({"mlflow_tracking_uri": "https://us.example.org", "public_url": "https://us.example.org"}, "own address"),
        ({"mlflow_tracking_uri": "sqlite:///mlflow.db"}, "must start with http"),
        ({"mlflow_tracking_uri": "https://me:secret@mlflow.example.org"}, "plain address"),
        ({"mlflow_tracking_uri": f"{THEIRS}?x=1"}, "plain address"),
        ({"mlflow_tracking_uri": THEIRS, "mlflow_tracking_token": "a", "mlflow_tracking_username": "b"}, "not both"),
    ],
)
def test_what_cannot_work_is_refused_in_words(given: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        env(**given)
    assert "secret@" not in str(refused.value)


def test_no_tracking_process_of_ours_is_started_beside_it() -> None:
    assert services({}) == SERVICES
    assert services({"MLFLOW_TRACKING_URI": ""}) == SERVICES
    kept = services({"MLFLOW_TRACKING_URI": THEIRS})
    assert [service.name for service in SERVICES if service not in kept] == ["tracking"]
    asking = {service.name for service in SERVICES if "MLFLOW_TRACKING_TOKEN" in service.variables}
    assert asking == {"web", "worker", "sequencer"}


@pytest.mark.django_db
def test_the_health_probe_says_who_keeps_the_runs(settings: Settings) -> None:
    assert Client().get("/health/ready").json() == {"status": "ready", "tracking": "own process"}
    settings.MLFLOW_TRACKING_URI = THEIRS
    assert Client().get("/health/ready").json() == {"status": "ready", "tracking": "existing MLflow server"}
