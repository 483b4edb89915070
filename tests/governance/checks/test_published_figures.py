"""Published figures, to the printed digit, from the shared reference data."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from tests.governance.checks.tables import fairness, reference


def ratios(counts: dict[str, tuple[int, int]]) -> dict[str, float]:
    """Selection ratios of groups given as (selected, n); the reference is 1."""
    decision, group = [], []
    for name, (selected, n) in counts.items():
        decision += [1] * selected + [0] * (n - selected)
        group += [name] * n
    result = fairness([1] * len(group), decision, group)
    table = next(table for table in result.tables if table.key == "groups:group")
    keys = [key for key, _ in table.columns]
    return {str(row[keys.index("group")]): float(row[keys.index("ratio")] or 0) for row in table.rows}


def test_the_worked_example_of_local_law_144() -> None:
    """6 RCNY 5-301(b): sex, race/ethnicity and the fourteen intersections."""
    counts: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    printed: dict[tuple[str, str], str] = {}
    with reference("ll144_dcwp_rule_example_selection.csv").open() as handle:
        for row in csv.DictReader(handle):
            counts[row["table"]][row["category"]] = int(row["selected"]), int(row["applicants"])
            printed[row["table"], row["category"]] = row["published_impact_ratio"]
    assert sum(len(groups) for groups in counts.values()) == 23
    for table, groups in counts.items():
        for name, ratio in ratios(groups).items():
            digits = len(printed[table, name].partition(".")[2])
            assert round(ratio, digits) == float(printed[table, name]), (table, name)


def test_the_firefighters_of_ricci() -> None:
    """557 U.S. 557 (2009): pass counts by position and race, and the impact ratios that follow."""
    with reference("ricci.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    published = json.loads(reference("published_figures.json").read_text())["ricci"]["pass_n"]
    for position, expected in published.items():
        here = [row for row in rows if row["Position"].strip() == position]
        made = ratios({race: (passed, n) for race, (passed, n) in expected.items()})
        decision = [int(float(row["Combine"]) >= 70) for row in here]
        result = fairness([1] * len(here), decision, [row["Race"].strip() for row in here])
        table = result.tables[0]
        assert {row[1]: [row[4], row[2]] for row in table.rows} == expected
        black = {"Captain": 0.586, "Lieutenant": 0.543}[position]
        assert round(made["B"], 3) == black
        assert result.figure("selection_rate_ratio", group="B").value == pytest.approx(made["B"], abs=1e-12)


def test_the_disparate_impact_of_adult() -> None:
    """AIF360's notebook: 70 % split by seed, label rate of women over men."""
    published = json.loads(reference("published_figures.json").read_text())["adult_aif360"]
    with gzip.open(reference("adult.csv.gz")) as handle:
        rows = pd.read_csv(handle, skipinitialspace=True, na_values="?").dropna()
    assert len(rows) == published["rows_dropna"]
    train, _ = train_test_split(np.arange(len(rows)), train_size=0.7, random_state=1234567)
    part = rows.iloc[train]
    label = part["class"].astype(str).str.contains(">50K").astype(int).tolist()
    result = fairness(label, label, part["sex"].astype(str).tolist())
    assert result.figure("selection_rate_ratio").value == pytest.approx(published["di_train_sex"], abs=1e-12)


def test_fairlearns_user_guide() -> None:
    guide = json.loads(reference("published_figures.json").read_text())["fairlearn_docs"]
    result = fairness(guide["y_true"], guide["y_pred"], guide["sf"])
    keys = [key for key, _ in result.tables[0].columns]
    for row in result.tables[0].rows:
        expected = guide["by_group"][row[1]]
        assert row[2] == expected["count"]
        for ours, theirs in (("tpr", "tpr"), ("fpr", "fpr"), ("rate", "sel")):
            assert float(row[keys.index(ours)] or 0) == pytest.approx(expected[theirs], abs=1e-6)
    found = min(f.value for f in result.figures if f.key == "selection_rate_ratio" and f.value is not None)
    assert found == pytest.approx(guide["demographic_parity_ratio"], abs=1e-12)
    found = max(f.value for f in result.figures if f.key == "equalised_odds_difference" and f.value is not None)
    assert found == pytest.approx(max(guide["difference"]["tpr"], guide["difference"]["fpr"]), abs=1e-6)
