"""Our reading of filters and orders against MLflow's own parser: the same conditions, the same refusals."""

import os
import re
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModel
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils

from registry.mlflow import filters
from tests.conformance.mlflow.oracle import differences, languages

pytestmark = pytest.mark.filterwarnings(
    "ignore::SyntaxWarning", "ignore::DeprecationWarning"
)  # lists of MLflow are Python

LONG: Final = os.environ.get("ORACLE") == "long"
EXAMPLES: Final = settings(
    max_examples=20_000 if LONG else 400,
    derandomize=not LONG,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
REFUSED: Final = "refused"
CRASHED: Final = "crashed"


class _Store(SqlAlchemyStore):
    """MLflow's store without a database: it only builds its queries."""

    def __init__(self) -> None:
        """Connect to nothing."""


# MLflow says nothing of its types.
STORE: Final[Any] = _Store()
Read = list[tuple[str, str, str, Any]]


def _is_refusal(error: Any) -> bool:
    return int(error.get_http_status_code()) == 400


def theirs(text: str, *, of_models: bool) -> Read | str:
    """The conditions MLflow reads."""
    utils: Any = SearchModelUtils if of_models else SearchModelVersionUtils
    try:
        parsed = utils.parse_search_filter(text)
        if of_models:
            STORE._get_search_registered_model_filter_query(None, parsed, "postgresql")
        else:
            STORE._get_search_model_versions_filter_clauses(parsed, "postgresql")
    except MlflowException as error:
        return REFUSED if _is_refusal(error) else CRASHED
    except Exception:  # noqa: BLE001 - whatever MLflow did not foresee is a 500 of its server
        return CRASHED
    numbers = set() if of_models else {"version_number"}
    found = []
    for clause in parsed:
        value = clause["value"]
        if isinstance(value, tuple) and clause["comparator"] not in filters.LIST_OPERATORS:
            return CRASHED  # its query builder accepts it, and PostgreSQL does not
        if clause["type"] == "attribute" and clause["key"] in numbers:
            value = int(value)
        found.append((clause["type"], clause["key"], clause["comparator"], value))
    return found


def ours(text: str, *, of_models: bool) -> Read | str:
    """The conditions we read."""
    try:
        found = filters.parse(text, filters.MODELS if of_models else filters.VERSIONS)
    except filters.BadFilter:
        return REFUSED
    return [(condition.on, condition.key, condition.operator, condition.value) for condition in found]


def tolerated(text: str, one: Read | str, two: Read | str) -> str:
    """The documented difference that explains these two readings, by its name in docs/reference/mlflow.md; or ""."""
    if one == CRASHED and two == REFUSED:
        return "not-a-fault-of-the-server"
    if one == REFUSED and isinstance(two, list):
        if differences.reads_more_keys(text):
            return "search-bare-keys"
        if differences.lacks_and(text, len(two)):
            return "search-without-and"
    if isinstance(one, list) and two == REFUSED:
        if differences.reads_loose_keys(text) or any(not key for _, key, _, _ in one):
            return "search-loose-keys"
        if any(isinstance(value, tuple) for _, _, _, value in one):
            return "search-lists"
    if isinstance(one, list) and isinstance(two, list) and re.search(r"''|\"\"|\\", text):
        return "search-quotes"
    return ""


@pytest.mark.parametrize("of_models", [True, False], ids=["models", "versions"])
def test_filters_are_read_as_mlflow_reads_them(of_models: bool) -> None:
    @EXAMPLES
    @given(languages.model_filters if of_models else languages.version_filters)
    def check(text: str) -> None:
        one, two = theirs(text, of_models=of_models), ours(text, of_models=of_models)
        assert one == two or tolerated(text, one, two), (text, one, two)

    check()


def _columns(of_models: bool) -> dict[str, Any]:
    if of_models:
        return {"name": SqlRegisteredModel.name, "updated": SqlRegisteredModel.last_updated_time}
    return {
        "name": SqlModelVersion.name,
        "number": SqlModelVersion.version,
        "created": SqlModelVersion.creation_time,
        "updated": SqlModelVersion.last_updated_time,
    }


@pytest.mark.parametrize("of_models", [True, False], ids=["models", "versions"])
def test_orders_are_read_as_mlflow_reads_them(of_models: bool) -> None:
    columns = _columns(of_models)
    natural = [("name", True)] if of_models else [("name", True), ("number", False)]

    def their_order(clauses: list[str]) -> list[str] | str:
        read = (
            STORE._parse_search_registered_models_order_by if of_models else STORE._parse_search_model_versions_order_by
        )
        try:
            return [str(clause) for clause in read(clauses)]
        except MlflowException as error:
            return REFUSED if _is_refusal(error) else CRASHED
        except Exception:  # noqa: BLE001 - a 500 of its server
            return CRASHED

    def our_order(clauses: list[str]) -> list[str] | str:
        try:
            found = filters.order(clauses, filters.MODELS if of_models else filters.VERSIONS)
        except filters.BadFilter:
            return REFUSED
        given_keys = {key for key, _ in found}
        found += [key for key in natural if key[0] not in given_keys]
        return [str(columns[key].asc() if ascending else columns[key].desc()) for key, ascending in found]

    @EXAMPLES
    @given(languages.orders)
    def check(clauses: list[str]) -> None:
        one, two = their_order(clauses), our_order(clauses)
        assert one == two or (one, two) == (CRASHED, REFUSED), (clauses, one, two)  # a 500 of theirs

    check()
