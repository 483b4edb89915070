"""The tables of states: complete, with terminal states, and the page printed from them current."""

from pathlib import Path

import pytest

from governance.states import (
    CHECK_FOLLOWS,
    OPEN_REQUEST_STATES,
    PERMIT_FOLLOWS,
    REQUEST_FOLLOWS,
    TERMINAL_REQUEST_STATES,
    CheckState,
    PermitState,
    RequestState,
    printed,
)

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/states.md"


def test_every_state_is_in_its_table() -> None:
    assert set(REQUEST_FOLLOWS) == set(RequestState)
    assert set(PERMIT_FOLLOWS) == set(PermitState)
    assert set(CHECK_FOLLOWS) == set(CheckState)


def test_every_state_can_be_reached() -> None:
    reached, edge = {RequestState.DRAFT}, [RequestState.DRAFT]
    while edge:
        for after in REQUEST_FOLLOWS[edge.pop()]:
            if after not in reached:
                reached.add(after)
                edge.append(after)
    assert reached == set(RequestState)


def test_only_signing_leads_to_approved() -> None:
    for state, after in REQUEST_FOLLOWS.items():
        for to, verb in after.items():
            if to in {RequestState.APPROVED, RequestState.APPROVED_WITH_CONDITIONS}:
                assert verb == "sign"
                assert state in {RequestState.READY, RequestState.IN_REVIEW}


def test_the_final_states_are_those_without_a_way_out() -> None:
    assert set(TERMINAL_REQUEST_STATES) == {"approved", "approved_with_conditions", "rejected", "withdrawn", "lapsed"}
    assert set(OPEN_REQUEST_STATES) | set(TERMINAL_REQUEST_STATES) == set(RequestState.values)


@pytest.mark.parametrize("state", [PermitState.EXPIRED, PermitState.REVOKED, PermitState.SUPERSEDED])
def test_an_ended_permit_stays_ended(state: PermitState) -> None:
    assert PERMIT_FOLLOWS[state] == {}


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == printed(), "run manage.py print_states > docs/reference/states.md"
