"""Pages of the audit log: who may read it, searching it, proofs, and a log that does not hold."""

import base64
import json
from http import HTTPStatus
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit import keys, merkle, sequencer
from audit.guard import Guard
from audit.health import log_status
from audit.models import Checkpoint, Entry
from audit.ui.head import tree_head
from registry.models import User
from registry.roles import Role
from tests.factories import audit as ledger
from tests.factories import governance as make
from tests.factories.audit import settled

HTMX = {"HX-Request": "true"}
BUDGET = 25


@pytest.fixture
def log(db: None, keys_dir: Path, tmp_path: Path) -> list[Entry]:
    """Seventy entries, sealed with this installation's key."""
    keys.ensure_keys(keys_dir)
    for number in range(70):
        ledger.touch(str(number % 7), number=number)
    settled()
    sequencer.run_once(key=keys.ledger_key(), guard=Guard(tmp_path / "guard.json", adopt=True))
    return list(Entry.objects.order_by("index"))


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def auditor(log: list[Entry]) -> Client:
    """The auditor's browser. Making the account wrote entries that wait."""
    return browser_of(make.person("auditor", Role.AUDITOR))


@pytest.mark.parametrize("path", ["", "0/", "0/proof.json", "checkpoint.txt"])
def test_only_auditors_of_all_models_read_the_log_and_others_read_why(log: list[Entry], path: str) -> None:
    answer = browser_of(make.person("officer", Role.APPROVER)).get(f"/audit/{path}")
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "reading it needs the auditor role on all models" in answer.content.decode()


def test_a_visitor_is_sent_to_sign_in(log: list[Entry], client: Client) -> None:
    assert client.get("/audit/")["Location"] == "/sign-in/?next=/audit/"


def test_the_log_opens_with_its_head_and_the_newest_entries(auditor: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        text = auditor.get("/audit/").content.decode()
    assert len(queries) <= BUDGET
    assert "The signed root holds" in text
    assert 'id="e69"' in text
    assert 'id="e20"' in text
    assert 'id="e19"' not in text


def test_pages_follow_one_another_without_gap(auditor: Client) -> None:
    first = auditor.get("/audit/").context["older"]
    text = auditor.get(first).content.decode()
    assert 'id="e19"' in text
    assert 'id="e0"' in text
    assert 'id="e20"' not in text


def test_the_entries_come_alone_for_htmx(auditor: Client) -> None:
    part = auditor.get("/audit/", headers=HTMX).content.decode()
    assert "<html" not in part
    assert part.strip() in auditor.get("/audit/").content.decode()


def test_a_search_narrows_by_object_person_action_and_day(auditor: Client, log: list[Entry]) -> None:
    def found(query: str) -> int:
        return len(auditor.get(f"/audit/?{query}").context["lines"])

    assert found("about=test.thing:3") == 10
    assert found("about=test.thing") == 50
    assert found("who=service:robot&about=test.thing:1") == 10
    assert found("who=nobody") == 0
    assert found("action=test.touched") == 50
    assert found("since=2999-01-01") == 0
    assert found("until=2001-01-01") == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("action=no.such", "no.such is not one of the available choices"),
        ("since=someday", "Enter a valid date"),
        ("since=2026-02-02&until=2026-02-01", "This day is before the first one."),
        ("who=%00", "Null characters are not allowed."),
    ],
)
def test_a_bad_search_names_its_field(auditor: Client, query: str, said: str) -> None:
    answer = auditor.get(f"/audit/?{query}")
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert said in answer.content.decode()


def test_a_page_token_of_somebody_elses_is_refused(auditor: Client) -> None:
    assert auditor.get("/audit/?after=abc").status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_an_entry_shows_its_text_and_a_proof_that_holds(auditor: Client, log: list[Entry]) -> None:
    with CaptureQueriesContext(connection) as queries:
        text = auditor.get("/audit/41/").content.decode()
    assert len(queries) <= BUDGET
    assert "The proof that it is in the log holds." in text
    assert "&quot;number&quot;: 41" in text
    assert bytes(log[41].leaf_hash).hex()[:4] in text


def test_an_entry_opens_and_closes_in_its_row_for_htmx(auditor: Client) -> None:
    part = auditor.get("/audit/41/", headers=HTMX).content.decode()
    assert part.strip().startswith('<tbody role="rowgroup" id="e41">')
    assert "Proof that entry 41 is in the log" in part
    assert 'hx-get="/audit/41/?closed=1"' in part
    closed = auditor.get("/audit/41/?closed=1", headers=HTMX).content.decode()
    assert 'id="e41"' in closed
    assert "Proof that" not in closed


def test_the_proof_file_verifies_elsewhere(auditor: Client) -> None:
    body = json.loads(auditor.get("/audit/41/proof.json").content)
    leaf = merkle.leaf_hash(body["leaf"].encode())
    hashes = [bytes.fromhex(one) for one in body["hashes"]]
    merkle.verify_inclusion(leaf, 41, body["size"], hashes, bytes.fromhex(body["root"]))
    assert base64.b64encode(bytes.fromhex(body["root"])).decode() in body["checkpoint"]


def test_an_entry_that_waits_for_its_checkpoint_says_so(auditor: Client) -> None:
    Entry.objects.bulk_create(
        [Entry(index=70, canon=Entry.objects.get(index=69).canon, stream_n=11, stream_previous=69)]
    )
    assert "It waits for its checkpoint." in auditor.get("/audit/70/").content.decode()
    assert auditor.get("/audit/70/proof.json").status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("index", ["71", "99999999999999999999999"])
def test_an_entry_that_does_not_exist_is_404(auditor: Client, index: str) -> None:
    assert auditor.get(f"/audit/{index}/").status_code == HTTPStatus.NOT_FOUND


def test_a_root_that_was_not_signed_is_told_on_every_page(auditor: Client) -> None:
    note = Checkpoint.objects.get().note
    Checkpoint.objects.bulk_create([Checkpoint(size=71, root=bytes(32), note=note, at=Checkpoint.objects.get().at)])
    assert log_status().state == "broken"
    head = tree_head()
    assert head is not None
    assert not head.whole
    assert "does not verify" in auditor.get("/audit/status/").content.decode()
    text = auditor.get("/audit/").content.decode()
    assert "The log does not verify" in text
    assert "audit_verify" in text


def test_everybody_signed_in_sees_the_seal(log: list[Entry]) -> None:
    text = browser_of(make.person("officer", Role.APPROVER)).get("/audit/status/").content.decode()
    assert 'data-state="whole"' in text
    assert "Log verified" in text


def test_an_empty_log_says_so(db: None, keys_dir: Path) -> None:
    keys.ensure_keys(keys_dir)
    client = browser_of(make.person("auditor", Role.AUDITOR))
    assert "The log is empty" in client.get("/audit/").content.decode()
    assert client.get("/audit/checkpoint.txt").status_code == HTTPStatus.NOT_FOUND
    assert 'data-state="unknown"' in client.get("/audit/status/").content.decode()
