"""Webhooks do not wait for workers: while none takes anything, the courier sends what is there to be sent."""

from contextlib import closing

import pytest

from tests.journeys.doors import Api, new_token
from tests.journeys.house import House
from tests.runtime.processes import halted

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]


def test_what_is_to_be_sent_does_not_wait_behind_checks(house: House, scientist: Api) -> None:
    with closing(Api(house, new_token(house, "admin-1"))) as administrator, halted(house.pid("worker")):
        # A name that nobody has (RFC 2606): the reason that is kept tells that an attempt was made.
        hook = administrator.post(
            "/webhooks",
            {"name": "nobody", "url": "https://receiver.invalid/hook", "events": ["registered_model.created"]},
        )
        place = f"/webhooks/{hook['id']}"
        sample = administrator.post(f"{place}/test")
        ended = administrator.until(
            f"{place}/deliveries/{sample['id']}", lambda row: row["state"] != "waiting", what="the attempt"
        )
        assert (ended["state"], ended["attempts"]) == ("failed", 1)
        assert "receiver.invalid" in ended["reason"]

        scientist.post("/models", {"name": "told-while-workers-stand-still"})
        told = administrator.until(
            f"{place}/deliveries", lambda page: any(row["attempts"] for row in page["results"] if row["entry_index"]),
            what="the attempt to tell of an entry",
        )  # fmt: skip
        assert {row["event"] for row in told["results"]} == {"registered_model.created"}
        assert administrator.call("DELETE", place).status_code in {200, 204}
