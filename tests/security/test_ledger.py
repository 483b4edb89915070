"""The runtime role may put anything into the inbox. What it puts there must not stop the log."""

from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

from audit import keys, sequencer
from audit.actors import SYSTEM
from audit.guard import Guard
from audit.models import Entry, Inbox
from audit.services import append
from audit.subjects import Subject

pytestmark = pytest.mark.django_db

DEEP = '{"a":' * 3000 + "1" + "}" * 3000
LIST = "[" * 3000 + "]" * 3000


@pytest.fixture
def sound(signing_keys: Path) -> str:
    """A body that the log takes."""
    with transaction.atomic():
        append(action="model.created", subject=Subject("test.thing", "1"), by=SYSTEM, facts={"a": 1})
    return Inbox.objects.get().canon


@pytest.mark.parametrize(
    "value",
    [DEEP, LIST, "9" * 5000, "1e400", "-1e400", "1.5"],
    ids=["objects", "lists", "digits", "inf", "-inf", "float"],
)
@pytest.mark.parametrize("place", ["facts", "diff"])
def test_a_body_that_our_reader_cannot_read_is_not_taken(sound: str, place: str, value: str) -> None:
    body = (
        sound.replace('"facts":{"a":1}', f'"facts":{{"a":{value}}}')
        if place == "facts"
        else sound.replace('"diff":{}', f'"diff":{{"a":{value}}}')
    )
    assert body != sound
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [body])


def test_what_is_taken_is_sequenced(sound: str, tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_inbox (canon) VALUES (%s)", [sound.replace('"a":1', '"a":[{"b":[9007199254740991,-5]}]')]
        )
    assert sequencer.run_once(key=keys.ledger_key(), guard=Guard(tmp_path / "guard.json", adopt=True)) == 2
    assert Entry.objects.count() == 2
