"""Finding what an RPC names, or saying in MLflow's words that it isn't there."""

from typing import Final

from audit.actors import Actor
from registry.mlflow.auth import person
from registry.mlflow.errors import ProtocolError, invalid, missing
from registry.models import ModelVersion, RegisteredModel
from registry.selectors.rows import model_seen, version_numbered

_STAGES: Final = {stage.value.lower(): stage for stage in ModelVersion.Stage}


def model_named(name: str, by: Actor, *, otherwise: ProtocolError | None = None) -> RegisteredModel:
    """The live model of that name, if the asker may see it. Raises ``otherwise``, or RESOURCE_DOES_NOT_EXIST."""
    model = model_seen(person(by), name)
    if model is None:
        raise otherwise or no_model(name)
    return model


def version_named(name: str, version: str, by: Actor) -> ModelVersion:
    """A live version, by the name of its model and its number as text. Raises ``ProtocolError``."""
    number = number_in(version)
    found = version_numbered(model_named(name, by, otherwise=no_version(name, number)), number)
    if found is None:
        raise no_version(name, version)
    return found


def no_model(name: str) -> ProtocolError:
    """There is no live model of that name, or the asker may not see it."""
    return missing(f"Registered Model with name={name} not found")


def no_version(name: str, version: str | int) -> ProtocolError:
    """The model has no live version of that number."""
    return missing(f"Model Version (name={name}, version={version}) not found")


def number_in(version: str) -> int:
    """A version's number. Raises ``ProtocolError`` (INVALID_PARAMETER_VALUE) for what is no integer."""
    try:
        return int(version)
    except ValueError:
        raise invalid(f"Parameter 'version' must be an integer, got '{version}'.") from None


def stage_named(stage: str) -> ModelVersion.Stage:
    """A stage, in any case. Raises ``ProtocolError`` (INVALID_PARAMETER_VALUE)."""
    found = _STAGES.get(stage.lower())
    if found is None:
        names = ", ".join(known.value for known in ModelVersion.Stage)
        raise invalid(f"Invalid Model Version stage: {stage}. Value must be one of {names}.")
    return found
