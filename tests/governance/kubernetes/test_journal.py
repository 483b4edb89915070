"""What broke the glass is on disk before anybody is let in, ends, and is told until it is heard."""

from pathlib import Path

import pytest

from governance.kubernetes.journal import HOUR, Event, Journal
from governance.kubernetes.rules import BrokenGlass
from tests.governance.kubernetes.asking import APPROVED, NAMESPACE, STRANGE

EVENT = BrokenGlass("uid-1", NAMESPACE, "Deployment credit/scorer", (STRANGE,), "olga", "Fraud wave.", "No permit.")


class Clock:
    """Microseconds, as told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Journal:
    return Journal(tmp_path / "journal", clock)


def test_the_pods_of_what_was_let_in_follow_for_a_day(journal: Journal, clock: Clock) -> None:
    assert journal.granted(NAMESPACE, (STRANGE,)) == ""
    journal.write(EVENT)
    assert journal.granted(NAMESPACE, (STRANGE,)) == "olga"
    assert Journal(journal.directory, clock).granted(NAMESPACE, (STRANGE,)) == "olga"  # another process, or later
    for namespace, digests in (
        ("payments", (STRANGE,)),
        (NAMESPACE, (APPROVED,)),
        (NAMESPACE, (APPROVED, STRANGE)),
        (NAMESPACE, ()),
    ):
        assert journal.granted(namespace, digests) == ""
    clock.now += 24 * HOUR
    assert journal.granted(NAMESPACE, (STRANGE,)) == ""


def test_a_line_that_a_crash_cut_short_takes_no_other_with_it(journal: Journal) -> None:
    journal.write(EVENT)
    whole = journal.path.read_bytes()
    for end in range(len(whole)):
        journal.path.write_bytes(whole[:end])
        journal.write(EVENT)
        assert journal.events()[-1]["uid"] == "uid-1"
        assert len(journal.events()) <= 2


def test_what_the_registry_has_not_heard_is_told_again_in_order(journal: Journal) -> None:
    heard: list[str] = []

    def deaf(event: Event) -> None:
        if event["uid"] == "uid-2" and len(heard) < 2:
            heard.append("nothing")
            raise ConnectionError(event["uid"])
        heard.append(event["uid"])

    for number in range(1, 4):
        journal.write(BrokenGlass(f"uid-{number}", NAMESPACE, "Pod x", (), "olga", "why", "because"))
    with pytest.raises(ConnectionError):
        journal.tell(deaf)
    assert [event["uid"] for event in journal.unheard()] == ["uid-2", "uid-3"]
    assert journal.tell(deaf) == 2
    assert heard == ["uid-1", "nothing", "uid-2", "uid-3"]
    assert journal.tell(deaf) == 0


def test_without_a_place_to_write_nobody_is_let_in(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Journal(tmp_path / "file", clock).write(EVENT)
