"""Deploy checks (``manage.py check --deploy``): what a production installation must not be run with."""

import stat
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from django.apps.config import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_SHORTEST_SECRET = 32


@register(Tags.security, deploy=True)
def production(app_configs: Sequence[AppConfig] | None = None, **_: object) -> list[CheckMessage]:
    """Return one message for each setting that is wrong for production, with what to set instead."""
    return [*_addresses(), *_secrets(), *_keys(), *_gate(), *_tracking()]


def _addresses() -> Iterator[CheckMessage]:
    public = urlsplit(settings.PUBLIC_URL)
    if public.scheme != "https" and public.hostname not in _LOCAL:
        yield Error(
            f"PUBLIC_URL is {settings.PUBLIC_URL}: passwords, tokens and session cookies would travel in clear text.",
            hint="End TLS in a proxy before the web processes and set PUBLIC_URL to its https:// address.",
            id="countersign.E001",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS accepts every host name, so links in our answers can be made to lead elsewhere.",
            hint="Leave ALLOWED_HOSTS out (the host of PUBLIC_URL is accepted) or name the hosts.",
            id="countersign.E002",
        )
    if settings.DEBUG:
        yield Error("DEBUG is on: error pages show settings and source.", hint="Unset DEBUG.", id="countersign.E003")


def _secrets() -> Iterator[CheckMessage]:
    if len(settings.TRACKING_SECRET) < _SHORTEST_SECRET and not settings.MLFLOW_TRACKING_URI:
        yield Error(
            "TRACKING_SECRET is shorter than 32 characters: whoever guesses it reads and writes every run.",
            hint="Generate one: openssl rand -base64 48. The tracking and web processes need the same.",
            id="countersign.E004",
        )
    broker = urlsplit(settings.BROKER_URL)
    if not broker.scheme or broker.scheme == "memory":
        yield Error(
            "BROKER_URL names no broker: no check would ever start.",
            hint="Set it to redis://:password@host:6379/0.",
            id="countersign.E005",
        )
    elif not broker.password:
        yield Error(
            "BROKER_URL has no password: whoever reaches the broker can make workers run tasks.",
            hint="Set requirepass on the broker and put the password into BROKER_URL.",
            id="countersign.E006",
        )
    if settings.DATABASES["default"].get("USER") in {"postgres", "countersign_owner"}:
        yield checks.Warning(
            "This process signs in to the database as its owner or a superuser: append-only rights do not bind it.",
            hint="Only migrations use the owner: set DATABASE_ROLE=app (or sequencer) everywhere else.",
            id="countersign.W001",
        )


def _tracking() -> Iterator[CheckMessage]:
    """An existing MLflow server behind us (MLFLOW_TRACKING_URI): what is configured, and what it means."""
    server = urlsplit(settings.MLFLOW_TRACKING_URI)
    if not server.netloc:
        return
    if settings.MLFLOW_TRACKING_AUTHORIZATION and server.scheme != "https" and server.hostname not in _LOCAL:
        yield Error(
            f"MLFLOW_TRACKING_URI is {settings.MLFLOW_TRACKING_URI}: our credentials there would travel in clear text.",
            hint="Name its https:// address.",
            id="countersign.E008",
        )
    known = "with" if settings.MLFLOW_TRACKING_AUTHORIZATION else "without"
    yield checks.Warning(
        f"Runs and artifacts are kept by the MLflow server at {settings.MLFLOW_TRACKING_URI}, which is asked {known} "
        "credentials. Whoever reaches it past Countersign reads restricted experiments and writes over artifacts.",
        hint="Let only Countersign reach it. Sealed versions are copies, and safe either way: docs/operators/mlflow-server.md.",
        id="countersign.W003",
    )


def _keys() -> Iterator[CheckMessage]:
    for path in sorted(settings.KEYS_DIR.glob("*.pem")):
        if not path.name.endswith(".pub.pem") and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Error(
                f"The signing key {path} can be read by other users of this machine.",
                hint=f"chmod 600 {path}; then consider the key as known and replace it.",
                id="countersign.E007",
            )


def _gate() -> Iterator[CheckMessage]:
    if names := settings.UNGOVERNED_MODELS:
        what = "every model" if "*" in names else ", ".join(names)
        yield checks.Warning(
            f"UNGOVERNED_MODELS exempts {what} from gating: aliases and stages move without a permit.",
            hint="Unset it, run setup_governance, and look at the names it then lists as standing without a permit.",
            id="countersign.W002",
        )
