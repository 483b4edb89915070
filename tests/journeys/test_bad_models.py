"""Models that mean harm, from the upload to the answer on the request: each is named, and the rest goes on."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journeys import hostile
from tests.journeys.conftest import CHECK_SECONDS, MEMORY_MB
from tests.journeys.doors import SCORES, Api

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True)
class Asked:
    """The requests by what their model does, and what would have noticed that one ran."""

    refs: dict[str, str]
    mark: Path
    listener: socket.socket


@pytest.fixture(scope="module")
def asked(scientist: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """All of them at once, as on a bad day."""
    mark = tmp_path_factory.mktemp("marks") / "it-ran"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        files = {
            "endless": hostile.endless(),
            "greedy": hostile.greedy(),
            "raises": hostile.raises(),
            "runs-at-load": hostile.runs_at_load(mark),
            "calls-home": hostile.calls_home(listener.getsockname()[1]),
        }
        refs = {name: scientist.ask(f"hostile-{name}", content) for name, content in files.items()}
        yield Asked(refs, mark, listener)


def scored(scientist: Api, ref: str) -> tuple[str, str, str]:
    """How the scoring of a request ended, when all its checks are over: verdict, error code, sentence."""
    assert scientist.settled(ref)["state"] == "checks_failed"
    run = scientist.check(ref, SCORES)
    return run["verdict"], run["error_code"], run["summary"]


def test_a_model_that_raises_is_quoted(scientist: Api, asked: Asked) -> None:
    verdict, code, said = scored(scientist, asked.refs["raises"])
    assert (verdict, code) == ("error", "raised")
    assert "raised in predict" in said
    assert "feature names should match" in said


def test_a_model_that_allocates_without_end_meets_its_limit(scientist: Api, asked: Asked) -> None:
    verdict, code, said = scored(scientist, asked.refs["greedy"])
    assert (verdict, code) == ("error", "memory")
    assert f"{MEMORY_MB} MiB" in said


def test_a_model_that_never_comes_back_is_stopped_at_the_limit_and_says_so(scientist: Api, asked: Asked) -> None:
    verdict, code, said = scored(scientist, asked.refs["endless"])
    assert (verdict, code) == ("error", "timeout")
    assert f"{CHECK_SECONDS} seconds" in said


@pytest.mark.parametrize(
    ("name", "names"), [("runs-at-load", "posix.mkdir"), ("calls-home", "socket.create_connection")]
)
def test_a_pickle_that_would_run_code_is_refused_by_the_gate_and_never_runs(
    scientist: Api, asked: Asked, name: str, names: str
) -> None:
    verdict, code, said = scored(scientist, asked.refs[name])
    assert (verdict, code) == ("error", "refused_by_scan")
    assert names in said
    scan = scientist.check(asked.refs[name], "security.scan")
    assert scan["verdict"] == "fail"
    assert not asked.mark.exists()
    with pytest.raises(BlockingIOError):
        asked.listener.accept()


def test_what_needed_the_scores_says_why_it_has_no_result(scientist: Api, asked: Asked) -> None:
    scientist.settled(asked.refs["raises"])
    row = scientist.check(asked.refs["raises"], "performance.binary")
    assert (row["verdict"], row["error_code"]) == ("error", "needs_failed")
    assert "raised in predict" in row["summary"]


def test_files_that_are_no_mlflow_model_are_not_sealed_and_nobody_can_ask_for_them(scientist: Api) -> None:
    place = scientist.upload("hostile-no-mlmodel", {"weights.bin": b"\x00\x01", "README.md": b"trust me"})
    answer = scientist.call("POST", f"{place}/finish")
    assert answer.status_code in {409, 422}
    assert "MLmodel" in answer.json()["detail"]
    wish = {"model": "hostile-no-mlmodel", "version": 1, "target": "alias:production"}
    refused = scientist.call("POST", "/requests", json=wish)
    assert refused.status_code in {409, 422}
    assert "sealed" in refused.json()["detail"]
    assert scientist.get("/requests", model="hostile-no-mlmodel")["results"] == []


def test_the_sound_model_is_not_touched_by_any_of_this(scientist: Api) -> None:
    assert scientist.get("/requests/REQ-0002")["state"] in {"ready", "in_review", "approved"}
