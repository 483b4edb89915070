"""The data a model is judged on: quality, schema, leakage, drift."""
