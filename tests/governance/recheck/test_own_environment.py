"""A result of a model that ran with its own libraries is run again with exactly those, also without any network."""

from __future__ import annotations

import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from governance.models import PromotionRequest
from governance.recheck_cli import main
from governance.sandbox.environments.store import evict
from registry.models import User
from tests.factories import governance as make
from tests.governance.engine import models
from tests.governance.engine.test_execute import asked, run_all, run_of
from tests.governance.sandbox.wheels import packed_again, wheel

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

POLICY = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: performance.binary
    data: {role: test}
    require: {auc: {ge: 0.6}}
sandbox: {environment: compatible}
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""
LIBRARY = """
import numpy as np
class Threshold:
    classes_ = np.array([0, 1])
    def predict_proba(self, rows):
        score = 1 / (1 + np.exp(-(np.asarray(rows["age"]) / 10 + np.asarray(rows["dose"]) - 5)))
        return np.column_stack([1 - score, score])
    def predict(self, rows):
        return (self.predict_proba(rows)[:, 1] > 0.5).astype(int)
"""
Say = Callable[[PromotionRequest, str], tuple[int, str]]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What our side of the sandbox needs, and a scikit-learn that nobody else has: four lines long."""
    folder = tmp_path_factory.mktemp("index")
    packed_again(folder, ["numpy", "pandas", "pyarrow"])
    wheel(folder, "scikit_learn", "0.0.7", {"sklearn/__init__.py": "", "sklearn/threshold.py": LIBRARY})
    return folder


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A model of that library: here it cannot even be loaded."""
    module = ModuleType("sklearn.threshold")
    exec(LIBRARY, module.__dict__)  # noqa: S102 - ours, from above
    monkeypatch.setitem(sys.modules, "sklearn.threshold", module)
    packed = models.packed(pickle.dumps(module.Threshold()))
    return packed | {"requirements.txt": b"scikit-learn==0.0.7\n"}


@pytest.fixture
def data_dir(settings: Any, tmp_path: Path, index: Path) -> Path:
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)
    settings.SANDBOX_INDEXES = (str(index),)
    return tmp_path / "data"


@pytest.fixture
def done(data_dir: Path, scientist: User, files: dict[str, bytes]) -> Iterator[PromotionRequest]:
    request = run_all(asked(scientist, files, policy=POLICY))
    make.integrate()
    yield request
    shutil.rmtree(data_dir, ignore_errors=True)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(request: PromotionRequest, key: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main([str(run_of(request, key).pk)])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_it_agrees_with_the_environment_that_is_kept_or_can_be_built_again_and_says_when_neither(
    done: PromotionRequest, data_dir: Path, say: Say, settings: Any
) -> None:
    scores, performance = run_of(done, "predict.scores"), run_of(done, "performance.binary")
    assert (scores.verdict, performance.verdict) == ("pass", "pass"), (scores.summary, performance.summary)
    lock = scores.sandbox["environment"]["lock_digest"]
    assert scores.sandbox["environment"]["kind"] == "recorded"

    # Without any index, as on an auditor's machine: what was built by its lock serves.
    indexes, settings.SANDBOX_INDEXES = settings.SANDBOX_INDEXES, ()
    for key in ("predict.scores", "performance.binary"):
        code, words = say(done, key)
        assert code == 0, words
        assert "It agrees" in words

    # Removed, and no index to build it again from: it says so, and that is neither an agreement nor a difference.
    assert evict(data_dir / "environments", 0) == [lock]
    code, words = say(done, "performance.binary")
    assert code == 3, words
    assert f"(lock sha256 {lock[:12]}…) is not kept here any more, and SANDBOX_INDEXES names no place" in words
    assert "The stored bytes are those that the ledger names." in words

    # With an index that lacks a package, the reason is uv's.
    empty = data_dir / "empty"
    empty.mkdir()
    settings.SANDBOX_INDEXES = (str(empty),)
    code, words = say(done, "performance.binary")
    assert code == 3, words
    assert "building it again failed. The recorded environment cannot be built" in words

    # With the index, it is built again from the lock that is remembered: the same digest, the same bytes.
    settings.SANDBOX_INDEXES = indexes
    code, words = say(done, "performance.binary")
    assert code == 0, words
    assert (data_dir / "environments" / lock / "environment.json").is_file()

    # Without the lock nobody can know what was in it.
    assert evict(data_dir / "environments", 0) == [lock]
    for path in (data_dir / "environments" / "locks").glob("*.txt"):
        path.unlink()
    code, words = say(done, "performance.binary")
    assert code == 3, words
    assert "nor is its lock, so it cannot be built again" in words


def test_a_result_of_the_platforms_libraries_is_repeated_with_them_also_where_others_can_be_built_now(
    data_dir: Path, scientist: User, say: Say, settings: Any
) -> None:
    indexes, settings.SANDBOX_INDEXES = settings.SANDBOX_INDEXES, ()
    files = models.sound_model() | {"requirements.txt": b"scikit-learn==0.0.7\n"}
    request = run_all(asked(scientist, files, policy=POLICY.replace("compatible", "any")))
    make.integrate()
    assert run_of(request, "predict.scores").sandbox["environment"]["kind"] == "platform"
    settings.SANDBOX_INDEXES = indexes
    code, words = say(request, "performance.binary")
    assert code == 0, words
    assert not list((data_dir / "environments").glob("*/environment.json"))
