"""May this account do that, at the door to tracking? Roles first (``auth.check_tracking``), then each experiment named.

Everything a request names is looked at, in every spelling: who names two runs must be allowed both. Experiments that are
not restricted, or that we have no row of, are open (``registry.models.Experiment``).
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from django.http import QueryDict

from config.errors import NotAllowed
from registry.mlflow.auth import check_tracking
from registry.mlflow.errors import invalid
from registry.mlflow.proxy import owners
from registry.mlflow.proxy.addresses import Call, recognise
from registry.models import Experiment, User
from registry.selectors import experiments as seen

_EXPERIMENT: Final = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
_RUN: Final = re.compile(r"[\w\-]{1,64}", re.ASCII)
_TRACE: Final = re.compile(r"[\w\-.]{1,128}", re.ASCII)


def check_tracking_request(
    user: User, method: str, path: str, query: QueryDict, body: Mapping[str, Any] | None = None
) -> Call:
    """Recognise a request to the tracking API and let it pass or not; ``body`` is the parsed JSON of a writing method.

    Raises ``NotAllowed`` with the reason, ``ProtocolError`` for an address we do not have, for ids that are none, for what
    the tracking process does not have, and TEMPORARILY_UNAVAILABLE if it cannot be asked.
    """
    call = recognise("GET" if method == "HEAD" else method, path, query, body)
    write = not call.address.reads
    check_tracking(user, write=write)
    named = call.named
    check_experiments(user, named.experiments, write=write)
    check_runs(user, named.runs, write=write)
    check_logged_models(user, named.models, write=write)
    check_logged_models(user, named.shown_models)
    check_traces(user, named.traces, write=write)
    for dataset_id in named.datasets:
        check_experiments(user, owners.of_dataset(dataset_id), write=write)
    return call


def check_experiments(user: User, ids: Collection[str], *, write: bool = False) -> None:
    """Raise ``NotAllowed`` if one of the experiments is restricted and not for this account."""
    for experiment_id in ids:
        if not _EXPERIMENT.fullmatch(experiment_id):
            raise invalid(f"Invalid experiment ID '{experiment_id[:80]}': it must be a whole number.")
    closed = seen.closed_among(user, ids, write=write)
    if closed is not None:
        raise refused(closed, write=write)


def check_runs(user: User, ids: Collection[str], *, write: bool = False) -> None:
    """The same for the experiments of runs. Raises ``ProtocolError`` for a run that is not there, too."""
    for run_id in ids:
        if not _RUN.fullmatch(run_id):
            raise invalid(f"Invalid run ID: '{run_id[:80]}'")
    check_experiments(user, {owners.of_run(run_id).experiment for run_id in ids}, write=write)


def check_logged_models(user: User, ids: Collection[str], *, write: bool = False) -> None:
    """The same for the experiments of logged models."""
    for model_id in ids:
        if not _TRACE.fullmatch(model_id):
            raise invalid(f"Invalid logged model ID: '{model_id[:80]}'")
    check_experiments(user, {owners.of_logged_model(model_id).experiment for model_id in ids}, write=write)


def check_traces(user: User, ids: Collection[str], *, write: bool = False) -> None:
    """The same for the experiments of those traces that there are."""
    for trace_id in ids:
        if not _TRACE.fullmatch(trace_id) or trace_id in {".", ".."}:
            raise invalid(f"Invalid trace ID: '{trace_id[:80]}'")
    check_experiments(user, owners.of_traces(ids), write=write)


def check_path(user: User, path: str, *, write: bool = False) -> None:
    """The same for a path of the artifact store, without a scheme and cleaned."""
    closed = seen.closed_at(user, path, write=write)
    if closed is not None:
        raise refused(closed, write=write)


def refused(experiment: Experiment, *, write: bool) -> NotAllowed:
    """Why not, and whom to ask. The name of what may not be seen is not said."""
    return NotAllowed(
        f"The experiment {experiment.tracking_id} is restricted, and you may not {'write to' if write else 'see'} it.",
        code="experiment.restricted",
        remedy=f"Ask its owner, {experiment.owner}, or an administrator to grant it to a team of yours.",
    )
