"""Environments are built by uv from a directory of real wheels: once, whole or not at all, within their limits."""

# ruff: noqa: PLC0415 - models are pickled by value, so they import what they use
from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from governance.sandbox import SandboxJob, SandboxOutcome, run
from governance.sandbox.environments import EnvironmentFailed, Environments
from governance.sandbox.environments.recorded import Pin
from governance.sandbox.environments.store import built, evict
from tests.governance.sandbox.conftest import MakeModel
from tests.governance.sandbox.wheels import packed_again, wheel
from tests.waiting import until


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our run-time libraries, and ``joblib`` and ``scorer`` in versions that nobody else has."""
    folder = tmp_path_factory.mktemp("index")
    packed_again(folder, ["numpy", "pandas", "pyarrow", "cloudpickle"])
    startup = "import pathlib; pathlib.Path('/tmp/countersign-pth-was-here').touch()\n"
    wheel(folder, "joblib", "0.0.7", {"joblib/__init__.py": "__version__ = '0.0.7'\n", "joblib.pth": startup})
    wheel(folder, "scorer", "1.0", {"scorer.py": "def score(x): return 1.0\n"})
    wheel(folder, "scorer", "2.0", {"scorer.py": "def score(x): return 2.0\n"}, ["joblib==0.0.7"])
    wheel(folder, "lured", "1.0", {"lured.py": ""}, ["scorer @ https://evil.example/scorer-9-py3-none-any.whl"])
    wheel(
        folder,
        "odd",
        "1.0",
        {"odd_old.py": "print 'x'\n", "odd_deep.py": "x = " + "-" * 200_000 + "1\n", "odd_z.py": "Z = 1\n"},
    )
    (folder / "source-1.0.tar.gz").write_bytes(b"never unpacked")
    return folder


@pytest.fixture
def allowed(index: Path, tmp_path: Path) -> Environments:
    return Environments((str(index),), tmp_path / "environments", build_seconds=120)


def nothing() -> None:
    pass


def answer(make_model: MakeModel, people: Path, allowed: Environments | None, text: str) -> SandboxOutcome:
    """A model that answers with the versions it finds."""

    class Model:
        def predict(self, rows: Any) -> Any:
            import importlib.metadata
            import sys

            names = ("joblib", "scorer", "scikit-learn")
            found = {
                dist.metadata["Name"]: dist.version for dist in importlib.metadata.distributions(path=sys.path[-1:])
            }
            return [f"{ {name: found.get(name) for name in names} }"] * len(rows)

    folder = make_model(Model())
    (folder / "requirements.txt").write_text(text)
    return run(SandboxJob("predict", folder, people, features=("age",), scan=False, environments=allowed))


def said(outcome: SandboxOutcome) -> str:
    assert outcome.ok, outcome.message
    assert outcome.predictions is not None
    return str(outcome.predictions["prediction"][0])


def test_a_model_runs_with_the_versions_it_recorded(make_model: MakeModel, people: Path, allowed: Environments) -> None:
    outcome = answer(make_model, people, allowed, "scorer==2.0\njoblib==0.0.7\n")
    assert said(outcome) == "{'joblib': '0.0.7', 'scorer': '2.0', 'scikit-learn': None}"
    record = outcome.record()["environment"]
    assert (record["kind"], record["compatible"], record["added"]) == (
        "recorded",
        True,
        ["numpy", "pandas", "pyarrow", "cloudpickle"],
    )
    assert record["packages"] == 8
    assert "own recorded environment: 8 packages" in record["words"]
    assert (allowed.root / record["lock_digest"] / "site" / "scorer.py").is_file()
    # The line of a .pth file is code that Python runs at its start: before the confinement, were it allowed to.
    assert not Path("/tmp/countersign-pth-was-here").exists()


def test_without_an_allowed_index_the_difference_is_recorded_and_said(make_model: MakeModel, people: Path) -> None:
    outcome = answer(make_model, people, None, "joblib==0.0.7\nscikit-learn\n")
    record = outcome.record()["environment"]
    assert (record["kind"], record["compatible"], record["lock_digest"]) == ("platform", False, "")
    (difference,) = record["differences"]
    assert difference.startswith("joblib ==0.0.7 recorded, here ")
    assert record["words"].startswith(
        "It ran in the platform's environment, which differs from the recorded one: joblib"
    )


def test_the_platform_is_taken_when_it_satisfies_what_was_recorded(
    make_model: MakeModel, people: Path, allowed: Environments
) -> None:
    outcome = answer(make_model, people, allowed, "joblib>=1\nnumpy\n")
    record = outcome.record()["environment"]
    assert (record["kind"], record["compatible"]) == ("platform", True)
    assert record["words"] == "It ran in the platform's environment, which satisfies all 2 recorded requirements."
    assert not allowed.root.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("scorer==9.9\n", "no version of scorer==9.9"),
        ("source==1.0\n", "source"),
        ("lured==1.0\n", "URL dependency"),
        ("git+https://evil.example/x.git\n", "no requirement of a package by name and version"),
        ("scorer==1.0 --hash=sha256:" + "0" * 64 + "\n", "No file of “scorer” in the allowed indexes has a hash"),
        ("-r more.txt\nscorer==1.0\n", "use -r"),
    ],
)
def test_a_build_that_fails_is_an_error_with_its_reason(
    make_model: MakeModel, people: Path, allowed: Environments, text: str, sentence: str
) -> None:
    outcome = answer(make_model, people, allowed, text)
    assert outcome.code == "environment_failed"
    assert "The recorded environment cannot be built" in outcome.message or "No file of" in outcome.message
    assert sentence in outcome.message
    assert outcome.seconds == 0
    assert not list(allowed.root.glob(".building-*"))
    assert not list(allowed.root.glob("*/environment.json"))


def test_another_python_is_an_error_with_its_reason(make_model: MakeModel, people: Path, allowed: Environments) -> None:
    class Model:
        def predict(self, rows: Any) -> Any:
            return [0] * len(rows)

    folder = make_model(Model())
    (folder / "requirements.txt").write_text("scorer==1.0\n")
    (folder / "python_env.yaml").write_text("python: 3.4.10\n")
    outcome = run(SandboxJob("predict", folder, people, features=("age",), scan=False, environments=allowed))
    assert outcome.code == "environment_failed"
    assert "records Python 3.4.10, and this worker has Python 3." in outcome.message


def test_recorded_hashes_are_what_is_installed(index: Path, allowed: Environments) -> None:
    import hashlib

    right = hashlib.sha256((index / "scorer-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    pin = Pin("scorer", "scorer==1.0", frozenset({right, "0" * 64}))
    with built([pin], python="", allowed=allowed, beat=nothing) as ready:
        lock = json.loads((ready.site.parent / "environment.json").read_text())["lock"]
    assert lock == f"scorer==1.0 \\\n    --hash=sha256:{right}\n"


def test_one_lock_is_built_once_by_all_who_want_it(allowed: Environments) -> None:
    def build(_number: int) -> tuple[str, float]:
        with built([Pin("scorer", "scorer==2.0")], python="", allowed=allowed, beat=nothing) as ready:
            return ready.digest, (ready.site / "scorer.py").stat().st_ino

    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(build, range(4)))
    assert len(results) == 1
    assert len(list(allowed.root.glob("*/environment.json"))) == 1
    assert not list(allowed.root.glob(".building-*"))


BUILDS = """
import sys, time
from pathlib import Path
from governance.sandbox.environments import Environments
from governance.sandbox.environments.recorded import Pin
from governance.sandbox.environments.store import built
allowed = Environments((sys.argv[1],), Path(sys.argv[2]))
def beat(): time.sleep(3600)
with built([Pin("scorer", "scorer==1.0")], python="", allowed=allowed, beat=beat): pass
"""


def test_a_killed_build_leaves_no_half_environment(allowed: Environments) -> None:
    root = Path(__file__).resolve().parents[4]
    arguments = [sys.executable, "-c", BUILDS, allowed.indexes[0], str(allowed.root)]
    with subprocess.Popen(arguments, cwd=root, env={**os.environ}) as builder:
        until(lambda: list(allowed.root.glob(".building-*/said")), what="a build under way")
        builder.send_signal(signal.SIGKILL)
    assert list(allowed.root.glob(".building-*"))
    with built([Pin("scorer", "scorer==1.0")], python="", allowed=allowed, beat=nothing) as ready:
        assert (ready.site / "scorer.py").is_file()
    assert not list(allowed.root.glob(".building-*"))


def test_it_is_compiled_when_it_is_built_and_equal_sources_give_equal_bytes(allowed: Environments) -> None:
    """It is read-only when it runs, so what is not compiled then is compiled at every start."""
    pins = [Pin("scorer", "scorer==2.0")]

    def compiled() -> dict[str, bytes]:
        with built(pins, python="", allowed=allowed, beat=nothing) as ready:
            return {path.relative_to(ready.site).as_posix(): path.read_bytes() for path in ready.site.rglob("*.pyc")}

    first = compiled()
    tag = sys.implementation.cache_tag
    assert set(first) == {f"__pycache__/scorer.{tag}.pyc", f"joblib/__pycache__/__init__.{tag}.pyc"}
    # Flags of PEP 552: found by the hash of the source, which nobody compares, so no time stamp stands in it.
    assert {content[4:8] for content in first.values()} == {b"\x01\x00\x00\x00"}
    (place,) = allowed.root.glob("*/site")
    assert str(place / "scorer.py").encode() in first[f"__pycache__/scorer.{tag}.pyc"]
    assert evict(allowed.root, 0)
    assert compiled() == first
    assert not Path("/tmp/countersign-pth-was-here").exists()


def test_sources_that_cannot_be_compiled_do_not_stop_a_build(allowed: Environments) -> None:
    with built([Pin("odd", "odd==1.0")], python="", allowed=allowed, beat=nothing) as ready:
        assert (ready.site / "odd_z.py").is_file()
        assert not list(ready.site.rglob("odd_old.*.pyc"))


def test_a_build_is_ended_when_nobody_wants_it_any_more(allowed: Environments) -> None:
    class Cancelled(Exception):
        pass

    def cancelled() -> None:
        raise Cancelled

    with pytest.raises(Cancelled), built([Pin("scorer", "scorer==1.0")], python="", allowed=allowed, beat=cancelled):
        pass
    assert not list(allowed.root.glob(".building-*"))
    assert not list(allowed.root.glob("*/environment.json"))


def test_an_environment_above_its_limit_is_refused(allowed: Environments) -> None:
    small = replace(allowed, max_bytes=1024**2)
    with (
        pytest.raises(EnvironmentFailed, match="larger than 1 MiB"),
        built([Pin("numpy", "numpy")], python="", allowed=small, beat=nothing),
    ):
        pass
    assert not list(allowed.root.glob("*/environment.json"))


def test_a_build_that_takes_too_long_is_ended(allowed: Environments) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call, and never says a word
        port = silent.getsockname()[1]
        late = replace(allowed, indexes=(f"http://127.0.0.1:{port}/simple",), build_seconds=1)
        with (
            pytest.raises(EnvironmentFailed, match="not built within 1 seconds"),
            built([Pin("pandas", "pandas")], python="", allowed=late, beat=nothing),
        ):
            pass


def test_the_oldest_that_nobody_uses_is_evicted(allowed: Environments) -> None:
    def digest_of(text: str) -> str:
        with built([Pin("scorer", text)], python="", allowed=allowed, beat=nothing) as ready:
            return ready.digest

    old, new = digest_of("scorer==1.0"), digest_of("scorer==2.0")
    for name, moment in ((old, 1_000), (new, 2_000)):
        os.utime(allowed.root / name / "environment.json", (moment, moment))
    with built([Pin("scorer", "scorer==1.0")], python="", allowed=allowed, beat=nothing):
        os.utime(allowed.root / old / "environment.json", (1_000, 1_000))
        assert evict(allowed.root, 0) == [new]  # the older one is in use
    assert evict(allowed.root, 0) == [old]
    assert digest_of("scorer==1.0") == old  # and comes back as the same


@pytest.fixture
def shop(index: Path, tmp_path: Path) -> Iterator[str]:
    """The same wheels behind a simple index (PEP 503) on loopback."""
    pages = tmp_path / "simple"
    for path in index.glob("*.whl"):
        page = pages / path.name.split("-")[0].replace("_", "-").lower()
        page.mkdir(parents=True, exist_ok=True)
        (page / path.name).symlink_to(path)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://reader:secret-word@127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the standard library
        pass


def test_an_index_by_address_serves_and_its_password_is_never_told(shop: str, allowed: Environments) -> None:
    online = replace(allowed, indexes=(shop,))
    with built([Pin("scorer", "scorer==2.0")], python="", allowed=online, beat=nothing) as ready:
        assert ready.packages == 2
    with (
        pytest.raises(EnvironmentFailed) as failed,
        built([Pin("absent", "absent==1")], python="", allowed=online, beat=nothing),
    ):
        pass
    assert "absent" in str(failed.value)
    assert "secret-word" not in str(failed.value)
