"""Which process loads what: typst is the press's alone, and the press knows nothing of the product."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LOADED = """
import django, importlib, sys
django.setup()
for name in ("config.urls", "governance.tasks", "governance.documents.job", "governance.documents.catalogue"):
    importlib.import_module(name)
from django.urls import get_resolver
get_resolver().url_patterns
print([name for name in ("typst", "fontTools", "matplotlib") if name in sys.modules])
"""


def said(script: str, *options: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *options, "-c", script],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_neither_web_nor_worker_loads_typst_or_fonts() -> None:
    assert said(LOADED, DJANGO_SETTINGS_MODULE="config.settings.test") == "[]"


def test_the_press_loads_nothing_of_the_product() -> None:
    press = ROOT / "governance" / "documents" / "press.py"
    script = (
        "import runpy, sys\n"
        f"runpy.run_path({str(press)!r}, run_name='looked_at')\n"
        "print([name for name in ('django', 'governance', 'psycopg', 'config') if name in sys.modules])"
    )

    assert said(script, "-I") == "[]"
