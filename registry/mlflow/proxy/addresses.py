"""Every address of MLflow's tracking API that is let through, and where in a request it names what it is about.

An allow-list: what is not here is not there. Places are written as in the proto messages, ``[]`` for each of a list:
``locations[].mlflow_experiment.experiment_id``. A JSON body may spell each name in proto or in camel case.
Source: the routes of mlflow.server.app and the messages of mlflow/protos/service.proto of 3.17.2; tests/laws compares.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict

from registry.mlflow.codec import camel
from registry.mlflow.errors import ProtocolError, invalid

Places = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """One call: how it is spelt, whether it only reads, and where it names experiments, runs, models, traces, data sets."""

    method: str
    release: str  # "2.0", "3.0"
    name: str  # with {model}, {trace}, {dataset}, {key} for parts that vary
    reads: bool = False
    experiments: Places = ()
    runs: Places = ()
    models: Places = ()
    shown_models: Places = ()  # named by a writing call, and only read
    traces: Places = ()
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        text = re.sub(r"\{(\w+)\}", lambda found: f"(?P<{found[1]}>{_PARTS[found[1]]})", self.name)
        object.__setattr__(self, "pattern", re.compile(text, re.ASCII))


@dataclass(frozen=True, slots=True)
class Named:
    """What a request is about, by the ids of the tracking process."""

    experiments: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    shown_models: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A request, recognised."""

    address: Address
    parts: Mapping[str, str]
    named: Named

    @property
    def name(self) -> str:
        """What the address is called: ``runs/log-batch``, ``logged-models/{model}/tags``."""
        return self.address.name


_PARTS: Final = {
    "model": r"[\w\-.]{1,128}",
    "trace": r"[\w\-.]{1,128}",
    "dataset": r"[\w\-.]{1,128}",
    "assessment": r"[\w\-.]{1,128}",
    "key": r"[^/]{1,250}",
}
_RUN: Final = ("run_id", "run_uuid")
_ONE: Final = ("experiment_id",)
_MANY: Final = ("experiment_ids[]",)
_TRACED: Final = "trace.trace_info"

ADDRESSES: Final = (
    Address("GET", "3.0", "server-info", reads=True),
    # Experiments
    Address("GET", "2.0", "experiments/get", reads=True, experiments=_ONE),
    Address("GET", "2.0", "experiments/get-by-name", reads=True),
    Address("GET", "2.0", "experiments/search", reads=True),
    Address("POST", "2.0", "experiments/search", reads=True),
    Address("POST", "2.0", "experiments/search-datasets", reads=True, experiments=_MANY),
    Address("POST", "2.0", "experiments/create"),
    Address("POST", "2.0", "experiments/update", experiments=_ONE),
    Address("POST", "2.0", "experiments/delete", experiments=_ONE),
    Address("POST", "2.0", "experiments/restore", experiments=_ONE),
    Address("POST", "2.0", "experiments/set-experiment-tag", experiments=_ONE),
    Address("POST", "2.0", "experiments/delete-experiment-tag", experiments=_ONE),
    # Runs
    Address("GET", "2.0", "runs/get", reads=True, runs=_RUN),
    Address("POST", "2.0", "runs/search", reads=True, experiments=_MANY),
    Address("POST", "2.0", "runs/create", experiments=_ONE),
    Address("POST", "2.0", "runs/update", runs=_RUN),
    Address("POST", "2.0", "runs/delete", runs=_RUN),
    Address("POST", "2.0", "runs/restore", runs=_RUN),
    Address("POST", "2.0", "runs/log-metric", runs=_RUN, models=("model_id",)),
    Address("POST", "2.0", "runs/log-parameter", runs=_RUN),
    Address("POST", "2.0", "runs/set-tag", runs=_RUN),
    Address("POST", "2.0", "runs/delete-tag", runs=_RUN),
    Address("POST", "2.0", "runs/log-batch", runs=_RUN, models=("metrics[].model_id",)),
    Address("POST", "2.0", "runs/log-model", runs=_RUN),
    Address("POST", "2.0", "runs/log-inputs", runs=_RUN, shown_models=("models[].model_id",)),
    Address("POST", "2.0", "runs/outputs", runs=_RUN, models=("models[].model_id",)),
    Address("GET", "2.0", "metrics/get-history", reads=True, runs=_RUN),
    Address("GET", "2.0", "metrics/get-history-bulk", reads=True, runs=("run_id[]",)),
    Address("GET", "2.0", "metrics/get-history-bulk-interval", reads=True, runs=("run_ids[]",)),
    Address("GET", "2.0", "artifacts/list", reads=True, runs=_RUN),
    Address("POST", "2.0", "artifacts/presigned-download-url", reads=True, runs=_RUN, models=("model_id",)),
    Address("POST", "2.0", "artifacts/presigned-upload-url", runs=_RUN, models=("model_id",)),
    # Logged models
    Address("POST", "2.0", "logged-models", experiments=_ONE, runs=("source_run_id",)),
    Address("POST", "2.0", "logged-models/search", reads=True, experiments=_MANY),
    Address("GET", "2.0", "logged-models/{model}", reads=True),
    Address("PATCH", "2.0", "logged-models/{model}", models=("model_id",)),
    Address("DELETE", "2.0", "logged-models/{model}"),
    Address("GET", "2.0", "logged-models/{model}/artifacts/directories", reads=True),
    Address("GET", "2.0", "logged-models/{model}/artifacts/files", reads=True),
    Address("POST", "2.0", "logged-models/{model}/params", models=("model_id",)),
    Address("PATCH", "2.0", "logged-models/{model}/tags", models=("model_id",)),
    Address("DELETE", "2.0", "logged-models/{model}/tags/{key}"),
    # Traces
    Address("POST", "2.0", "traces", experiments=_ONE),
    Address("GET", "2.0", "traces", reads=True, experiments=_MANY),
    Address("PATCH", "2.0", "traces/{trace}", traces=("request_id",)),
    Address("GET", "2.0", "traces/{trace}/info", reads=True),
    *(
        Address(method, release, "traces/{trace}/tags", traces=("request_id", "trace_id"))
        for method in ("PATCH", "DELETE")
        for release in ("2.0", "3.0")
    ),
    *(
        Address("POST", release, "traces/delete-traces", experiments=_ONE, traces=("request_ids[]",))
        for release in ("2.0", "3.0")
    ),
    Address("POST", "2.0", "traces/link-prompts", traces=("trace_id",)),
    Address("POST", "2.0", "traces/link-to-run", runs=("run_id",), traces=("trace_ids[]",)),
    Address(
        "POST",
        "3.0",
        "traces",
        experiments=(f"{_TRACED}.trace_location.mlflow_experiment.experiment_id",),
        traces=(f"{_TRACED}.trace_id",),
    ),
    Address("POST", "3.0", "traces/search", reads=True, experiments=("locations[].mlflow_experiment.experiment_id",)),
    Address("POST", "3.0", "traces/metrics", reads=True, experiments=_MANY),
    Address("POST", "3.0", "traces/calculate-filter-correlation", reads=True, experiments=_MANY),
    Address("GET", "3.0", "traces/get", reads=True, traces=("trace_id",)),
    Address("GET", "3.0", "traces/batchGet", reads=True, experiments=_MANY, traces=("trace_ids[]",)),
    Address("POST", "3.0", "traces/batchGetInfos", reads=True, experiments=_MANY, traces=("trace_ids[]",)),
    Address("GET", "3.0", "traces/{trace}", reads=True),
    Address("POST", "3.0", "traces/{trace}/assessments"),
    Address("GET", "3.0", "traces/{trace}/assessments/{assessment}", reads=True),
    Address("PATCH", "3.0", "traces/{trace}/assessments/{assessment}"),
    Address("DELETE", "3.0", "traces/{trace}/assessments/{assessment}"),
    # Evaluation data sets
    Address("POST", "3.0", "datasets/create", experiments=_MANY),
    Address("GET", "3.0", "datasets/search", reads=True, experiments=_MANY),
    Address("POST", "3.0", "datasets/search", reads=True, experiments=_MANY),
    Address("GET", "3.0", "datasets/{dataset}", reads=True),
    Address("DELETE", "3.0", "datasets/{dataset}"),
    Address("POST", "3.0", "datasets/{dataset}/add-experiments", experiments=_MANY),
    Address("POST", "3.0", "datasets/{dataset}/remove-experiments", experiments=_MANY),
    Address("GET", "3.0", "datasets/{dataset}/experiment-ids", reads=True),
    Address("GET", "3.0", "datasets/{dataset}/records", reads=True),
    Address("POST", "3.0", "datasets/{dataset}/records"),
    Address("DELETE", "3.0", "datasets/{dataset}/records"),
    Address("PATCH", "3.0", "datasets/{dataset}/tags"),
    Address("DELETE", "3.0", "datasets/{dataset}/tags/{key}"),
)
_DEFAULT_EXPERIMENT: Final = "0"
"""MLflow takes an experiment that is not named for this one."""
_IN_PATH: Final = re.compile(r"/?(?:ajax-)?api/(?P<release>[23]\.0)/mlflow/(?P<name>.+)", re.ASCII)


def recognise(method: str, path: str, query: QueryDict, document: Mapping[str, Any] | None) -> Call:
    """Find the address, and what the request names there.

    Raises ``ProtocolError``: ENDPOINT_NOT_FOUND, or INVALID_PARAMETER_VALUE where an id is not given as text.
    """
    address, parts = _address(method, path)
    given = _Query(query) if method == "GET" else _Body(document or {})
    experiments = _all(given, address.experiments)
    if address.experiments and not experiments and not address.experiments[0].startswith("experiment_ids"):
        experiments = (_DEFAULT_EXPERIMENT,)
    return Call(
        address,
        parts,
        Named(
            experiments=experiments,
            runs=_all(given, address.runs),
            models=(*_part(parts, "model"), *_all(given, address.models)),
            shown_models=_all(given, address.shown_models),
            traces=(*_part(parts, "trace"), *_all(given, address.traces)),
            datasets=_part(parts, "dataset"),
        ),
    )


def _address(method: str, path: str) -> tuple[Address, Mapping[str, str]]:
    spelt = _IN_PATH.fullmatch(path)
    for address in ADDRESSES:
        if spelt and (address.method, address.release) == (method, spelt["release"]):
            found = address.pattern.fullmatch(spelt["name"])
            # A name of a call is no id: MLflow's router would take it for the call.
            if found and not any(part in _CALLS for key, part in found.groupdict().items() if key != "key"):
                return address, found.groupdict()
    raise ProtocolError("ENDPOINT_NOT_FOUND", f"This server does not have {method} {path}.")


_CALLS: Final = frozenset(
    part for address in ADDRESSES for part in address.name.split("/")[1:2] if not part.startswith("{")
) | {".", ".."}


def _part(parts: Mapping[str, str], name: str) -> tuple[str, ...]:
    return (parts[name],) if name in parts else ()


def _all(given: "_Query | _Body", places: Places) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for place in places for value in given.at(place)))


class _Query:
    """Arguments of a GET. MLflow takes the first of several where we would take the last: one is enough."""

    def __init__(self, query: QueryDict) -> None:
        self._query = query

    def at(self, place: str) -> Iterator[str]:
        name = place.removesuffix("[]")
        values = [*self._query.getlist(name), *(self._query.getlist(camel(name)) if camel(name) != name else [])]
        if name == place and len(values) > 1:
            raise invalid(f"Parameter '{name}' is given more than once.")
        yield from filter(None, values)


class _Body:
    """A JSON object."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def at(self, place: str) -> Iterator[str]:
        yield from self._walk(self._document, place.split("."), place)

    def _walk(self, here: object, steps: list[str], place: str) -> Iterator[str]:
        if not steps:
            if not isinstance(here, str):
                raise invalid(f"Invalid value for parameter '{place}' supplied: it must be a string.")
            if here:
                yield here
            return
        name = steps[0].removesuffix("[]")
        if not isinstance(here, Mapping):
            raise invalid(f"Invalid value for parameter '{place}' supplied: '{name}' is looked for in an object.")
        other = camel(name)
        if other != name and name in here and other in here:
            raise invalid(f"'{name}' and '{other}' are the same parameter: give one of them.")
        for spelling in dict.fromkeys((name, other)):
            value = here.get(spelling)
            if value is None:
                continue
            if steps[0] == name:
                yield from self._walk(value, steps[1:], place)
                continue
            if not isinstance(value, list):
                raise invalid(f"Invalid value for parameter '{place}' supplied: '{name}' must be a list.")
            for item in value:
                yield from self._walk(item, steps[1:], place)
