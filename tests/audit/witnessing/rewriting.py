"""What somebody does to the log who holds the database, the key and the guard file."""

from django.db import connection

from tests.factories.audit import integrate, touch


def cut(size: int) -> None:
    """Forget every entry and checkpoint beyond ``size``, past the triggers."""
    with connection.cursor() as cursor:
        for table, column in (("entry", "index >= %s"), ("checkpoint", "size > %s"), ("node", "level >= %s")):
            cursor.execute(f"ALTER TABLE audit_{table} DISABLE TRIGGER USER")
            cursor.execute(f"DELETE FROM audit_{table} WHERE {column}", [0 if table == "node" else size])
            cursor.execute(f"ALTER TABLE audit_{table} ENABLE TRIGGER USER")


def rewrite(size: int) -> None:
    """Another history of ``size`` entries under the same key."""
    cut(0)
    for _ in range(size):
        touch("forged")
    integrate()
