"""The ledger over REST: who may read it, what they get, and that the proofs prove."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from audit import keys, notes
from audit.merkle import leaf_hash, verify_consistency, verify_inclusion
from audit.models import Checkpoint, Entry
from audit.selectors import Filters, entries_page
from config.errors import Invalid
from registry.models import User
from tests.factories.audit import KEY, integrate, log_of, touch

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]
ENTRIES, CHECKPOINT, CONSISTENCY = "/api/v1/audit/entries/", "/api/v1/audit/checkpoint/", "/api/v1/audit/consistency/"


@pytest.fixture
def auditor(client: Client) -> Client:
    """A client signed in as somebody with the auditor's permission on all models."""
    user = person("auditor")
    user.user_permissions.add(Permission.objects.get(codename="audit_registeredmodel"))
    client.force_login(user)
    return client


def person(name: str) -> User:
    return User.objects.create_user(name)


def get(client: Client, path: str, status: int = 200, **parameters: str | int) -> Any:
    response = client.get(f"{path}?{urlencode(parameters)}" if parameters else path)
    assert response.status_code == status, response.content
    return json.loads(response.content)


@pytest.mark.parametrize("path", [ENTRIES, f"{ENTRIES}0/", CHECKPOINT, f"{CONSISTENCY}?from=1"])
def test_only_auditors_may_read_and_others_are_told_why(client: Client, path: str) -> None:
    log_of(2)
    assert client.get(path).status_code == 401
    client.force_login(person("analyst"))
    problem = get(client, path, 403)
    assert problem["code"] == "ledger.not_auditor"
    assert "needs the auditor role" in problem["detail"]
    assert "touched" not in json.dumps(problem)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("path", [ENTRIES, f"{ENTRIES}0/", CHECKPOINT, CONSISTENCY])
def test_nothing_can_be_changed(auditor: Client, path: str, method: str) -> None:
    log_of(1)
    assert getattr(auditor, method)(path).status_code == 405
    assert Entry.objects.count() == 1


def test_entries_come_newest_first_and_page_by_page(auditor: Client) -> None:
    log_of(5)
    first = get(auditor, ENTRIES, page_size=2)
    assert [entry["index"] for entry in first["results"]] == [4, 3]
    touch()
    integrate()
    second = json.loads(auditor.get(first["next"]).content)
    assert [entry["index"] for entry in second["results"]] == [2, 1]
    third = json.loads(auditor.get(second["next"]).content)
    assert [entry["index"] for entry in third["results"]] == [0]
    assert third["next"] is None


def test_filters_narrow_the_list(auditor: Client) -> None:
    entries = log_of(10)
    middle = entries[5]
    assert [e["index"] for e in get(auditor, ENTRIES, object_type="test.thing", object_id="0")["results"]] == [7, 0]
    assert get(auditor, ENTRIES, action="no.such")["results"] == []
    assert len(get(auditor, ENTRIES, actor="service:robot")["results"]) == 10
    assert get(auditor, ENTRIES, actor="user:1")["results"] == []
    after = get(auditor, ENTRIES, since=middle.at.isoformat())["results"]
    assert [e["index"] for e in after] == [9, 8, 7, 6, 5]
    before = get(auditor, ENTRIES, until=middle.at.isoformat())["results"]
    assert [e["index"] for e in before] == [4, 3, 2, 1, 0]


@pytest.mark.parametrize(("parameter", "value"), [("since", "yesterday"), ("until", "1"), ("action", "x" * 101)])
def test_a_bad_filter_is_named(auditor: Client, parameter: str, value: str) -> None:
    problem = get(auditor, ENTRIES, 400, **{parameter: value})
    assert problem["errors"][0]["field"] == parameter


def test_a_period_that_ends_before_it_begins_is_refused(auditor: Client) -> None:
    moment = log_of(1)[0].at
    problem = get(auditor, ENTRIES, 400, since=moment.isoformat(), until=(moment - timedelta(days=1)).isoformat())
    assert problem["errors"][0]["field"] == "until"


def test_an_entry_comes_with_a_proof_anybody_can_check(auditor: Client) -> None:
    log_of(300)
    for index in (0, 17, 255, 256, 299):
        entry = get(auditor, f"{ENTRIES}{index}/")
        proof = entry["inclusion"]
        public = KEY.public_key()
        signed = notes.verify_checkpoint(proof["checkpoint"], keys.origin(public), public)
        assert (signed.size, signed.root.hex()) == (300, proof["root"]) == (proof["size"], proof["root"])
        leaf = leaf_hash(entry["leaf"].encode())
        assert leaf.hex() == entry["leaf_hash"]
        verify_inclusion(leaf, index, 300, [bytes.fromhex(one) for one in proof["hashes"]], signed.root)
        assert json.loads(entry["leaf"])["body"] == entry["body"]


@pytest.mark.parametrize("index", [3, 10**18, 10**30])
def test_an_entry_that_is_not_there_is_not_found(auditor: Client, index: int) -> None:
    log_of(3)
    assert get(auditor, f"{ENTRIES}{index}/", 404)["code"] == "ledger.no_entry"


def test_an_empty_log_says_so(auditor: Client) -> None:
    assert get(auditor, CHECKPOINT, 404)["code"] == "ledger.empty"
    assert get(auditor, f"{ENTRIES}0/", 404)["code"] == "ledger.empty"
    assert get(auditor, f"{CONSISTENCY}?from=0", 404)["code"] == "ledger.empty"


def test_the_checkpoint_is_a_note_for_tools_and_json_for_programs(auditor: Client) -> None:
    log_of(3)
    note = auditor.get(CHECKPOINT, headers={"accept": "text/plain"})
    assert note["Content-Type"] == "text/plain; charset=utf-8"
    public = KEY.public_key()
    assert notes.verify_checkpoint(note.content, keys.origin(public), public).size == 3
    body = get(auditor, CHECKPOINT)
    assert (body["size"], body["note"]) == (3, note.content.decode())


def test_the_log_only_grew_between_two_checkpoints(auditor: Client) -> None:
    log_of(3)
    old = bytes(Checkpoint.objects.get(size=3).root)
    log_of(4)
    proof = get(auditor, f"{CONSISTENCY}?from=3&to=7")
    assert proof == get(auditor, f"{CONSISTENCY}?from=3")
    hashes = [bytes.fromhex(one) for one in proof["hashes"]]
    verify_consistency(3, 7, hashes, old, bytes.fromhex(proof["new_root"]))
    assert bytes(Checkpoint.objects.get(size=7).root).hex() == proof["new_root"]
    unsigned = get(auditor, f"{CONSISTENCY}?from=2&to=5")
    hashes = [bytes.fromhex(one) for one in unsigned["hashes"]]
    verify_consistency(2, 5, hashes, bytes.fromhex(unsigned["old_root"]), bytes.fromhex(unsigned["new_root"]))


@pytest.mark.parametrize(
    ("query", "field"),
    [("", "from"), ("from=x", "from"), ("from=-1", "from"), ("from=4", "from"), ("from=1&to=9", "to"),
     ("from=1&to=0", "to"),
     ("from=1&to=", "to"), ("from=%D9%A3", "from"), ("from=" + "9" * 40, "from")],
)  # fmt: skip
def test_an_impossible_range_names_the_parameter(auditor: Client, query: str, field: str) -> None:
    log_of(3)
    problem = get(auditor, f"{CONSISTENCY}?{query}", 422)
    assert problem["errors"][0]["field"] == field


def test_pages_of_the_log_go_by_token(tmp_path: Path) -> None:
    log_of(5)
    first = entries_page(Filters(), after="", size=3)
    second = entries_page(Filters(), after=first.next, size=3)
    assert [entry.index for entry in [*first.rows, *second.rows]] == [4, 3, 2, 1, 0]
    assert second.next == ""
    with pytest.raises(Invalid):
        entries_page(Filters(), after=str(tmp_path), size=3)
