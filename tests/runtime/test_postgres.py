"""The driver of the embedded PostgreSQL, on real clusters."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from config.runtime import roles
from config.runtime.account import database_account
from config.runtime.binaries import postgres_directory
from config.runtime.errors import RuntimeProblem
from config.runtime.ports import LOOPBACK, free_port
from config.runtime.postgres import Cluster
from config.runtime.secretfiles import SecretFiles
from tests.runtime.processes import alive
from tests.waiting import until


def signs_in(url: str) -> str:
    with psycopg.connect(url, connect_timeout=5) as session:
        row = session.execute("SELECT current_user").fetchone()
    assert row is not None
    return str(row[0])


def test_a_cluster_starts_answers_and_leaves_nothing_when_stopped(cluster: Cluster, place: Path) -> None:
    cluster.start(place / "log")
    assert cluster.process is not None
    pid = cluster.process.pid
    assert cluster.answers()
    cluster.stop()
    assert not alive(pid)
    assert not cluster.answers()
    assert not (cluster.directory / "postmaster.pid").exists()


def test_it_keeps_its_rows_over_a_restart(cluster: Cluster, place: Path) -> None:
    cluster.start(place / "log")
    with cluster.connect() as server:
        server.execute("CREATE TABLE kept AS SELECT 42 AS n")
    cluster.stop()
    assert cluster.initialise() is False
    cluster.start(place / "log")
    with cluster.connect() as server:
        assert server.execute("SELECT n FROM kept").fetchone() == (42,)


def test_after_a_crash_the_leftover_pid_file_is_no_obstacle_and_the_rows_are_there(
    secrets: SecretFiles, place: Path, request: pytest.FixtureRequest
) -> None:
    cluster = Cluster(place / "postgres", secrets)
    request.addfinalizer(cluster.stop)
    cluster.initialise()
    cluster.start(place / "log")
    assert cluster.process is not None
    with cluster.connect() as server:
        server.execute("CREATE TABLE kept AS SELECT 42 AS n")
    os.kill(cluster.process.pid, signal.SIGKILL)
    cluster.process.wait(10)
    assert (cluster.directory / "postmaster.pid").exists()
    cluster.start(place / "log")
    with cluster.connect() as server:
        assert server.execute("SELECT n FROM kept").fetchone() == (42,)


def test_a_pid_file_with_the_pid_of_some_other_process_is_a_leftover(cluster: Cluster, place: Path) -> None:
    (cluster.directory / "postmaster.pid").write_text(f"{os.getppid()}\n{cluster.directory}\n")
    cluster.start(place / "log")
    assert cluster.answers()


def test_a_server_that_still_runs_is_named_by_its_pid(cluster: Cluster, secrets: SecretFiles, place: Path) -> None:
    cluster.start(place / "log")
    assert cluster.process is not None
    second = Cluster(place / "postgres", secrets, durable=False)
    with pytest.raises(RuntimeProblem, match=rf"pid {cluster.process.pid}\b.*still runs"):
        second.start(place / "log")
    assert cluster.answers()


def test_a_wanted_port_that_is_taken_is_said_and_nothing_is_left(secrets: SecretFiles, place: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        cluster = Cluster(place / "postgres", secrets, port=taken.getsockname()[1], durable=False)
        cluster.initialise()
        with pytest.raises(RuntimeProblem, match="could not bind"):
            cluster.start(place / "log")
    assert cluster.process is None


def test_a_port_lost_to_a_race_is_replaced_by_another(cluster: Cluster, place: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        cluster.port = taken.getsockname()[1]
        cluster.start(place / "log")
        assert cluster.port != taken.getsockname()[1]
        assert cluster.answers()


def test_roles_own_what_they_should_and_nobody_enters_without_a_password(cluster: Cluster, place: Path) -> None:
    cluster.start(place / "log")
    cluster.set_up_roles()
    cluster.set_up_roles()
    for role in roles.ALL:
        assert signs_in(cluster.url(role)) == role
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        signs_in(f"postgresql://{roles.APP}:wrong@{LOOPBACK}:{cluster.port}/{roles.DATABASE}")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        signs_in(f"postgresql://{roles.APP}@{LOOPBACK}:{cluster.port}/{roles.DATABASE}")
    with cluster.connect(roles.DATABASE) as database:
        owners = set(
            database.execute(
                "SELECT nspname, nspowner::regrole::text FROM pg_namespace WHERE nspname IN ('public', 'mlflow')"
            ).fetchall()
        )
        powers = database.execute(
            "SELECT rolname FROM pg_roles WHERE rolname <> 'postgres' AND (rolsuper OR rolcreaterole OR rolcreatedb)"
        ).fetchall()
    assert owners == {("public", roles.OWNER), ("mlflow", roles.TRACKING)}
    assert powers == []


@pytest.mark.parametrize("role", [roles.APP, roles.SEQUENCER, roles.READER, roles.TRACKING])
def test_only_the_owner_creates_tables_in_the_schema_public(cluster: Cluster, place: Path, role: str) -> None:
    cluster.start(place / "log")
    cluster.set_up_roles()
    with (
        psycopg.connect(cluster.url(role)) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="schema public"),
    ):
        session.execute("CREATE TABLE public.mine (n int)")


def test_the_cluster_uses_scram_checksums_and_only_the_loopback(cluster: Cluster, place: Path) -> None:
    cluster.start(place / "log")
    names = ("data_checksums", "listen_addresses", "unix_socket_directories", "password_encryption", "server_encoding")
    with cluster.connect() as server:
        told = [server.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
        methods = server.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
    assert told == [("on",), (LOOPBACK,), ("",), ("scram-sha-256",), ("UTF8",)]
    assert methods == [("scram-sha-256",)]


def test_a_kept_cluster_is_durable(place: Path, secrets: SecretFiles) -> None:
    settings = Cluster(place / "postgres", secrets).command()
    assert not [part for part in settings if part.startswith(("fsync=", "full_page_writes=", "synchronous_commit="))]


def test_secrets_are_generated_once_and_readable_by_their_owner_only(place: Path) -> None:
    secrets = SecretFiles(place / "secrets")
    first = secrets.get("one")
    assert SecretFiles(place / "secrets").get("one") == first != secrets.get("two")
    assert len(first) >= 43
    assert stat.S_IMODE((place / "secrets" / "one").stat().st_mode) == 0o600
    assert stat.S_IMODE((place / "secrets").stat().st_mode) == 0o700


def test_an_empty_secret_is_refused_and_named(place: Path) -> None:
    secrets = SecretFiles(place / "secrets")
    secrets.get("one")
    (place / "secrets" / "one").write_text("")
    with pytest.raises(RuntimeProblem, match="secrets/one is empty"):
        secrets.get("one")


def test_pg_bin_without_the_programs_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(RuntimeProblem, match=r"PG_BIN=.*postgres and initdb"):
        postgres_directory(None)


def test_a_cluster_of_another_major_version_is_refused_before_anything_is_written(cluster: Cluster) -> None:
    (cluster.directory / "PG_VERSION").write_text("14\n")
    with pytest.raises(RuntimeProblem, match="of PostgreSQL 14, the programs are of"):
        cluster.initialise()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by postgres and needs another user")
def test_as_root_the_server_runs_as_an_unprivileged_user_of_its_own(cluster: Cluster, place: Path) -> None:
    account = database_account()
    assert account is not None
    cluster.start(place / "log")
    assert cluster.process is not None
    assert Path("/proc", str(cluster.process.pid)).stat().st_uid == account.uid != 0
    assert stat.S_IMODE(cluster.directory.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to have a directory that others cannot enter")
def test_as_root_below_a_closed_directory_the_cluster_lies_where_its_user_can_reach_it(
    place: Path, secrets: SecretFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.runtime.postgres.SHARED_STATE", place / "shared")
    closed = place / "root-only"
    closed.mkdir(mode=0o700)
    cluster = Cluster(closed / "postgres", secrets, durable=False)
    assert cluster.directory.is_relative_to(place / "shared")
    cluster.initialise()
    try:
        cluster.start(place / "log")
        assert cluster.answers()
    finally:
        cluster.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to have programs that others cannot run")
def test_as_root_with_programs_others_cannot_read_a_readable_copy_is_used(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = database_account()
    assert account is not None
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setattr("config.runtime.binaries.SHARED_STATE", place / "shared")
    monkeypatch.setattr(type(account), "can_run", lambda self, program: program.is_relative_to(place))  # noqa: ARG005
    programs = postgres_directory(account)
    assert programs.is_relative_to(place / "shared")
    assert postgres_directory(account) == programs


def test_the_server_ends_when_the_process_that_started_it_is_killed(place: Path) -> None:
    cluster_port = free_port()
    script = f"""
import pathlib, sys, time
from config.runtime.postgres import Cluster
from config.runtime.secretfiles import SecretFiles
place = pathlib.Path({str(place)!r})
cluster = Cluster(place / "postgres", SecretFiles(place / "secrets"), port={cluster_port}, durable=False)
cluster.initialise(); cluster.start(place / "log")
print(cluster.process.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
        assert alive(server)
        starter.kill()
    until(lambda: not alive(server), what="the database server to end after its starter was killed")
