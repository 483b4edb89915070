"""The GraphQL of MLflow's pages, as a list: a page names one of its own documents, we send the document we know.

A client's text never reaches MLflow's GraphQL, so nothing has to be understood to be safe: the fields and the places
where ids stand are fixed here, and the ids are checked like everywhere else. The documents are those of MLflow
3.17.2's pages, with ``__typename`` as its client (Apollo) asks for it; tests/conformance/tracking compares.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from registry.mlflow.errors import invalid

_ID: Final = re.compile(r"[a-zA-Z0-9][\w\-]{0,63}", re.ASCII)
_LARGEST_STEP: Final = 2**31
MOST_IDS: Final = 1000
_VERSIONS: Final = re.compile(r"modelVersions \{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Question:
    """A document with checked variables, and whose runs and experiments the answer is about."""

    operation: str
    query: str
    variables: Mapping[str, Any]
    runs: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()

    def body(self, *, versions: bool = True) -> dict[str, Any]:
        """What MLflow's ``/graphql`` takes. Without ``versions`` it is not asked for those of its own registry."""
        query = self.query if versions else _VERSIONS.sub("", self.query)
        return {"operationName": self.operation, "query": query, "variables": self.variables}


def read(given: Mapping[str, Any]) -> Question:
    """The question a page asks. Raises ``ProtocolError`` (INVALID_PARAMETER_VALUE) for any that is not on the list."""
    name, variables = given.get("operationName"), given.get("variables")
    reader = _READERS.get(name) if isinstance(name, str) else None
    if reader is None:
        raise invalid(f"This server answers {', '.join(_READERS)} by GraphQL, for MLflow's pages. Use the REST calls.")
    if not isinstance(variables, dict):
        raise invalid("Invalid value for parameter 'variables' supplied: it must be an object.")
    return reader(variables)


def _run(variables: dict[str, Any]) -> Question:
    run = _id(_only(variables, "data"), "runId")
    return Question("GetRun", GET_RUN, {"data": {"runId": run}}, runs=(run,))


def _runs(variables: dict[str, Any]) -> Question:
    data = _only(variables, "data")
    experiments = _ids(data, "experimentIds")
    text = data.get("filter") or ""
    if not isinstance(text, str):
        raise invalid("Invalid value for parameter 'filter' supplied: it must be a string.")
    asked = {"filter": text, "experimentIds": list(experiments)}
    return Question("SearchRuns", SEARCH_RUNS, {"data": asked}, experiments=experiments)


def _history(variables: dict[str, Any]) -> Question:
    data = _only(variables, "data")
    runs, key = _ids(data, "runIds"), data.get("metricKey")
    if not isinstance(key, str) or not 0 < len(key) <= 250:
        raise invalid("Missing value for required parameter 'metricKey'.")
    asked: dict[str, Any] = {"runIds": list(runs), "metricKey": key}
    for name in ("startStep", "endStep", "maxResults"):
        value = data.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST_STEP:
            raise invalid(f"Parameter '{name}' must be an integer.")
        asked[name] = value
    return Question("GetMetricHistoryBulkInterval", METRIC_HISTORY, {"data": asked}, runs=runs)


def _experiment(variables: dict[str, Any]) -> Question:
    experiment = _id(_only(variables, "input"), "experimentId")
    asked = {"input": {"experimentId": experiment}}
    return Question("MlflowGetExperimentQuery", GET_EXPERIMENT, asked, experiments=(experiment,))


def _only(variables: dict[str, Any], name: str) -> dict[str, Any]:
    found = variables.get(name)
    if not isinstance(found, dict):
        raise invalid(f"Missing value for required parameter '{name}'.")
    return found


def _id(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise invalid(f"Invalid value for parameter '{name}' supplied: it must be an id.")
    return value


def _ids(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = given.get(name)
    if not isinstance(values, list) or not 0 < len(values) <= MOST_IDS:
        raise invalid(f"Invalid value for parameter '{name}' supplied: it must be a list of 1 to {MOST_IDS} ids.")
    return tuple(_id({name: value}, name) for value in values)


_EXPERIMENT: Final = """experiment {
        experimentId
        name
        tags {
          key
          value
          __typename
        }
        artifactLocation
        lifecycleStage
        lastUpdateTime
        __typename
      }"""
_INFO: Final = """info {
        runName
        status
        runUuid
        experimentId
        artifactUri
        endTime
        lifecycleStage
        startTime
        userId
        __typename
      }"""
_DATA: Final = """data {
        metrics {
          key
          value
          step
          timestamp
          __typename
        }
        params {
          key
          value
          __typename
        }
        tags {
          key
          value
          __typename
        }
        __typename
      }"""
_INPUTS: Final = """inputs {
        datasetInputs {
          dataset {
            digest
            name
            profile
            schema
            source
            sourceType
            __typename
          }
          tags {
            key
            value
            __typename
          }
          __typename
        }
        modelInputs {
          modelId
          __typename
        }
        __typename
      }"""
_OUTPUTS: Final = """outputs {
        modelOutputs {
          modelId
          step
          __typename
        }
        __typename
      }"""
_ERROR: Final = """apiError {
      helpUrl
      code
      message
      __typename
    }"""
_SHORT_ERROR: Final = """apiError {
      code
      message
      __typename
    }"""
_COMPONENT: Final = '@component(name: "MLflow.ExperimentRunTracking")'

GET_RUN: Final = f"""query GetRun($data: MlflowGetRunInput!) {_COMPONENT} {{
  mlflowGetRun(input: $data) {{
    {_ERROR}
    run {{
      {_INFO}
      {_EXPERIMENT}
      modelVersions {{
        status
        version
        name
        source
        __typename
      }}
      {_DATA}
      {_INPUTS}
      {_OUTPUTS}
      __typename
    }}
    __typename
  }}
}}"""
SEARCH_RUNS: Final = f"""query SearchRuns($data: MlflowSearchRunsInput!) {{
  mlflowSearchRuns(input: $data) {{
    {_ERROR}
    runs {{
      {_INFO}
      {_EXPERIMENT}
      {_DATA}
      {_INPUTS}
      {_OUTPUTS}
      modelVersions {{
        version
        name
        creationTimestamp
        status
        source
        __typename
      }}
      __typename
    }}
    __typename
  }}
}}"""
METRIC_HISTORY: Final = f"""query GetMetricHistoryBulkInterval($data: MlflowGetMetricHistoryBulkIntervalInput!) {_COMPONENT} {{
  mlflowGetMetricHistoryBulkInterval(input: $data) {{
    __typename
    metrics {{
      timestamp
      step
      runId
      key
      value
      __typename
    }}
    {_SHORT_ERROR}
  }}
}}"""
GET_EXPERIMENT: Final = f"""query MlflowGetExperimentQuery($input: MlflowGetExperimentInput!) {_COMPONENT} {{
  mlflowGetExperiment(input: $input) {{
    {_SHORT_ERROR}
    experiment {{
      artifactLocation
      creationTime
      effectiveTraceArchivalRetention
      experimentId
      lastUpdateTime
      lifecycleStage
      name
      tags {{
        key
        value
        __typename
      }}
      __typename
    }}
    __typename
  }}
}}"""

_READERS: Final[dict[str, Callable[[dict[str, Any]], Question]]] = {
    "GetRun": _run,
    "SearchRuns": _runs,
    "GetMetricHistoryBulkInterval": _history,
    "MlflowGetExperimentQuery": _experiment,
}
"""Operation by name, as MLflow's pages send it."""
