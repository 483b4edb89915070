"""The Shapley check over real models: exact where it can be, honest where not; stability, live version, reasons."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor

from governance.checks import CheckError, CheckInputs, CheckResult, Probe, Roles, get, run_check
from governance.checks.explanations import stability
from tests.governance.checks.test_trees import read

NAMES = ("income", "debts", "age", "sex")


def applicants(n: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(4)
    frame = pd.DataFrame(random.normal(size=(n, 4)), columns=list(NAMES))
    return frame, 2 * frame["debts"].to_numpy() - frame["income"].to_numpy() + 0.3 * random.normal(size=n)


def told(model: Any, table: pa.Table) -> pa.Table:
    frame = table.to_pandas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if hasattr(model, "predict_proba"):
            return pa.table({"score": model.predict_proba(frame)[:, 1], "prediction": model.predict(frame)})
        return pa.table({"prediction": model.predict(frame).astype("float64")})


def explained(
    model: Any, folder: Path, frame: pd.DataFrame | None = None, *, live: Any = None, use: str = "explainability.shapley",
    sensitive: tuple[str, ...] = (), change: Mapping[str, Any] | None = None, **params: Any,
) -> CheckResult:  # fmt: skip
    """The check as the engine runs it: rows encoded, mixed rows asked; ``change`` is made to the report of the trees."""
    data = applicants()[0] if frame is None else frame
    inputs = CheckInputs(
        pa.Table.from_pandas(data, preserve_index=False), Roles(features=tuple(map(str, data)), sensitive=sensitive)
    )
    check = get(use)
    typed = check.params.from_mapping(params)
    rows, asked = check.encoded(inputs, typed), check.probes(inputs, typed)  # type: ignore[attr-defined]

    def answers(one: Any) -> dict[str, Any]:
        report = {**read(one, rows.to_pandas(), folder), **(change or {})} if rows is not None else None
        return {"probes": {name: Probe(told(one, table)) for name, table in asked.items()}, "trees": report}

    inputs = replace(inputs, **answers(model))
    if live is not None:
        found = answers(live)
        inputs = replace(inputs, live_probes=found["probes"], live_trees=found["trees"])
    return run_check(check, inputs, params)


def fitted(model: Any) -> Any:
    frame, y = applicants()
    return model.fit(frame, y > 0 if hasattr(model, "predict_proba") else y)


def test_trees_are_exact_and_say_so(tmp_path: Path) -> None:
    result = explained(fitted(HistGradientBoostingRegressor(max_iter=20)), tmp_path)
    assert result.facts["method"] == "exact"
    assert "The values are exact" in result.findings[1]
    assert (result.figure("local_accuracy").value or 0) < 1e-12
    shapley = next(table for table in result.tables if table.key == "shapley")
    assert [row[0] for row in shapley.rows][:2] == ["debts", "income"]
    assert result.pictures[0].spec["data"]["values"][0]["name"] == "debts"


def test_exact_values_are_what_sampling_tends_to(tmp_path: Path) -> None:
    model = fitted(RandomForestRegressor(5, max_depth=4, random_state=0))
    exact = explained(model, tmp_path, rows=40)
    sampled = explained(model, tmp_path, rows=40, orders=200, exact=False)
    assert (exact.facts["method"], sampled.facts["method"]) == ("exact", "sampled")
    one, other = ({row[0]: row[1] for row in result.tables[0].rows} for result in (exact, sampled))
    assert [one[name] for name in NAMES] == pytest.approx([other[name] for name in NAMES], rel=0.15, abs=0.03)


def test_log_odds_are_named(tmp_path: Path) -> None:
    result = explained(fitted(GradientBoostingClassifier(n_estimators=10)), tmp_path)
    assert result.facts["scale"] == "logit"
    assert any("log-odds" in limit for limit in result.limits)


def test_a_model_that_is_no_sum_is_sampled_with_the_reason(tmp_path: Path) -> None:
    result = explained(fitted(KNeighborsRegressor()), tmp_path, rows=20)
    assert result.facts["method"] == "sampled"
    assert "is a KNeighborsRegressor" in result.findings[1]
    assert (result.figure("local_accuracy").value or 0) < 1e-9


@pytest.mark.parametrize("change", [{"base": 9.0}, {"link": "log"}, {"origin": [1, 0, 2, 3]}, {"features": ["x"]}])
def test_a_sum_that_does_not_give_the_models_answers_is_not_believed(change: dict[str, Any], tmp_path: Path) -> None:
    """Whoever writes the report is the model's own process: a wrong base, link or owner of a column shows in the mixed rows."""
    model = fitted(RandomForestRegressor(5, max_depth=5, max_features=1, random_state=0))
    result = explained(model, tmp_path, rows=20, change=change)
    assert result.facts["method"] == "sampled"
    assert "miss its own answers" in result.findings[1] or "inputs are others" in result.findings[1]


@pytest.mark.parametrize("base", [1e-3, float("nan")])
def test_a_sum_that_misses_by_little_or_gives_no_number_is_not_believed(base: float, tmp_path: Path) -> None:
    model = fitted(RandomForestRegressor(5, max_depth=5, random_state=0))
    result = explained(model, tmp_path, rows=20, change={"base": base})
    assert result.facts["method"] == "sampled"
    assert "miss its own answers" in result.findings[1]


def test_a_report_of_fewer_rows_is_not_believed(tmp_path: Path) -> None:
    model = fitted(RandomForestRegressor(5, max_depth=5, random_state=0))
    result = explained(model, tmp_path, rows=20, change=read(model, applicants()[0].head(30), tmp_path))
    assert result.facts["method"] == "sampled"
    assert "read with other rows" in result.findings[1]


def test_what_would_take_too_long_is_explained_against_fewer_rows_or_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted(RandomForestRegressor(3, max_depth=4, random_state=0))
    whole = explained(model, tmp_path, rows=20)
    assert whole.facts["background"] == 280
    nodes = sum(one.tree_.node_count for one in model.estimators_)
    monkeypatch.setattr("governance.checks.explanations.explained.MOST_WORK", nodes * 20 * 150)
    fewer = explained(model, tmp_path, rows=20)
    assert (fewer.facts["method"], fewer.facts["background"]) == ("exact", 150)
    assert any("against 150 others" in limit for limit in fewer.limits)
    monkeypatch.setattr("governance.checks.explanations.explained.MOST_WORK", nodes * 20 * 50)
    sampled = explained(model, tmp_path, rows=20)
    assert sampled.facts["method"] == "sampled"
    assert "nodes are too many" in sampled.findings[1]


def test_without_trees_the_answers_are_enough(tmp_path: Path) -> None:
    assert explained(fitted(LogisticRegression()), tmp_path, rows=20, exact=False).facts["method"] == "sampled"


def test_resamples_of_the_rows_give_intervals(tmp_path: Path) -> None:
    result = explained(fitted(RandomForestRegressor(5, max_depth=4, random_state=0)), tmp_path, top=2)
    kept = result.figure("top_kept")
    assert kept.value == 1.0  # debts and income, in whatever order
    assert (kept.ci_low, kept.ci_high) == (1.0, 1.0)
    for key in ("rank_resampled", "top_share"):
        figure = result.figure(key)
        assert figure.value is not None
        assert figure.ci_low is not None
        assert figure.ci_high is not None
        assert figure.ci_low <= figure.value <= figure.ci_high


def test_a_constant_model_and_equal_rows_give_no_ranking(tmp_path: Path) -> None:
    frame, y = applicants()
    for model, rows in (
        (RandomForestRegressor(2).fit(frame, 0 * y), frame),
        (fitted(RandomForestRegressor(2)), pd.DataFrame(np.ones((50, 4)), columns=list(NAMES))),
    ):
        result = explained(model, tmp_path, rows, rows=10)
        assert result.figure("rank_resampled").value is None
        assert result.figure("top_kept").note == "No input makes any difference."
        assert result.figure("top_share").value == 0


def test_one_input_is_not_ranked(tmp_path: Path) -> None:
    frame, y = applicants()
    one = frame[["debts"]]
    result = explained(RandomForestRegressor(2).fit(one, y), tmp_path, one)
    assert result.figure("rank_stability").note == "It needs two inputs that make a difference."
    assert result.figure("top_share").value == 1


def test_a_single_row_cannot_be_explained(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="single row"):
        explained(fitted(RandomForestRegressor(2)), tmp_path, applicants()[0][:1])


def test_large_data_are_sampled_by_the_seed_and_said(tmp_path: Path) -> None:
    model = fitted(RandomForestRegressor(3, max_depth=3, random_state=0))
    first, again, other = (explained(model, tmp_path, rows=30, background=50, seed=seed) for seed in (1, 1, 2))
    assert first.to_json() == again.to_json()
    assert first.to_json() != other.to_json()
    assert first.n == 30
    assert any(
        "30 rows were explained against 50 others, drawn from 300 with the seed 1" in one for one in first.limits
    )


CODE = """
import numpy as np, pyarrow as pa
from dataclasses import replace
from governance.checks import CheckInputs, Probe, Roles, get, run_check
random = np.random.default_rng(5)
data = pa.table({**{f"x{i}": random.normal(size=900) for i in range(7)}, "y": random.integers(0, 2, 900)})
inputs = CheckInputs(data, Roles("y", (), tuple(f"x{i}" for i in range(7))))
def model(table):
    x = np.nan_to_num(np.column_stack([column.to_numpy() for column in table.columns]))
    return pa.table({"score": 1 / (1 + np.exp(-(x[:, 0] * x[:, 1] + x[:, 2] - 0.5 * x[:, 3])))})
for use in ("explainability.shapley", "explainability.importance", "explainability.effects", "robustness.perturbations"):
    check = get(use)
    asked = check.probes(inputs, check.params())
    print(run_check(check, replace(inputs, probes={name: Probe(model(table)) for name, table in asked.items()})).digest)
"""


def test_results_are_the_same_bits_whatever_the_process_and_its_threads() -> None:
    root = Path(__file__).resolve().parents[3]
    seen = []
    for threads, seed in (("1", "0"), ("4", "77")):
        names = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", CODE], cwd=root, env=names, capture_output=True, text=True, check=True
        )
        seen.append(done.stdout.split())
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 4


def test_classes_as_numbers_are_said_to_be_numbers() -> None:
    frame, _ = applicants()
    check = get("explainability.shapley")
    inputs = CheckInputs(pa.Table.from_pandas(frame, preserve_index=False), Roles(features=NAMES))
    asked = check.probes(inputs, check.params())  # type: ignore[attr-defined]
    classes = {
        name: Probe(pa.table({"prediction": np.digitize(table["age"], [0.0, 1.0])})) for name, table in asked.items()
    }
    result = run_check(check, replace(inputs, probes=classes))
    assert any("if they are classes" in limit for limit in result.limits)


def test_a_model_that_raises_on_the_mixed_rows_is_an_error() -> None:
    frame, _ = applicants()
    check = get("explainability.shapley")
    inputs = CheckInputs(pa.Table.from_pandas(frame, preserve_index=False), Roles(features=NAMES))
    asked = check.probes(inputs, check.params())  # type: ignore[attr-defined]
    with pytest.raises(CheckError, match="It raised") as error:
        run_check(check, replace(inputs, probes=dict.fromkeys(asked, Probe(None, "It raised."))))
    assert error.value.code == "probe.failed"


def test_rows_are_drawn_from_all_of_the_data(tmp_path: Path) -> None:
    """Data often come sorted: the explained rows are not the first ones."""
    frame, _ = applicants()
    ordered = frame.sort_values("debts", ignore_index=True)
    result = explained(fitted(LogisticRegression()), tmp_path, ordered, rows=100)
    assert 0.3 < float(result.facts["mean_output"] or 0) < 0.7


# The live version


def test_the_live_version_is_set_beside(tmp_path: Path) -> None:
    frame, _ = applicants()
    live = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(frame, frame["age"] > 0)
    model = fitted(GradientBoostingClassifier(n_estimators=10, random_state=0))
    result = explained(model, tmp_path, live=live, use="explainability.live")
    moved = result.figure("largest_mover")
    assert (moved.value or 0) > 0.8
    assert (moved.ci_low or 0) > 0.7
    assert "“age” moved most: from 100% when live" in result.findings[0]
    assert (result.figure("rank_correlation").value or 0) < 0.5
    same = explained(model, tmp_path, live=model, use="explainability.live")
    assert [figure.value for figure in same.figures] == [pytest.approx(1.0), 0.0, pytest.approx(1.0)]
    assert same.pictures[0].spec["data"]["values"]


def test_two_scales_are_not_mixed(tmp_path: Path) -> None:
    live = fitted(RandomForestRegressor(5, max_depth=4, random_state=0))
    result = explained(fitted(KNeighborsRegressor()), tmp_path, live=live, use="explainability.live", rows=20)
    assert result.facts["method"] == "sampled"


def test_log_odds_and_numbers_are_not_set_beside_each_other(tmp_path: Path) -> None:
    """Both would be exact, each on a scale of its own."""
    live = fitted(RandomForestRegressor(5, max_depth=4, random_state=0))
    model = fitted(GradientBoostingClassifier(n_estimators=10, random_state=0))
    result = explained(model, tmp_path, live=live, use="explainability.live", rows=20)
    assert (result.facts["method"], result.facts["scale"]) == ("sampled", "identity")


def test_nothing_live_and_a_live_version_without_an_answer(tmp_path: Path) -> None:
    model = fitted(RandomForestRegressor(2))
    assert explained(model, tmp_path, use="explainability.live").not_applicable
    check = get("explainability.live")
    frame, _ = applicants()
    inputs = CheckInputs(pa.Table.from_pandas(frame, preserve_index=False), Roles(features=NAMES))
    asked = check.probes(inputs, check.params())  # type: ignore[attr-defined]
    answers = {name: Probe(told(model, table)) for name, table in asked.items()}
    silent = dict.fromkeys(asked, Probe(None, "It lacks the column “x”."))
    result = run_check(check, replace(inputs, probes=answers, live_probes=silent))
    assert {figure.note for figure in result.figures} == {"The live version gave no answer: It lacks the column “x”."}


# Reasons


def test_a_sensitive_reason_is_a_finding_and_a_figure(tmp_path: Path) -> None:
    frame, _ = applicants()
    model = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(frame, frame["sex"] + frame["debts"] > 0)
    result = explained(model, tmp_path, sensitive=("sex",))
    figure = result.figure("reasons_sensitive")
    assert (figure.value or 0) > 0.5
    assert figure.ci_low is not None
    assert any("“sex” is sensitive" in finding and "1002.4(a)" in finding for finding in result.findings)
    clean = explained(
        fitted(GradientBoostingClassifier(n_estimators=10, random_state=0)), tmp_path, codes=1, sensitive=("sex",)
    )
    assert clean.figure("reasons_sensitive").value == 0


def test_reasons_push_towards_the_refusal_and_are_four_at_most(tmp_path: Path) -> None:
    model = fitted(LogisticRegression())
    result = explained(model, tmp_path, adverse="high")
    table = next(table for table in result.tables if table.key == "reasons")
    assert table.rows[0][0] == "debts"
    shares = [float(row[2] or 0) for row in table.rows]
    assert shares == sorted(shares, reverse=True)
    assert sum(float(row[1] or 0) for row in table.rows) <= 4 * result.figure("reasons_complete").n
    with pytest.raises(CheckError, match="1 to 4"):
        explained(model, tmp_path, codes=5)


def test_wordings_are_counted_and_must_be_specific(tmp_path: Path) -> None:
    model = fitted(LogisticRegression())
    words = [
        "debts=Excessive obligations in relation to income",
        "income=Income insufficient for amount of credit requested",
    ]
    result = explained(model, tmp_path, wording=words, codes=1)
    assert (result.figure("reasons_worded").value or 0) > 0.9
    table = next(table for table in result.tables if table.key == "reasons")
    assert "Excessive obligations" in str(table.rows[0])
    none = explained(model, tmp_path, wording=words[:1], codes=4)
    assert any("No wording is given for" in finding for finding in none.findings)
    assert "wording" in explained(model, tmp_path).figure("reasons_worded").note
    for bad in ("debts=", "gone=Something", "debts=You did not reach a qualifying score", "age=Our internal policy"):
        with pytest.raises(CheckError) as error:
            explained(model, tmp_path, wording=[bad])
        assert error.value.code == "params.value"


# Ranking


def test_rank_correlation_is_scipys_with_ties() -> None:
    from scipy.stats import spearmanr  # noqa: PLC0415 - the oracle

    random = np.random.default_rng(0)
    for _ in range(20):
        a, b = random.integers(0, 5, 8).astype(float), random.integers(0, 5, 8).astype(float)
        found = stability.spearman(a, b)
        expected = float(spearmanr(a, b).statistic) if len(set(a)) > 1 and len(set(b)) > 1 else None
        assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_resampled_means_have_the_standard_error_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(size=(400, 3))
    drawn = stability.resampled(values, 0, 2000)
    assert drawn.mean(axis=0) == pytest.approx(values.mean(axis=0), abs=0.01)
    assert drawn.std(axis=0) == pytest.approx(values.std(axis=0) / 20, rel=0.1)


def test_kept_is_the_overlap_of_the_first_inputs() -> None:
    drawn = np.array([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0]])
    assert stability.kept(drawn, 2).value == 0.5
    assert stability.kept(drawn, 9).value == 1.0
    assert stability.kept(np.zeros((4, 2)), 1).value is None
