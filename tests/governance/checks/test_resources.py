"""Times of a model: intervals that hold whatever the distribution, reports parsed as hostile, and a real model timed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from governance.checks import CheckError, CheckInputs, CheckResult, get, run_check
from governance.checks.model.resources import quantile
from governance.sandbox import SandboxJob, run
from governance.sandbox.modes.resources import read
from governance.sandbox.output import InvalidOutputError
from tests.governance.sandbox.conftest import MakeModel, make_model, people, run_directories

__all__ = ["make_model", "people", "run_directories"]

OPTIONS = {"calls": 40, "batches": 20, "batch_rows": 16, "seconds": 20.0}


def report(**more: Any) -> dict[str, Any]:
    single = [1_000_000 + 1000 * i for i in range(400)]
    made = {"single": single, "batch": [5_000_000] * 60, "batch_rows": 100, "first": 9_000_000, "load_seconds": 0.5}
    return {**made, "peak_bytes": 100 * 2**20, **more}


def resources(given: dict[str, Any]) -> CheckResult:
    return run_check(get("resources.latency"), CheckInputs(latency=given))


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("n", [20, 100, 400, 2000])
def test_the_interval_covers_the_quantile_of_any_distribution(share: float, n: int) -> None:
    """By counting: the chance that the true quantile lies between the two order statistics is at least 95 %."""
    ordered = np.arange(1.0, n + 1)
    value, low, high = quantile(ordered, share)
    below, above = round(low), n + 1 if high is None else round(high)
    covered = stats.binom.cdf(above - 1, n, share) - stats.binom.cdf(below - 1, n, share)
    assert covered >= 0.95 - 1e-12
    assert low <= value <= (np.inf if high is None else high)
    if high is None:
        assert 1 - share**n < 0.975


@given(st.lists(st.floats(0.1, 1e3), min_size=20, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_the_quantile_is_one_of_the_values(times: list[float], share: float) -> None:
    value, _, _ = quantile(np.sort(times), share)
    assert value == np.quantile(times, share, method="inverted_cdf")


def test_figures_have_units_and_intervals() -> None:
    result = resources(
        report(size_bytes=3 * 2**20, outer_peak_bytes=200 * 2**20, machine={"cores": 2, "load_average": 5.0})
    )
    p50 = result.figure("latency_p50", attribute="one row")
    assert p50.value == pytest.approx(1.199)
    assert p50.unit == "ms"
    assert p50.ci_low is not None
    assert p50.ci_high is not None
    assert p50.ci_low < 1.199 < p50.ci_high
    assert result.figure("latency_p99", attribute="batch of 100 rows").note
    assert result.figure("throughput").value == pytest.approx(20_000)
    assert result.figure("peak_memory").value == 200
    assert result.figure("size").value == 3
    assert "busy" in result.findings[1]
    assert "says nothing of other machines" in result.limits[0]


@pytest.mark.parametrize(
    "bad",
    [
        {"single": []}, {"single": [0]}, {"single": [1.5]}, {"single": [True]}, {"single": "x"}, {"batch": [1] * 30_000},
        {"first": -1}, {"batch_rows": 0}, {"load_seconds": float("nan")}, {"load_seconds": -1}, {"peak_bytes": None},
    ],
)  # fmt: skip
def test_a_report_that_is_none_is_refused(bad: dict[str, Any], tmp_path: Path) -> None:
    assert read(report(), {}, tmp_path).report == report()
    with pytest.raises(InvalidOutputError):
        read(report(**bad), {}, tmp_path)


@pytest.mark.parametrize("params", [{"calls": 1}, {"batches": 1}, {"batch_rows": 0}, {"seconds": 0.0}])
def test_parameters_out_of_range_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(CheckError) as error:
        run_check(get("resources.latency"), CheckInputs(latency=report()), params)
    assert error.value.code == "params.value"


def test_without_times_it_is_an_error() -> None:
    with pytest.raises(CheckError) as error:
        run_check(get("resources.latency"), CheckInputs())
    assert error.value.code == "inputs.missing"


def test_a_model_is_timed_in_the_sandbox(make_model: MakeModel, people: Path) -> None:
    model = LogisticRegression().fit(np.array([[20, 0], [30, 1], [50, 0], [60, 1]]), [0, 0, 1, 1])
    job = SandboxJob("resources", make_model(model), people, features=("age", "noise"), options=OPTIONS)
    outcome = run(job)
    assert (outcome.code, outcome.message) == ("ok", "40 single rows and 20 batches were timed.")
    assert outcome.report is not None
    assert outcome.report["batch_rows"] == 16
    result = resources({**outcome.report, "outer_peak_bytes": outcome.peak_bytes})
    assert (result.figure("latency_p50").value or 0) > 0
    assert (result.figure("peak_memory").value or 0) > 10


def test_time_that_is_up_ends_the_calls(make_model: MakeModel, people: Path) -> None:
    model = LogisticRegression().fit(np.array([[20, 0], [60, 1]]), [0, 1])
    options = {**OPTIONS, "calls": 20_000, "batches": 20_000, "seconds": 0.02}
    outcome = run(SandboxJob("resources", make_model(model), people, features=("age", "noise"), options=options))
    assert outcome.report is not None
    assert len(outcome.report["single"]) + len(outcome.report["batch"]) < 20_000


def test_a_model_that_raises_has_no_times(make_model: MakeModel, people: Path) -> None:
    outcome = run(SandboxJob("resources", make_model(LogisticRegression()), people, features=("age",), options=OPTIONS))
    assert outcome.code == "raised"
