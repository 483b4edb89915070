"""``fairness.flip_test``: whether a group's nearest neighbours among all others were decided otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from governance.checks import pictures as drawing
from governance.checks.contract import CheckInputs, Params
from governance.checks.fairness.comparisons import too_few
from governance.checks.fairness.groups import check_sensitive
from governance.checks.manifests.fairness import FLIP_TEST
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rowless import WholeCheck
from governance.checks.rows import columns
from governance.checks.rows.sampling import features_of, is_number, numbers_of, sample
from governance.checks.statistics.intervals import Interval, Z, wilson

_SPECS = {spec.key: spec for spec in FLIP_TEST.figures}
MOST_CATEGORIES = 50


@dataclass(frozen=True, slots=True)
class FlipTestParams(Params):
    """``rows`` of the data are used, the ``neighbours`` that vote are odd in number; ``min_group``: rows on either side."""

    threshold: float = 0.5
    neighbours: int = 5
    min_group: int = 20
    rows: int = 20_000
    seed: int = 0

    def check(self) -> None:
        if not 0 < self.threshold < 1:
            raise CheckError("params.value", "The parameter “threshold” must lie between 0 and 1.")
        if not 1 <= self.neighbours <= 99 or self.neighbours % 2 == 0:
            raise CheckError("params.value", "“neighbours” must be an odd number from 1 to 99.")
        if self.min_group < self.neighbours or not 100 <= self.rows <= 200_000 or self.seed < 0:
            raise CheckError(
                "params.value", "“min_group” is at least “neighbours”, “rows” 100 to 200000, “seed” not negative."
            )


class FlipTest(WholeCheck):
    """Each group of each sensitive column against all others, on a seeded sample of the rows."""

    manifest = FLIP_TEST
    params = FlipTestParams

    def validate(self, inputs: CheckInputs) -> None:
        check_sensitive(inputs)
        columns.check_predictions(inputs)
        if not [name for name in features_of(inputs) if name not in inputs.roles.sensitive]:
            raise CheckError(
                "inputs.missing", "Besides the sensitive columns there is no feature to find neighbours by."
            )

    def finish(self, state: pa.Table, inputs: CheckInputs, params: FlipTestParams) -> CheckResult:
        names = [name for name in features_of(inputs) if name not in inputs.roles.sensitive]
        # Cut both tables to the columns needed, then take the same rows of each.
        data = columns.rows_of(inputs).select(list(dict.fromkeys([*names, *inputs.roles.sensitive])))
        decided = pa.table({"decision": columns.decisions(inputs, params.threshold)})
        data, decided = (sample(table, params.rows, params.seed) for table in (data, decided))
        decision = decided.column("decision").to_numpy()
        places = _places(data, names)
        figures: list[Figure] = []
        rows: list[tuple[Cell, ...]] = []
        pictures: list[Picture] = []
        for attribute in inputs.roles.sensitive:
            group = np.array(columns.groups(data, attribute).to_pylist())
            own: list[Figure] = []
            for one in sorted(set(group.tolist()) - {columns.UNKNOWN}):
                found, row = _against_others(places, decision, group == one, (attribute, one), params)
                own += found
                rows.append(row)
            figures += own or _nobody(attribute)
            pictures += _pictures(attribute, own)
        labels = (
            ("attribute", "Attribute"), ("group", "Group"), ("n", "Rows"), ("plus", "Rejected, neighbours accepted"),
            ("minus", "Accepted, neighbours rejected"), ("ft", "FT"), ("low", "Low"), ("high", "High"),
        )  # fmt: skip
        return CheckResult(
            FLIP_TEST.key, FLIP_TEST.version, params.as_dict(), data.num_rows, tuple(figures),
            (Table("flips", "Decisions that neighbours would turn", labels, tuple(rows)),), tuple(pictures),
            findings=tuple(_findings(figures)),
            limits=(
                "Neighbours are near by the inputs as they are: inputs that stand for the group hide what the test looks for.",
                "Clarify takes numbers as they are; here each is divided by its standard deviation, so that no unit decides.",
                "Rows count alike, whatever their weight.",
            ),
            facts={"inputs": len(names), "sample": data.num_rows},
        )  # fmt: skip


def _places(data: pa.Table, names: list[str]) -> np.ndarray:
    """Every row as a point: numbers over their standard deviation, categories as columns of 0 and 1."""
    made: list[np.ndarray] = []
    for name in names:
        kind = data.schema.field(name).type
        if is_number(kind):
            values = numbers_of(data, name)
            finite = np.isfinite(values)
            middle = float(np.median(values[finite])) if finite.any() else 0.0
            spread = float(np.std(values[finite])) if finite.any() else 0.0
            made.append(np.where(finite, values - middle, 0.0) / (spread or 1.0))
            if not finite.all():
                made.append((~finite).astype("float64"))
            continue
        words, at = np.unique(np.array(columns.groups(data, name).to_pylist()), return_inverse=True)
        if len(words) <= MOST_CATEGORIES:
            made += [(at == number) / math.sqrt(2) for number in range(len(words))]
    if not made:
        raise CheckError("inputs.missing", "No feature has an order, nor few enough values, to find neighbours by.")
    return np.column_stack(made)


def _against_others(
    places: np.ndarray, decision: np.ndarray, mine: np.ndarray, about: tuple[str, str], params: FlipTestParams
) -> tuple[list[Figure], tuple[Cell, ...]]:
    n, others = int(mine.sum()), int((~mine).sum())
    if min(n, others) < params.min_group:
        least = about[1] if n < params.min_group else "all others"
        note = too_few(least, min(n, others), params.min_group)
        return [_figure(key, about, n, None, note) for key in _SPECS], (*about, n, *[None] * 5)
    with threadpool_limits(1):
        search = NearestNeighbors(n_neighbors=params.neighbours, algorithm="auto").fit(places[~mine])
        near = search.kneighbors(places[mine], return_distance=False)
    vote = 2 * decision[~mine][near].sum(axis=1) > params.neighbours
    own = decision[mine] == 1
    plus, minus = int((vote & ~own).sum()), int((~vote & own).sum())
    value, interval = (plus - minus) / n, paired(plus, minus, n)
    flips = _figure("flips", about, n, ((plus + minus) / n, wilson(plus + minus, n)))
    return [_figure("ft", about, n, (value, interval)), flips], (*about, n, plus, minus, value, *interval)


def paired(plus: int, minus: int, n: int) -> Interval:
    """Interval of (plus - minus) / n of pairs: D. G. Bonett and R. M. Price, J. Educ. Behav. Stat. 37 (2012)."""
    up, down, all_of = (plus + 1) / (n + 2), (minus + 1) / (n + 2), n + 2
    half = Z * math.sqrt(max(0.0, up + down - (up - down) ** 2) / all_of)
    return max(-1.0, up - down - half), min(1.0, up - down + half)


def _figure(key: str, about: tuple[str, str], n: int, found: tuple[float, Interval] | None, note: str = "") -> Figure:
    spec = _SPECS[key]
    value, (low, high) = found or (None, (None, None))
    return Figure(
        key, spec.label, value, n, spec.better, ci_low=low, ci_high=high, attribute=about[0], group=about[1],
        reference="all others", note=note,
    )  # fmt: skip


def _nobody(attribute: str) -> list[Figure]:
    return [
        Figure(key, spec.label, None, 0, spec.better, attribute=attribute, note="Every value is missing.")
        for key, spec in _SPECS.items()
    ]


def _pictures(attribute: str, figures: list[Figure]) -> list[Picture]:
    shown = [f for f in figures if f.key == "ft" and f.value is not None]
    if not shown:
        return []
    worst = max(shown, key=lambda f: (f.value or 0.0, f.group or ""))
    most = f"{worst.value:.3f} ({worst.group})"
    alt = f"Flip test of {len(shown)} groups of {attribute} with 95 % intervals; the largest is {most}."
    rows: list[dict[str, Cell]] = [
        {"name": f.group, "value": f.value, "low": f.ci_low, "high": f.ci_high} for f in shown
    ]
    title = f"Flip test by {attribute}"
    return [drawing.ranges(f"flips:{attribute}", title, alt, rows, value="FT", by=attribute, line=0.0)]


def _findings(figures: list[Figure]) -> list[str]:
    shown = [f for f in figures if f.key == "ft" and f.value is not None]
    if not shown:
        return ["No group is large enough to be compared."]
    worst = max(shown, key=lambda f: (f.value or 0.0, f.group or ""))
    what = f"of “{worst.group}”, {worst.value:.1%} more were rejected where neighbours were accepted than the other way round"
    ends = f"95 % interval {worst.ci_low:.1%} to {worst.ci_high:.1%}, n = {worst.n}"
    return [f"{worst.attribute}: {what} ({ends})."]
