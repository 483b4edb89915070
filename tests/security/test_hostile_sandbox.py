"""No hostile model gets out of the sandbox; each gets its own clear error, and nothing of it is left."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest
import yaml

from governance.sandbox import SandboxJob, run, template
from tests.governance.sandbox import hostile
from tests.governance.sandbox.conftest import MakeModel, make_model, people, run_directories
from tests.governance.sandbox.hostile import SMALL, TABLE, Hostile
from tests.governance.sandbox.processes import descendants

cloudpickle.register_pickle_by_value(hostile)
__all__ = ["make_model", "people", "run_directories"]
TRACES = (Path("/tmp/countersign-was-here"), Path("/dev/shm/countersign-was-here"))


def descriptors() -> list[str]:
    with os.scandir("/proc/self/fd") as entries:
        return sorted(entry.name for entry in entries)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No process but the template, no descriptor, no file: after each of them."""
    assert template.ready()
    before = descriptors()
    yield
    assert descendants() <= {template.process_id()}
    assert descriptors() == before
    assert not any(path.exists() for path in TRACES)


@pytest.mark.parametrize("name", TABLE)
def test_a_hostile_model_gets_its_own_error_and_does_not_get_out(
    make_model: MakeModel, people: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SECRET_KEY", "do-not-leak")
    assert_answered(TABLE[name], make_model, people)


# Where the worker is no root, the model has its user: the layers that are left must do.
UNDER_ONE_USER = (
    "fork by number", "kill", "kill by number", "slow down", "shadow", "environment", "write outside", "ptrace",
    "sealed file", "hardlink", "other runs",
)  # fmt: skip


@pytest.mark.parametrize("name", UNDER_ONE_USER)
def test_nor_does_it_as_the_workers_own_user(
    make_model: MakeModel, people: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("governance.sandbox.staging.own_users", lambda: False)
    assert_answered(TABLE[name], make_model, people)


def assert_answered(one: Hostile, make_model: MakeModel, people: Path) -> None:
    class Model:
        def predict(self, rows: Any) -> Any:
            return predict(rows)

    predict = one.predict
    job = SandboxJob("predict", make_model(Model()), people, features=("age",), limits=one.limits, scan=False)
    outcome = run(job)
    assert (outcome.code, one.said in outcome.message) == (one.code, True), outcome.message
    assert "do-not-leak" not in outcome.message + outcome.detail
    assert (outcome.predictions is not None) == outcome.ok
    if outcome.ok and one.tries == "lie on the channel":
        assert "garbage" in outcome.notes[0]
        assert outcome.layers.on


class RunsAtLoad:
    """A pickle that runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {TRACES[0]}",)


def pickled(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps(RunsAtLoad()))


def skops_with_its_own_trust(folder: Path) -> None:
    import skops.io  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    class Stranger(LogisticRegression):  # type: ignore[misc]
        pass

    flavor = {"pickled_model": "model.skops", "serialization_format": "skops", "skops_trusted_types": ["os.system"]}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}))
    Stranger.__module__, Stranger.__qualname__ = "posix", "system"
    (folder / "model.skops").write_bytes(b"")
    with zipfile.ZipFile(folder / "model.skops", "w") as archive:
        state = {
            "__class__": "system", "__module__": "posix", "__loader__": "ObjectNode", "__id__": 1,
            "content": {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {},
                        "key_types": {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode",
                                      "content": [], "__id__": 3}, "__id__": 2},
            "protocol": skops.io._protocol.PROTOCOL, "_skops_version": skops.__version__,
        }  # fmt: skip
        archive.writestr("schema.json", __import__("json").dumps(state))


def own_loader(folder: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "evil.py").write_text(f"open({str(TRACES[0])!r}, 'w')\n")
    flavor = {"loader_module": "evil", "code": "code", "data": "model.pkl"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": flavor}}))


def zip_bomb(folder: Path) -> None:
    flavor = {"pickled_model": "model.skops", "serialization_format": "skops"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}))
    with zipfile.ZipFile(folder / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(9):
            archive.writestr(f"{number}.pkl", bytes(64 * 1024**2))


def yaml_bomb(folder: Path) -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9))
    (folder / "MLmodel").write_text(f"l0: &l0 [x]\n{levels}\nflavors: {{sklearn: {{pickled_model: model.pkl}}}}\n")


def link_outside(folder: Path) -> None:
    (folder / "notes.txt").symlink_to("/etc/shadow")


def link_as_the_model(folder: Path) -> None:
    (folder / "model.pkl").unlink()
    (folder / "model.pkl").symlink_to("/etc/shadow")


def path_outside(folder: Path) -> None:
    flavor = {"pickled_model": "../../../../etc/shadow", "serialization_format": "pickle"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}))


def special_file(folder: Path) -> None:
    os.mkfifo(folder / "weights.bin")


@pytest.mark.parametrize("scanned", [True, False], ids=["gate", "sandbox alone"])
@pytest.mark.parametrize(
    ("arrange", "by_gate", "by_sandbox"),
    [
        (pickled, ("refused_by_scan", "posix.system"), ("forbidden", "tried to start a program")),
        (skops_with_its_own_trust, ("refused_by_scan", "posix.system"), ("cannot_load", "posix.system")),
        (own_loader, ("refused_by_scan", "brings its own code"), ("forbidden", str(TRACES[0]))),
        (zip_bomb, ("refused_by_scan", "unpacks"), ("cannot_load", "")),
        (yaml_bomb, ("cannot_load", "aliases"), ("cannot_load", "aliases")),
        (link_outside, ("refused_by_scan", "notes.txt"), ("ok", "scored 40 rows")),
        (link_as_the_model, ("refused_by_scan", "model.pkl"), ("forbidden", "model.pkl")),
        (path_outside, ("cannot_load", "points outside"), ("cannot_load", "points outside")),
        (special_file, ("refused_by_scan", "weights.bin"), ("ok", "scored 40 rows")),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_hostile_files_end_at_the_gate_and_would_end_in_the_sandbox(
    make_model: MakeModel,
    people: Path,
    arrange: Any,
    by_gate: tuple[str, str],
    by_sandbox: tuple[str, str],
    *,
    scanned: bool,
) -> None:
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    folder = make_model(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]))
    arrange(folder)
    outcome = run(SandboxJob("predict", folder, people, features=("age",), limits=SMALL, scan=scanned))
    code, said = by_gate if scanned else by_sandbox
    assert (outcome.code, said in outcome.message) == (code, True), outcome.message
    assert scanned is False or outcome.seconds == 0


def test_there_are_more_than_twenty_and_each_has_its_own_words() -> None:
    assert len(TABLE) >= 20
    assert all(one.said and one.tries for one in TABLE.values())
    assert {one.code for one in TABLE.values()} >= {
        "forbidden", "memory", "cpu", "timeout", "killed", "raised", "output_invalid", "output_too_large",
    }  # fmt: skip
