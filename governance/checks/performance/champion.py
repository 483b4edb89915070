"""``compare.champion``: this version against the live one, on the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from governance.checks import pictures
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.figures import Maker
from governance.checks.manifests.performance import CHAMPION
from governance.checks.performance import errors_of
from governance.checks.performance.binary import EXACT_ROWS, coarse
from governance.checks.performance.comparing import Compared, of_classes, of_errors, of_scores
from governance.checks.performance.multiclass import check_classes
from governance.checks.performance.paired import Difference, errors_state
from governance.checks.performance.resampled import Drawing
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns, weighting
from governance.checks.rows.kinds import kind_of
from governance.checks.statistics import counts, exact

_made = Maker(CHAMPION)
NAMES = {
    "auc": "AUC", "average_precision": "average precision", "accuracy": "accuracy", "macro_f1": "mean F1",
    "brier": "Brier score", "log_loss": "log loss", "rmse": "RMSE", "mae": "MAE",
}  # fmt: skip
_FIRST = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}
_SMALL = (
    "Where fewer than about ten decisions differ, the intervals of the differences of accuracy and of the mean F1 are wider "
    "than they say (97 to 100 % instead of 95 %): so few rows allow no interval of 95 %, and these err on the safe side."
)
_BESIDE = (
    "The paired bootstrap stands beside and decides nothing: of few rows its intervals are too short (of the mean F1 they cover "
    "87 % at 30 rows)."
)
_LOSSES = frozenset({"brier", "log_loss"})
_BOTH = ("predictions", "champion")


@dataclass(frozen=True, slots=True)
class ChampionParams(Params):
    """``margin``: a difference of the ``metric`` that does not matter; of RMSE and MAE as a share of the live version's.

    ``metric`` "auto" is AUC for scores, accuracy for classes, RMSE for numbers. ``task`` "auto" goes by the label.
    ``threshold``: for decisions by score. ``draws`` of the paired bootstrap of classifiers, from ``seed``; 0 draws none.
    """

    margin: float = 0.01
    threshold: float = 0.5
    metric: Literal["auto", "auc", "average_precision", "accuracy", "macro_f1", "brier", "log_loss", "rmse", "mae"] = (
        "auto"
    )
    task: Literal["auto", "binary", "multiclass", "regression"] = "auto"
    draws: int = 1000
    seed: int = 0

    def check(self) -> None:
        if not 0 <= self.margin < 1 or not 0 < self.threshold < 1:
            raise CheckError("params.value", "“margin” must lie in [0, 1) and “threshold” in (0, 1).")
        if (self.draws and not 100 <= self.draws <= 10_000) or self.seed < 0:
            raise CheckError("params.value", "“draws” must be 0 or from 100 to 10000 and “seed” not negative.")


class ChampionComparison(Check):
    """State: counts of (score, live score, y, weight), of (label, class, live class, weight), or exact sums of both errors.

    Without a live version the check does not apply.
    """

    manifest = CHAMPION
    params = ChampionParams

    def plan(self, inputs: CheckInputs, params: ChampionParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        columns.check_predictions(_unscored(inputs, params))
        if inputs.champion is None:
            return columns.split(inputs, shards)
        kind = kind_of(inputs, _BOTH) if params.task == "auto" else params.task
        for which in _BOTH:
            if kind == "binary":
                columns.check_predictions(inputs, which, scores=True)
            elif kind == "multiclass":
                check_classes(inputs, which)
            else:
                columns.number_label(inputs)
                columns.check_predictions(_unscored(inputs, params), which)
                errors_of.predicted(inputs, which)
        counting = weighting.checked(inputs)
        prepared: dict[str, Cell] = {"kind": kind}
        if kind == "binary":
            columns.check_binary_label(counting)
            prepared["coarse"] = columns.rows_of(counting).num_rows > EXACT_ROWS
        elif kind == "regression":
            numbers = [errors_of.doubles(errors_of.predicted(counting, which)) for which in _BOTH]
            label = errors_of.doubles(columns.number_label(counting))
            prepared["power"] = errors_of.exponent_of(label, *numbers, name=str(inputs.roles.label))
        return columns.split(replace(counting, prepared=prepared), shards)

    def map(self, shard: CheckInputs, params: ChampionParams) -> pa.Table:
        given = shard.prepared or {}
        rows = columns.rows_of(shard)
        if shard.champion is None or shard.predictions is None:
            return pa.table({counts.COUNT: pa.array([rows.num_rows], pa.int64())})
        if given["kind"] == "regression":
            return errors_state(shard)
        keys = {"weight": weighting.units(shard)}
        if given["kind"] == "binary":
            own, live = columns.scores(shard), columns.scores(shard, "champion")
            if given["coarse"] and own is not None and live is not None:
                own, live = pa.array(coarse(own.to_numpy())), pa.array(coarse(live.to_numpy()))
            keys |= {"score": own, "live": live, "y": columns.binary_label(shard)}
        else:
            keys |= {
                "label": columns.words(rows.column(str(shard.roles.label))),
                "class": columns.words(shard.predictions.column("prediction")),
                "live_class": columns.words(shard.champion.column("prediction")),
            }
        return counts.counted(pa.table(keys))

    def merge(self, states: Iterable[pa.Table]) -> pa.Table:
        tables = list(states)
        summed = bool(tables) and "quantity" in tables[0].column_names
        return exact.merged(tables) if summed else counts.merged(tables)

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ChampionParams) -> CheckResult:
        names = set(state.column_names)
        if "quantity" in names:
            compared = of_errors(state)
        elif "live" in names:
            compared = of_scores(state, params.threshold, Drawing(params.draws, params.seed))
        elif "live_class" in names:
            compared = of_classes(state, Drawing(params.draws, params.seed))
        else:
            reason = "There is no live version to compare with."
            n = int(counts.numbers(state, counts.COUNT).sum())
            return CheckResult(CHAMPION.key, CHAMPION.version, params.as_dict(), n, not_applicable=reason)
        return _result(compared, inputs, params)


def _unscored(inputs: CheckInputs, params: ChampionParams) -> CheckInputs:
    """The inputs for the check of predictions; for a regression only what it predicts is read."""
    if params.task != "regression":
        return inputs
    kept = {
        which: table.select(["prediction"])
        for which in _BOTH
        if (table := getattr(inputs, which)) is not None and "prediction" in table.column_names
    }
    return replace(inputs, **kept)


def _result(compared: Compared, inputs: CheckInputs, params: ChampionParams) -> CheckResult:
    metric = _FIRST[compared.kind] if params.metric == "auto" else params.metric
    if metric not in compared.of:
        known = ", ".join(compared.of)
        raise CheckError("params.value", f"There is no “{metric}” of this task to compare by. There are: {known}.")
    first, n = compared.of[metric], compared.n
    turned = {key: _turned(key, one) for key, one in compared.of.items()}
    verdict, not_worse = _verdict(turned[metric], params.margin)
    figures = [_in_margins(turned[metric], params.margin, n)]
    for key, metric_name in NAMES.items():
        name = f"{key}_improvement" if key in {"rmse", "mae"} else f"{key}_difference"
        if key in compared.of:
            one = compared.of[key]
            figures.append(_made(name, one.value, n, one.interval))
        else:
            figures.append(_made.none(name, n, f"There is no {metric_name} of this comparison."))
    figures.append(_made("flip_share", compared.flipped, n, compared.of_flipped, scale="logit"))
    facts: dict[str, Cell] = {
        "verdict": verdict, "metric": metric, "margin": params.margin, "not_worse": not_worse, "task": compared.kind,
        "effective_rows": compared.worth,
    }  # fmt: skip
    for key, one in compared.of.items():
        facts |= {key: one.own, f"live_{key}": one.live}
    if compared.discordant is not None:
        of = compared.discordant
        facts |= {
            "only_this_right": of.own, "only_live_right": of.live, "mcnemar_mid_p": of.mid_p, "mcnemar_exact_p": of.exact_p,
        }  # fmt: skip
    return CheckResult(
        CHAMPION.key, CHAMPION.version, params.as_dict(), n, tuple(figures), _drawn(compared), (_picture(turned),),
        findings=(
            _sentence(verdict, metric, first, turned[metric], params.margin),
            *weighting.said(inputs, compared.worth), *_mcnemar(compared),
        ),
        limits=(
            "Both versions are compared on this test set only.",
            "Intervals take the rows as independent, and weights as given; McNemar's test counts rows, not weights.",
            "The verdict rests on one metric, named before; the intervals of the others are not adjusted for their number.",
            _SMALL,
            *((_BESIDE,) if compared.drawn else ()),
        ),
        facts=facts,
    )  # fmt: skip


def _turned(key: str, of: Difference) -> Difference:
    """The difference turned so that more is better."""
    if key not in _LOSSES:
        return of
    return Difference(of.own, of.live, -of.value, None if of.interval is None else (-of.interval[1], -of.interval[0]))


def _verdict(of: Difference, margin: float) -> tuple[str, bool]:
    """In words; and whether it is not worse than the live version by the margin or more (non-inferiority)."""
    if of.interval is None:
        return "no clear difference", False
    low, high = of.interval
    word = "better" if low > margin else "worse" if high < -margin else "no clear difference"
    return word, low > -margin


def _in_margins(of: Difference, margin: float, n: int) -> Figure:
    if margin == 0:
        return _made.none("improvement_in_margins", n, "The margin is 0.")
    interval = None if of.interval is None else (of.interval[0] / margin, of.interval[1] / margin)
    return _made("improvement_in_margins", of.value / margin, n, interval)


def _sentence(verdict: str, metric: str, first: Difference, turned: Difference, margin: float) -> str:
    name = NAMES[metric] if NAMES[metric].isupper() or metric == "brier" else NAMES[metric].capitalize()
    digits = ".4g" if metric in {"rmse", "mae"} else ".3f"
    said = f"{verdict.capitalize()}: {name} {first.own:{digits}} against {first.live:{digits}} of the live version"
    unit = f"margin {margin:g}" + (" of the live version's" if metric in {"rmse", "mae"} else "")
    if turned.interval is None or margin == 0:
        return f"{said} ({unit})."
    low, high = (end / margin for end in turned.interval)
    return f"{said}; better by {turned.value / margin:.1f} margins, from {low:.1f} to {high:.1f} ({unit})."


def _mcnemar(compared: Compared) -> tuple[str, ...]:
    of = compared.discordant
    if of is None:
        return ()
    return (
        f"{of.own} rows are decided right by this version only, {of.live} by the live one only (McNemar's mid-p {of.mid_p:.3g}).",
    )  # fmt: skip


def _drawn(compared: Compared) -> tuple[Table, ...]:
    """The differences once more, by the paired bootstrap."""
    rows = tuple(
        (NAMES[key], compared.of[key].value, *(interval or (None, None))) for key, interval in compared.drawn.items()
    )
    labels = (("metric", "Metric"), ("difference", "Difference"), ("low", "95 % from"), ("high", "to"))
    return (Table("bootstrap", "The same differences by a paired bootstrap", labels, rows),) if rows else ()


def _picture(turned: dict[str, Difference]) -> Picture:
    rows: list[dict[str, Cell]] = [
        {
            "name": NAMES[key], "value": one.value, "low": one.interval[0] if one.interval else None,
            "high": one.interval[1] if one.interval else None,
        }
        for key, one in turned.items()
    ]  # fmt: skip
    better = [NAMES[key] for key, one in turned.items() if one.interval and one.interval[0] > 0]
    worse = [NAMES[key] for key, one in turned.items() if one.interval and one.interval[1] < 0]
    alt = (
        f"Improvement over the live version by metric, with intervals; right of zero this version is better. Clearly better: "
        f"{', '.join(better) or 'none'}; clearly worse: {', '.join(worse) or 'none'}."
    )
    return pictures.ranges(
        "improvement", "Improvement over the live version", alt, rows, value="Improvement", by="Metric", line=0.0
    )
