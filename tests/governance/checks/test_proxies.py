"""Proxies of protected attributes and the domain classifier: what gives a group away, and what does not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from governance.checks import CheckError, CheckInputs, Roles, get, run_check
from governance.checks.rows.sampling import taken
from governance.checks.statistics.distances import cramers_v
from governance.checks.statistics.separable import told_apart


def people(n: int = 1500) -> pa.Table:
    """``height`` goes with sex, ``shoes`` and ``hair`` only together (both alike: f), ``luck`` not at all."""
    random = np.random.default_rng(4)
    sex = random.choice(["f", "m"], n)
    shoes = random.choice(["x", "y"], n)
    hair = np.where(sex == "f", shoes, np.where(shoes == "x", "y", "x"))
    return pa.table({
        "sex": sex, "height": np.where(sex == "f", 166, 179) + random.normal(0, 7, n), "shoes": shoes, "hair": hair,
        "luck": random.normal(size=n),
    })  # fmt: skip


def inputs(*features: str) -> CheckInputs:
    return CheckInputs(people(), Roles(sensitive=("sex",), features=features))


def test_one_input_gives_the_group_away() -> None:
    result = run_check(get("fairness.proxies"), inputs("height", "luck"))
    assert 0.85 < (result.figure("predictability", group="f").value or 0) < 0.95
    assert result.figure("strongest_association").group == "height"
    assert result.findings[1].startswith("“height” goes with sex most")


def test_two_inputs_together_give_it_away_though_neither_does() -> None:
    result = run_check(get("fairness.proxies"), inputs("shoes", "hair"))
    assert (result.figure("predictability", group="f").value or 0) > 0.99
    assert (result.figure("strongest_association").value or 0) < 0.1


def test_what_has_nothing_to_do_with_it_covers_a_half() -> None:
    figure = run_check(get("fairness.proxies"), inputs("luck")).figure("predictability", group="f")
    assert figure.ci_low is not None
    assert figure.ci_high is not None
    assert figure.ci_low < 0.53
    assert figure.ci_high > 0.47


def test_the_same_seed_gives_the_same_bits() -> None:
    first, again = (run_check(get("fairness.proxies"), inputs("height", "shoes")).to_json() for _ in range(2))
    assert first == again


def test_the_sensitive_column_itself_is_not_counted() -> None:
    result = run_check(get("fairness.proxies"), inputs("sex", "luck"))
    assert (result.figure("predictability", group="f").value or 1) < 0.6


def test_small_groups_are_not_told_apart() -> None:
    table = pa.table({"sex": ["f"] * 3 + ["m"] * 50, "x": list(range(53))})
    result = run_check(get("fairness.proxies"), CheckInputs(table, Roles(sensitive=("sex",), features=("x",))))
    assert result.figure("predictability", group="f").value is None
    assert "3 rows" in result.figure("predictability", group="f").note


def test_of_two_groups_that_are_all_rows_each_is_told_as_well_as_the_other() -> None:
    result = run_check(get("fairness.proxies"), inputs("height"))
    first, second = (result.figure("predictability", group=one) for one in ("f", "m"))
    assert (first.value, first.ci_low, first.ci_high) == (second.value, second.ci_low, second.ci_high)
    assert first.n + second.n == 1500


def test_the_interval_covers_a_half_as_often_as_it_says_where_nothing_can_be_told() -> None:
    random, draws, covered = np.random.default_rng(1), 100, 0
    kind = (np.arange(240) < 120).astype("int64")
    for seed in range(draws):
        found = told_apart(pa.table({name: random.normal(size=240) for name in "abc"}), kind, seed=seed)
        low, high = (found.interval() if found else None) or (1.0, 0.0)
        covered += low <= 0.5 <= high
    assert covered >= 0.9 * draws


def test_a_sample_is_said_to_be_one_and_not_all_of_the_rows() -> None:
    drawn = run_check(get("fairness.proxies"), inputs("height"), {"rows": 500, "seed": 7})
    assert "Measured on 500 of 1,500 rows, drawn at random with the seed 7" in " ".join(drawn.limits)
    assert "Measured on" not in " ".join(run_check(get("fairness.proxies"), inputs("height")).limits)
    both = CheckInputs(people(), Roles(), training=people(1400))
    limits = " ".join(run_check(get("drift.classifier"), both, {"rows": 400}).limits)
    assert "400 of 1,500 rows" in limits
    assert "400 of the 1,400 rows of training data" in limits


@pytest.mark.parametrize("key", ["fairness.proxies", "drift.classifier"])
def test_weights_that_are_not_used_are_named(key: str) -> None:
    table = people().append_column("w", pa.array(np.ones(1500)))
    roles = Roles(sensitive=("sex",), features=("height",), weight="w")
    assert "weights are not used" in " ".join(run_check(get(key), CheckInputs(table, roles, training=table)).limits)


def test_rows_are_taken_from_pieces_of_any_size() -> None:
    pieces = [people(size) for size in (70_000, 3, 65_536, 40_000)]
    table, places = pa.concat_tables(pieces), np.array([0, 69_999, 70_000, 70_001, 131_072, 175_538])
    assert taken(table, places).equals(table.take(pa.array(places)).combine_chunks())
    assert taken(table, places[:0]).num_rows == 0


def test_cramers_v_is_net_of_chance() -> None:
    random = np.random.default_rng(1)
    cells = np.zeros((2, 10), dtype="int64")
    np.add.at(cells, (random.integers(0, 2, 5000), random.integers(0, 10, 5000)), 1)
    assert (cramers_v(cells) or 0) < 0.05
    assert cramers_v(np.array([[50, 0], [0, 50]])) == pytest.approx(1.0)
    assert cramers_v(np.array([[50, 50]])) is None


def test_drift_that_no_single_column_shows_is_seen_by_the_classifier() -> None:
    random = np.random.default_rng(2)
    x = random.normal(size=2000)
    training = pa.table({"a": x, "b": x + random.normal(0, 0.2, 2000)})
    data = pa.table({"a": x, "b": -x + random.normal(0, 0.2, 2000)})
    both = CheckInputs(data, Roles(), training=training)
    assert run_check(get("drift.columns"), both).figure("drifted_columns").value == 0
    assert (run_check(get("drift.classifier"), both).figure("domain_auc").value or 0) > 0.9
    same = run_check(get("drift.classifier"), CheckInputs(training, Roles(), training=training)).figure("domain_auc")
    assert same.ci_low is not None
    assert same.ci_low < 0.53


def test_without_training_data_the_classifier_does_not_apply() -> None:
    assert run_check(get("drift.classifier"), CheckInputs(people(), Roles())).not_applicable


@pytest.mark.parametrize(
    ("roles", "code"),
    [
        (Roles(features=("height",)), "data.sensitive_missing"),
        (Roles(sensitive=("sex",)), "inputs.missing"),
        (Roles(sensitive=("gone",), features=("height",)), "data.sensitive_missing"),
        (Roles(sensitive=("sex",), features=("gone",)), "data.feature_missing"),
    ],
)
def test_bad_roles_are_refused(roles: Roles, code: str) -> None:
    with pytest.raises(CheckError) as error:
        run_check(get("fairness.proxies"), CheckInputs(people(50), roles))
    assert error.value.code == code
