"""Errors of a regression as exact sums: moments of error and label, over all rows and by quantile of the prediction.

How lopsided the errors are takes their order, so that ``prepared`` measures it before the rows are split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks.contract import CheckInputs
from governance.checks.results import CheckError
from governance.checks.rows import columns, weighting
from governance.checks.statistics import estimates, exact, tails
from governance.checks.statistics.intervals import Interval
from governance.checks.statistics.tails import Tails

LARGEST = 1e300
FEW = "Insufficient data: there are too few rows for an interval."
LOPSIDED = (
    "Insufficient data: the errors are so one-sided that an interval from these rows would be too short. With more rows there "
    "is one."
)


def predicted(inputs: CheckInputs, which: str = "predictions") -> pa.ChunkedArray:
    """What a regression predicts. Raises ``CheckError`` unless it is a finite number in every row."""
    table = getattr(inputs, which)
    column = table.column("prediction") if table is not None and "prediction" in table.column_names else None
    if column is None or not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise CheckError("data.predictions_invalid", "A regression must predict numbers.", "prediction")
    if column.null_count or not pc.all(pc.is_finite(column)).as_py():
        raise CheckError("data.predictions_invalid", "Some predictions are not finite numbers.", "prediction")
    return column


def doubles(values: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """As float64."""
    made: np.ndarray = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return made


def exponent_of(label: np.ndarray, *said: np.ndarray, name: str) -> int:
    """The power of two that all numbers are divided by, so that their fourth powers are numbers. Raises ``CheckError``."""
    largest = max(float(np.abs(one).max(initial=0.0)) for one in (label, *said))
    if largest > LARGEST:
        raise CheckError("data.label_huge", f"The label “{name}” or a prediction is above {LARGEST:g}.", name)
    return math.frexp(largest)[1]


def prepared(inputs: CheckInputs, bins: int) -> dict[str, Any]:
    """What every shard needs: the power of two, a middle of the label, the edges by quantile of the prediction, and the skew."""
    label, said = doubles(columns.number_label(inputs)), doubles(predicted(inputs))
    power = exponent_of(label, said, name=str(inputs.roles.label))
    quantiles = np.quantile(said, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf") if bins > 1 else []
    low, high = float(np.ldexp(label.min(), -power)), float(np.ldexp(label.max(), -power))
    centre = float(np.ldexp(np.partition(label, len(label) // 2)[len(label) // 2], -power))
    weight = None if inputs.roles.weight is None else weighting.units(inputs).to_numpy()
    skew = tails.skewness(np.ldexp(label, -power) - np.ldexp(said, -power), weight)
    edges = np.unique(quantiles).tolist()
    return {"power": power, "centre": min(max(centre, low), high), "edges": edges, "skew": skew}


def state(shard: CheckInputs) -> pa.Table:
    """The sums of one shard."""
    given = shard.prepared or {}
    power, edges = int(given["power"]), [float(edge) for edge in given["edges"]]
    said = doubles(predicted(shard))
    own = np.ldexp(said, -power)
    label = np.ldexp(doubles(columns.number_label(shard)), -power)
    weight = doubles(weighting.units(shard)) / weighting.UNIT
    error, middle = label - own, label - float(given["centre"])
    square, twice = error**2, weight**2
    quantities = {
        "n": np.ones(len(error)), "w": weight, "ww": twice, "we": weight * error, "wwe": twice * error,
        "ws": weight * square, "wws": twice * square, "wwss": twice * square**2,
        "wa": weight * np.abs(error), "wwa": twice * np.abs(error),
        "wp": weight * own, "wt": weight * middle, "wtt": weight * middle**2,
        "wwt": twice * middle, "wwtt": twice * middle**2, "wwttt": twice * middle**3, "wwtttt": twice * middle**4,
        "wwst": twice * square * middle, "wwstt": twice * square * middle**2,
    }  # fmt: skip
    constants: dict[str, list[float]] = {
        "power": [power], "centre": [float(given["centre"])], "edges": edges, "skew": [float(given["skew"])],
    }  # fmt: skip
    return exact.merged(
        [exact.summed(quantities, np.searchsorted(edges, said, side="left")), exact.constants(constants)]
    )


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval; ``value`` None where there is no such. ``note`` says why there is no interval."""

    value: float | None
    interval: Interval | None
    note: str = ""


class Errors:
    """The figures of the sums, of all rows or of one cell."""

    def __init__(self, sums: exact.Sums, cell: int | None = None) -> None:
        self._sums, self._cell = sums, cell
        self._power = int(sums.constants["power"][0])
        self.n = int(self._sum("n"))
        self.worth = float(self._sum("w") ** 2 / self._sum("ww"))

    def _sum(self, quantity: str) -> Fraction:
        return self._sums.of(quantity, self._cell)

    def _mean(self, quantity: str) -> Fraction:
        return self._sum(quantity) / self._sum("w")

    def _error(self, squares: Fraction) -> float:
        """Standard error from Σ w²·(off the mean)²."""
        widened = float(squares / self._sum("w") ** 2)
        return math.sqrt(max(0.0, widened) * self.n / (self.n - 1)) if self.n > 1 else 0.0

    def _back(self, value: float) -> float:
        return math.ldexp(value, self._power)

    @property
    def rmse(self) -> Estimate:
        """Root mean squared error."""
        mean = self._mean("ws")
        value = _root(mean)
        if self.worth <= 4 or self.n < 2:
            return Estimate(self._back(value), None, FEW)
        return self._with(value, tails.root_interval(value, self._tails(mean)))

    def _with(self, value: float, found: Interval | None) -> Estimate:
        """In units of the label."""
        if found is None:
            return Estimate(self._back(value), None, LOPSIDED)
        return Estimate(self._back(value), (self._back(found[0]), self._back(found[1])))

    def _tails(self, mean: Fraction) -> Tails:
        """Of the errors, whose squares have that mean, around zero."""
        if not mean:
            return Tails(1.0, 1.0, 0.0, 0.0, self.worth)
        root = _root(mean)
        sample = float(self._sum("wwss") / self._sum("ww") / mean**2)
        skew = self._sums.constants["skew"][0]
        return Tails(sample, float(self._mean("wa")) / root, float(self._mean("we")) / root, skew, self.worth)

    @property
    def mae(self) -> Estimate:
        """Mean absolute error."""
        mean = self._mean("wa")
        if self.n < 2:
            return Estimate(self._back(float(mean)), None, FEW)
        error = self._error(self._sum("wws") - 2 * mean * self._sum("wwa") + mean**2 * self._sum("ww"))
        return self._with(float(mean), tails.size_interval(float(mean), error, self._tails(self._mean("ws"))))

    @property
    def r2(self) -> Estimate:
        """Share of the label's variance that is explained; None where the label does not vary."""
        centre, mean = self._mean("wt"), self._mean("ws")
        spread = self._mean("wtt") - centre**2
        if spread <= 0 or self.n < 2:
            return Estimate(None, None)
        left = float(mean / spread)
        if self.worth <= 3 or not mean:
            return Estimate(1 - left, None, FEW if mean else "")
        shape = self._tails(mean)
        if shape.squares_fail:
            return Estimate(1 - left, None, LOPSIDED)
        of_squares = self._sum("wwss")
        both = self._sum("wwstt") - 2 * centre * self._sum("wwst") + centre**2 * self._sum("wws")
        of_spread = (
            self._sum("wwtttt") - 4 * centre * self._sum("wwttt") + 6 * centre**2 * self._sum("wwtt")
            - 4 * centre**3 * self._sum("wwt") + centre**4 * self._sum("ww")
        )  # fmt: skip
        both_vary = of_squares / mean**2 - 2 * both / (mean * spread) + of_spread / spread**2
        widened = left * math.sqrt(self.worth / (self.worth - 3))

        def ends(heavy: float) -> Interval:
            """With tails that are heavier than the sample's own moment."""
            more = max(Fraction(heavy) - of_squares / self._sum("ww") / mean**2, Fraction(0)) * self._sum("ww")
            return estimates.positive(left, widened * self._error(both_vary + more), self.worth - 1)

        return Estimate(1 - left, (1 - ends(shape.skewed)[1], 1 - ends(shape.shown)[0]))

    @property
    def bias(self) -> Estimate:
        """Mean residual: label minus prediction."""
        mean = self._mean("we")
        if self.n < 2:
            return Estimate(self._back(float(mean)), None)
        error = self._error(self._sum("wws") - 2 * mean * self._sum("wwe") + mean**2 * self._sum("ww"))
        low, high = estimates.around(float(mean), error, self.worth - 1)
        return Estimate(self._back(float(mean)), (self._back(low), self._back(high)))

    @property
    def prediction(self) -> float:
        """The mean prediction."""
        return self._back(float(self._mean("wp")))

    @property
    def label(self) -> float:
        """The mean label."""
        return self._back(float(self._mean("wt") + Fraction(self._sums.constants["centre"][0])))


def _root(value: Fraction) -> float:
    """√ of a fraction that may be too small for a double."""
    if not value:
        return 0.0
    shift = (value.numerator.bit_length() - value.denominator.bit_length()) // 2
    scaled = value * Fraction(4) ** -shift
    return math.ldexp(math.sqrt(float(scaled)), shift)
