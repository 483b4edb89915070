"""Workers that die, hang and go away in the middle of a check: nothing is lost, nothing is done twice."""

import os
import signal
from typing import Any

import pytest

from tests.journeys import hostile
from tests.journeys.doors import SCORES, Api, signed_in
from tests.journeys.house import House
from tests.runtime.processes import alive, descendants, halted
from tests.waiting import until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
NO_WORKER = "No worker is running"


def running(scientist: Api, ref: str) -> dict[str, Any]:
    """The scoring of a request, once it runs."""

    def look() -> dict[str, Any] | None:
        run = scientist.check(ref, SCORES)
        assert run["state"] != "finished", "it must still be running to be killed in the middle"
        return run if run["state"] == "running" else None

    return until(look, what="the scoring to run", seconds=120)


def finished_entries(auditor: Api, check: str) -> list[int]:
    """The attempt of each entry of the ledger that says that this check finished."""
    rows = auditor.get("/audit/entries/", object_type="governance.checkrun", object_id=check, action="check.finished")
    return [row["body"]["facts"]["attempt"] for row in rows["results"]]


def test_kill_minus_nine_in_the_middle_of_a_check_ends_with_one_result(
    house: House, scientist: Api, auditor: Api
) -> None:
    ref = scientist.ask("killed-midway", hostile.slow())
    before = running(scientist, ref)
    worker = house.pid("worker")
    tree = {worker, *descendants(worker)}
    for pid in tree:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not [pid for pid in tree if alive(pid)], what="the whole tree to be dead")

    scientist.settled(ref)
    after = scientist.check(ref, SCORES)
    assert before["attempt"] == 1
    assert (after["id"], after["attempt"], after["verdict"]) == (before["id"], 2, "pass"), after["summary"]
    until(lambda: finished_entries(auditor, after["id"]), what="its entry in the log")
    assert finished_entries(auditor, after["id"]) == [2]
    rows = scientist.get(f"/requests/{ref}/checks")["results"]
    assert [row["state"] for row in rows] == ["finished"] * len(rows)
    assert len({row["key"] for row in rows}) == len(rows)
    assert house.pid("worker") != worker


def test_a_worker_that_is_down_shows_and_what_was_asked_meanwhile_is_done_when_it_is_back(
    house: House, scientist: Api
) -> None:
    with signed_in(house, "ds-1") as browser:
        with halted(house.pid("worker")):
            ref = scientist.ask("asked-without-a-worker", hostile.quick())
            page = until(
                lambda: text if NO_WORKER in (text := browser.open(f"/requests/{ref}/").text) else None,
                what="the page to say that no worker is running", seconds=60,
            )  # fmt: skip
            assert "Nothing is lost" in page
            assert scientist.check(ref, SCORES)["state"] == "queued"
        scientist.settled(ref)
        assert NO_WORKER not in browser.open(f"/requests/{ref}/").text
    done = scientist.check(ref, SCORES)
    assert (done["verdict"], done["attempt"]) == ("pass", 1), done["summary"]
