"""``explainability.shapley``: what each input adds to single outputs, with the error of the sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

from governance.checks import columns, shapley
from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.explainability import SHAPLEY
from governance.checks.probing import ProbeCheck, answer_of
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Table
from governance.checks.sampling import features_of, outputs, sample

_SPECS = {spec.key: spec for spec in SHAPLEY.figures}
MIXED = "mixed rows"
MOST_PROBES = 2_000_000
REASONS = "12 CFR 1002.9(b)(2) and its commentary; CFPB Circular 2022-03"


@dataclass(frozen=True, slots=True)
class ShapleyParams(Params):
    """``rows`` are explained, each by ``orders`` random orders against rows of ``background`` others.

    ``adverse``: which outputs are a refusal, for reason codes: at or above the threshold (``high``) or below (``low``).
    ``codes``: how many reasons a refused person is given.
    """

    rows: int = 100
    orders: int = 20
    background: int = 500
    threshold: float = 0.5
    adverse: str = "high"
    codes: int = 4
    seed: int = 0

    def check(self) -> None:
        if not 10 <= self.rows <= 5000 or not 10 <= self.background <= 100_000 or self.seed < 0:
            raise CheckError("params.value", "“rows” is 10 to 5000, “background” 10 to 100000, “seed” not negative.")
        if not 4 <= self.orders <= 1000 or self.orders % 4:
            raise CheckError("params.value", "“orders” must be a multiple of 4, from 4 to 1000.")
        if self.adverse not in {"high", "low"} or not 1 <= self.codes <= 20 or not 0 < self.threshold < 1:
            raise CheckError("params.value", "“adverse” is high or low, “codes” 1 to 20, “threshold” between 0 and 1.")


class Attributions(ProbeCheck):
    """One table of mixed rows; the design is made again from the seed when the answers are read."""

    manifest = SHAPLEY
    params = ShapleyParams

    def probes(self, inputs: CheckInputs, params: ShapleyParams) -> Mapping[str, pa.Table]:
        rows, made = _designed(inputs, params)
        return {MIXED: shapley.mixed(rows, made)}

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ShapleyParams) -> CheckResult:
        names = features_of(inputs)
        _, made = _designed(inputs, params)
        explained, orders, _ = made.shape
        said = outputs(answer_of(inputs, MIXED))
        values = shapley.draws(said, made)
        of_row = values.mean(axis=1)
        # The antithetic orders come in pairs (m, m + orders/2) that are not independent: a pair is one draw.
        pairs = (values[:, : orders // 2] + values[:, orders // 2 :]) / 2
        error = pairs.std(axis=1, ddof=1) / np.sqrt(orders // 2)
        strength = np.abs(of_row).mean(axis=0)
        share = strength / strength.sum() if strength.sum() > 0 else np.zeros(len(names))
        output = said.reshape(explained, orders, -1)[:, 0, -1]
        refused = output >= params.threshold if params.adverse == "high" else output < params.threshold
        sign = 1.0 if params.adverse == "high" else -1.0
        halves = pairs[:, 0::2].mean(axis=1), pairs[:, 1::2].mean(axis=1)
        order = sorted(range(len(names)), key=lambda i: (-strength[i], names[i]))
        sensitive = [i for i, name in enumerate(names) if name in inputs.roles.sensitive]
        figures = (
            _figure("rank_stability", _agreement(*(np.abs(half).mean(axis=0) for half in halves)), explained,
                    "It needs two inputs that make a difference."),
            _figure("top_share", float(share.max()), explained),
            _figure("sensitive_share", float(share[sensitive].sum()), explained),
            _figure("sampling_error", float(error.mean() / strength.mean()) if strength.mean() > 0 else None, explained,
                    "No input makes any difference."),
            *_reasons(sign * of_row[refused], [sign * half[refused] for half in halves], params.codes),
        )  # fmt: skip
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (names[i], float(strength[i]), float(error[:, i].mean()), float(share[i]), float(of_row[:, i].mean()))
            for i in order
        )
        return CheckResult(
            SHAPLEY.key, SHAPLEY.version, params.as_dict(), explained, figures,
            tables=(
                Table("shapley", "Inputs by their mean absolute Shapley value", _COLUMNS, rows),
                _codes_table(sign * of_row[refused], names, params.codes),
            ),
            findings=(
                f"“{names[order[0]]}” moves single outputs most: by {strength[order[0]]:.3g} on average ({share.max():.0%}).",
                f"{int(refused.sum())} of {explained} explained outputs are refusals.",
            ),
            limits=(
                "Inputs are mixed from different rows: where inputs belong together, some of these rows could not exist.",
                "A Shapley value says what this model does with an input, not what would happen if the person changed it.",
            ),
            facts={"asked": len(said), "mean_output": float(output.mean())},
        )  # fmt: skip


_COLUMNS = (
    ("feature", "Input"), ("strength", "Mean absolute value"), ("error", "Sampling error"), ("share", "Share"),
    ("mean", "Mean value"),
)  # fmt: skip


def _designed(inputs: CheckInputs, params: ShapleyParams) -> tuple[pa.Table, shapley.Design]:
    names = features_of(inputs)
    rows = sample(columns.rows_of(inputs).select(names), params.background + params.rows, params.seed)
    if rows.num_rows < 2:
        raise CheckError("data.empty", "The data has a single row, so there is nothing to explain it against.")
    explained = np.arange(min(params.rows, max(1, rows.num_rows // 2)))
    background = np.arange(len(explained), rows.num_rows)
    asked = len(explained) * params.orders * (len(names) + 1)
    if asked > MOST_PROBES:
        raise CheckError("params.value", f"This would ask the model {asked} times; lower “rows” or “orders”.")
    made = shapley.design(explained, background, inputs=len(names), orders=params.orders, seed=params.seed)
    return rows, made


def _figure(key: str, value: float | None, n: int, note: str = "") -> Figure:
    spec = _SPECS[key]
    return Figure(spec.key, spec.label, value, n, spec.better, note="" if value is not None else note)


def _agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's rank correlation of two independent halves of the sampling."""
    a, b = rankdata(first), rankdata(second)
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / norm) if norm > 0 else None


def _top(values: np.ndarray, codes: int) -> list[set[int]]:
    """For each refused row the inputs that pushed it there most; only those that pushed at all."""
    return [{int(i) for i in np.argsort(-row, kind="stable")[:codes] if row[i] > 0} for row in values]


def _reasons(values: np.ndarray, halves: list[np.ndarray], codes: int) -> list[Figure]:
    refused = len(values)
    if not refused:
        note = "None of the explained rows is refused."
        return [_figure(key, None, 0, note) for key in ("reasons_complete", "reasons_stable")]
    complete = sum(len(top) > 0 and _explains(row, top) for row, top in zip(values, _top(values, codes), strict=True))
    same = [
        len(a & b) / len(a | b) if a | b else 0.0
        for a, b in zip(_top(halves[0], codes), _top(halves[1], codes), strict=True)
    ]
    return [
        _figure("reasons_complete", complete / refused, refused),
        _figure("reasons_stable", float(np.mean(same)), refused),
    ]


def _explains(row: np.ndarray, top: set[int]) -> bool:
    """Whether the reasons given make up at least half of everything that pushed towards the refusal."""
    pushed = float(np.maximum(row, 0.0).sum())
    return sum(float(row[i]) for i in top) >= pushed / 2


def _codes_table(values: np.ndarray, names: list[str], codes: int) -> Table:
    tops = _top(values, codes)
    counts = [(sum(i in top for top in tops), name) for i, name in enumerate(names)]
    labels = (("feature", "Reason"), ("refused", "Refusals that name it"), ("share", "Share of refusals"))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, count, count / len(tops)) for count, name in sorted(counts, key=lambda one: (-one[0], one[1])) if count
    )
    return Table("reasons", f"Reason codes ({REASONS})", labels, rows)
