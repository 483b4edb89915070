"""The PostgreSQL roles of an installation, and what each owns before the first migration (DESIGN §6)."""

from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg import sql

DATABASE: Final = "countersign"
TRACKING_SCHEMA: Final = "mlflow"
SUPERUSER: Final = "postgres"
OWNER: Final = "countersign_owner"
APP: Final = "countersign_app"
SEQUENCER: Final = "countersign_sequencer"
READER: Final = "countersign_reader"
TRACKING: Final = "countersign_tracking"
ALL: Final = (OWNER, APP, SEQUENCER, READER, TRACKING)


def secret_name(role: str) -> str:
    """Return the name of the file that keeps the password of ``role``."""
    return f"postgres-{role}"


def create(server: "psycopg.Connection[tuple[object, ...]]", passwords: Mapping[str, str]) -> None:
    """Create what is missing of the roles and the database, and set each password. Safe to repeat."""
    # The server would log a failed statement with the password in it.
    server.execute("SET log_statement = 'none'")
    server.execute("SET log_min_error_statement = 'panic'")
    for role, password in passwords.items():
        known = server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        verb = sql.SQL("ALTER") if known else sql.SQL("CREATE")
        server.execute(
            sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEROLE PASSWORD {}").format(
                verb, sql.Identifier(role), sql.Literal(password)
            )
        )
    database = sql.Identifier(DATABASE)
    if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
        server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, sql.Identifier(OWNER)))
    server.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for role in ALL:
        server.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(role)))


def arrange_schemas(database: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Give schema ``public`` to the owner and schema ``mlflow`` to the tracking process. Safe to repeat."""
    public = sql.Identifier("public")
    database.execute(sql.SQL("ALTER SCHEMA {} OWNER TO {}").format(public, sql.Identifier(OWNER)))
    database.execute(sql.SQL("REVOKE ALL ON SCHEMA {} FROM PUBLIC").format(public))
    for role in (APP, SEQUENCER, READER):
        database.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(public, sql.Identifier(role)))
    database.execute(
        sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(
            sql.Identifier(TRACKING_SCHEMA), sql.Identifier(TRACKING)
        )
    )
