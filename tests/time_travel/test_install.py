"""The history in the database: every remembered table has one, of the same columns, and only triggers write it."""

import pytest
from django.db import connection

from audit.history.install import install
from audit.history.tables import remembered


@pytest.mark.django_db
def test_every_remembered_table_has_a_past_and_a_view_with_the_same_columns() -> None:
    with connection.cursor() as cursor:
        for one in remembered():
            found = {}
            for schema in ("public", "history", "asof"):
                cursor.execute(
                    "SELECT column_name, data_type, character_maximum_length FROM information_schema.columns "
                    "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
                    [schema, one.table],
                )
                found[schema] = cursor.fetchall()
            live = [column for column in found["public"] if column[0] != "known_from"]
            assert found["asof"] == live, one.table
            past = [column for column in found["history"] if column[0] not in {"known_from", "known_until"}]
            assert past == [column for column in live if column[0] not in one.forgets], one.table


@pytest.mark.django_db
def test_a_second_installation_has_nothing_to_do() -> None:
    assert install(connection) is False
