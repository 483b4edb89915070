"""Traces, with MLflow's ordinary client through our door."""

import time

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.filterwarnings("ignore")]


def test_a_trace_is_logged_found_tagged_and_deleted(client: MlflowClient) -> None:
    experiment = mlflow.set_experiment(f"traces {time.time_ns()}").experiment_id

    @mlflow.trace(span_type="CHAIN", attributes={"kind": "score"})
    def score(age: int) -> int:
        with mlflow.start_span("inner") as span:
            span.set_inputs({"age": age})
            span.set_outputs({"score": age + 1})
        return age + 1

    @mlflow.trace
    def fails() -> None:
        raise ValueError("as it should")

    assert score(30) == 31
    good = mlflow.get_last_active_trace_id()
    assert good is not None
    with pytest.raises(ValueError, match="as it should"):
        fails()
    bad = mlflow.get_last_active_trace_id()
    assert bad is not None
    found = mlflow.get_trace(good)
    assert found is not None
    assert [span.name for span in found.data.spans] == ["score", "inner"]
    assert (found.info.state, mlflow.get_trace(bad).info.state) == ("OK", "ERROR")
    listed = mlflow.search_traces(experiment_ids=[experiment], return_type="list")
    assert {trace.info.trace_id for trace in listed} == {good, bad}
    client.set_trace_tag(good, "reviewed", "yes")
    tagged = mlflow.search_traces(
        experiment_ids=[experiment], filter_string="tags.reviewed = 'yes'", return_type="list"
    )
    assert [trace.info.trace_id for trace in tagged] == [good]
    mlflow.log_feedback(trace_id=good, name="helpful", value=True)
    assert mlflow.get_trace(good).info.assessments[0].name == "helpful"
    client.delete_trace_tag(good, "reviewed")
    assert client.delete_traces(experiment, trace_ids=[bad]) == 1
    assert mlflow.get_trace(bad) is None
    with pytest.raises(MlflowException):
        client.set_trace_tag("tr-" + "f" * 32, "a", "b")
