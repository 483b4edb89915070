"""Nominal 95 % intervals hold the truth about that often in samples of 30: a few samples here, thousands in the benchmark."""

from __future__ import annotations

import pytest

from benchmarks.checks.coverage import SCENARIOS, Scenario, covered

SAMPLES = 150
LEAST = 0.87
"""Three standard errors below 93 % in 150 samples."""
KNOWN_SHORT = {("Laplace errors", "rmse"): 0.82, ("Laplace errors", "r2"): 0.86, ("a rare class", "balanced_accuracy"): 0.85,
               ("a rare class", "macro_f1"): 0.82}  # fmt: skip
"""What the limits of the results say of them."""
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if one.name != "weighted"], ids=lambda one: str(one.name)
)
def test_intervals_hold_the_truth_in_samples_of_thirty(scenario: Scenario) -> None:
    for key, one in covered(
        scenario, 30, samples=SAMPLES, large=100_000 if scenario.large > 100_000 else 20_000
    ).items():
        assert one.samples >= 0.8 * SAMPLES, key
        assert one.share >= KNOWN_SHORT.get((scenario.name, key), LEAST), (key, one.share)


def test_weighted_intervals_hold_the_truth_in_samples_of_a_hundred() -> None:
    for key, one in covered(BY_NAME["weighted"], 100, samples=SAMPLES, large=100_000).items():
        assert one.share >= LEAST, (key, one.share)


def test_the_same_seed_gives_the_same_coverage() -> None:
    first, again = (covered(BY_NAME["three classes"], 30, samples=20, large=1000) for _ in range(2))
    assert first == again
