"""The commands of ``countersign``: each is there, explains itself, and what verifies needs no server's libraries."""

import subprocess
import sys
from pathlib import Path

import pytest

from config import cli

ROOT = Path(__file__).resolve().parents[2]
WORDS = sorted(cli.COMMANDS)
FORBIDDEN = ("django", "psycopg", "celery", "mlflow", "numpy", "pandas")
"""An auditor's laptop, a witness's host and a cluster's gate have none of these."""


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_each_explains_itself_without_a_server(words: tuple[str, ...]) -> None:
    asked = [*words, "--help"]
    code = (
        "import sys\nfrom config import cli\n"
        f"try:\n    cli.main({asked!r})\nexcept SystemExit as done:\n    assert not done.code\n"
        f"loaded = sorted(set({FORBIDDEN!r}) & set(sys.modules))\nassert not loaded, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_without_words_and_with_unknown_ones_it_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    listed = capsys.readouterr().out
    assert all(" ".join(words) in listed for words in WORDS)
    assert cli.main(["permit", "forge"]) == 2
    assert "there is no command 'permit forge'" in capsys.readouterr().err
