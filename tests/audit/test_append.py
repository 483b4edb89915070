"""Writing to the ledger: in the transaction of the change, or not at all."""

import json
import re
from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.db import IntegrityError, connection, transaction
from django.test import RequestFactory

from audit import actions, services
from audit.actors import SYSTEM, Actor
from audit.canonical import NotCanonical, parse
from audit.models import Entry, Inbox
from audit.selectors import entries_about, entry_of
from audit.subjects import Subject, digest_of, mention, subject_of
from config.errors import Invalid
from tests.factories.audit import ROBOT, TOUCHED, integrate, log_of, touch

pytestmark = pytest.mark.usefixtures("by_hand")

THING = Subject("test.thing", "1")


def waiting() -> list[str]:
    return list(Inbox.objects.order_by("id").values_list("canon", flat=True))


@pytest.mark.django_db
def test_an_entry_says_who_did_what_to_which_object_when() -> None:
    before = datetime.now(UTC)
    entry_id = services.append(
        action=TOUCHED,
        subject=Subject("test.thing", "1", version="3", digest="ab" * 32),
        by=Actor(id="user:7", name="ada", kind="user", auth="session", session="5e55", request_id="r-1"),
        diff={"tier": {"from": 2, "to": 1}},
        reason="It decides on loans.",
        facts={"amount": "12.50", "on": True, "none": None, "list": [1, "a"]},
    )
    body = parse(waiting()[0])
    assert body.pop("id") == entry_id
    assert re.fullmatch("[0-9a-f]{32}", body.pop("salt"))
    (commitment,) = body["commitments"]
    body["commitments"] = []
    assert (commitment["subject"], commitment["field"]) == ("user:7", "username")
    assert re.fullmatch("[A-Za-z0-9_-]{43}", commitment["digest"])
    assert "ada" not in waiting()[0]
    assert before.timestamp() * 1e6 - 1 <= body.pop("at") <= datetime.now(UTC).timestamp() * 1e6
    assert body == {
        "v": 2,
        "action": TOUCHED,
        "actor": {"id": "user:7", "kind": "user", "auth": "session", "session": "5e55"},
        "commitments": [],
        "object": {"type": "test.thing", "id": "1", "version": "3", "digest": "ab" * 32},
        "request_id": "r-1",
        "diff": {"tier": {"from": 2, "to": 1}},
        "reason": "It decides on loans.",
        "facts": {"amount": "12.50", "on": True, "none": None, "list": [1, "a"]},
        "source": "0.1.0",
    }


@pytest.mark.django_db
def test_ids_sort_by_time_and_never_repeat() -> None:
    ids = [touch() for _ in range(50)]
    assert len(set(ids)) == 50
    assert [entry[:13] for entry in ids] == sorted(entry[:13] for entry in ids)
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one) for one in ids)


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_is_logged() -> None:
    with pytest.raises(services.OutsideTransaction, match=r"transaction\.atomic"):
        services.append(action=TOUCHED, subject=THING, by=SYSTEM)
    assert waiting() == []


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_rolled_back_leaves_no_entry() -> None:
    def change_my_mind() -> None:
        with transaction.atomic():
            Group.objects.create(name="analysts")
            services.append(action=TOUCHED, subject=THING, by=SYSTEM)
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        change_my_mind()
    assert integrate() == 0
    assert not Entry.objects.exists()
    assert not Group.objects.filter(name="analysts").exists()


@pytest.mark.django_db
def test_an_action_nobody_registered_is_refused() -> None:
    with pytest.raises(actions.UnknownAction, match=r"test\.unheard"):
        services.append(action="test.unheard", subject=THING, by=SYSTEM)
    assert waiting() == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("facts", "place"),
    [
        ({"ratio": 0.5}, "facts.ratio"),
        ({"Bad": 1}, "facts"),
        ({"deep": [{"at": datetime.now(UTC)}]}, "facts.deep[0].at"),
    ],
)
def test_facts_outside_the_profile_are_refused_by_place(facts: dict[str, object], place: str) -> None:
    with pytest.raises(NotCanonical) as refusal:
        services.append(action=TOUCHED, subject=THING, by=SYSTEM, facts=facts)  # type: ignore[arg-type]
    assert refusal.value.path == place
    assert waiting() == []


@pytest.mark.django_db
@pytest.mark.parametrize("reason", ["x" * 10_001, "null\x00byte", "half a \ud83d"])
def test_a_reason_that_cannot_be_kept_is_the_writers_mistake(reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        services.append(action=TOUCHED, subject=THING, by=SYSTEM, reason=reason)
    assert refusal.value.field == "reason"
    assert waiting() == []


@pytest.mark.django_db
def test_an_entry_without_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="the limit is"):
        services.append(action=TOUCHED, subject=THING, by=SYSTEM, facts={"blob": "x" * 2**20})


@pytest.mark.django_db
@pytest.mark.parametrize("subject", [Subject("", "1"), Subject("test.thing", "")])
def test_a_subject_needs_type_and_id(subject: Subject) -> None:
    with pytest.raises(ValueError, match="type and an id"):
        services.append(action=TOUCHED, subject=subject, by=SYSTEM)


@pytest.mark.usefixtures("by_hand")
def test_a_row_is_its_own_subject() -> None:
    group = Group.objects.create(name="analysts")
    assert mention(group) == Subject("auth.group", str(group.pk))
    assert subject_of(group) == Subject("auth.group", str(group.pk), digest=digest_of(group))
    with pytest.raises(ValueError, match="no primary key yet"):
        subject_of(Group(name="unsaved"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "damage",
    [
        {"v": 1},
        {"v": 3},
        {"commitments": None},
        {"actor": {"id": "user:7", "name": "ada", "kind": "user", "auth": "session", "session": ""}},
        {"at": "yesterday"},
        {"at": 1.5},
        {"at": -1},
        {"action": ""},
        {"action": "x" * 2401},
        {"actor": {}},
        {"actor": [{"id": "user:7", "kind": "user", "auth": "session", "session": ""}]},
        {"object": {"type": "t", "id": "ü" * 1201, "version": "", "digest": ""}},
        {"object": {"type": "t", "id": ["1"], "version": "", "digest": ""}},
        {"object": {"type": "t", "id": 1, "version": "", "digest": ""}},
        {"object": None},
        {"facts": []},
        {"facts": {"much": 2**53}},
        {"facts": {"many": [1, [1.5]]}},
        {"facts": json.loads('{"a":' * 33 + "1" + "}" * 33)},
        {"diff": None},
        {"request_id": 1},
        {"reason": None},
        {"salt": "short"},
        {"id": None},
    ],
)
def test_postgresql_refuses_a_row_that_could_stop_the_sequencer(damage: dict[str, object]) -> None:
    touch()
    body = {**json.loads(waiting()[0]), **damage}
    with pytest.raises(IntegrityError, match="inbox_canon_is_sound"), transaction.atomic():
        Inbox.objects.create(canon=json.dumps(body))


@pytest.mark.django_db
def test_the_columns_of_an_entry_come_from_its_text() -> None:
    entry_id = touch("x", by=ROBOT, number=4)
    assert entry_of(entry_id) is None
    integrate()
    entry = entry_of(entry_id)
    assert entry is not None
    assert entry.index == 0
    assert (entry.action, entry.actor_id, entry.actor_name, entry.actor_kind) == (
        TOUCHED,
        "service:robot",
        None,
        "service",
    )
    assert (entry.subject_type, entry.subject_id, dict(entry.facts)) == ("test.thing", "x", {"number": 4})
    assert int(entry.at.timestamp() * 1_000_000 + 0.5) == entry.body["at"]
    with (
        pytest.raises(Exception, match='column "action" can only be updated to DEFAULT'),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE audit_entry SET action = 'other.thing'")


@pytest.mark.django_db
def test_each_object_has_a_stream_of_its_own() -> None:
    log_of(20)
    for name in map(str, range(7)):
        stream = list(entries_about("test.thing", name))
        assert [entry.stream_n for entry in stream] == list(range(1, len(stream) + 1))
        assert [entry.stream_previous for entry in stream] == [None, *(entry.index for entry in stream[:-1])]
    touch("0")
    integrate()
    last = entries_about("test.thing", "0").last()
    assert last is not None
    assert (last.stream_n, last.stream_previous) == (4, 14)


def test_an_action_has_one_sentence() -> None:
    assert actions.register("test.twice", "{actor} did it") == actions.register("test.twice", "{actor} did it")
    with pytest.raises(ValueError, match="registered twice"):
        actions.register("test.twice", "{actor} did something else")


@pytest.mark.parametrize(
    ("name", "sentence"), [("Sealed", "{actor} x"), ("version", "{actor} x"), ("a.b", "somebody did it")]
)
def test_a_malformed_action_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"action name|must say who"):
        actions.register(name, sentence)


def test_a_retired_action_can_still_be_told() -> None:
    assert actions.sentence("old.gone", actor="ada", subject="model 1") == "ada: old.gone model 1"
    assert actions.sentence(TOUCHED, actor="ada", subject="model 1") == "ada touched model 1"
    assert actions.sentence(TOUCHED, actor="{object}", subject="model 1") == "{object} touched model 1"


@pytest.mark.django_db
def test_the_session_key_never_reaches_the_ledger() -> None:
    user = get_user_model().objects.create_user("ada")
    request = RequestFactory().get("/")
    request.user = user
    request.session = SessionStore("the-session-key")
    request.id = "r-9"  # type: ignore[attr-defined]
    actor = Actor.of(request)
    assert (actor.id, actor.name, actor.kind, actor.auth, actor.request_id) == (
        f"user:{user.pk}",
        "ada",
        "user",
        "session",
        "r-9",
    )
    assert re.fullmatch("[0-9a-f]{16}", actor.session)
    assert actor.user == user


def test_somebody_who_did_not_sign_in_is_a_visitor() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert Actor.of(request).id == "service:visitor"
