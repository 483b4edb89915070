"""``services.idempotency.once``: one effect per key, whatever the client and the network do."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from config.errors import Conflict, Invalid, NotAllowed
from registry.models import IdempotencyKey, User
from registry.services.idempotency import Answer, forget, once
from tests.factories.audit import by_hand

pytestmark = pytest.mark.usefixtures("by_hand")

ROUTE = "POST /api/v1/models"


@pytest.fixture
def caller() -> User:
    with by_hand():
        return User.objects.create_user("caller")


def _answer(number: int = 1) -> Answer:
    return Answer(status=201, body={"number": number}, headers={"Location": f"/there/{number}"})


@pytest.mark.django_db
def test_the_same_request_again_gets_the_same_answer_and_has_no_second_effect(caller: User) -> None:
    effects: list[int] = []

    def effect() -> Answer:
        effects.append(1)
        return _answer(len(effects))

    first = once(user=caller, key="k1", route=ROUTE, payload=b"{}", effect=effect)
    second = once(user=caller, key="k1", route=ROUTE, payload=b"{}", effect=effect)

    assert (first.replayed, second.replayed) == (False, True)
    assert (second.status, second.body, second.headers) == (201, {"number": 1}, {"Location": "/there/1"})
    assert len(effects) == 1


@pytest.mark.django_db
def test_the_same_key_with_another_payload_is_refused_by_name(caller: User) -> None:
    once(user=caller, key="k1", route=ROUTE, payload=b"{}", effect=_answer)

    with pytest.raises(Invalid) as refused:
        once(user=caller, key="k1", route=ROUTE, payload=b'{"a":1}', effect=_answer)

    assert (refused.value.code, refused.value.field) == ("idempotency.reused", "Idempotency-Key")


@pytest.mark.django_db
def test_keys_of_two_people_or_of_two_addresses_do_not_meet(caller: User) -> None:
    other = User.objects.create_user("other")
    once(user=caller, key="k1", route=ROUTE, payload=b"{}", effect=_answer)

    assert not once(user=other, key="k1", route=ROUTE, payload=b"x", effect=_answer).replayed
    assert not once(user=caller, key="k1", route="POST /elsewhere", payload=b"x", effect=_answer).replayed


@pytest.mark.django_db
def test_a_refused_effect_leaves_no_key_so_it_can_be_tried_again(caller: User) -> None:
    def refuse() -> Answer:
        raise NotAllowed("Not you.")

    with pytest.raises(NotAllowed):
        once(user=caller, key="k1", route=ROUTE, payload=b"{}", effect=refuse)

    assert not IdempotencyKey.objects.exists()
    assert once(user=caller, key="k1", route=ROUTE, payload=b"{}", effect=_answer).status == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "tab\t", "é", "x" * 129, "null\x00"])
@pytest.mark.django_db
def test_a_malformed_key_is_refused_by_name(caller: User, key: str) -> None:
    with pytest.raises(Invalid) as refused:
        once(user=caller, key=key, route=ROUTE, payload=b"{}", effect=_answer)

    assert (refused.value.code, refused.value.field) == ("idempotency.malformed", "Idempotency-Key")
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_second_request_while_the_first_still_works_is_told_so_and_does_nothing(caller: User) -> None:
    inside, leave = threading.Event(), threading.Event()

    def slow() -> Answer:
        inside.set()
        assert leave.wait(30)
        return _answer()

    def first() -> Answer:
        try:
            return once(user=caller, key="k1", route=ROUTE, payload=b"{}", effect=slow)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        assert inside.wait(30)
        try:
            with pytest.raises(Conflict) as refused:
                once(user=caller, key="k1", route=ROUTE, payload=b"{}", effect=_answer)
        finally:
            leave.set()
        assert running.result(30).status == 201

    assert refused.value.code == "idempotency.in_progress"
    assert IdempotencyKey.objects.count() == 1
    assert once(user=caller, key="k1", route=ROUTE, payload=b"{}", effect=_answer).replayed


@pytest.mark.django_db
def test_old_keys_are_forgotten_and_young_ones_kept(caller: User) -> None:
    once(user=caller, key="k1", route=ROUTE, payload=b"{}", effect=_answer)
    made = IdempotencyKey.objects.get().created_at

    assert forget(before=made) == 0
    assert IdempotencyKey.objects.count() == 1
