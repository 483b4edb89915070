"""Each layer that a run says was on, as the kernel tells it to the confined process itself: none is on by word alone."""

# ruff: noqa: PLC0415 - models are pickled by value, so they import what they use
from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from governance.sandbox import Limits, SandboxJob, run
from tests.governance.sandbox.conftest import MakeModel

LIMITS = Limits(
    wall_seconds=60, cpu_seconds=41, memory_bytes=999 * 1024**2, file_bytes=7 * 1024**2, open_files=99, threads=33
)
NAMESPACES = ("net", "ipc", "uts")
MAY_PASS_DIRECTORIES = 1 << 2
"""The one capability (``CAP_DAC_READ_SEARCH``) that a run keeps where other users cannot reach the environment."""


def told_by_the_kernel() -> Any:
    """A model that says of its process what the kernel says."""

    class Told:
        def predict(self, rows: Any) -> Any:
            import ctypes
            import json
            import os
            import resource

            libc = ctypes.CDLL(None)

            def prctl(option: int, argument: int = 0) -> int:
                return int(libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0))

            def is_open(number: int) -> bool:
                try:
                    os.fstat(number)
                except OSError:
                    return False
                return True

            def is_readable(path: str) -> bool:
                try:
                    with open(path, "rb"):
                        return True
                except PermissionError:
                    return False

            header = (ctypes.c_uint32 * 2)(0x20080522, 0)
            capabilities = (ctypes.c_uint32 * 6)()
            death = ctypes.c_int(0)
            libc.prctl(2, ctypes.byref(death), 0, 0, 0)
            told = {
                "namespaces": {
                    name: os.readlink(f"/proc/self/ns/{name}")  # noqa: PTH115
                    for name in ("net", "ipc", "uts")
                },
                "user": [*os.getresuid(), *os.getresgid(), len(os.getgroups())],
                "capabilities": [libc.capget(header, capabilities), *capabilities],
                "bounding": [number for number in range(41) if prctl(23, number) == 1],
                "readable": is_readable("/etc/passwd"),
                "no_new_privs": prctl(39),
                "seccomp": prctl(21),
                "dumpable": prctl(3),
                "parent_death": death.value,
                "session": os.getsid(0) == os.getpid(),
                "descriptors": [number for number in range(90) if is_open(number)],
                "environment": sorted(os.environ),
                "limits": {
                    name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if "RLIMIT_" in name
                },
            }
            return [json.dumps(told), *[""] * (len(rows) - 1)]

    return Told()


@pytest.mark.parametrize(("warm", "own_user"), [(True, True), (False, True), (True, False)])
def test_what_is_said_to_be_on_is_on(
    make_model: MakeModel, people: Path, monkeypatch: pytest.MonkeyPatch, *, warm: bool, own_user: bool
) -> None:
    monkeypatch.setenv("A_SECRET", "do-not-leak")
    if not own_user:  # as where the worker is no root
        monkeypatch.setattr("governance.sandbox.staging.own_users", lambda: False)
    job = SandboxJob(
        "predict", make_model(told_by_the_kernel()), people, features=("age",), scan=False, warm=warm, limits=LIMITS,
    )  # fmt: skip
    outcome = run(job)
    assert outcome.predictions is not None, outcome.message
    told = json.loads(outcome.predictions["prediction"][0].as_py())
    on = {name for name, why in outcome.layers.on.items() if why == "on"}
    assert on >= {"environment", "descriptors", "session", "limits", "no_new_privs", "seccomp"}
    ours = {name: Path(f"/proc/self/ns/{name}").readlink().name for name in NAMESPACES}
    same = {name for name, place in told["namespaces"].items() if place == ours[name]}
    assert same == (set() if "namespaces" in on else set(NAMESPACES))
    assert told["readable"] is ("landlock" not in on)
    if "user" in on:
        assert len(set(told["user"][:6])) == 1
        assert told["user"][0] not in {0, os.getuid()}
        assert told["user"][6] == 0
    assert set(told["capabilities"]) <= {0, MAY_PASS_DIRECTORIES}
    assert os.getuid() != 0 or told["bounding"] == []  # who is no root may not drop what it does not have
    assert (told["no_new_privs"], told["seccomp"], told["dumpable"], told["parent_death"]) == (1, 2, 0, 9)
    assert told["session"] is True
    assert len(told["descriptors"]) <= 5
    assert "A_SECRET" not in told["environment"]
    limits = {name: tuple(both) for name, both in told["limits"].items()}
    assert limits["RLIMIT_CORE"] == (0, 0)
    assert limits["RLIMIT_MEMLOCK"] == (0, 0)
    assert limits["RLIMIT_MSGQUEUE"] == (0, 0)
    assert limits["RLIMIT_DATA"] == (LIMITS.memory_bytes,) * 2
    assert limits["RLIMIT_CPU"] == (LIMITS.cpu_seconds, LIMITS.cpu_seconds + 2)
    assert limits["RLIMIT_FSIZE"] == (LIMITS.file_bytes,) * 2
    assert limits["RLIMIT_NOFILE"] == (LIMITS.open_files,) * 2
    assert limits["RLIMIT_AS"][1] != resource.RLIM_INFINITY
    assert "user" not in on or limits["RLIMIT_NPROC"] == (LIMITS.threads,) * 2
