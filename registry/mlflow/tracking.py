"""The tracking process: MLflow's own Flask application, for runs, metrics and artifacts. Only this module imports it.

Served by gunicorn (``config.runtime.gunicorn_tracking``), on its own database schema, reachable with the shared secret
of our web processes and workers only. Not MLflow's FastAPI shell: no job runner, no gateway, no telemetry. Its model
registry is ours, read only (``registry.mlflow.store``): MLflow's own registry tables stay empty.

MLflow takes these settings from environment variables whose names begin with an underscore: its own, unpublished. They
are compared with its constants at start, so that an upgrade that renames one fails here and not in silence.
"""

import hmac
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

HEADER: Final = "HTTP_X_COUNTERSIGN_TRACKING"
_DENIED: Final = b'{"error_code": "PERMISSION_DENIED", "message": "This process answers Countersign only."}'
_OPEN: Final = frozenset({"/health", "/version"})


def _environment(given: dict[str, str]) -> dict[str, str]:
    """MLflow's own settings, from ours. Raises ``SystemExit`` naming what is missing."""
    missing = [
        name for name in ("DATABASE_CATALOGUE_URL", "TRACKING_DATABASE_URL", "TRACKING_SECRET") if not given.get(name)
    ]
    if missing:
        raise SystemExit(f"The tracking process cannot start: {', '.join(missing)} must be set.")
    artifacts = Path(given.get("DATA_DIR") or "var").resolve() / "tracking-artifacts"
    artifacts.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "_MLFLOW_SERVER_FILE_STORE": given["TRACKING_DATABASE_URL"],
        "_MLFLOW_SERVER_REGISTRY_STORE": "countersign://registry",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": artifacts.as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        # A shared secret stands before every address, so no browser can be led here by its own cookies or host names.
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "DJANGO_SETTINGS_MODULE": "config.settings.tracking",
    }


def _load() -> WsgiApp:
    os.environ.update(_environment(dict(os.environ)))
    from mlflow.server import app, constants, handlers  # noqa: PLC0415 - reads the environment when it is imported

    expected = {
        constants.BACKEND_STORE_URI_ENV_VAR: "_MLFLOW_SERVER_FILE_STORE",
        constants.REGISTRY_STORE_URI_ENV_VAR: "_MLFLOW_SERVER_REGISTRY_STORE",
        constants.ARTIFACT_ROOT_ENV_VAR: "_MLFLOW_SERVER_ARTIFACT_ROOT",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: "_MLFLOW_SERVER_ARTIFACT_DESTINATION",
        constants.SERVE_ARTIFACTS_ENV_VAR: "_MLFLOW_SERVER_SERVE_ARTIFACTS",
    }
    renamed = {theirs: ours for theirs, ours in expected.items() if theirs != ours}
    if renamed:
        raise SystemExit(f"This release of MLflow renamed its settings: {renamed}. Adapt registry/mlflow/tracking.py.")
    _use_our_registry()
    handlers._get_tracking_store()  # now, so that who is ready has a database, and the first to ask does not wait for it
    served: WsgiApp = app
    return served


def _use_our_registry() -> None:
    """Make MLflow know the scheme of our read adaptor. Ends the process if MLflow would ask another store."""
    import django  # noqa: PLC0415 - after MLflow, and only in this process
    from mlflow.server import handlers  # noqa: PLC0415

    django.setup()
    from registry.mlflow.store import SCHEME, URI, CountersignStore  # noqa: PLC0415

    handlers._model_registry_store_registry.register(SCHEME, CountersignStore)  # type: ignore[no-untyped-call]
    if os.environ["_MLFLOW_SERVER_REGISTRY_STORE"] != URI or not isinstance(
        handlers._get_model_registry_store(), CountersignStore
    ):
        raise SystemExit(
            "This release of MLflow chooses its registry store otherwise. Adapt registry/mlflow/tracking.py."
        )


def guarded(app: WsgiApp, secret: str) -> WsgiApp:
    """Let through only requests that carry the secret; the health and version addresses are open."""
    expected = secret.encode()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        given = str(environ.get(HEADER, "")).encode("latin-1", "replace")
        if environ.get("PATH_INFO") not in _OPEN and not hmac.compare_digest(given, expected):
            start_response("403 Forbidden", [("Content-Type", "application/json")])
            return [_DENIED]
        return app(environ, start_response)

    return application


application: WsgiApp = guarded(_load(), os.environ["TRACKING_SECRET"])
