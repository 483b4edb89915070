"""The MLflow edge: its registry protocol, spoken natively, and the way to its tracking process.

Nothing here imports ``mlflow`` except ``tracking``, which only the tracking process loads.
"""
