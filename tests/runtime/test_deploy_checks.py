"""``manage.py check --deploy``: every setting that is wrong for production is named, and a right one is quiet."""

from pathlib import Path

import pytest
from pytest_django import Settings

from config.checks import production


@pytest.fixture
def sound(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings a production installation may run with."""
    settings.PUBLIC_URL = "https://models.example.org"
    settings.ALLOWED_HOSTS = ["models.example.org"]
    settings.DEBUG = False
    settings.TRACKING_SECRET = "s" * 40
    settings.BROKER_URL = "redis://:password@broker:6379/0"
    monkeypatch.setitem(settings.DATABASES["default"], "USER", "countersign_app")
    settings.KEYS_DIR = tmp_path
    return settings


def codes() -> list[str]:
    return [str(message.id) for message in production(None)]


def test_sound_settings_pass(sound: Settings) -> None:
    assert codes() == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("PUBLIC_URL", "http://models.example.org", "countersign.E001"),
        ("ALLOWED_HOSTS", ["*"], "countersign.E002"),
        ("DEBUG", True, "countersign.E003"),
        ("TRACKING_SECRET", "short", "countersign.E004"),
        ("BROKER_URL", "", "countersign.E005"),
        ("BROKER_URL", "memory://", "countersign.E005"),
        ("BROKER_URL", "redis://broker:6379/0", "countersign.E006"),
    ],
)
def test_each_unsound_setting_has_its_own_message(sound: Settings, name: str, value: object, code: str) -> None:
    setattr(sound, name, value)
    assert codes() == [code]


@pytest.mark.parametrize("user", ["countersign_owner", "postgres"])
def test_signing_in_to_the_database_with_all_rights_is_warned_of(
    sound: Settings, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    monkeypatch.setitem(sound.DATABASES["default"], "USER", user)
    assert codes() == ["countersign.W001"]


@pytest.mark.parametrize(("names", "said"), [(("*",), "every model"), (("one", "two"), "one, two")])
def test_what_is_exempt_from_gating_is_warned_of(sound: Settings, names: tuple[str, ...], said: str) -> None:
    sound.UNGOVERNED_MODELS = names
    assert codes() == ["countersign.W002"]
    assert said in production(None)[0].msg


def test_a_loopback_address_needs_no_tls(sound: Settings) -> None:
    sound.PUBLIC_URL = "http://127.0.0.1:8000"
    assert codes() == []


def test_a_signing_key_that_others_can_read_is_named(sound: Settings, tmp_path: Path) -> None:
    (tmp_path / "permit.p256.pem").touch(mode=0o644)
    (tmp_path / "ledger.ed25519.pem").touch(mode=0o600)
    (tmp_path / "permit.p256.pub.pem").touch(mode=0o644)
    assert codes() == ["countersign.E007"]
    assert str(tmp_path / "permit.p256.pem") in production(None)[0].msg
    assert tmp_path == sound.KEYS_DIR


@pytest.mark.parametrize(
    ("address", "authorization", "found"),
    [
        ("https://mlflow.example.org", "Bearer x", ["countersign.W003"]),
        ("http://127.0.0.1:5000", "Bearer x", ["countersign.W003"]),
        ("http://mlflow.example.org", "", ["countersign.W003"]),
        ("http://mlflow.example.org", "Bearer x", ["countersign.E008", "countersign.W003"]),
    ],
)
def test_an_existing_mlflow_server_is_told_of(
    sound: Settings, address: str, authorization: str, found: list[str]
) -> None:
    sound.MLFLOW_TRACKING_URI, sound.MLFLOW_TRACKING_AUTHORIZATION, sound.TRACKING_SECRET = address, authorization, ""
    assert codes() == found
    assert address in production(None)[-1].msg
    assert not authorization or authorization not in " ".join(message.msg for message in production(None))
