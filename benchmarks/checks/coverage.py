"""How often nominal 95 % intervals of the performance checks hold the truth, down to samples of 30: it should be 93 to 97 %.

``python -m benchmarks.checks.coverage [--quick]``. Samples are drawn from known populations; the truth is the figure of
one million rows (or 60,000 queries). Seeded: the same numbers every time, on every machine. Where intervals were
withheld, their share is printed beside the coverage of the others, and how many samples of a hundred have one that misses.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.report import Report
from governance.checks import CheckError, CheckInputs, Figure, Roles, get, run_check

SIZES = (30, 100, 400)
LOW, HIGH = 0.93, 0.97
INSUFFICIENT = "Insufficient data"
Random = np.random.Generator
ITEMS = 8


@dataclass(frozen=True)
class Scenario:
    """A population, the check that is run on samples of it, and the figures whose intervals are looked at."""

    name: str
    use: str
    draw: Callable[[Random, int], CheckInputs]
    figures: tuple[str, ...]
    params: Mapping[str, Any]
    large: int = 1_000_000


@dataclass(frozen=True)
class Covered:
    """How many intervals of how many samples held the truth; samples without an interval are not among them.

    ``withheld``: samples with a figure whose interval the check did not give.
    """

    held: int
    samples: int
    withheld: int = 0

    @property
    def share(self) -> float:
        """The coverage."""
        return self.held / self.samples if self.samples else float("nan")

    @property
    def missed(self) -> float:
        """The share of all samples that were given an interval which does not hold the truth."""
        all_of = self.samples + self.withheld
        return (self.samples - self.held) / all_of if all_of else float("nan")

    @property
    def said(self) -> str:
        """Coverage; where intervals were withheld also their share and that of the misses."""
        mark = "" if LOW <= self.share <= HIGH else " !"
        if not self.withheld:
            return f"{self.share:.1%}{mark}"
        withheld = self.withheld / (self.samples + self.withheld)
        return f"{self.share:.1%}{mark} (withheld {withheld:.1%}, misses {self.missed:.1%})"


def covered(scenario: Scenario, n: int, *, samples: int, seed: int = 0, large: int | None = None) -> dict[str, Covered]:
    """By figure: how often the interval held the truth."""
    truth = {
        key: figure.value for key, figure in _run(scenario, np.random.default_rng([seed, 0]), large or scenario.large)
    }
    held, made, without = (dict.fromkeys(scenario.figures, 0) for _ in range(3))
    random = np.random.default_rng([seed, n])
    for _ in range(samples):
        try:
            figures = list(_run(scenario, random, n))
        except CheckError:
            continue  # a sample of one class; nobody is shown an interval then
        for key, figure in figures:
            true = truth[key]
            without[key] += figure.value is not None and figure.ci_low is None and figure.note.startswith(INSUFFICIENT)
            if true is None or figure.ci_low is None or figure.ci_high is None:
                continue
            made[key] += 1
            held[key] += figure.ci_low - 1e-12 <= true <= figure.ci_high + 1e-12
    return {key: Covered(held[key], made[key], without[key]) for key in scenario.figures}


def _run(scenario: Scenario, random: Random, n: int) -> Iterable[tuple[str, Figure]]:
    result = run_check(get(scenario.use), scenario.draw(random, n), scenario.params)
    return [(key, result.figure(key)) for key in scenario.figures]


def _expit(z: np.ndarray) -> np.ndarray:
    made: np.ndarray = 1 / (1 + np.exp(-z))
    return made


def binary(base: float, spread: float, slope: float, *, weighted: bool = False) -> Callable[[Random, int], CheckInputs]:
    """Log odds are normal around ``base``; scores have ``slope`` times the true log odds."""

    def draw(random: Random, n: int) -> CheckInputs:
        odds = base + spread * random.normal(size=n)
        data = {"y": (random.random(n) < _expit(odds)).astype("int64")}
        if weighted:
            data["w"] = random.uniform(0.5, 2, n)
        roles = Roles("y", weight="w" if weighted else None)
        return CheckInputs(pa.table(data), roles, pa.table({"score": _expit(slope * odds)}))

    return draw


def regression(errors: Callable[[Random, int], np.ndarray]) -> Callable[[Random, int], CheckInputs]:
    """Half of the label's variance is explained, for errors of variance 1."""

    def draw(random: Random, n: int) -> CheckInputs:
        said = random.normal(size=n)
        return CheckInputs(pa.table({"y": said + errors(random, n)}), Roles("y"), pa.table({"prediction": said}))

    return draw


def _lognormal(random: Random, n: int, sigma: float) -> np.ndarray:
    """Around their mean, with variance 1."""
    square = sigma**2
    made: np.ndarray = (random.lognormal(0, sigma, n) - np.exp(square / 2)) / np.sqrt(np.expm1(square) * np.exp(square))
    return made


def _contaminated(random: Random, n: int) -> np.ndarray:
    """Normal errors, of which one in twenty is three times as large (J. W. Tukey's)."""
    made: np.ndarray = random.normal(size=n) * np.where(random.random(n) < 0.05, 3, 1)
    return made


def classes(shares: tuple[float, ...], right: float) -> Callable[[Random, int], CheckInputs]:
    """Classes of those shares, decided right with one probability, else any class."""

    def draw(random: Random, n: int) -> CheckInputs:
        y = random.choice(len(shares), n, p=shares)
        said = np.where(random.random(n) < right, y, random.integers(0, len(shares), n))
        return CheckInputs(pa.table({"y": y}), Roles("y"), pa.table({"prediction": said}))

    return draw


def ranking(random: Random, n: int) -> CheckInputs:
    """Queries of eight items each, three of them relevant or more, with scores that know something."""
    label = random.integers(0, 3, (n, ITEMS))
    score = (label + 1.5 * random.normal(size=(n, ITEMS))).round(1)
    data = pa.table({"q": np.repeat(np.arange(n), ITEMS), "y": label.ravel()})
    return CheckInputs(data, Roles("y", id="q"), pa.table({"score": score.ravel()}))


def versions(random: Random, n: int) -> CheckInputs:
    """Two scores of the same rows, the first a little better."""
    y = random.integers(0, 2, n)
    known = y + random.normal(size=n)
    own, live = (_expit(2 * known - 1 + noise * random.normal(size=n)) for noise in (0.5, 1.0))
    return CheckInputs(pa.table({"y": y}), Roles("y"), pa.table({"score": own}), pa.table({"score": live}))


def two_regressions(random: Random, n: int) -> CheckInputs:
    """Two predictions of the same rows whose errors are related."""
    y, shared = random.normal(size=(2, n))
    own, live = (y + shared + noise * random.normal(size=n) for noise in (0.7, 1.0))
    return CheckInputs(pa.table({"y": y}), Roles("y"), pa.table({"prediction": own}), pa.table({"prediction": live}))


def two_classifiers(random: Random, n: int) -> CheckInputs:
    """Two decisions among three classes on the same rows."""
    y, wrong = random.integers(0, 3, (2, n))
    hard = random.random(n)
    own, live = (np.where(hard + 0.2 * random.random(n) < right, y, wrong) for right in (0.8, 0.7))
    return CheckInputs(pa.table({"y": y}), Roles("y"), pa.table({"prediction": own}), pa.table({"prediction": live}))


def unlike_classifiers(random: Random, n: int) -> CheckInputs:
    """The same, of versions that err on different rows."""
    y, wrong, other = random.integers(0, 3, (3, n))
    own, live = (np.where(random.random(n) < right, y, else_) for right, else_ in ((0.8, wrong), (0.7, other)))
    return CheckInputs(pa.table({"y": y}), Roles("y"), pa.table({"prediction": own}), pa.table({"prediction": live}))


def weighted(draw: Callable[[Random, int], CheckInputs]) -> Callable[[Random, int], CheckInputs]:
    """The same rows with weights that have nothing to do with them, spread fourfold: the truth stays what it is."""

    def drawn(random: Random, n: int) -> CheckInputs:
        made = draw(random, n)
        with_weights = [
            None if one is None else one.append_column("w", pa.array(random.uniform(0.5, 2, n)))
            for one in (made.data, made.training)
        ]
        roles = replace(made.roles, weight="w")
        return replace(made, data=with_weights[0], training=with_weights[1], roles=roles)

    return drawn


def both_sides(random: Random, n: int) -> CheckInputs:
    """As many training rows as test rows; the model knows more of the former."""
    test, train = versions(random, n), versions(random, n)
    return CheckInputs(
        test.data, Roles("y"), test.champion, training=train.data, training_predictions=train.predictions
    )


_BINARY = (
    "auc", "average_precision", "log_loss", "brier", "ece", "calibration_slope", "calibration_intercept", "lift",
    "accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1",
)  # fmt: skip
_CLASSES = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "kappa", "mcc")
_RANKING = ("ndcg", "map", "mrr", "recall")
_PAIRED = (
    "auc_difference",
    "average_precision_difference",
    "accuracy_difference",
    "brier_difference",
    "log_loss_difference",
)
_BY_SCORE, _BY_NUMBER = "performance.binary", "performance.regression"
_DECIDED = ("accuracy_difference", "macro_f1_difference")
_RATIOS = ("rmse_improvement", "mae_improvement")
_SIDES = ("auc_gap", "accuracy_gap", "log_loss_gap")
_FEW = {"draws": 300}
_WHOLE = {"bins": 1}
_ERRORS = ("rmse", "mae", "r2")
_SKEWED = regression(lambda random, n: random.exponential(size=n) - 1)
_NORMAL = regression(lambda random, n: random.normal(size=n))
_THREE = classes((0.4, 0.35, 0.25), 0.7)

SCENARIOS = (
    Scenario("calibrated", _BY_SCORE, binary(0, 1.5, 1), _BINARY, _FEW),
    Scenario("rare positives", _BY_SCORE, binary(-1.5, 1, 1), _BINARY, _FEW),
    Scenario("too extreme", _BY_SCORE, binary(-0.5, 1.5, 1.6), _BINARY, _FEW),
    Scenario("weighted", _BY_SCORE, binary(0, 1.5, 1, weighted=True), _BINARY, _FEW),
    Scenario("normal errors", _BY_NUMBER, _NORMAL, _ERRORS, _WHOLE),
    Scenario("uniform errors", _BY_NUMBER, regression(lambda r, n: r.uniform(-1.7, 1.7, n)), _ERRORS, _WHOLE),
    Scenario("Laplace errors", _BY_NUMBER, regression(lambda r, n: r.laplace(0, 0.7, n)), _ERRORS, _WHOLE),
    Scenario("skewed errors", _BY_NUMBER, _SKEWED, _ERRORS, _WHOLE),
    Scenario("gamma errors", _BY_NUMBER, regression(lambda r, n: r.gamma(4, 0.5, n) - 2), _ERRORS, _WHOLE),
    Scenario("lognormal errors, half", _BY_NUMBER, regression(lambda r, n: _lognormal(r, n, 0.5)), _ERRORS, _WHOLE),
    Scenario("lognormal errors, one", _BY_NUMBER, regression(lambda r, n: _lognormal(r, n, 1.0)), _ERRORS, _WHOLE),
    Scenario("Student's t (5) errors", _BY_NUMBER, regression(lambda r, n: r.standard_t(5, n)), _ERRORS, _WHOLE),
    Scenario("contaminated errors", _BY_NUMBER, regression(_contaminated), _ERRORS, _WHOLE),
    Scenario("weighted skewed errors", _BY_NUMBER, weighted(_SKEWED), _ERRORS, _WHOLE),
    Scenario("weighted regression", _BY_NUMBER, weighted(_NORMAL), _ERRORS, _WHOLE),
    Scenario("three classes", "performance.multiclass", _THREE, _CLASSES, {}),
    Scenario("a rare class", "performance.multiclass", classes((0.5, 0.4, 0.1), 0.7), _CLASSES, {}),
    Scenario("weighted classes", "performance.multiclass", weighted(_THREE), _CLASSES, {}),
    Scenario("ranking", "performance.ranking", ranking, _RANKING, {"k": 3}, large=60_000),
    Scenario("two scores", "compare.champion", versions, _PAIRED, {}),
    Scenario("two regressions", "compare.champion", two_regressions, _RATIOS, {"task": "regression"}),
    Scenario("weighted scores", "compare.champion", weighted(versions), _PAIRED, {}),
    Scenario("weighted classifiers", "compare.champion", weighted(two_classifiers), _DECIDED, {}),
    Scenario("two classifiers", "compare.champion", two_classifiers, _DECIDED, {}),
    Scenario("unlike classifiers", "compare.champion", unlike_classifiers, _DECIDED, {}),
    Scenario("weighted training and test", "performance.overfitting", weighted(both_sides), _SIDES, {}),
    Scenario("training and test", "performance.overfitting", both_sides, _SIDES, {}),
)  # fmt: skip


def main() -> int:
    """Print every coverage; the exit code says nothing, since what misses is told in the limits of the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few samples, to see that it runs")
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    samples = 40 if options.quick else options.samples
    report = Report()
    begun, outside, all_of = time.process_time(), 0, 0
    for scenario in SCENARIOS:
        if options.only not in scenario.name:
            continue
        report.heading(f"{scenario.use}: {scenario.name} ({samples} samples)")
        for n in options.sizes:
            found = covered(scenario, n, samples=samples, large=20_000 if options.quick else None)
            for one in found.values():
                all_of += 1
                outside += not LOW <= one.share <= HIGH
            print(f"n = {n}: " + "  ".join(f"{key} {one.said}" for key, one in found.items()), flush=True)
    report.heading(f"{all_of - outside} of {all_of} within {LOW:.0%} to {HIGH:.0%}")
    report.told("CPU", time.process_time() - begun, "s")
    report.table(peer="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
