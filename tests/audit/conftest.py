"""Fixtures of the ledger's tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from audit.guard import Guard
from config.runtime import roles

Connect = Callable[[str], "psycopg.Connection[tuple[object, ...]]"]


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    """A guard file of this test's own."""
    return Guard(tmp_path / "guard.json")


@pytest.fixture
def signed_in_as(transactional_db: None) -> Iterator[Connect]:
    """Sign in to this test's database as one of the runtime roles, with its own password."""
    opened: list[psycopg.Connection[tuple[object, ...]]] = []

    def connect(role: str) -> "psycopg.Connection[tuple[object, ...]]":

        variable = {roles.APP: "DATABASE_URL", roles.SEQUENCER: "DATABASE_SEQUENCER_URL"}[role]
        opened.append(psycopg.connect(os.environ[variable], dbname=connection.settings_dict["NAME"], autocommit=True))
        return opened[-1]

    yield connect
    for session in opened:
        session.close()
