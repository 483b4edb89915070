"""From the lineage in a request to the service's input."""

from collections.abc import Mapping
from typing import Any

from registry.services.lineage import CodeInput, DatasetInput, EnvironmentInput, LineageInput, RunInput


def as_input(given: Mapping[str, Any], *, parameters: Mapping[str, str], metrics: Mapping[str, float]) -> LineageInput:
    """``LineageIn``'s checked data as the service's value. Parameters and metrics are those of the version."""
    run, seeds = given.get("run") or {}, given["seeds"]
    environment, code = given.get("environment"), given.get("code")
    return LineageInput(
        datasets=tuple(
            DatasetInput(
                name=one["name"],
                context=one["context"],
                number=one["version"],
                sha256=one["sha256"],
                source=one["source"],
            )
            for one in given["datasets"]
        ),
        code=CodeInput(**code) if code else None,
        environment=EnvironmentInput(**environment) if environment else None,
        run=RunInput(
            id=run.get("id", ""),
            user=run.get("user", ""),
            parameters=parameters,
            metrics=metrics,
            seeds={name: str(value) for name, value in seeds.items()},
        )
        if run or seeds
        else None,
        base_models=tuple(given["base_models"]),
    )
