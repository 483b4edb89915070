"""``python -m config.runtime``: run an embedded installation, and look after it."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from config.runtime import roles
from config.runtime.errors import RuntimeProblem
from config.runtime.installation import ROOT, Installation, Options
from config.runtime.postgres import cluster_directory
from config.runtime.services import PREPARE
from config.runtime.state import StateDirectory
from config.waiting import until

NOT_RUNNING = 3  # as LSB init scripts answer "status"
_DOWN_SECONDS = 180.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a ``RuntimeProblem`` becomes its message and code 1."""
    parser = argparse.ArgumentParser(
        prog="python -m config.runtime",
        description=__doc__,
        epilog="Environment: DATA_DIR, HOST, PORT, PUBLIC_URL; every setting is in docs/operators/configuration.md",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="start everything and keep it running until Ctrl-C")
    commands.add_parser("demo", help="the same, then take two real models through a promotion: --signed, --once")
    commands.add_parser("down", help="stop the instance that runs on DATA_DIR")
    commands.add_parser("status", help="say what runs on DATA_DIR")
    reset = commands.add_parser("reset", help="delete all state in DATA_DIR; asks first")
    reset.add_argument("--yes", action="store_true", help="do not ask (also: YES=1)")
    commands.add_parser("prepare", help="keys, migrations and static files, for the environment as it is")
    given, for_demo = parser.parse_known_args(arguments)
    if for_demo and given.command != "demo":
        parser.error(f"unrecognized arguments: {' '.join(for_demo)}")
    try:
        options = Options.read(os.environ)
        match given.command:
            case "up":
                return Installation(options, os.environ).run()
            case "demo":
                return Installation(options, os.environ).run(demo=for_demo)
            case "down":
                return down(StateDirectory(options.data_dir))
            case "status":
                return status(StateDirectory(options.data_dir))
            case "reset":
                return reset_state(StateDirectory(options.data_dir), sure=given.yes or os.environ.get("YES") == "1")
            case _:
                return prepare()
    except RuntimeProblem as problem:
        print(f"countersign: {problem}", file=sys.stderr)
        return 1


def down(state: StateDirectory) -> int:
    """Ask the running instance to stop and wait until it has; success also when nothing runs."""
    pid = state.running_pid()
    if pid is None:
        print(f"Nothing runs on {state.path}.")
        return 0
    print(f"Stopping Countersign (pid {pid}); running checks may finish first.")
    os.kill(pid, signal.SIGTERM)
    if not until(lambda: state.running_pid() != pid, seconds=_DOWN_SECONDS):
        raise RuntimeProblem(f"Process {pid} has not stopped in {_DOWN_SECONDS:.0f} seconds.")
    print("Stopped.")
    return 0


def status(state: StateDirectory) -> int:
    """Print what runs; code 0 when everything is ready, 1 when something is not, 3 when nothing runs."""
    pid = state.running_pid()
    if pid is None:
        print(f"Nothing runs on {state.path}.")
        return NOT_RUNNING
    told = state.status()
    processes = told.get("processes")
    rows = processes if isinstance(processes, list) else []
    print(f"Countersign runs at {told.get('url')} (pid {pid}) on {state.path}")
    for row in rows:
        print(f"  {row['name']:<10} {row['state']:<9} pid {row['pid'] or '-':<8} restarts {row['restarts']}")
    return 0 if rows and all(row["state"] == "ready" for row in rows) else 1


def reset_state(state: StateDirectory, *, sure: bool) -> int:
    """Delete everything in DATA_DIR and the cluster it refers to.

    Raises ``RuntimeProblem`` while an instance runs, when the directory does not look like one of ours, and when
    nobody has confirmed.
    """
    if not state.path.exists():
        print(f"There is nothing in {state.path}.")
        return 0
    if not (state.path / "secrets").is_dir() and any(state.path.iterdir()):
        raise RuntimeProblem(f"{state.path} holds no state of Countersign; nothing was deleted.")
    with state.locked():
        if not sure:
            _ask(state.path)
        for place in {cluster_directory(state.path / "postgres"), *state.path.iterdir()}:
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place, ignore_errors=False)
            elif place.exists():
                place.unlink()
    print(f"Deleted all state in {state.path}.")
    return 0


def _ask(path: Path) -> None:
    question = f"Delete every model, decision, key and ledger entry in {path}? This cannot be undone. Type yes: "
    if not sys.stdin.isatty():
        raise RuntimeProblem("Reset asks first, and nobody is here to answer. Say YES=1 to delete without asking.")
    if input(question).strip().lower() != "yes":
        raise RuntimeProblem("Nothing was deleted.")


def prepare() -> int:
    """Run what must have run before the services start; the one-shot service of compose.yaml.

    With DATABASE_ADMIN_URL (a superuser's) the roles and schemas are made first, with the passwords of the other URLs.
    """
    if admin := os.environ.get("DATABASE_ADMIN_URL"):
        roles.set_up(admin, os.environ)
        print("roles and schemas are set up", flush=True)
    for command in PREPARE:
        print("running", *command[1:], flush=True)
        if code := subprocess.run([sys.executable, *command[1:]], cwd=ROOT, check=False).returncode:
            print(f"countersign: {' '.join(command)} failed with code {code}", file=sys.stderr)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
