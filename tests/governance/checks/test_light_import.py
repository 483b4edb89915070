"""Planning and judging need no numerical library: web processes do both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from governance import checks, policy
from registry.formats.scan import scan_directory
from governance.sandbox import SandboxJob
for need in policy.parse(policy.built_in()).checks:
    checks.manifest(need.use)
heavy = {"numpy", "pandas", "pyarrow", "scipy", "sklearn", "mlflow", "django"} & set(sys.modules)
assert not heavy, heavy
"""


def test_catalogue_policy_and_gate_load_nothing_heavy() -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", CODE], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
