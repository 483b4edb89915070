"""The tracking process: what it opens, what it starts, how large it is, and that it writes nothing of the registry."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from audit.actors import SYSTEM
from registry.mlflow import graphql
from registry.models import User
from registry.services import access, catalog
from registry.tracking import HEADER, USER_HEADER
from tests.conformance.mlflow.conftest import Person
from tests.conformance.mlflow.tracking import SECRET, tracking_process

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.filterwarnings("ignore")]

LISTENER = """
import json, os, sys

def _note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork", "os.posix_spawn"):
        told = repr(arguments[1] if event == "socket.connect" else arguments[0] if arguments else "")
        with open(os.environ["LISTENED"], "a") as file:
            file.write(json.dumps([event, told]) + "\\n")

sys.addaudithook(_note)
"""
MIB = 2**20
LARGEST = 450 * MIB
"""Of MLflow's process with Django in it. It had 330 MiB when this was written, 290 of them MLflow's own."""


@dataclass(frozen=True)
class Listened:
    """A tracking process that tells what it opens."""

    url: str
    log: Path

    def ask(self, method: str, address: str, user: User | None = None, **more: object) -> httpx.Response:
        headers = {HEADER: SECRET, **({USER_HEADER: str(user.pk)} if user else {})}
        with httpx.Client(base_url=self.url, trust_env=False, timeout=60, headers=headers) as http:
            return http.request(method, address, **more)  # type: ignore[arg-type]

    def told(self, event: str) -> list[str]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [argument for name, argument in lines if name == event]

    def worker(self) -> int:
        """The pid of the worker: the child of the process that listens."""
        for entry in Path("/proc").iterdir():
            ours = entry.name.isdigit() and f"LISTENED={self.log}".encode() in _environ(entry)
            if ours and _parent(entry) != os.getpid():
                return int(entry.name)
        raise AssertionError("there is no worker")


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def _parent(process: Path) -> int:
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture(scope="module")
def listened(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Listened]:
    """One process for this file."""
    del django_db_setup
    place = tmp_path_factory.mktemp("listened")
    (place / "sitecustomize.py").write_text(LISTENER)
    log = place / "listened.jsonl"
    log.touch()
    more = {"PYTHONPATH": str(place), "LISTENED": str(log)}
    with tracking_process(place, f"listened_{os.getpid()}", more) as url:
        yield Listened(url, log)


def test_nothing_is_asked_of_the_world_and_nothing_else_is_started(listened: Listened, ada: Person) -> None:
    assert listened.ask("POST", "/api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"]}).status_code == 200
    made = listened.ask("POST", "/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
    question = {"operationName": "GetRun", "query": graphql.GET_RUN, "variables": {"data": {"runId": made["run_id"]}}}
    assert listened.ask("POST", "/graphql", ada.user, json=question).json()["errors"] is None
    listened.ask("GET", "/ajax-api/3.0/mlflow/server-info")
    listened.ask("GET", "/ajax-api/3.0/mlflow/ui-telemetry")
    assert len(listened.told("os.fork")) == 1, "gunicorn's one worker; without it the audit hook hears nothing at all"
    # The database's driver connects in C, where Python hears nothing: its address is ours to give.
    assert [one for one in listened.told("socket.connect") if "127.0.0.1" not in one and "::1" not in one] == []
    assert {
        one for one in listened.told("socket.getaddrinfo") if one not in {"'127.0.0.1'", "b'127.0.0.1'", "None"}
    } == set()
    assert [one for one in listened.told("subprocess.Popen") if "mlflow" in one or "huey" in one] == []


def test_it_writes_nothing_of_the_registry_and_says_where_to(listened: Listened, ada: Person) -> None:
    calls = [
        ("POST", "registered-models/create", {"name": "m"}), ("DELETE", "registered-models/delete", {"name": "m"}),
        ("POST", "registered-models/alias", {"name": "m", "alias": "a", "version": "1"}),
        ("POST", "model-versions/create", {"name": "m", "source": "models:/m/1"}),
        ("POST", "model-versions/transition-stage", {"name": "m", "version": "1", "stage": "Staging"}),
        ("PATCH", "registered-models/update", {"name": "m", "description": "x"}),
    ]  # fmt: skip
    for method, call, given in calls:
        answer = listened.ask(method, f"/api/2.0/mlflow/{call}", ada.user, json=given)
        assert answer.json()["error_code"] in {"PERMISSION_DENIED", "RESOURCE_DOES_NOT_EXIST"}, (call, answer.text)
    refused = listened.ask("POST", "/api/2.0/mlflow/registered-models/create", ada.user, json={"name": "m"}).json()
    assert "not written through the tracking server" in refused["message"]


def test_the_registry_shows_itself_to_accounts_only(listened: Listened, ada: Person) -> None:
    catalog.create_model(name="mine", by=ada.actor)
    address = "/api/2.0/mlflow/registered-models/get?name=mine"
    assert listened.ask("GET", address, ada.user).json()["registered_model"]["name"] == "mine"
    assert listened.ask("GET", address).json()["error_code"] == "PERMISSION_DENIED"
    access.update_user(user=ada.user, is_active=False, by=SYSTEM)
    assert listened.ask("GET", address, ada.user).json()["error_code"] == "PERMISSION_DENIED"


def test_reads_of_the_adaptor_are_those_of_our_own_views(listened: Listened, ada: Person) -> None:
    model = catalog.create_model(name="mine", by=ada.actor, description="about", tags={"a": "1"})
    stranger = access.create_user(username="stranger", password=None, by=SYSTEM)
    for address, key in (
        ("registered-models/get?name=mine", "registered_model"),
        ("registered-models/search?filter=name LIKE 'mi%25'", "registered_models"),
        ("registered-models/get-latest-versions?name=mine", None),
        ("model-versions/search?filter=name='mine'", None),
    ):
        theirs = listened.ask("GET", f"/api/2.0/mlflow/{address}", ada.user)
        assert theirs.status_code == 200, theirs.text
        if key:
            found = theirs.json()[key]
            shown = found[0] if isinstance(found, list) else found
            assert (shown["name"], shown["description"], shown["tags"]) == (
                model.name,
                "about",
                [{"key": "a", "value": "1"}],
            )
    assert listened.ask("GET", "/api/2.0/mlflow/registered-models/get?name=mine", stranger).status_code == 404
    assert listened.ask("GET", "/api/2.0/mlflow/registered-models/get?name=none", ada.user).status_code == 404
    assert listened.ask("GET", "/api/2.0/mlflow/registered-models/search?filter=bad", ada.user).status_code == 400
    assert listened.ask("GET", "/api/2.0/mlflow/registered-models/alias?name=mine&alias=x", ada.user).status_code == 400


def test_its_memory_stays_within_bounds(listened: Listened, ada: Person) -> None:
    listened.ask("GET", "/api/2.0/mlflow/registered-models/search", ada.user)
    pages = int(Path(f"/proc/{listened.worker()}/statm").read_text().split()[1])
    size = pages * os.sysconf("SC_PAGE_SIZE")
    sys.stderr.write(f"tracking worker: {size // MIB} MiB\n")
    assert size < LARGEST


def test_mlflows_own_registry_tables_stay_empty(listened: Listened, ada: Person) -> None:
    catalog.create_model(name="mine", by=ada.actor)
    listened.ask("GET", "/api/2.0/mlflow/registered-models/get?name=mine", ada.user)
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
        count = owner.execute(f'SELECT count(*) FROM "listened_{os.getpid()}".registered_models').fetchone()
    assert count == (0,)
