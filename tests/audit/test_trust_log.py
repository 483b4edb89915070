"""Whether the log may be trusted now: what contradicts the guard file or the key is told, what is only late is not."""

from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from audit.guard import Guard, Head
from audit.health import log_status
from audit.keys import ensure_keys, ledger_key
from audit.models import Checkpoint
from tests.factories.audit import integrate, touch

pytestmark = pytest.mark.django_db


@pytest.fixture
def guard(settings: Settings, tmp_path: Path, keys_dir: Path) -> Guard:
    """The guard file of an installation of this test's own, with a log of two checkpoints: 2 and 3 entries."""
    settings.DATA_DIR = tmp_path
    ensure_keys(keys_dir)
    guard = Guard.default()
    for names in ("ab", "c"):
        for name in names:
            touch(name)
        integrate(guard, ledger_key())
    return guard


def test_a_log_that_its_guard_knows_is_whole(guard: Guard) -> None:
    with CaptureQueriesContext(connection) as queries:
        status = log_status()
    assert (status.state, status.problem) == ("whole", "")
    assert len(queries) == 2  # the head, and what the last verification found


def test_a_guard_one_batch_behind_is_no_problem(guard: Guard) -> None:
    first = Checkpoint.objects.get(size=2)
    guard.write(Head(2, bytes(first.root)))
    assert log_status().state == "whole"


def test_without_a_guard_file_the_signature_decides(guard: Guard) -> None:
    guard.path.unlink()
    assert log_status().state == "whole"


def test_a_log_that_was_cut_is_broken(guard: Guard) -> None:
    guard.write(Head(9, bytes(32)))
    assert log_status().broken
    assert "has 3 entries, but 9 were signed before" in log_status().problem


def test_an_empty_database_under_a_guard_is_broken(settings: Settings, tmp_path: Path, keys_dir: Path) -> None:
    settings.DATA_DIR = tmp_path
    assert log_status().state == "unknown"
    Guard.default().write(Head(9, bytes(32)))
    assert "has 0 entries, but 9 were signed before" in log_status().problem


@pytest.mark.parametrize("size", [1, 2, 3])
def test_another_history_is_broken(guard: Guard, size: int) -> None:
    guard.write(Head(size, bytes(32)))
    assert f"The first {size} entries are not those that were signed before" in log_status().problem


def test_a_damaged_guard_file_is_broken_and_named(guard: Guard) -> None:
    guard.path.write_text("{")
    assert "is damaged" in log_status().problem
