"""Drift: the same numbers as SciPy, frozen bins, intervals that hold, and both size and evidence for a verdict."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.data import cells
from governance.checks.data.drift_columns import measured
from governance.checks.statistics.distances import benjamini_hochberg, ks_p, psi, psi_interval
from tests.governance.checks.tables import reference

NUMBERS = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=2, max_size=60)
WORDS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=2, max_size=60)


def drift(training: Any, sample: Any, **params: Any) -> CheckResult:
    inputs = CheckInputs(pa.table({"x": sample}), Roles(), training=pa.table({"x": training}))
    return run_check(get("drift.columns"), inputs, params)


@settings(max_examples=150, deadline=None)
@given(training=NUMBERS, sample=NUMBERS)
def test_numbers_are_scipys(training: list[float], sample: list[float]) -> None:
    result = drift(training, sample)
    expected = stats.ks_2samp(training, sample, method="asymp")
    assert result.figure("ks").value == pytest.approx(expected.statistic, abs=1e-12)
    deviation = float(np.std(training))
    if deviation > 0:
        found = result.figure("wasserstein").value
        moved = stats.wasserstein_distance(training, sample)
        assert found is not None
        assert found * deviation <= moved + 1e-8 * max(map(abs, training))
        if not crosses(training, sample):
            assert found * deviation == pytest.approx(moved, rel=1e-9, abs=1e-8 * max(map(abs, training)))


def crosses(training: list[float], sample: list[float]) -> bool:
    """Whether a value of the sample lies strictly between two training values: there alone the area is a bound."""
    edges = sorted(set(training))
    return any(edges[0] < x < edges[-1] and x not in edges for x in sample)


@settings(max_examples=100, deadline=None)
@given(training=WORDS, sample=WORDS)
def test_categories_are_scipys(training: list[str | None], sample: list[str | None]) -> None:
    if not any(training) or not any(sample):
        return
    result = drift(pa.array(training, pa.string()), pa.array(sample, pa.string()))
    new = [one if one in training or one is None else "new" for one in sample]
    known = sorted({*training, *new}, key=str)
    cells = np.array([[side.count(one) for one in known] for side in (training, new)])
    assert result.figure("js_distance").value == pytest.approx(jensenshannon(*cells, base=2), abs=1e-9)
    if len(known) > 1:
        chi = stats.chi2_contingency(cells, correction=False)
        assert result.tables[0].rows[0][9] == pytest.approx(chi.pvalue, abs=1e-9)
        assert result.figure("cramers_v").value == pytest.approx((chi.statistic / cells.sum()) ** 0.5, abs=1e-9)


def test_psi_is_the_textbook_sum_over_frozen_deciles() -> None:
    training = np.arange(1, 1001) / 1000.0
    sample = np.concatenate([training[:600], training[:400]])
    cells = np.array([[100] * 10, [200] * 4 + [100] * 2 + [0] * 4])
    assert drift(training, sample).figure("psi").value == pytest.approx(psi(cells), abs=1e-12)
    full = np.array([[100] * 10, [145] * 4 + [70] * 6])
    textbook = 4 * (0.1 - 0.145) * np.log(0.1 / 0.145) + 6 * (0.1 - 0.07) * np.log(0.1 / 0.07)
    assert psi(full) == pytest.approx(textbook, abs=1e-12)


def test_an_empty_cell_gives_a_number() -> None:
    assert drift(["a", "b"] * 50, ["a"] * 100).figure("psi").value == pytest.approx(
        psi(np.array([[50, 50], [100, 0]])), abs=1e-12
    )


def test_a_missing_value_is_a_cell_of_its_own() -> None:
    same = drift([1.0, 2.0, None] * 50, [1.0, 2.0, None] * 50)
    assert same.figure("psi").value == pytest.approx(0.0, abs=1e-12)
    more = drift([1.0, 2.0, 3.0] * 50, [1.0, None, None] * 50)
    assert (more.figure("psi").value or 0) > 1


def test_what_lies_beyond_the_training_data_counts_with_its_distance() -> None:
    near, far = drift([0.0, 1.0], [2.0, 2.0]), drift([0.0, 1.0], [50.0, 50.0])
    assert near.figure("wasserstein").value == pytest.approx(1.5 / 0.5, rel=1e-9)
    assert far.figure("wasserstein").value == pytest.approx(49.5 / 0.5, rel=1e-9)


@pytest.mark.parametrize("n", [30, 100, 1000])
@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_the_interval_of_psi_covers_the_truth(n: int, shift: float) -> None:
    """Simulated: at least 93 % of nominal 95 % intervals hold the true PSI. They are meant to be wide rather than narrow."""
    random = np.random.default_rng(7)
    p = np.full(5, 0.2)
    q = p + shift * np.array([1, 0.5, 0, -0.5, -1]) / 1.5
    truth = float(((p - q) * np.log(p / q)).sum())
    draws = 400
    hits = 0
    for _ in range(draws):
        cells = np.array([random.multinomial(n * 10, p), random.multinomial(n, q)])
        low, high = psi_interval(psi(cells), cells)
        hits += low <= truth <= high
    assert hits / draws >= 0.93


def test_chance_alone_is_no_drift() -> None:
    """Two hundred columns from one distribution, 50 rows: their raw PSI passes 0.1 in most, and none has drifted."""
    random = np.random.default_rng(11)
    training = pa.table({f"c{i}": random.normal(size=500) for i in range(200)})
    sample = pa.table({f"c{i}": random.normal(size=50) for i in range(200)})
    result = run_check(get("drift.columns"), CheckInputs(sample, Roles(), training=training))
    assert sum((f.value or 0) > 0.1 for f in result.figures if f.key == "psi") > 100
    assert result.figure("drifted_columns").value == 0


def shifted(columns: int) -> CheckInputs:
    """The first column moved somewhat; the others did not."""
    random = np.random.default_rng(5)
    training = {f"c{i}": random.normal(size=300) for i in range(columns)}
    sample = {f"c{i}": random.normal(0.45 if i == 0 else 0.0, size=80) for i in range(columns)}
    return CheckInputs(pa.table(sample), Roles(), training=pa.table(training))


def row_of(inputs: CheckInputs, **params: Any) -> dict[str, Any]:
    (table,) = (one for one in run_check(get("drift.columns"), inputs, params).tables if one.key == "drift")
    (row,) = (row for row in table.rows if row[0] == "c0")
    return dict(zip((key for key, _ in table.columns), row, strict=True))


def test_a_column_has_drifted_by_its_size_beyond_chance_and_by_its_test() -> None:
    inputs = shifted(1)
    row = row_of(inputs)
    size, raw, p = row["psi_corrected"], row["psi"], row["p"]
    assert 0.1 < size < raw
    assert p < 0.05
    assert row["drifted"]
    assert row_of(inputs, psi_line=size * 0.999)["drifted"]
    assert not row_of(inputs, psi_line=size)["drifted"]  # above the line, not on it
    assert not row_of(inputs, psi_line=(size + raw) / 2)["drifted"]
    assert row_of(inputs, alpha=p)["drifted"]
    assert not row_of(inputs, alpha=p * 0.999)["drifted"]


def test_the_test_of_a_column_is_adjusted_for_the_others() -> None:
    among = row_of(shifted(8))
    raw = [
        run_check(get("drift.columns"), CheckInputs(inputs.data.select([name]), Roles(), training=inputs.training.select([name])))
        .tables[0].rows[0][-2]
        for inputs in [shifted(8)] if inputs.data is not None and inputs.training is not None
        for name in inputs.data.column_names
    ]  # fmt: skip
    assert among["p"] == pytest.approx(stats.false_discovery_control([float(p or 0) for p in raw])[0], rel=1e-12)
    assert float(raw[0] or 0) * 2 < among["p"]
    between = (float(raw[0] or 0) + among["p"]) / 2
    assert not row_of(shifted(8), alpha=between)["drifted"]


def test_the_second_year_of_the_bicycles_has_drifted() -> None:
    with reference("bike_sharing_hour.csv").open() as handle:
        rows = pd.read_csv(handle)
    columns = ["temp", "hum", "windspeed", "cnt", "hr", "weekday"]
    years = [pa.Table.from_pandas(rows.loc[rows["yr"] == year, columns], preserve_index=False) for year in (0, 1)]
    result = run_check(get("drift.columns"), CheckInputs(years[1], Roles(), training=years[0]))
    drifted = {row[0] for row in result.tables[0].rows if row[-1]}
    assert drifted == {"cnt"}
    raw = [rows.loc[rows["yr"] == year, "cnt"] for year in (0, 1)]
    assert result.figure("ks", attribute="cnt").value == pytest.approx(stats.ks_2samp(*raw).statistic, abs=1e-12)
    assert result.figure("wasserstein", attribute="cnt").value == pytest.approx(
        stats.wasserstein_distance(*raw) / raw[0].std(ddof=0), rel=1e-6
    )


def test_without_training_data_it_does_not_apply() -> None:
    result = run_check(get("drift.columns"), CheckInputs(pa.table({"x": [1, 2]}), Roles()))
    assert "training data is not registered" in result.not_applicable
    assert not result.figures


@pytest.mark.parametrize(
    ("training", "sample", "code"),
    [
        (pa.table({"y": [1]}), pa.table({"x": [1]}), "data.columns_differ"),
        (pa.table({"x": ["a"]}), pa.table({"x": [1]}), "data.type"),
        (pa.table({"x": [[1]]}), pa.table({"x": [[1]]}), "data.type"),
        (pa.table({"x": pa.array([], pa.int64())}), pa.table({"x": [1]}), "data.empty"),
        (pa.table({"x": [1]}), pa.table({"x": pa.array([], pa.int64())}), "data.empty"),
    ],
)
def test_bad_tables_are_refused(training: pa.Table, sample: pa.Table, code: str) -> None:
    with pytest.raises(CheckError) as error:
        run_check(get("drift.columns"), CheckInputs(sample, Roles(), training=training))
    assert error.value.code == code


@pytest.mark.parametrize("sample", [[float("nan")] * 3, [float("inf")] * 3, [1e300, -1e300, 0.0]])
def test_odd_numbers_give_figures_not_errors(sample: list[float]) -> None:
    result = drift([1.0, 2.0, 3.0], sample)
    assert result.figure("psi").value is not None


def test_a_later_run_reuses_the_recorded_bins() -> None:
    random = np.random.default_rng(5)
    first = drift(random.normal(size=2000), random.normal(0.5, 1, size=500))
    (row,) = next(table for table in first.tables if table.key == "edges").rows
    other = random.normal(2, 3, size=700)
    again = drift(other, random.normal(0.5, 1, size=500), edges=[row[1]])
    counted = [row[2] for row in again.tables[1].rows]
    ends = [float(end) for end in str(row[1]).partition(":")[2].split(",")]
    assert counted == np.histogram(other, [-np.inf, *np.nextafter(ends, np.inf), np.inf])[0].tolist()
    assert next(table for table in again.tables if table.key == "edges").rows == ((row[0], row[1]),)


@pytest.mark.parametrize("text", ["x", "x: b", "x: 2, 1", ": 1", "x: nan", "nothing: 1", "x: inf"])
def test_bins_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(CheckError) as error:
        drift([1.0, 2.0], [1.0], edges=[text])
    assert error.value.code == "params.value"


@pytest.mark.parametrize(("n", "m"), [(30_000, 30_000), (21_000, 20_000), (100, 200)])
@pytest.mark.parametrize("scaled", [0.3, 0.8, 1.36, 2.5])
def test_the_p_value_is_scipys(n: int, m: int, scaled: float) -> None:
    effective = n * m / (n + m)
    expected = stats.kstwo.sf(scaled / effective**0.5, round(effective))
    assert ks_p(scaled / effective**0.5, n, m) == pytest.approx(expected, abs=2e-6)


def test_live_data_predictions_and_the_label_are_compared_alike() -> None:
    random = np.random.default_rng(3)
    score = random.random(600)
    data = pa.table({"y": random.integers(0, 2, 600), "x": random.normal(size=600), "key": np.arange(600)})
    moved = pa.table({"y": np.ones(300, dtype="int64"), "x": random.normal(3, 1, size=300), "key": np.arange(300)})
    inputs = CheckInputs(
        data, Roles("y", id="key"), pa.table({"score": score, "prediction": (score > 0.5).astype("int64")}),
        training=moved, live_data=moved,
        training_predictions=pa.table({"score": random.random(300) ** 3, "prediction": np.zeros(300, dtype="int64")}),
    )  # fmt: skip
    drifted = {}
    for use in ("drift.columns", "drift.live", "drift.predictions", "drift.label"):
        result = run_check(get(use), inputs)
        drifted[use] = {row[0] for row in result.tables[0].rows if row[-1]}
        assert len(result.pictures) == 2
    assert drifted == {
        "drift.columns": {"x"}, "drift.live": {"x"}, "drift.predictions": {"score", "prediction"}, "drift.label": {"y"},
    }  # fmt: skip
    apart = run_check(get("drift.live_classifier"), inputs).figure("domain_auc").value
    assert apart is not None
    assert apart > 0.95


@pytest.mark.parametrize("use", ["drift.live", "drift.live_classifier", "drift.predictions", "drift.label"])
def test_without_anything_to_compare_with_it_does_not_apply(use: str) -> None:
    data = pa.table({"x": [1, 2], "y": [0, 1]})
    inputs = CheckInputs(data, Roles("y"), pa.table({"score": [0.1, 0.2]}))
    assert run_check(get(use), inputs).not_applicable


def test_a_word_of_few_rows_is_not_shown() -> None:
    bins = drift(["often"] * 50 + ["one person"], ["often"] * 50).tables[1].rows
    assert [row[1] for row in bins] == ["often", "(all others)"]


def test_a_reference_of_many_rows_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(9)
    training, sample = random.normal(size=3000).round(2), random.normal(0.3, 1, size=500).round(2)
    whole = drift(training, sample)
    monkeypatch.setattr(cells, "_LARGE", 256)
    parts = drift(training, sample)
    expected = stats.ks_2samp(training, sample).statistic
    assert whole.figure("ks").value == pytest.approx(expected, abs=1e-12)
    assert parts.figure("ks").value == pytest.approx(expected, abs=0.01)
    assert parts.figure("wasserstein").value == pytest.approx(whole.figure("wasserstein").value or 0, rel=0.02)


def test_many_words_have_cells_for_the_most_frequent() -> None:
    training = [f"w{i}" for i in range(1500)] + [f"w{i}" for i in range(1000)] * 2
    result = drift(training, [f"w{i}" for i in range(1500)])
    assert result.figure("psi").value == pytest.approx(
        psi(np.array([[3] * 1000 + [500], [1] * 1000 + [500]])), rel=1e-9
    )


def test_the_alerts_of_nannyml() -> None:
    """NannyML's quick start on the American Community Survey: in how many of 42 chunks the distance is above its line."""
    published = json.loads(reference("published_figures.json").read_text())["nannyml_acs"]["alerts"]
    with gzip.open(reference("acs_employment_ma_2015_2018.csv.gz")) as handle:
        rows = pd.read_csv(handle)
    before, after = (rows.loc[rows["period"] == one, list(published)] for one in ("reference", "analysis"))
    known = pa.Table.from_pandas(before, preserve_index=False)
    ends = np.nextafter(np.histogram_bin_edges(before["AGEP"], "doane")[1:-1], -np.inf)
    params = {"edges": [f"AGEP: {', '.join(map(repr, map(float, ends)))}"], "resolution": 256, "bins": 2}

    def distances(frame: pd.DataFrame, least: int = 1) -> pd.DataFrame:
        made = []
        for start in range(0, len(frame) - least + 1, 5000):
            chunk = pa.Table.from_pandas(frame.iloc[start : start + 5000], preserve_index=False)
            result = run_check(get("drift.columns"), CheckInputs(chunk, Roles(), training=known), params)
            made.append({one.attribute: one.value for one in result.figures if one.key == "js_distance"})
        return pd.DataFrame(made)

    own = distances(before, 5000)
    line = own.mean() + 3 * own.std(ddof=0)
    assert (distances(after) > line).sum().to_dict() == published


def test_the_step_up_rule_is_scipys() -> None:
    ps = [0.01, 0.04, 0.03, 0.5, 0.9]
    assert benjamini_hochberg(ps) == pytest.approx(list(stats.false_discovery_control(ps)))
    assert benjamini_hochberg([None, 0.02]) == [None, 0.02]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from([0.0, -0.0, 1e-12, 1e12, -5.5]), st.floats(-100, 100)), min_size=1, max_size=80),
    st.lists(st.one_of(st.sampled_from([0.0, 1e-12, 1e300, -1e300, 1e12]), st.floats(-200, 200)), max_size=80),
)
def test_the_sample_is_counted_alike_sorted_and_unsorted(training: list[float], sample: list[float]) -> None:
    table = pa.table({"x": pa.array(training, pa.float64())})
    reference_cells = cells.of_reference(table, ["x"], categories=0, resolution=16, given={})
    (one,) = cells.frozen(reference_cells)
    values = np.array(sample, dtype="float64")
    for side in (cells.SAMPLE, cells.REFERENCE):
        assert cells._unsorted(side, one, values).equals(cells._numbers(side, one, np.sort(values)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), kind=st.sampled_from(["normal", "lognormal", "few"]))
def test_of_many_rows_the_statistic_is_short_by_no_more_than_is_said(seed: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    drawn = {
        "normal": random.normal(size=5000),
        "lognormal": random.lognormal(sigma=3, size=5000),
        "few": random.poisson(30, size=5000) / 7,
    }[kind]
    training, sample = drawn[:3000], drawn[3000:] * 1.05
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_SORTED", 1000)
        patch.setattr(cells, "_LOOKED", 500)
        made = cells.of_reference(pa.table({"x": training}), ["x"], categories=0, resolution=64, given={})
        state = pa.concat_tables([made, cells.of_sample(pa.table({"x": sample}), made)])
    (found,) = measured(state, 10, {})
    exact = stats.ks_2samp(training, sample).statistic
    assert found.ks is not None
    assert found.ks <= exact + 1e-12
    assert exact <= found.ks + found.ks_short + 1e-12
    assert found.reference == 3000
