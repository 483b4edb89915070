"""Bundles in tests: the log takes everything in, and the verifier runs as auditors run it."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit import keys
from audit.exports import bundle
from governance.models import PromotionRequest
from registry.models import User
from tests.factories import governance as make

VERIFIER = Path(bundle.__file__).with_name("verify.py")
Verify = Callable[..., str]


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    """Run the verifier in a process of its own; return what it says, or fail with its complaint."""

    def run(content: bytes, *options: str, code: int = 0) -> str:
        path, key = tmp_path / "bundle.zip", tmp_path / "ledger.pem"
        path.write_bytes(content)
        key.write_bytes(keys.public_pem(keys.ledger_public_key()))
        command = [sys.executable, "-I", str(VERIFIER), str(path), "--key", str(key), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    return run


@pytest.fixture
def approved(ready: PromotionRequest, approvers: list[User]) -> PromotionRequest:
    """A request with its permit."""
    return make.approve(ready, approvers)


def members_of(content: bytes) -> dict[str, bytes]:
    """The members of a bundle."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def told(content: bytes, request: PromotionRequest) -> dict[str, Any]:
    """What the bundle says of the request, for people."""
    found: dict[str, Any] = json.loads(members_of(content)[f"requests/{request.pk}.json"])
    return found
