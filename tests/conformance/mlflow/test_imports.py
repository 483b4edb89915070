"""The web process holds no machine learning: MLflow alone costs 170 MiB and two seconds."""

import subprocess
import sys

import pytest

HEAVY = ("mlflow", "numpy", "pandas", "sklearn", "scipy", "pyarrow", "shap", "flask", "sqlalchemy")

PROGRAM = f"""
import sys
import config.wsgi
from django.urls import get_resolver
get_resolver().url_patterns
from django.test import Client
assert Client(SERVER_NAME="127.0.0.1").get("/version").status_code == 200
print(sorted({{name.partition(".")[0] for name in sys.modules}} & set({HEAVY!r})))
"""


@pytest.mark.usefixtures("db")
def test_the_web_process_loads_no_machine_learning() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().splitlines()[-1] == "[]"
