"""Every long-running process of Countersign as data: what it runs, what it may know, how it ends.

The supervisor starts these next to the embedded database and broker; ``compose.yaml`` starts the same commands in
containers (tests/runtime/test_compose.py compares them). A process gets the variables named here and no others.
"""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

# Django's settings that every process reads (config/env.py). Optional ones are passed on when they are set.
COMMON: Final = frozenset(
    {"ALLOWED_HOSTS", "ARTIFACT_ROOT", "CHECK_TIME_LIMIT", "DATA_DIR", "DEBUG", "DJANGO_SETTINGS_MODULE", "KEYS_DIR"}
    | {"CHECK_PART_ROWS", "ROW_COPIES_MB", "ROW_COPIES_FREE_MB"}
    | {"LOG_FORMAT", "MAX_UPLOAD_BYTES", "PUBLIC_URL", "SANDBOX_MEMORY_MB", "SANDBOX_SOURCE", "SECRET_KEY"}
    | {"ADVISORIES_DIR", "LOG_PUBLISH_DIR", "MODEL_SIGNERS_DIR", "WITNESS_POLICY"}
    | {"WEBHOOK_ALLOWED_NETWORKS", "WEBHOOK_ALLOWED_SCHEMES", "WEBHOOK_LOG_DAYS"}
    | {"DATASET_DIRS", "DATASET_MAX_BYTES", "DATASET_MAX_ROWS", "DATASET_S3", "DATASET_SMALLEST_CELL"}
    | {"DATASET_MEMORY_MB", "DATASET_SECONDS", "HOLDOUT_DIRS", "HOLDOUT_S3"}
)
# Where the worker reads data sets, with credentials that no other process has.
_DATA_SOURCES: Final = frozenset(
    {"DATASET_S3_ENDPOINT", "DATASET_S3_REGION", "DATASET_S3_ACCESS_KEY_ID"}
    | {"DATASET_S3_SECRET_ACCESS_KEY", "DATASET_S3_SESSION_TOKEN"}
)
# Where it builds models' environments from; an address may hold a password.
_ENVIRONMENTS: Final = frozenset(
    {"SANDBOX_INDEXES", "SANDBOX_BUILD_SECONDS", "SANDBOX_ENVIRONMENT_MB", "SANDBOX_ENVIRONMENTS_MB"}
)
# The witnesses that come along (manage.py setup_witnesses); WITNESS_URLS has their addresses, in this order.
WITNESSES: Final = ("one", "two")
# Our own tracking process, or an existing MLflow server in its place (MLFLOW_TRACKING_URI).
EXISTING_SERVER: Final = "MLFLOW_TRACKING_URI"
_TRACKING: Final = frozenset(
    {"TRACKING_URL", "TRACKING_SECRET", EXISTING_SERVER}
    | {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"}
)

# Of permits' two signers the first works in the sequencer's process (governance.followers.Permits).
_ISSUER: Final = frozenset({"PERMIT_ISSUER_KEY", "PERMIT_STATUS_HOURS"})

# Whom the notary asks beside the witnesses, and where it leaves copies of checkpoints.
_ATTESTORS: Final = frozenset(
    {"TIMESTAMP_URL", "TIMESTAMP_CA", "TIMESTAMP_INTERVAL", "BEACON_URL", "BEACON_INTERVAL", "HEADS_INTERVAL"}
    | {"ANCHOR_INTERVAL", "ANCHOR_GIT_REMOTE", "ANCHOR_GIT_BRANCH", "ANCHOR_GIT_SSH_KEY"}
    | {"ANCHOR_S3_BUCKET", "ANCHOR_S3_PREFIX", "ANCHOR_S3_ENDPOINT", "ANCHOR_S3_REGION", "ANCHOR_S3_MODE"}
    | {"ANCHOR_S3_DAYS", "ANCHOR_S3_ACCESS_KEY_ID", "ANCHOR_S3_SECRET_ACCESS_KEY"}
)


class Probe(Enum):
    """How one sees that a process does its work, from outside it."""

    HTTP = auto()  # answers its health address
    CONSUMES = auto()  # holds its control subscription at the broker, which Celery opens after the task queues
    SESSION = auto()  # is signed in to the database
    ANNOUNCES = auto()  # has printed what it prints when its loop begins


@dataclass(frozen=True, slots=True)
class Service:
    """One process. ``python`` at the head of the command means the interpreter that runs the supervisor."""

    name: str
    command: tuple[str, ...]
    variables: frozenset[str]
    probe: Probe
    fixed: Mapping[str, str] = field(default_factory=dict)
    says: str = ""  # for Probe.ANNOUNCES
    health: str = ""  # path for Probe.HTTP
    stop: signal.Signals = signal.SIGTERM
    orphan: signal.Signals = signal.SIGTERM
    patience: float = 20.0  # seconds between the stop signal and the end by force


SERVICES: Final = (
    Service(
        name="tracking",
        command=("python", "-m", "gunicorn", "--config", "python:config.runtime.gunicorn_tracking"),
        # Not Django's secret key. MLflow's server sees its own schema, its own files and, for reading, the catalogue.
        variables=frozenset(
            {"DATABASE_CATALOGUE_URL", "DATA_DIR", "HOST", "PORT"}
            | {"TRACKING_DATABASE_URL", "TRACKING_SECRET", "TRACKING_THREADS"}
        ),
        fixed={
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        probe=Probe.HTTP,
        health="/health",
        orphan=signal.SIGQUIT,
    ),
    Service(
        name="web",
        command=("python", "-m", "gunicorn", "--config", "python:config.runtime.gunicorn_web"),
        variables=COMMON | _TRACKING | {"HOST", "PORT", "DATABASE_URL", "BROKER_URL", "WEB_WORKERS", "WEB_THREADS"},
        probe=Probe.HTTP,
        health="/health/ready",
        orphan=signal.SIGQUIT,
    ),
    Service(
        name="worker",
        command=(
            *("python", "-m", "celery", "--app", "config.celery", "worker", "--pool", "prefork", "--concurrency", "2"),
            *("--queues", "checks,ingest,exports,default", "--hostname", "worker@%h"),
            *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
        ),
        variables=COMMON | _TRACKING | _DATA_SOURCES | _ENVIRONMENTS | {"DATABASE_URL", "BROKER_URL"},
        probe=Probe.CONSUMES,
        # Warm shutdown: finish the running checks, take no new ones. SIGQUIT ends the pool's processes at once.
        orphan=signal.SIGQUIT,
        patience=60.0,
    ),
    Service(
        # Webhooks, apart from the checks, which take long. It waits for receivers, so threads of one process suffice;
        # each attempt keeps its own time limit (registry/webhook_http.py), which such a pool would not.
        name="courier",
        command=(
            *("python", "-m", "celery", "--app", "config.celery", "worker", "--pool", "threads", "--concurrency", "4"),
            *("--queues", "webhooks", "--hostname", "courier@%h"),
            *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
        ),
        variables=COMMON | {"DATABASE_URL", "BROKER_URL"},
        probe=Probe.CONSUMES,
        orphan=signal.SIGQUIT,
        patience=15.0,  # one attempt takes ten seconds at most
    ),
    Service(
        # The second signer of permits: a process of its own, because its key must be where no other process is that the
        # first signer's key, untrusted answers from outside, or people's requests could reach.
        name="countersigner",
        command=("python", "manage.py", "countersign"),
        variables=COMMON | {"DATABASE_URL", "PERMIT_COUNTERSIGNER_KEY", "PERMIT_STATUS_HOURS"},
        probe=Probe.ANNOUNCES,
        says="Countersigning",
    ),
    Service(
        name="scheduler",
        command=("python", "-m", "celery", "--app", "config.celery", "beat", "--pidfile", "", "--loglevel", "INFO"),
        variables=COMMON | {"DATABASE_URL", "BROKER_URL"},
        probe=Probe.ANNOUNCES,
        says="beat: Starting",
    ),
    Service(
        name="sequencer",
        command=("python", "manage.py", "sequence"),
        variables=COMMON | _TRACKING | _ISSUER | {"DATABASE_SEQUENCER_URL", "BROKER_URL"},
        fixed={"DATABASE_ROLE": "sequencer"},
        probe=Probe.SESSION,
    ),
    # Two witnesses that come along, to be seen at work: run some elsewhere. They know no setting of ours and no database.
    *(
        Service(
            name=f"witness-{name}",
            command=("python", "-m", "config.cli", "witness"),
            variables=frozenset({"HOST", "PORT", "WITNESS_DIR"}),
            probe=Probe.HTTP,
            health="/health",
        )
        for name in WITNESSES
    ),
    Service(
        # Asks witnesses and others outside. A process of its own: whatever they do, it holds up nobody.
        name="notary",
        command=("python", "manage.py", "notary"),
        variables=COMMON | _ATTESTORS | {"DATABASE_URL"},
        probe=Probe.ANNOUNCES,
        says="The notary begins",
        patience=30.0,  # what it is asking may take twenty seconds to answer
    ),
)

# Run to their end, in this order, before the services start. compose.yaml: the one-shot service "migrate".
PREPARE: Final = (
    ("python", "manage.py", "ensure_keys"),
    ("python", "manage.py", "setup_witnesses"),
    ("python", "manage.py", "setup_database"),
    ("python", "manage.py", "setup_trust"),
    ("python", "manage.py", "setup_governance"),
    ("python", "manage.py", "first_account"),
    ("python", "manage.py", "collectstatic", "--noinput", "--verbosity", "0"),
)
PREPARE_VARIABLES: Final = (
    COMMON
    | {"PERMIT_ISSUER_KEY", "PERMIT_COUNTERSIGNER_KEY", "OFFLINE_KEYS_DIR"}
    | {"DATABASE_OWNER_URL", "TRACKING_DATABASE_URL", "UNGOVERNED_MODELS"}
    | {"WITNESS_URLS"}
)
PREPARE_FIXED: Final = {"DATABASE_ROLE": "owner", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

# The workers first, so that what they finish can still be stored, and the sequencer last: it logs what all did.
STOP_ORDER: Final = (
    "notary",
    "worker",
    "courier",
    "scheduler",
    "countersigner",
    "web",
    "tracking",
    "sequencer",
    *(f"witness-{name}" for name in WITNESSES),
    "broker",
    "database",
)

# Of the surroundings, every process gets these, when they are set.
SURROUNDINGS: Final = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


def services(values: Mapping[str, str]) -> tuple[Service, ...]:
    """The processes to start: without our tracking process when an existing MLflow server keeps the runs."""
    return tuple(service for service in SERVICES if service.name != "tracking" or not values.get(EXISTING_SERVER))


def environment(
    variables: frozenset[str], fixed: Mapping[str, str], values: Mapping[str, str], surroundings: Mapping[str, str]
) -> dict[str, str]:
    """Return exactly the environment of one process: what it is named for in this table, as far as it is set."""
    inherited = {name: surroundings[name] for name in SURROUNDINGS if name in surroundings}
    known = {name: values[name] for name in sorted(variables) if name in values}
    return {**inherited, "PYTHONUNBUFFERED": "1", "TZ": "UTC", **known, **fixed}
