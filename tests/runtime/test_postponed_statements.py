# ruff: noqa: PT012 - what is raised at a transaction's end, after what stands in it
"""What is postponed is executed in its place, once, in the transaction it was written in, and never in another one."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import DataError, IntegrityError, InternalError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import statements

pytestmark = pytest.mark.django_db(transaction=True)

INSERT = "INSERT INTO kept (number) VALUES (%s)"


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    statements.run("CREATE TABLE kept (id int GENERATED ALWAYS AS IDENTITY, number int CHECK (number < 100))")
    yield
    connection.rollback()
    statements.run("DROP TABLE kept")


def kept() -> list[int]:
    return [row[0] for row in statements.rows("SELECT number FROM kept ORDER BY id")]


def test_it_goes_with_the_commit() -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as asked:
        statements.postpone(INSERT, [1])
        statements.postpone(INSERT, [2])
        assert [one["sql"] for one in asked] == []

    assert kept() == [1, 2]


def test_the_next_statement_finds_it_whichever_way_that_is_sent() -> None:
    with transaction.atomic(), connection.cursor() as opened_before:
        statements.postpone(INSERT, [1])
        assert kept() == [1]
        statements.postpone(INSERT, [2])
        opened_before.execute("SELECT count(*) FROM kept")
        assert opened_before.fetchone() == (2,)
        statements.postpone(INSERT, [3])
        opened_before.executemany(INSERT, [[4], [5]])
        with connection.cursor() as cursor:
            statements.postpone(INSERT, [6])
            cursor.execute(INSERT, [7])

    assert kept() == [1, 2, 3, 4, 5, 6, 7]


def test_logged_queries_name_it() -> None:
    with CaptureQueriesContext(connection) as asked, transaction.atomic():
        statements.postpone(INSERT, [1])

    assert [one["sql"] for one in asked] == ["BEGIN", f"{INSERT};COMMIT"]


@pytest.mark.parametrize(
    "text", ["it's", "back\\slash", "50 % off; %s", "$1", "ünï©ødé \U0001f600", "';DROP TABLE kept;--", ""]
)
def test_parameters_arrive_as_they_are(text: str) -> None:
    statements.run("ALTER TABLE kept ADD COLUMN words text")
    with transaction.atomic():
        statements.postpone("INSERT INTO kept (number, words) VALUES (%s, %s)", [1, text])

    assert statements.rows("SELECT number, words FROM kept") == [(1, text)]


def test_a_text_that_postgresql_cannot_hold_is_refused_whole() -> None:
    with pytest.raises(DataError), transaction.atomic():
        statements.run(INSERT, [1])
        statements.postpone("INSERT INTO kept (number) VALUES (%s::text::int)", ["\0"])

    assert kept() == []


def test_a_rollback_drops_it() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        statements.postpone(INSERT, [1])
        raise ZeroDivisionError
    with transaction.atomic():
        statements.postpone(INSERT, [2])

    assert kept() == [2]


def test_a_rollback_to_a_savepoint_drops_what_came_after_it() -> None:
    with transaction.atomic():
        statements.postpone(INSERT, [1])
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            statements.postpone(INSERT, [2])
            raise ZeroDivisionError
        with transaction.atomic():
            statements.postpone(INSERT, [3])

    assert kept() == [1, 3]


def test_what_cannot_be_kept_is_raised_with_the_commit_and_takes_the_transaction_along() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        statements.run(INSERT, [1])
        statements.postpone(INSERT, [100])

    assert kept() == []
    assert not connection.in_atomic_block
    with transaction.atomic():
        statements.postpone(INSERT, [2])
    assert kept() == [2]


def test_what_cannot_be_kept_is_raised_by_the_next_statement_too() -> None:
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            statements.postpone(INSERT, [100])
            kept()
        statements.postpone(INSERT, [1])

    assert kept() == [1]


def test_hooks_run_after_a_commit_and_not_after_a_refused_one() -> None:
    ran: list[list[int]] = []
    with transaction.atomic():
        transaction.on_commit(lambda: ran.append(kept()))
        statements.postpone(INSERT, [1])
    with pytest.raises(IntegrityError), transaction.atomic():
        transaction.on_commit(lambda: ran.append([]))
        statements.postpone(INSERT, [100])

    assert ran == [[1]]


def test_a_connection_that_ends_takes_it_along() -> None:
    [own] = statements.one("SELECT pg_backend_pid()")
    with pytest.raises(OperationalError), transaction.atomic():
        statements.postpone(INSERT, [1])
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [own])
    connection.close()

    assert kept() == []
    with transaction.atomic():
        statements.postpone(INSERT, [2])
    assert kept() == [2]


def test_outside_a_transaction_nothing_can_be_postponed() -> None:
    with pytest.raises(TransactionManagementError):
        statements.postpone(INSERT, [1])
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic(savepoint=False):
            statements.run(INSERT, [100])
        with pytest.raises(TransactionManagementError):
            statements.postpone(INSERT, [1])

    assert kept() == []


def test_a_transaction_that_an_error_has_ended_does_not_commit_quietly() -> None:
    with pytest.raises(InternalError), transaction.atomic():
        with pytest.raises(IntegrityError):
            statements.run(INSERT, [100])
        statements.postpone(INSERT, [1])

    assert kept() == []


class _Undone(Exception):
    """A block of the plan that is rolled back."""


steps = st.recursive(
    st.lists(st.sampled_from(["postpone", "run", "look", "fail"]), max_size=4),
    lambda inner: st.lists(st.sampled_from(["postpone", "run", "look"]) | st.tuples(st.booleans(), inner), max_size=5),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(plan=st.lists(st.tuples(st.booleans(), steps), max_size=4))
def test_whatever_is_nested_the_result_is_that_of_executing_at_once(plan: list[tuple[bool, object]]) -> None:
    statements.run("TRUNCATE kept")
    number = 0

    def play(block: object) -> list[int]:
        """Play a block and say what it should have kept."""
        nonlocal number
        mine: list[int] = []
        for step in block:  # type: ignore[attr-defined]
            if isinstance(step, tuple):
                mine += inside(*step)
            elif step in {"postpone", "run"}:
                number = (number + 1) % 100
                (statements.postpone if step == "postpone" else statements.run)(INSERT, [number])
                mine.append(number)
            elif step == "fail":
                statements.postpone(INSERT, [100])
                kept()
            else:
                kept()
        return mine

    def inside(keeps: bool, block: object) -> list[int]:
        try:
            with transaction.atomic():
                mine = play(block)
                if not keeps:
                    raise _Undone
        except (_Undone, IntegrityError):
            return []
        return mine

    expected = [one for keeps, block in plan for one in inside(keeps, block)]

    assert kept() == expected
