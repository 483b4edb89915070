"""The MLflow registry protocol, ours beside ``mlflow server`` on the same PostgreSQL. See docs/contributors/benchmarks.md."""
