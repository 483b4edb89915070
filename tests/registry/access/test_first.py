"""The first account: made once, can administer and register models, has no vote; its password stands in no output."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from registry import reach
from registry.models import User
from registry.services.access import first_account
from tests.factories import registry as make

pytestmark = pytest.mark.django_db
PASSWORD = "first words of a long story"


def test_a_new_installation_has_one_account_that_administers_and_has_no_vote() -> None:
    user = first_account(password=lambda: PASSWORD)
    assert user is not None
    assert user.check_password(PASSWORD)
    assert reach.holds(user, reach.ADMINISTER)
    assert reach.holds(user, reach.CONTRIBUTE)
    assert not reach.holds(user, reach.APPROVE)
    assert not reach.holds(user, reach.VALIDATE)
    assert make.actions()[0] == "user.created"


def test_where_there_is_an_account_no_other_is_made() -> None:
    make.person(name="somebody")
    assert first_account(password=lambda: PASSWORD) is None
    assert not User.objects.filter(username="admin").exists()


def test_the_command_says_where_the_password_is_and_not_what_it_is(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    said = StringIO()
    call_command("first_account", stdout=said)
    kept = tmp_path / "secrets" / "admin-password"
    assert str(kept) in said.getvalue()
    assert kept.read_text() not in said.getvalue()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert User.objects.get(username="admin").check_password(kept.read_text())
    call_command("first_account", stdout=said)
    assert User.objects.count() == 1
