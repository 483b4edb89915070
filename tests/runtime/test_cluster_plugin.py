"""The throw-away cluster that this very run of pytest uses."""

import pytest
from django.db import connection


@pytest.mark.django_db
def test_tests_run_on_a_real_postgresql_as_the_owner_of_the_schema() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_setting('server_version_num')::int, inet_server_addr()::text")
        row = cursor.fetchone()
    assert row is not None
    assert row[0] == "countersign_owner"
    assert row[1] >= 150000
    assert row[2].startswith("127.0.0.1")
