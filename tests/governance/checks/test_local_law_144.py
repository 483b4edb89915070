"""The worked examples of 6 RCNY 5-301, table by table, with the rule's own traps."""

from __future__ import annotations

import csv
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from tests.governance.checks.tables import reference

Rows = list[tuple[dict[str, str | None], int, int]]
"""Categories, people, hits."""


def audit(rows: Rows, **params: object) -> CheckResult:
    """People as rows: hits have score 0.9, others 0.1."""
    names = list(rows[0][0])
    data: dict[str, list[str | None]] = {name: [] for name in names}
    score: list[float] = []
    for categories, n, hits in rows:
        for name in names:
            data[name] += [categories[name]] * n
        score += [0.9] * hits + [0.1] * (n - hits)
    inputs = CheckInputs(pa.table(data), Roles(sensitive=tuple(names)), pa.table({"score": score}))
    return run_check(get("fairness.ll144"), inputs, params)


def published(example: str) -> dict[str, dict[str, tuple[int, float, str]]]:
    """For each table: category → people, rate as printed, impact ratio as printed."""
    found: dict[str, dict[str, tuple[int, float, str]]] = defaultdict(dict)
    with reference(f"ll144_dcwp_rule_example_{example}.csv").open() as handle:
        for row in csv.DictReader(handle):
            n = int(row["applicants"])
            rate = float(row[f"published_{example}_rate"].rstrip("%"))
            found[row["table"]][row["category"]] = n, rate, row["published_impact_ratio"]
    return found


def ratios(result: CheckResult, title: str) -> dict[str, float]:
    table = next(table for table in result.tables if table.key == f"ll144:{title}")
    keys = [key for key, _ in table.columns]
    return {str(row[0]): float(row[keys.index("ratio")] or 0.0) for row in table.rows}


def same(found: float, printed: str) -> bool:
    return round(found, len(printed.partition(".")[2])) == float(printed)


def test_the_selection_example_has_the_printed_ratios() -> None:
    with reference("ll144_dcwp_rule_example_selection.csv").open() as handle:
        cells = [row for row in csv.DictReader(handle) if row["table"] == "intersectional"]
    rows: Rows = []
    for cell in cells:
        race, _, sex = cell["category"].partition(" / ")
        rows.append(({"race": race, "sex": sex}, int(cell["applicants"]), int(cell["selected"])))
    result = audit(rows)
    both = ratios(result, "race / sex")
    assert len(both) == 14
    assert all(same(both[cell["category"]], cell["published_impact_ratio"]) for cell in cells)
    assert same(ratios(result, "sex")["Female"], published("selection")["sex"]["Female"][2])
    small = result.figure("impact_ratio", attribute="race / sex", group="Native American or Alaska Native / Female")
    assert small.value is None
    assert small.note.startswith("Only 0.7% of the data (17 people)")
    assert same(both["Native American or Alaska Native / Female"], "0.789")
    judged = [f.value for f in result.figures if f.attribute == "race / sex" and f.value is not None]
    assert min(judged) > 0.8


@pytest.mark.parametrize("table", ["sex", "race_ethnicity", "intersectional"])
def test_the_scoring_example_has_the_printed_ratios(table: str) -> None:
    """The rates are printed to a tenth of a percent (one truncated), so the counts follow from them."""
    cells = published("scoring")[table]
    rows: Rows = [({"category": name}, n, round(n * rate / 100)) for name, (n, rate, _) in cells.items()]
    assert sum(hits for _, _, hits in rows) == 84
    found = ratios(audit(rows, rate="scoring"), "category")
    assert all(same(found[name], printed) for name, (_, _, printed) in cells.items())


def test_the_median_is_of_everybody_also_of_the_unknown() -> None:
    rows: Rows = [({"sex": "f"}, 40, 10), ({"sex": "m"}, 40, 30), ({"sex": None}, 20, 10)]
    result = audit(rows, rate="scoring")
    assert ratios(result, "sex") == {"f": pytest.approx(1 / 3), "m": 1.0}
    assert result.findings == ("sex: the category of 20 people is unknown; they are not in the table.",)


def test_a_small_category_is_nobodys_measure() -> None:
    rows: Rows = [({"sex": "f"}, 100, 40), ({"sex": "m"}, 100, 50), ({"sex": "x"}, 2, 2)]
    assert ratios(audit(rows), "sex") == {"f": pytest.approx(0.8), "m": 1.0, "x": pytest.approx(2.0)}


@pytest.mark.parametrize(
    ("men", "unknown", "judged"),
    [
        (58, 0, True),  # exactly 2 %: the rule excludes what is less
        (59, 0, False),
        (56, 2, True),  # of everybody, also of those whose category is unknown
        (56, 3, False),
    ],
)
def test_two_percent_are_of_all_the_data_and_are_enough(men: int, unknown: int, judged: bool) -> None:
    rows: Rows = [({"sex": "f"}, 40, 20), ({"sex": "m"}, men, 10), ({"sex": "x"}, 2, 2)]
    result = audit([*rows, ({"sex": None}, unknown, 0)] if unknown else rows)
    found = ratios(result, "sex")
    assert found["x"] == pytest.approx(1.0 if judged else 2.0)
    assert found["f"] == pytest.approx(0.5 if judged else 1.0)
    of_x = [one for one in result.figures if one.group == "x"]
    assert [one.value for one in of_x] == ([] if judged else [None])  # the measure itself has no figure


@pytest.mark.parametrize(("men", "value"), [(58, 0.0), (59, None)])
def test_two_percent_are_judged_also_where_they_fare_worst(men: int, value: float | None) -> None:
    rows: Rows = [({"sex": "f"}, 40, 20), ({"sex": "m"}, men, 10), ({"sex": "x"}, 2, 0)]
    assert audit(rows).figure("impact_ratio", group="x").value == value


def test_who_scored_the_median_did_not_score_above_it() -> None:
    data = pa.table({"sex": ["f", "f", "f", "m", "m"]})
    scores = pa.table({"score": [0.2, 0.5, 0.5, 0.5, 0.9]})
    result = run_check(get("fairness.ll144"), CheckInputs(data, Roles(sensitive=("sex",)), scores), {"rate": "scoring"})
    table = next(table for table in result.tables if table.key == "ll144:sex")
    assert [(row[0], row[1], row[2]) for row in table.rows] == [("f", 3, 0), ("m", 2, 1)]


def test_nobody_selected_and_one_category() -> None:
    assert (
        audit([({"sex": "f"}, 50, 0), ({"sex": "m"}, 50, 0)]).figure("impact_ratio").note
        == "Nobody was selected in any category."
    )
    assert audit([({"sex": "f"}, 50, 10)]).figure("impact_ratio").note == "There are not two categories."


def test_the_median_of_an_even_number_lies_between() -> None:
    scores = np.array([0.1, 0.2, 0.6, 0.9])
    data = pa.table({"sex": ["f", "f", "m", "m"]})
    inputs = CheckInputs(data, Roles(sensitive=("sex",)), pa.table({"score": scores}))
    assert ratios(run_check(get("fairness.ll144"), inputs, {"rate": "scoring"}), "sex") == {"f": 0.0, "m": 1.0}


def test_labels_alone_have_no_scoring_rate() -> None:
    inputs = CheckInputs(pa.table({"sex": ["f"]}), Roles(sensitive=("sex",)), pa.table({"prediction": [1]}))
    with pytest.raises(CheckError) as error:
        run_check(get("fairness.ll144"), inputs, {"rate": "scoring"})
    assert error.value.code == "data.scores_missing"
