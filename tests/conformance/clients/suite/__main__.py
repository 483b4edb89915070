"""``python -m tests.conformance.clients.suite JSON``, in any interpreter with MLflow and the two variables its users set.

The JSON says what it needs to know. It writes, for each scenario, what went wrong ("" for nothing) as JSON.
"""

import json
import logging
import sys
import traceback
import warnings
from pathlib import Path

import mlflow
from mlflow.store.model_registry import abstract_store

from tests.conformance.clients.suite import methods, models, refusals  # noqa: F401 - their scenarios sign up
from tests.conformance.clients.suite.world import SCENARIOS, World


def main() -> None:
    warnings.filterwarnings("ignore")
    # Not 3: there are many versions to wait for.
    setattr(abstract_store, "AWAIT_MODEL_VERSION_CREATE_SLEEP_INTERVAL_SECONDS", 0.1)  # noqa: B010
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    told = json.loads(sys.argv[1])
    world = World(told)
    mlflow.set_experiment(f"{world.prefix}-clients")
    found: dict[str, str] = {}
    for name, play in SCENARIOS.items():
        try:
            play(world)
        except BaseException:  # noqa: BLE001 - each is told to the test, with its place
            found[name] = traceback.format_exc()
        else:
            found[name] = ""
    Path(told["answer"]).write_text(json.dumps({"release": mlflow.__version__, "scenarios": found}))


if __name__ == "__main__":
    main()
