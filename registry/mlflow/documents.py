"""Messages about what a call has just made, from what its service returned: nothing is read that others may change by then.

The same fields as the statements of ``registry.selectors.mlflow_reads`` write; tests compare the two.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from registry.models import ModelVersion, RegisteredModel

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def new_version(version: ModelVersion, tags: Mapping[str, str]) -> dict[str, Any]:
    """The message of a version that was registered with these tags: no alias names it yet."""
    return _filled(
        name=version.model.name,
        version=str(version.number),
        creation_timestamp=_milliseconds(version.created_at),
        last_updated_timestamp=_milliseconds(version.updated_at),
        user_id=version.registered_by.username,
        current_stage=version.stage,
        description=version.description,
        source=version.source,
        run_id=version.run_id,
        status=version.status,
        tags=_tags(tags),
        run_link=version.run_link,
        model_id=version.logged_model_id,
    )


def new_model(model: RegisteredModel, tags: Mapping[str, str]) -> dict[str, Any]:
    """The message of a model that was created with these tags: it has neither versions nor aliases."""
    return _filled(
        name=model.name,
        creation_timestamp=_milliseconds(model.created_at),
        last_updated_timestamp=_milliseconds(model.updated_at),
        description=model.description,
        tags=_tags(tags),
    )


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in sorted(tags.items())]


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _filled(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", [])}
