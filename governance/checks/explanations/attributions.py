"""``explainability.shapley``: what each input adds to single outputs: exactly for trees, else with the error of the sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from governance.checks import pictures
from governance.checks.contract import CheckInputs, Params
from governance.checks.explanations import explained, reasons, shapley, stability
from governance.checks.explanations.explained import Explained, explain, shares
from governance.checks.explanations.stability import Spread
from governance.checks.manifests.explainability import SHAPLEY
from governance.checks.probing import ProbeCheck, answer_of
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns
from governance.checks.rows.sampling import features_of, sample

_SPECS = {spec.key: spec for spec in SHAPLEY.figures}
MIXED = "mixed rows"
MOST_PROBES = 2_000_000
MOST_CELLS = 40_000_000
FEWEST_ROWS = 10
MOST_BARS = 30


@dataclass(frozen=True, slots=True)
class ShapleyParams(Params):
    """``rows`` are explained against rows of ``background`` others, by ``orders`` random orders where trees do not tell.

    ``adverse``: which outputs are a refusal, for reason codes: at or above the threshold (``high``) or below (``low``).
    ``codes``: how many reasons a refused person is given; ``wording``: what they are called in a notice, input=reason.
    ``top``: of how many inputs the order must be the same in resamples. ``exact``: off to sample in any case.
    """

    rows: int = 100
    orders: int = 20
    background: int = 500
    threshold: float = 0.5
    adverse: str = "high"
    codes: int = reasons.MOST_CODES
    wording: tuple[str, ...] = ()
    top: int = 3
    exact: bool = True
    seed: int = 0

    def check(self) -> None:
        if not 10 <= self.rows <= 5000 or not 10 <= self.background <= 100_000 or self.seed < 0:
            raise CheckError("params.value", "“rows” is 10 to 5000, “background” 10 to 100000, “seed” not negative.")
        if not 4 <= self.orders <= 1000 or self.orders % 4:
            raise CheckError("params.value", "“orders” must be a multiple of 4, from 4 to 1000.")
        if self.adverse not in {"high", "low"} or not np.isfinite(self.threshold) or not 1 <= self.top <= 50:
            raise CheckError("params.value", "“adverse” is high or low, “threshold” a number, “top” 1 to 50.")
        if not 1 <= self.codes <= reasons.MOST_CODES:
            sentence = f"“codes” is 1 to {reasons.MOST_CODES}: more reasons than that help nobody ({reasons.SOURCE})."
            raise CheckError("params.value", sentence)


class Attributions(ProbeCheck):
    """One table of mixed rows; the design is made again from the seed when the answers are read.

    The mixed rows are asked for trees, too: the sum read from a model must give its own answers to them.
    """

    manifest = SHAPLEY
    params = ShapleyParams

    def probes(self, inputs: CheckInputs, params: ShapleyParams) -> Mapping[str, pa.Table]:
        reasons.worded(params.wording, features_of(inputs))
        rows, made = designed(inputs, params)
        return {MIXED: shapley.mixed(rows, made)}

    def encoded(self, inputs: CheckInputs, params: ShapleyParams) -> pa.Table | None:
        return designed(inputs, params)[0] if params.exact else None

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ShapleyParams) -> CheckResult:
        names = features_of(inputs)
        _, made = designed(inputs, params)
        found = explain(answer_of(inputs, MIXED), made, inputs.trees, names, exact=params.exact)
        drawn = stability.resampled(np.abs(found.values), params.seed)
        refused = _refusals(found, names, inputs, params)
        order = sorted(range(len(names)), key=lambda i: (-found.strength[i], names[i]))
        n = len(found.values)
        figures = (
            *_ranking(found, drawn, names, inputs.roles.sensitive, params), *reasons.figures(refused, _SPECS),
        )  # fmt: skip
        return CheckResult(
            SHAPLEY.key, SHAPLEY.version, params.as_dict(), n, figures,
            tables=(_table(found, names, order), reasons.table(refused)),
            pictures=(_picture(found, drawn, names, order),),
            findings=(
                _strongest(found, names[order[0]]),
                _how(found), f"{len(refused.pushed)} of {n} explained outputs are refusals.",
                *reasons.findings(refused),
            ),
            limits=_limits(found, inputs, params, n),
            facts={
                "asked": int(made.cells.size // made.cells.shape[-1]), "method": found.method, "scale": found.scale,
                "base": found.base, "mean_output": float(found.output.mean()), "background": found.background,
            },
        )  # fmt: skip


def designed(inputs: CheckInputs, params: ShapleyParams) -> tuple[pa.Table, shapley.Design]:
    """The sampled rows, and which of them are explained, mixed and background: all from the seed."""
    names = features_of(inputs)
    rows = sample(columns.rows_of(inputs).select(names), params.background + params.rows, params.seed)
    if rows.num_rows < 2:
        raise CheckError("data.empty", "The data has a single row, so there is nothing to explain it against.")
    count = min(params.rows, max(1, rows.num_rows // 2))
    asked = params.orders * (len(names) + 1)
    if count * asked > MOST_PROBES or FEWEST_ROWS * asked * len(names) > MOST_CELLS:
        raise CheckError("params.value", f"This would ask the model {count * asked} times; lower “rows” or “orders”.")
    count = min(count, max(FEWEST_ROWS, MOST_CELLS // (asked * len(names))))
    random = np.random.Generator(np.random.PCG64(params.seed + 1)).permutation(rows.num_rows)
    explains, background = np.sort(random[:count]), np.sort(random[count:])
    return rows, shapley.design(explains, background, inputs=len(names), orders=params.orders, seed=params.seed)


def _ranking(
    found: Explained, drawn: np.ndarray, names: list[str], sensitive: tuple[str, ...], params: ShapleyParams
) -> list[Figure]:
    n, whole = len(found.values), found.strength.mean()
    halves = stability.spearman(*(np.abs(half).mean(axis=0) for half in found.halves))
    parts = shares(drawn)
    mine = [i for i, name in enumerate(names) if name in sensitive]
    two = "It needs two inputs that make a difference."
    return [
        _figure("rank_stability", Spread(halves), n, two),
        _figure("rank_resampled", stability.agreement(drawn), n, two),
        _figure("top_kept", stability.kept(drawn, params.top), n, "No input makes any difference."),
        _figure("top_share", around(float(found.share.max()), parts.max(axis=1)), n),
        _figure("sensitive_share", around(float(found.share[mine].sum()), parts[:, mine].sum(axis=1)), n),
        _figure("sampling_error", Spread(float(found.error.mean() / whole) if whole > 0 else None), n,
                "No input makes any difference."),
        _figure("local_accuracy", Spread(found.gap, found.gap, found.gap), n),
    ]  # fmt: skip


def _refusals(found: Explained, names: list[str], inputs: CheckInputs, params: ShapleyParams) -> reasons.Refusals:
    high = params.adverse == "high"
    refused = found.output >= params.threshold if high else found.output < params.threshold
    sign = 1.0 if high else -1.0
    first, second = found.halves
    return reasons.Refusals(
        sign * found.values[refused], (sign * first[refused], sign * second[refused]), names,
        frozenset(inputs.roles.sensitive), reasons.worded(params.wording, names), params.codes,
    )  # fmt: skip


def _table(found: Explained, names: list[str], order: list[int]) -> Table:
    labels = (
        ("feature", "Input"), ("strength", "Mean absolute value"), ("error", "Error"), ("share", "Share"),
        ("mean", "Mean value"),
    )  # fmt: skip
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (names[i], float(found.strength[i]), float(found.error[:, i].mean()), float(found.share[i]),
         float(found.values[:, i].mean()))
        for i in order
    )  # fmt: skip
    return Table("shapley", "Inputs by their mean absolute Shapley value", labels, rows)


def _picture(found: Explained, drawn: np.ndarray, names: list[str], order: list[int]) -> Picture:
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    rows: list[dict[str, Cell]] = [
        {"name": names[i], "value": float(found.strength[i]), "low": float(low[i]), "high": float(high[i])}
        for i in order[:MOST_BARS]
    ]
    alt = (
        f"Bars of the mean absolute Shapley value of {len(rows)} inputs with intervals over resampled rows; "
        f"the longest is {names[order[0]]} with {found.strength[order[0]]:.3g}."
    )
    value = f"Mean absolute value, in {explained.SCALES[found.scale]}"
    return pictures.bars("shapley", "What single outputs hang on", alt, rows, value=value, by="Input")


def _strongest(found: Explained, name: str) -> str:
    most, part = found.strength.max(), found.share.max()
    where = explained.SCALES[found.scale]
    return (
        f"“{name}” moves single outputs most: by {most:.3g} on average ({part:.0%} of all that inputs do), in {where}."
    )


def _how(found: Explained) -> str:
    if found.method == "exact":
        return "The values are exact: computed from the model's own trees or weights, which give its answers to every mixed row."
    return f"The values are sampled: {found.why}."


def _limits(found: Explained, inputs: CheckInputs, params: ShapleyParams, n: int) -> tuple[str, ...]:
    whole = columns.rows_of(inputs).num_rows
    said = [
        "Inputs are mixed from different rows: where inputs belong together, some of these rows could not exist.",
        "A Shapley value says what this model does with an input, not what would happen if the person changed it.",
    ]
    said.append(
        f"{n} rows were explained against {found.background} others, drawn from {whole} with the seed {params.seed}; the "
        "intervals are over resamples of the rows explained, the error is that of the values of one row."
    )
    if found.method == "exact" and found.scale != "identity":
        said.append(f"The values add up in {explained.SCALES[found.scale]}, in which the model is a sum.")
    said += _whole_numbers(inputs)
    if inputs.roles.weight:
        said.append("Rows count alike here: the weights of the rows are not used.")
    return tuple(said)


def _whole_numbers(inputs: CheckInputs) -> list[str]:
    answers = answer_of(inputs, MIXED).predictions
    if (
        answers is None
        or "score" in answers.column_names
        or not pa.types.is_integer(answers.schema.field("prediction").type)
    ):
        return []
    return [
        "The model gives whole numbers and no probability: if they are classes, it is their numbers that are explained."
    ]


def around(value: float | None, drawn: np.ndarray) -> Spread:
    if value is None or not len(drawn):
        return Spread(value)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Spread(value, float(min(low, value)), float(max(high, value)))


def _figure(key: str, spread: Spread, n: int, note: str = "") -> Figure:
    spec = _SPECS[key]
    note = note if spread.value is None else ""
    return Figure(spec.key, spec.label, spread.value, n, spec.better, ci_low=spread.low, ci_high=spread.high, note=note)
