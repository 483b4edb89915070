"""The head map: an entry that says where every stream ended, so that an extract can be shown to be whole."""

import hashlib
import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from audit.merkle import BadProof, Frontier, leaf_hash
from audit.models import Entry
from audit.witnessing import heads, notary
from audit.witnessing.heads import HeadLine, HeadMap
from tests.factories.audit import integrate, log_of, touch

pytestmark = pytest.mark.django_db


def log_map() -> HeadMap:
    found = heads.log_heads()
    assert found is not None
    integrate()
    return found


def test_the_map_is_what_the_streams_say_in_the_order_of_bytes() -> None:
    for name in ("z", "a", "Ä", "a", "B", "a b", "\U0001f40d", "￼", 'q"\\'):
        touch(name)
    integrate()
    lines = list(heads.stream_heads(9))
    assert [(one.id, one.n, one.index) for one in lines] == [
        ("B", 1, 4), ("a", 2, 3), ("a b", 1, 5), ('q"\\', 1, 8), ("z", 1, 0), ("Ä", 1, 2), ("￼", 1, 7), ("\U0001f40d", 1, 6),
    ]  # fmt: skip
    assert lines == sorted(lines, key=lambda one: (one.type.encode(), one.id.encode()))
    assert lines[1].line == '["test.thing","a",2,3]'
    said = heads.head_map(9)
    text = "".join(f"{one.line}\n" for one in lines)
    assert said.digest == hashlib.sha256(text.encode()).digest()
    edge = Frontier()
    for one in lines:
        list(edge.append(leaf_hash(one.line.encode())))
    assert (said.streams, said.root) == (8, edge.root())
    assert heads.head_map(9, text.splitlines()) == said
    assert [one.n for one in heads.stream_heads(3)] == [1, 1, 1], "as it was at that size"


def test_the_entry_commits_to_the_map_and_each_line_is_proved_in_it() -> None:
    log_of(20)
    said = log_map()
    entry = Entry.objects.get(action="log.heads")
    assert HeadMap.of(entry) == said
    assert (said.size, said.streams) == (20, 7)
    assert heads.verify_map(entry)
    touch("1")
    integrate()
    assert heads.verify_map(entry), "what comes later does not change it"
    proofs = heads.prove_heads(20, [("test.thing", "1"), ("test.thing", "6"), ("test.thing", "nobody")])
    assert [(one.head.id, one.head.n) for one in proofs] == [("1", 3), ("6", 2)]
    for proof in proofs:
        heads.verify_head(proof, said)
        fewer = HeadLine(proof.head.type, proof.head.id, proof.head.n - 1, proof.head.index)
        with pytest.raises(BadProof):
            heads.verify_head(heads.HeadProof(fewer, 20, proof.number, proof.streams, proof.hashes), said)
        with pytest.raises(ValueError, match="another map"):
            heads.verify_head(heads.HeadProof(proof.head, 19, proof.number, proof.streams, proof.hashes), said)
    assert heads.map_within(20) is None
    found = heads.map_within(22)
    assert found is not None
    assert found[0] == entry


def test_nothing_new_is_said_when_nothing_but_the_log_itself_went_on() -> None:
    assert heads.log_heads() is None, "an empty log"
    log_of(3)
    log_map()
    assert heads.log_heads() is None
    touch()
    integrate()
    assert log_map().size == 5


def test_the_notary_logs_it_once_an_hour() -> None:
    log_of(3)
    errand = next(one for one in notary.errands() if one.name == "heads")
    assert notary.once(errand)
    touch()
    integrate()
    assert not notary.once(errand)


def test_an_omitted_entry_is_betrayed_by_the_map() -> None:
    log_of(15)
    log_map()
    output = StringIO()
    call_command("audit_witness", "--show", "--heads", stdout=output)
    assert "Head map of 15 entries, 7 streams: holds" in output.getvalue()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM audit_entry WHERE index = 14")
    assert not heads.verify_map(Entry.objects.get(action="log.heads"))
    output = StringIO()
    with pytest.raises(SystemExit):
        call_command("audit_witness", "--show", "--heads", stdout=output)
    assert "does NOT hold" in output.getvalue()


TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)


@given(TEXT, TEXT, st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_a_line_reads_back_as_it_was(kind: str, key: str, n: int, index: int) -> None:
    one = HeadLine(kind, key, n, index)
    assert HeadLine.read(one.line) == one
    assert json.loads(one.line) == [kind, key, n, index]


@pytest.mark.parametrize(
    "line", ["", "[]", '["a","b",1]', '["a", "b",1,2]', '["a","b",true,2]', '["a","b","1",2]', '["a","b",01,2]']
)
def test_lines_that_are_not_canonical_are_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own message for some
        HeadLine.read(line)
