"""Pytest plugin (``-p tests.cluster`` in pyproject.toml): a throw-away PostgreSQL cluster for each run of pytest.

It is a plugin and not part of conftest.py because pytest-django reads the settings before any conftest.py is loaded.
With DATABASE_OWNER_URL set, that server is used instead and nothing is started. Workers of pytest-xdist inherit the
controller's environment, so there is one cluster per run; pytest-django makes one database per worker in it. Two
runs at once share nothing: each has its own temporary directory and its own port.
"""

import os
import shutil
from collections.abc import Generator

import pytest

from config.runtime import roles
from config.runtime.account import database_account
from config.runtime.postgres import Cluster, temporary_parent
from config.runtime.secretfiles import SecretFiles


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Set the environment from which ``config.settings.test`` reads where the database is."""
    if "PYTEST_XDIST_WORKER" not in os.environ and not _only_asks(early_config):
        parent = temporary_parent(database_account())
        early_config.add_cleanup(lambda: shutil.rmtree(parent))
        os.environ["DATA_DIR"] = str(parent / "data")
        if "DATABASE_OWNER_URL" not in os.environ:
            cluster = Cluster(parent / "postgres", SecretFiles(parent / "secrets"), durable=False)
            early_config.add_cleanup(cluster.stop)
            cluster.initialise()
            cluster.start(parent / "postgres.log")
            cluster.set_up_roles()
            with cluster.connect() as server:
                server.execute(f"ALTER ROLE {roles.OWNER} CREATEDB")
            # What a superuser can do to the ledger is tested, too. With a server of somebody's own it is not.
            os.environ.update({**cluster.urls(), "TEST_SUPERUSER_URL": cluster.url(roles.SUPERUSER)})
    return (yield)


def _only_asks(config: pytest.Config) -> bool:
    """Say whether this call only prints help or the version, so that no server is needed."""
    known = config.known_args_namespace
    return bool(known.help or known.version)
