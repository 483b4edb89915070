"""A connection that the server ended is replaced by the next request, which is not told; one that works costs no question."""

import io
from collections.abc import Callable

import psycopg
import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test.utils import CaptureQueriesContext

from config import statements

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks as in production; tests begin without them."""
    monkeypatch.setitem(connection.settings_dict, "CONN_HEALTH_CHECKS", True)
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 300)
    connection.close()
    connection.connect()


def backend() -> int:
    found = statements.row("SELECT pg_backend_pid()")
    assert found is not None
    return int(found[0])


def end(pid: int) -> None:
    """As a restart of the server would, and with the news on its way when this returns."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def next_request() -> None:
    """What Django does when one begins."""
    connection.close_if_unusable_or_obsolete()


def test_a_connection_that_the_server_ended_is_replaced() -> None:
    next_request()
    before = backend()
    next_request()
    end(before)

    assert backend() != before


def test_the_orm_is_not_told_either() -> None:
    next_request()
    end(backend())
    next_request()

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_request_after_a_restart_is_answered() -> None:
    answered: list[object] = []
    server = get_wsgi_application()  # the test client holds connections open over requests
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/health/ready", "SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    end(backend())

    def start(status: str, *_: object) -> Callable[[bytes], object]:
        answered.append(status)
        return answered.append

    server({**environ, "wsgi.input": io.BytesIO()}, start)

    assert answered == ["200 OK"]


def test_a_connection_that_works_is_kept_and_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(_: object) -> bool:
        raise AssertionError("a question was sent")

    before = backend()
    monkeypatch.setattr(DatabaseWrapper, "is_usable", asked)
    for _ in range(3):
        next_request()
        assert backend() == before


def test_one_that_was_not_asked_for_long_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    before = backend()
    monkeypatch.setattr(connections["default"], "_trusted_until", 0.0)
    next_request()
    assert backend() == before
    assert vars(connections["default"])["_trusted_until"] > 0

    monkeypatch.setattr(connections["default"], "_trusted_until", 0.0)
    monkeypatch.setattr(DatabaseWrapper, "is_usable", lambda _: False)
    next_request()
    assert backend() != before


def test_one_in_which_something_went_wrong_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    before = backend()
    connection.errors_occurred = True
    monkeypatch.setattr(DatabaseWrapper, "is_usable", lambda _: False)
    next_request()
    monkeypatch.undo()

    assert backend() != before


def test_what_works_costs_no_statement() -> None:
    next_request()
    with CaptureQueriesContext(connection) as queries:
        backend()
    assert len(queries) == 1
