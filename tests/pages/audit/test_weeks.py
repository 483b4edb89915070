"""How much was logged in each week, on the log's page."""

from datetime import UTC, datetime, timedelta

import pytest
from time_machine import TimeMachineFixture

from audit.selectors import entries_per_week
from config.charts.weeks import week_bars
from tests.factories import audit as ledger

MONDAY = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.mark.django_db
def test_each_week_counts_what_began_in_it(time_machine: TimeMachineFixture) -> None:
    for week, entries in ((0, 3), (2, 5), (3, 1)):
        time_machine.move_to(MONDAY + timedelta(weeks=week, days=1))
        for number in range(entries):
            ledger.touch(str(number))
    ledger.integrate()
    found = entries_per_week(weeks=60)
    assert [(day.isoformat(), count) for day, count in found] == [
        ("2026-11-02", 3),
        ("2026-11-09", 0),
        ("2026-11-16", 5),
        ("2026-11-23", 1),
    ]
    assert entries_per_week(weeks=2) == found[2:]


@pytest.mark.django_db
def test_an_empty_log_has_no_weeks() -> None:
    assert entries_per_week(weeks=60) == []
    assert week_bars([]) == ""


def test_the_bars_say_what_they_show() -> None:
    monday = MONDAY.date()
    drawn = week_bars([(monday, 1), (monday + timedelta(weeks=1), 0), (monday + timedelta(weeks=2), 1000)])
    assert 'aria-label="Entries per week, 2 Nov 2026 to 16 Nov 2026; most in the week of 16 Nov 2026: 1000"' in drawn
    assert drawn.count("<rect") == 3
    assert 'height="2"' in drawn, "a week with one entry can be seen"
