"""Results that rest on uploaded predictions: the check is run again, the predictions cannot be."""

import pytest

from governance.recheck_cli import main
from registry.models import User
from tests.factories import governance as make
from tests.governance.engine.test_execute import run_all
from tests.governance.engine.test_vendors import asked, held_out, places, run_of, vendors

__all__ = ["places"]

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.usefixtures("by_hand")]


def test_their_bytes_are_compared_and_that_is_said(scientist: User, capsys: pytest.CaptureFixture[str]) -> None:
    request = run_all(asked(scientist, vendors(scientist, held_out(scientist)), predictions="predictions: uploaded"))
    make.integrate()
    run = run_of(request, "performance.binary")
    assert run.result is not None, run.summary
    assert main([str(run.pk)]) == 0, capsys.readouterr().out
    assert "they were uploaded" in capsys.readouterr().out
