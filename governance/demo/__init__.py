"""The demonstration: a client of the product, over HTTP, on data with people in it. docs/tutorial/demo.md tells it."""

import os

# Before anything here imports mlflow: it reads these when it is loaded.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
