"""compose.yaml: its structure, that it says what services.py says, and that its commands start.

Without Docker. No package on PyPI carries the compose specification's JSON schema; COMPOSE_SCHEMA may name a copy of
it (compose-spec/compose-spec, schema/compose-spec.json), against which the file is then validated too. What the
schema would catch and we rely on is asserted here one by one.
"""

import json
import os
import secrets as random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from config.runtime import probes, roles
from config.runtime.children import spawn
from config.runtime.journal import Journal
from config.runtime.ports import LOOPBACK, free_port
from config.runtime.postgres import Cluster
from config.runtime.secretfiles import SecretFiles
from config.runtime.services import PREPARE_FIXED, PREPARE_VARIABLES, SERVICES, WITNESSES, Probe, Service
from config.runtime.supervisor import Supervisor, Unit
from config.runtime.valkey import Broker
from tests.runtime import composition

ROOT: Final = composition.FILE.parent
COMPOSE: Final = composition.load()
OURS: Final = {service.name: service for service in SERVICES}
# The keys of a service that the specification knows and our file uses.
KNOWN_KEYS: Final = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "logging",
    "networks",
} | {"ports", "read_only", "restart", "security_opt", "shm_size", "stop_grace_period", "tmpfs", "user", "volumes"}


def test_the_file_has_the_services_of_the_production_shape() -> None:
    assert set(COMPOSE["services"]) == {"database", "broker", "migrate", *OURS}


@pytest.mark.skipif("COMPOSE_SCHEMA" not in os.environ, reason="COMPOSE_SCHEMA names no copy of compose-spec.json")
def test_the_file_is_valid_under_the_specification() -> None:
    schema = json.loads(Path(os.environ["COMPOSE_SCHEMA"]).read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


@pytest.mark.parametrize("name", list(COMPOSE["services"]))
def test_each_service_has_the_structure_the_specification_asks_for(name: str) -> None:
    service = COMPOSE["services"][name]
    assert set(service) <= KNOWN_KEYS
    assert isinstance(service["image"], str)
    assert isinstance(service.get("command", []), list)
    assert all(isinstance(part, str) for part in service.get("command", []))
    assert all(isinstance(value, str) for value in service.get("environment", {}).values())
    for volume in service.get("volumes", []):
        assert volume.split(":")[0] in COMPOSE["volumes"]
    for network in service["networks"]:
        assert network in COMPOSE["networks"]
    for other, condition in service.get("depends_on", {}).items():
        assert other in COMPOSE["services"]
        if condition["condition"] == "service_healthy":
            assert COMPOSE["services"][other]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        if condition["condition"] == "service_completed_successfully":
            assert COMPOSE["services"][other]["restart"] == "no"


@pytest.mark.parametrize("name", list(OURS))
def test_each_command_is_the_one_the_supervisor_runs(name: str) -> None:
    assert tuple(COMPOSE["services"][name]["command"]) == OURS[name].command


@pytest.mark.parametrize("name", list(OURS))
def test_each_process_gets_no_variable_that_the_table_does_not_name(name: str) -> None:
    given = COMPOSE["services"][name]["environment"]
    assert set(given) <= OURS[name].variables | set(OURS[name].fixed)
    assert {key: given[key] for key in OURS[name].fixed} == dict(OURS[name].fixed)


def test_the_migration_gets_what_its_commands_need_and_the_urls_whose_roles_it_makes() -> None:
    given = COMPOSE["services"]["migrate"]["environment"]
    making_roles = {"DATABASE_ADMIN_URL", "DATABASE_URL", "DATABASE_SEQUENCER_URL", "DATABASE_CATALOGUE_URL"}
    assert set(given) <= PREPARE_VARIABLES | set(PREPARE_FIXED) | making_roles
    assert {key: given[key] for key in PREPARE_FIXED} == PREPARE_FIXED


def test_only_the_web_process_can_be_reached_and_only_from_this_machine_by_default() -> None:
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["web"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    port = composition.interpolate(COMPOSE["services"]["web"]["ports"][0], {})
    assert port == "127.0.0.1:8000:8000"


def test_only_web_courier_and_notary_have_a_way_out_and_none_runs_the_code_of_models() -> None:
    outside = {name for name, service in COMPOSE["services"].items() if "outside" in service["networks"]}
    assert outside == {"web", "courier", "notary"}
    images = {COMPOSE["services"][name]["image"].partition(":")[0] for name in outside}
    assert images == {"countersign", "countersign-notary"}


def test_a_witness_gets_nothing_of_ours_but_its_own_volume() -> None:
    for name in WITNESSES:
        service = COMPOSE["services"][f"witness-{name}"]
        assert set(service["environment"]) == {"HOST", "PORT", "WITNESS_DIR"}
        assert service["volumes"] == [f"witness-{name}:/data"]
        assert service["networks"] == ["inside"]
    holders = {
        name: [volume for volume in service.get("volumes", []) if volume.startswith("witness-")]
        for name, service in COMPOSE["services"].items()
    }
    assert {name for name, volumes in holders.items() if volumes} == {
        "migrate",
        *(f"witness-{name}" for name in WITNESSES),
    }


@pytest.mark.parametrize("name", ["migrate", *OURS])
def test_our_containers_have_no_privileges_and_a_file_system_they_cannot_write(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_keys_can_be_read_only_by_the_processes_that_sign() -> None:
    holders = {
        name: volume
        for name, service in COMPOSE["services"].items()
        for volume in service.get("volumes", [])
        if volume.startswith("keys:")
    }
    assert holders == {"migrate": "keys:/keys", "sequencer": "keys:/keys:ro"}


def test_no_secret_has_a_default() -> None:
    text = composition.FILE.read_text()
    asked = {name for name in composition.variables(text) if name.endswith(("PASSWORD", "SECRET", "KEY"))}
    assert len(asked) >= 8
    # Of an existing MLflow server, of anchors and of sources of data, which many have not: empty means none.
    optional = {"MLFLOW_TRACKING_PASSWORD", "ANCHOR_S3_SECRET_ACCESS_KEY", "ANCHOR_GIT_SSH_KEY"}
    for name in asked - optional - {"DATASET_S3_SECRET_ACCESS_KEY"}:
        assert f"${{{name}:-" not in text


def test_every_variable_of_the_file_stands_in_the_operators_table() -> None:
    documented = (ROOT / "docs/operators/configuration.md").read_text()
    missing = {name for name in composition.variables(composition.FILE.read_text()) if f"`{name}`" not in documented}
    assert missing == set()


def test_the_dockerfile_copies_what_is_there_and_installs_with_hashes() -> None:
    text = (ROOT / "Dockerfile").read_text()
    targets = {line.split()[-1] for line in text.splitlines() if line.startswith("FROM")}
    builds = [service["build"]["target"] for service in COMPOSE["services"].values() if "build" in service]
    assert set(builds) <= targets
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY") and "--from" not in line]
    for source in (name for names in copied for name in names):
        assert (ROOT / source).exists(), source
    assert text.count("--require-hashes") == text.count("install --no-cache")


class Stack:
    """The database and the broker that stand in for the containers of those names, and everybody's values."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.cluster = Cluster(place / "postgres", SecretFiles(place / "secrets"), durable=False)
        self.broker = Broker(place / "broker", SecretFiles(place / "secrets"))
        self.ports = {name: free_port() for name in ("web", "tracking", *(f"witness-{one}" for one in WITNESSES))}
        names = composition.required(composition.FILE.read_text())
        self.values = {name: random.token_urlsafe(40) for name in names if name not in {"HOST", "PORT"}}
        self.values["POSTGRES_PASSWORD"] = self.cluster.secrets.get(roles.secret_name(roles.SUPERUSER))
        self.values["BROKER_PASSWORD"] = self.cluster.secrets.get("broker-password")
        self.values["PUBLIC_URL"] = "https://models.example.org"

    def environment(self, name: str) -> dict[str, str]:
        """Return what the file gives ``name``, with the hosts and directories of this machine."""
        given = COMPOSE["services"][name]["environment"]
        own_port = self.ports.get(name)
        told = {key: self._here(composition.interpolate(value, self.values)) for key, value in given.items()}
        if own_port is not None:
            told |= {"HOST": LOOPBACK, "PORT": str(own_port)}
        if name.startswith("witness-"):  # the volume that "migrate" has below its /data
            told["WITNESS_DIR"] = str(self.place / "data" / "witnesses" / name.partition("-")[2])
        return {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", **told}

    def _here(self, value: str) -> str:
        value = value.replace("@database:5432/", f"@{LOOPBACK}:{self.cluster.port}/")
        value = value.replace("@broker:6379/", f"@{LOOPBACK}:{self.broker.port}/")
        value = value.replace("http://tracking:5000", f"http://{LOOPBACK}:{self.ports['tracking']}")
        for name in WITNESSES:
            value = value.replace(f"http://witness-{name}:7070", f"http://{LOOPBACK}:{self.ports[f'witness-{name}']}")
        volumes = ("/data", "/keys", "/permit-issuer", "/permit-countersigner", "/offline")
        inside = any(value == volume or value.startswith(f"{volume}/") for volume in volumes)
        return f"{self.place}{value}" if inside else value

    def is_ready(self, service: Service, journal: Journal) -> bool:
        match service.probe:
            case Probe.HTTP:
                return probes.http(
                    f"http://{LOOPBACK}:{self.ports[service.name]}{service.health}", {"Host": "models.example.org"}
                )()
            case Probe.CONSUMES:
                return probes.consumes(self.broker, service.name)()
            case Probe.SESSION:
                return probes.session(self.cluster, roles.SEQUENCER)()
            case Probe.ANNOUNCES:
                return any(service.says in line for line in journal.recent(service.name))


def command(name: str) -> list[str]:
    return [sys.executable, *COMPOSE["services"][name]["command"][1:]]


@pytest.fixture(scope="module")
def stack(module_place: Path) -> Iterator[Stack]:
    """Database and broker running, roles and migrations done by the file's own one-shot service."""
    made = Stack(module_place)
    made.cluster.initialise()
    made.cluster.start(made.place / "log")
    made.broker.configure()
    broker = subprocess.Popen(made.broker.command(), stdout=subprocess.DEVNULL)
    try:
        (made.place / "data").mkdir()
        done = run(command("migrate"), made.environment("migrate"))
        assert done.returncode == 0, done.stdout[-3000:]
        yield made
    finally:
        broker.terminate()
        broker.wait(20)
        made.cluster.stop()


def run(arguments: list[str], env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        arguments, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", list(OURS))
def test_each_command_starts_with_the_environment_the_file_gives_it(stack: Stack, name: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    supervisor = Supervisor(journal, lambda _rows: None)
    env = stack.environment(name)

    def launch(output: Any) -> "subprocess.Popen[bytes]":
        return spawn(command(name), env=env, output=output, cwd=ROOT, orphan_signal=OURS[name].orphan)

    try:
        supervisor.start(Unit(name, launch, lambda: stack.is_ready(OURS[name], journal)))
        assert supervisor.units[name].ready
    finally:
        supervisor.shut_down([])
        supervisor.close()
        journal.close()


@pytest.mark.slow
def test_a_url_for_another_role_than_its_name_says_is_refused_by_name(stack: Stack) -> None:
    env = stack.environment("migrate") | {"DATABASE_URL": f"postgresql://postgres:x@{LOOPBACK}/countersign"}
    done = run(command("migrate"), env)
    assert done.returncode == 1
    assert "DATABASE_URL must be the URL of countersign_app" in done.stdout
