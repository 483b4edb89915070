"""The fixtures of those parts that are attacked here."""

from tests.conformance.mlflow.conftest import ada, gate, server, tracking_url, worker
from tests.governance.conftest import approvers, checking, house, model, ready, scientist, signing_keys, version
from tests.governance.sandbox.conftest import make_model, people

__all__ = [
    "ada",
    "approvers",
    "checking",
    "gate",
    "house",
    "model",
    "people",
    "ready",
    "scientist",
    "server",
    "signing_keys",
]
__all__ += ["make_model", "tracking_url", "version", "worker"]
