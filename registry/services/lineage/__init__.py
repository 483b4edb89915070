"""Lineage: what a version came from, as data sets, code, environment, run and base models."""

from registry.services.lineage.inputs import (
    CodeInput,
    DatasetInput,
    EnvironmentInput,
    LineageInput,
    RunInput,
    seeds_in,
)
from registry.services.lineage.writing import node_key, note_people, record

__all__ = [
    "CodeInput",
    "DatasetInput",
    "EnvironmentInput",
    "LineageInput",
    "RunInput",
    "node_key",
    "note_people",
    "record",
    "seeds_in",
]
