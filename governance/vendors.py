"""Models that are not here: what was uploaded in place of running them, and what is said of every result that rests on it.

Only of a version without a model can predictions be uploaded (``registry.services.datasets``), so where there are some,
nothing can be run. Light: planners and workers ask here.
"""

from collections.abc import Mapping
from typing import Any, Final

from config.errors import Invalid
from governance.checks import CheckError, Manifest
from governance.standing import conflicts_of
from registry.models import DatasetVersion, ModelVersion, User
from registry.selectors.datasets import uploaded_predictions

UPLOADED: Final = "uploaded"
KEY: Final = "predictions_uploaded"
"""Key of a scoring job's parameters: the uploaded predictions that it takes."""
MARK: Final = "The predictions were uploaded, not computed here: nobody checked that the model gives them."
SHORT: Final = "Predictions were uploaded, not computed here."
_RUN_IT: Final = frozenset({"probe", "trees", "latency", "train_predictions", "live_probe"})


def uploaded(version: ModelVersion, dataset: DatasetVersion) -> DatasetVersion | None:
    """The newest sealed predictions of this version on this data, if somebody uploaded some."""
    return uploaded_predictions(version, dataset)


def parameters(version: ModelVersion, dataset: DatasetVersion) -> dict[str, str]:
    """What a scoring job of this version on this data is told."""
    found = uploaded(version, dataset)
    return {"version": str(version.pk)} | ({KEY: str(found.pk)} if found else {})


def digest(version: ModelVersion, dataset: DatasetVersion | None) -> str:
    """Of the uploaded predictions, for keys of results; nothing where there are none."""
    found = uploaded(version, dataset) if dataset is not None else None
    return f"{UPLOADED}:{found.digest}" if found else ""


def why_not_run(version: ModelVersion, about: Manifest) -> str:
    """The sentence why a check that runs the model itself cannot judge this version; "" when it can."""
    if not _RUN_IT & set(about.needs) or not version.uploaded_predictions.exists():
        return ""
    return "The model is not here, only predictions that were uploaded, and this check runs the model."


def check_allowed(requirement: Mapping[str, Any], scoring: Mapping[str, Any]) -> bool:
    """Whether the predictions of this scoring job were uploaded. Raises ``CheckError`` if the policy does not take those."""
    if not scoring.get(KEY):
        return False
    if requirement.get("predictions") != UPLOADED:
        raise CheckError(
            "predictions.uploaded",
            "The policy wants predictions that are computed here, and those of this version were uploaded.",
        )
    return True


def check_not_theirs(version: ModelVersion, data: DatasetVersion) -> None:
    """Raise ``Invalid`` for a hold-out that somebody registered who made the version that is to be checked on it."""
    if not data.is_holdout:
        return
    owner = f"user:{data.created_by_id}"
    for one in conflicts_of(version, None):
        if one.person == owner:
            raise Invalid(
                f"The sealed hold-out {data} was registered by somebody who {one.because}: they know its rows.",
                code="holdout.by_author",
                field="dataset",
                remedy="Have somebody else register a hold-out.",
            )


def title(version: ModelVersion, dataset: DatasetVersion, words: str) -> str:
    """A scoring job's title, which says whose predictions they are."""
    found = uploaded(version, dataset)
    if found is None:
        return words
    who: User = found.created_by
    return f"{words} (uploaded by {who.username}, not computed here)"
