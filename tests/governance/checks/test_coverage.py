"""Nominal 95 % intervals hold the truth about that often in samples of 30: a few samples here, thousands in the benchmark."""

from __future__ import annotations

import pytest

from benchmarks.checks.coverage import SCENARIOS, Scenario, covered

SAMPLES = 150
LEAST = 0.87
"""Three standard errors below 93 % in 150 samples."""
MOST_MISSES = {"lognormal errors, one": 0.35}
"""Of samples of thirty, more than half of which are given no interval of RMSE: what the limits of the results say."""
MENDED = {
    "Laplace errors": ("rmse", "mae", "r2"), "skewed errors": ("rmse", "mae", "r2"),
    "rare positives": ("log_loss", "brier", "lift"), "ranking": ("ndcg", "map"),
    "a rare class": ("balanced_accuracy", "macro_f1", "weighted_f1"), "unlike classifiers": ("macro_f1_difference",),
    "two classifiers": ("macro_f1_difference",),
}  # fmt: skip
"""Figures that a plain bootstrap or a plain normal interval misses; looked at in more samples."""
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if one.name != "weighted"], ids=lambda one: str(one.name)
)
def test_intervals_hold_the_truth_in_samples_of_thirty(scenario: Scenario) -> None:
    for key, one in covered(
        scenario, 30, samples=SAMPLES, large=100_000 if scenario.large > 100_000 else 20_000
    ).items():
        assert one.samples + one.withheld >= 0.8 * SAMPLES, key
        assert 1 - one.missed >= 1 - MOST_MISSES.get(scenario.name, 1 - LEAST), (key, one.said)


def test_withheld_intervals_are_counted_and_told() -> None:
    found = covered(BY_NAME["lognormal errors, one"], 30, samples=40, large=100_000)["rmse"]
    assert 10 <= found.withheld <= 35
    assert found.samples + found.withheld == 40
    assert found.missed == pytest.approx((found.samples - found.held) / 40)
    assert "withheld" in found.said
    assert "withheld" not in covered(BY_NAME["normal errors"], 30, samples=10, large=10_000)["rmse"].said


@pytest.mark.parametrize("name", sorted(MENDED))
def test_what_plain_methods_miss_holds_in_more_samples_of_thirty(name: str) -> None:
    scenario = BY_NAME[name]
    large = min(scenario.large, 50_000) if scenario.use != "performance.ranking" else 30_000
    found = covered(scenario, 30, samples=300, seed=1, large=large)
    for key in MENDED[name]:
        assert found[key].share >= 0.885, (key, found[key].share)  # three standard errors below 93 %


def test_weighted_intervals_hold_the_truth_in_samples_of_a_hundred() -> None:
    for key, one in covered(BY_NAME["weighted"], 100, samples=SAMPLES, large=100_000).items():
        assert one.share >= LEAST, (key, one.share)


def test_the_same_seed_gives_the_same_coverage() -> None:
    first, again = (covered(BY_NAME["three classes"], 30, samples=20, large=1000) for _ in range(2))
    assert first == again
