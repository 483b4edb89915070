"""Bring a database to the state this release needs: schema, rights, and MLflow's tracking schema."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import psycopg
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from psycopg import sql

from audit.grants import RolesMissing, apply_grants
from audit.reconcile import adopt
from config import env
from config.runtime.roles import TRACKING_SCHEMA

# Called in a process of its own: MLflow is large, and its address must not stand among the arguments, where `ps` shows
# it. For an empty schema `mlflow db upgrade` makes the tables first.
UPGRADE_TRACKING: Final = """
import os
from mlflow.db import upgrade
upgrade.main([os.environ["TRACKING_DATABASE_URL"]], standalone_mode=False)
"""
QUIET: Final = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


class Command(BaseCommand):
    """Safe to repeat. Run it as the owner (DATABASE_ROLE=owner) before the other processes start."""

    help = "Migrate, grant the runtime roles their rights, upgrade MLflow's tracking schema."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def handle(self, *_: object, **options: object) -> None:
        """Do the three steps and say what each did."""
        call_command("migrate", interactive=False, verbosity=options["verbosity"])
        try:
            apply_grants(connection, strict=True)
        except RolesMissing as missing:
            raise CommandError(str(missing)) from missing
        self.stdout.write("Rights of the runtime roles granted")
        adopted = adopt()
        if adopted:
            self.stdout.write(f"The log vouches for {adopted} objects of an earlier release, as they are now")
        address = env.load().tracking_database_url
        if address:
            self._upgrade_tracking(address)

    def _upgrade_tracking(self, address: str) -> None:
        try:
            release = f"mlflow {version('mlflow')}"
        except PackageNotFoundError:
            raise CommandError(
                "TRACKING_DATABASE_URL is set but mlflow is not installed here: install requirements/worker.txt, or run"
                " setup_database without that variable and once with it where MLflow is"
            ) from None
        # Asking MLflow takes ten seconds, so the schema carries the release that it was last upgraded by.
        with psycopg.connect(address.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True) as tracking:
            schema = sql.Identifier(TRACKING_SCHEMA)
            found = tracking.execute(
                "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", [TRACKING_SCHEMA]
            ).fetchone()
            if found is None:
                raise CommandError(f"the database of TRACKING_DATABASE_URL has no schema {TRACKING_SCHEMA}")
            if found[0] != release:
                self._ask_mlflow(address)
                tracking.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(schema, sql.Literal(release)))
        self.stdout.write(f"MLflow's tracking schema is that of {release}")

    def _ask_mlflow(self, address: str) -> None:
        self.stdout.write("Upgrading MLflow's tracking schema (this starts MLflow, some seconds) …")
        self.stdout.flush()
        done = subprocess.run(
            [sys.executable, "-c", UPGRADE_TRACKING],
            env={**os.environ, **QUIET, "TRACKING_DATABASE_URL": address},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise CommandError(f"MLflow could not upgrade its schema: {reason[-1]}\n" + "\n".join(reason[-20:-1]))
