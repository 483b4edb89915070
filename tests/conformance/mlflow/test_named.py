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
KEYS: Final = st.sampled_from(sorted({*NAMES, *map(camel, NAMES)}))
BODIES: Final = st.dictionaries(
    KEYS,
    st.recursive(
        st.one_of(IDS, st.none(), st.integers(0, 3), st.lists(IDS, max_size=3)),
        lambda inner: st.one_of(st.dictionaries(KEYS, inner, max_size=3), st.lists(inner, max_size=2)),
        max_leaves=6,
    ),
    max_size=4,
)


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


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(sorted(READ)), BODIES)
def test_what_mlflow_reads_is_what_was_checked(which: tuple[str, str], body: dict[str, Any]) -> None:
    release, name = which
    kind, read = READ[which]
    message = kind()
    with suppress(ParseError):  # MLflow goes on with what it has read so far, when its own schema lets it
        parse_dict(orjson.loads(orjson.dumps(body)), message)  # type: ignore[no-untyped-call]
    with suppress(ProtocolError):  # refused: nothing is sent on
        call = recognise("POST", f"/api/{release}/mlflow/{name}", QueryDict(""), body)
        assert {one for one in read(message) if one} <= found(call.named)
