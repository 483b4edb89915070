"""The throw-away cluster that this very run of pytest uses."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from django.db import connection

from tests.runtime.processes import alive

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.mark.django_db
def test_tests_run_on_a_real_postgresql_as_the_owner_of_the_schema() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_setting('server_version_num')::int, inet_server_addr()::text")
        row = cursor.fetchone()
    assert row is not None
    assert row[0] == "countersign_owner"
    assert row[1] >= 150000
    assert row[2].startswith("127.0.0.1")


@pytest.mark.parametrize("how", ["fails", "is interrupted"])
def test_a_run_that_ends_badly_leaves_neither_server_nor_files(place: Path, how: str) -> None:
    ending = "raise KeyboardInterrupt" if how == "is interrupted" else "assert False"
    (place / "test_it.py").write_text(f"""
import os, pathlib
def test_it():
    state = pathlib.Path(os.environ["DATA_DIR"]).parent
    pid = (state / "postgres" / "postmaster.pid").read_text().split()[0]
    pathlib.Path({str(place / "note")!r}).write_text(pid + " " + str(state))
    {ending}
""")
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    config = place / "pytest.ini"
    config.touch()
    plugins = ["-p", "no:cacheprovider", "-p", "no:django", "-p", "tests.cluster"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            str(config),
            "--rootdir",
            str(place),
            *plugins,
            str(place / "test_it.py"),
        ],
        cwd=ROOT,
        env=own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}, done.stdout + done.stderr
    pid, state = (place / "note").read_text().split()
    assert not alive(int(pid))
    assert not Path(state).exists()
