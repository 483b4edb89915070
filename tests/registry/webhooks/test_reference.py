"""The reference of events is the one that the code prints, and every event has a name that a body can say."""

import re
from pathlib import Path

import pytest
from pytest_django import Settings

from registry import events
from registry.management.commands.print_webhook_events import printed

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "webhook-events.md"


def test_the_reference_is_current() -> None:
    assert PAGE.read_text() == printed(), "python manage.py print_webhook_events > docs/reference/webhook-events.md"


def test_every_event_is_an_entity_and_an_action_and_says_when_it_happens() -> None:
    for name, event in events.known().items():
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", name)
        assert name == f"{event.entity}.{event.action}"
        assert event.words.endswith(".")


def test_what_is_declared_twice_is_refused(settings: Settings) -> None:
    settings.WEBHOOK_EVENTS = [*settings.WEBHOOK_EVENTS, settings.WEBHOOK_EVENTS[0]]
    caches = (events._tables, events.known, events._readers)
    try:
        for cache in caches:
            cache.cache_clear()
        with pytest.raises(ValueError, match="declared twice"):
            events.known()
    finally:
        for cache in caches:
            cache.cache_clear()
