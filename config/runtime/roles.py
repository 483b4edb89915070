"""The PostgreSQL roles of an installation, and what each owns before the first migration (DESIGN §6)."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from config.runtime.errors import RuntimeProblem

DATABASE: Final = "countersign"
TRACKING_SCHEMA: Final = "mlflow"
SUPERUSER: Final = "postgres"
OWNER: Final = "countersign_owner"
APP: Final = "countersign_app"
SEQUENCER: Final = "countersign_sequencer"
READER: Final = "countersign_reader"
CATALOGUE: Final = "countersign_catalogue"
TRACKING: Final = "countersign_tracking"
_URLS: Final = {
    "DATABASE_OWNER_URL": OWNER,
    "DATABASE_URL": APP,
    "DATABASE_SEQUENCER_URL": SEQUENCER,
    "DATABASE_CATALOGUE_URL": CATALOGUE,
    "TRACKING_DATABASE_URL": TRACKING,
}
ALL: Final = (OWNER, APP, SEQUENCER, READER, CATALOGUE, TRACKING)


def secret_name(role: str) -> str:
    """Return the name of the file that keeps the password of ``role``."""
    return f"postgres-{role}"


def set_up(admin_url: str, given: Mapping[str, str]) -> None:
    """Create roles, database and schemas on a server of one's own, with the passwords that stand in the URLs ``given``.

    ``countersign_reader`` gets no password and so cannot sign in until an operator gives it one.
    Raises ``RuntimeProblem`` naming the URL that is missing or that is not for the role it should be for.
    """
    passwords: dict[str, str | None] = {READER: None}
    for name, role in _URLS.items():
        parts = urlsplit(given.get(name, ""))
        if unquote(parts.username or "") != role or not parts.password or parts.path != f"/{DATABASE}":
            raise RuntimeProblem(f"{name} must be the URL of {role} with its password, on the database {DATABASE}.")
        passwords[role] = unquote(parts.password)
    try:
        with psycopg.connect(admin_url, autocommit=True, connect_timeout=10) as server:
            create(server, passwords)
        with psycopg.connect(admin_url, dbname=DATABASE, autocommit=True, connect_timeout=10) as database:
            arrange_schemas(database)
    except psycopg.OperationalError as error:
        raise RuntimeProblem(f"DATABASE_ADMIN_URL: {error}") from error


def create(server: "psycopg.Connection[tuple[object, ...]]", passwords: Mapping[str, str | None]) -> None:
    """Create what is missing of the roles and the database, and set each password. Safe to repeat."""
    # The server would log a failed statement with the password in it.
    server.execute("SET log_statement = 'none'")
    server.execute("SET log_min_error_statement = 'panic'")
    for role, password in passwords.items():
        known = server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        verb = sql.SQL("ALTER") if known else sql.SQL("CREATE")
        secret = sql.SQL("") if password is None else sql.SQL("PASSWORD {}").format(sql.Literal(password))
        server.execute(
            sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEROLE {}").format(verb, sql.Identifier(role), secret)
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
    for role in (APP, SEQUENCER, READER, CATALOGUE):
        database.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(public, sql.Identifier(role)))
    database.execute(
        sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(
            sql.Identifier(TRACKING_SCHEMA), sql.Identifier(TRACKING)
        )
    )
