"""Whatever MLflow would read from a body, the door has found in it and checked."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import orjson
from django.http import QueryDict
from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.protos import service_pb2
from mlflow.utils.proto_json_utils import parse_dict

from registry.mlflow.codec import camel
from registry.mlflow.errors import ProtocolError
from registry.mlflow.proxy.addresses import Named, recognise

IDS: Final = st.sampled_from(["1", "2", "a1", "b2"])
NAMES: Final = (
    *(
        "run_id",
        "run_uuid",
        "experiment_id",
        "experiment_ids",
        "model_id",
        "trace_id",
        "trace_ids",
        "metrics",
        "models",
    ),
    *("locations", "mlflow_experiment", "trace", "trace_info", "trace_location", "source_run_id", "request_ids"),
)
SHAPES: Final[dict[str, dict[str, st.SearchStrategy[Any]]]] = {
    "runs/log-batch": {
        "run_id": IDS,
        "metrics": st.lists(st.fixed_dictionaries({"key": IDS, "model_id": IDS}), max_size=2),
    },
    "runs/update": {"run_id": IDS, "run_uuid": IDS},
    "runs/search": {"experiment_ids": st.lists(IDS, max_size=2)},
    "runs/outputs": {"run_id": IDS, "models": st.lists(st.fixed_dictionaries({"model_id": IDS}), max_size=2)},
    "runs/log-inputs": {"run_id": IDS, "models": st.lists(st.fixed_dictionaries({"model_id": IDS}), max_size=2)},
    "runs/create": {"experiment_id": IDS},
    "logged-models": {"experiment_id": IDS, "source_run_id": IDS},
    "traces/link-to-run": {"run_id": IDS, "trace_ids": st.lists(IDS, max_size=2)},
    "traces": {
        "trace": st.fixed_dictionaries(
            {
                "trace_info": st.fixed_dictionaries(
                    {
                        "trace_id": IDS,
                        "trace_location": st.fixed_dictionaries(
                            {"mlflow_experiment": st.fixed_dictionaries({"experiment_id": IDS})}
                        ),
                    }
                )
            }
        )
    },
    "traces/search": {
        "locations": st.lists(
            st.fixed_dictionaries({"mlflow_experiment": st.fixed_dictionaries({"experiment_id": IDS})}), max_size=2
        )
    },
    "traces/delete-traces": {"experiment_id": IDS, "request_ids": st.lists(IDS, max_size=2)},
    "datasets/create": {"experiment_ids": st.lists(IDS, max_size=2)},
}
"""What each call may hold. Each part may be left out, be another thing altogether, or be there in either spelling or both."""
NOISE: Final[st.SearchStrategy[Any]] = st.one_of(
    st.none(), IDS, st.integers(0, 3), st.lists(IDS, max_size=2), st.just({})
)


@st.composite
def bodies(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A body for a call: mostly as it should be, sometimes not."""
    body: dict[str, Any] = {}
    for key, shape in SHAPES[name].items():
        for spelling in dict.fromkeys((key, camel(key))):
            how = draw(st.integers(0, 9))
            if how < 5:
                body[spelling] = _respelt(draw, draw(shape))
            elif how == 9:
                body[spelling] = draw(NOISE)
    return body


def _respelt(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, list):
        return [_respelt(draw, one) for one in value]
    if isinstance(value, dict):
        return {camel(key) if draw(st.booleans()) else key: _respelt(draw, one) for key, one in value.items()}
    return value


def _trace(message: Any) -> Iterator[str]:
    info = message.trace.trace_info
    yield info.trace_location.mlflow_experiment.experiment_id
    yield info.trace_id


READ: Final[dict[tuple[str, str], tuple[Any, Callable[[Any], list[str]]]]] = {
    ("2.0", "runs/log-batch"): (
        service_pb2.LogBatch,
        lambda message: [message.run_id, *(metric.model_id for metric in message.metrics)],
    ),
    ("2.0", "runs/update"): (service_pb2.UpdateRun, lambda message: [message.run_id or message.run_uuid]),
    ("2.0", "runs/search"): (service_pb2.SearchRuns, lambda message: list(message.experiment_ids)),
    ("2.0", "runs/outputs"): (
        service_pb2.LogOutputs,
        lambda message: [message.run_id, *(model.model_id for model in message.models)],
    ),
    ("2.0", "runs/log-inputs"): (
        service_pb2.LogInputs,
        lambda message: [message.run_id, *(model.model_id for model in message.models)],
    ),
    ("2.0", "runs/create"): (service_pb2.CreateRun, lambda message: [message.experiment_id or "0"]),
    ("2.0", "logged-models"): (
        service_pb2.CreateLoggedModel,
        lambda message: [message.experiment_id or "0", message.source_run_id],
    ),
    ("2.0", "traces/link-to-run"): (
        service_pb2.LinkTracesToRun,
        lambda message: [message.run_id, *message.trace_ids],
    ),
    ("3.0", "traces"): (service_pb2.StartTraceV3, lambda message: list(_trace(message))),
    ("3.0", "traces/search"): (
        service_pb2.SearchTracesV3,
        lambda message: [place.mlflow_experiment.experiment_id for place in message.locations],
    ),
    ("3.0", "traces/delete-traces"): (
        service_pb2.DeleteTraces,
        lambda message: [message.experiment_id or "0", *message.request_ids],
    ),
    ("3.0", "datasets/create"): (service_pb2.CreateDataset, lambda message: list(message.experiment_ids)),
}


def found(named: Named) -> set[str]:
    return {*named.experiments, *named.runs, *named.models, *named.shown_models, *named.traces, *named.datasets}


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(sorted(READ)), st.data())
def test_what_mlflow_reads_is_what_was_checked(which: tuple[str, str], data: st.DataObject) -> None:
    release, name = which
    body = data.draw(bodies(name))
    kind, read = READ[which]
    message = kind()
    with suppress(ParseError):  # MLflow goes on with what it has read so far, when its own schema lets it
        parse_dict(orjson.loads(orjson.dumps(body)), message)  # type: ignore[no-untyped-call]
    with suppress(ProtocolError):  # refused: nothing is sent on
        call = recognise("POST", f"/api/{release}/mlflow/{name}", QueryDict(""), body)
        assert {one for one in read(message) if one} <= found(call.named)
