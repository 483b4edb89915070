"""``explainability.importance``: what the model leans on, how sure that is, and how sure the ranking.

The shuffled rows are made here and only predicted in the sandbox: the label stays out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures
from governance.checks.contract import CheckInputs, Params, Probe
from governance.checks.explanations import stability
from governance.checks.manifests.explainability import IMPORTANCE
from governance.checks.probing import ProbeCheck, answer_of
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns, weighting
from governance.checks.rows.sampling import features_of, is_number, sample
from governance.checks.statistics import delong, estimates

_SPECS = {spec.key: spec for spec in IMPORTANCE.figures}
SHUFFLED = "shuffled rows"
MOST_PROBES = 2_000_000
MOST_CELLS = 40_000_000
HALVES_FROM = 100
FEWEST_ROWS = 20
_MOST_BARS = 30
_NAMES = {"auc": "AUC", "r2": "R²", "accuracy": "accuracy"}


@dataclass(frozen=True, slots=True)
class ImportanceParams(Params):
    """``rows`` of the data are used; each of ``repeats`` shuffles every input once, on its own half of them."""

    rows: int = 4000
    repeats: int = 10
    seed: int = 0

    def check(self) -> None:
        if not FEWEST_ROWS <= self.rows <= 100_000 or not 2 <= self.repeats <= 100 or self.seed < 0:
            sentence = f"“rows” is {FEWEST_ROWS} to 100000, “repeats” 2 to 100, “seed” not negative."
            raise CheckError("params.value", sentence)


@dataclass(frozen=True, slots=True)
class _Design:
    """The sampled rows; for each repeat the rows it uses, and for each input of it the rows its values come from."""

    rows: CheckInputs
    halves: list[np.ndarray]
    sources: list[list[np.ndarray]]


class Importance(ProbeCheck):
    """One table: the rows as they are, then for each repeat and input its rows with that input shuffled."""

    manifest = IMPORTANCE
    params = ImportanceParams

    def probes(self, inputs: CheckInputs, params: ImportanceParams) -> Mapping[str, pa.Table]:
        names = features_of(inputs)
        made = _designed(inputs, params, names)
        data = columns.rows_of(made.rows)
        whole = np.arange(data.num_rows)
        table = {}
        for place, name in enumerate(names):
            parts = [
                source if place == moved else half
                for half, sources in zip(made.halves, made.sources, strict=True)
                for moved, source in enumerate(sources)
            ]
            table[name] = data.column(name).take(pa.array(np.concatenate([whole, *parts])))
        return {SHUFFLED: pa.table(table, schema=data.select(names).schema)}

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ImportanceParams) -> CheckResult:
        names = features_of(inputs)
        made = _designed(inputs, params, names)
        n = columns.rows_of(made.rows).num_rows
        metric, quality = _measure(made.rows, answer_of(inputs, SHUFFLED))
        everyone = np.arange(n)
        drops = np.zeros((len(names), params.repeats))
        start = n
        for repeat, half in enumerate(made.halves):
            base = quality(half, half)
            for place in range(len(names)):
                drops[place, repeat] = base - quality(half, np.arange(start, start + len(half)))
                start += len(half)
        worth = weighting.effective(np.ones(n), quality.mass)
        return _result(
            inputs, params, names, drops, n=n, worth=worth, metric=metric, baseline=quality(everyone, everyone)
        )


def _designed(inputs: CheckInputs, params: ImportanceParams, names: list[str]) -> _Design:
    """Everything random, from the seed. Raises ``CheckError``."""
    label = inputs.roles.label
    columns.column(columns.rows_of(inputs), label, code="data.label_missing", what="label")
    weight = inputs.roles.weight
    if weight is not None:
        columns.column(columns.rows_of(inputs), weight, code="data.weight_missing", what="weight")
    wanted = list(dict.fromkeys([*names, str(label), *([weight] if weight else [])]))
    fit = _fitting(params, len(names), halves=True)
    fit = fit if fit >= HALVES_FROM else min(HALVES_FROM - 1, _fitting(params, len(names), halves=False))
    if fit < FEWEST_ROWS:
        raise CheckError(
            "params.value", f"{len(names)} inputs and {params.repeats} repeats are too many; lower “repeats”."
        )
    drawn = sample(columns.rows_of(inputs).select(wanted), fit, params.seed)
    rows = weighting.checked(CheckInputs(drawn, inputs.roles))
    data = columns.rows_of(rows)
    columns.check_whole(data.column(str(label)), label)
    random = np.random.Generator(np.random.PCG64(params.seed + 1))
    classes = None if _continuous(data, str(label)) else _classes(data, str(label))
    mass = weighting.units(rows).to_numpy() / weighting.UNIT
    halves, sources = [], []
    for _ in range(params.repeats):
        half = _half(data.num_rows, classes, random)
        halves.append(half)
        sources.append([_drawn(half, mass, random, weighted=weight is not None) for _ in names])
    return _Design(rows, halves, sources)


def _fitting(params: ImportanceParams, inputs: int, *, halves: bool) -> int:
    """As many of the rows asked for as the question to the model has room for."""
    per_row = params.repeats * inputs / (2 if halves else 1) + 1
    return int(min(params.rows, MOST_PROBES / per_row, MOST_CELLS / (per_row * inputs)))


def _continuous(data: pa.Table, label: str) -> bool:
    kind = data.schema.field(label).type
    return bool(pa.types.is_floating(kind)) and len(pc.unique(data.column(label))) > 2


def _classes(data: pa.Table, label: str) -> np.ndarray:
    of_row: np.ndarray = np.unique(
        np.array(columns.words(data.column(label)).to_pylist(), dtype=str), return_inverse=True
    )[1]
    return of_row


def _half(count: int, classes: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
    """Half of the rows, of each class half (rounded up), so that none is without one; all rows where there are few."""
    if count < HALVES_FROM:
        return np.arange(count)
    order = random.permutation(count)
    if classes is None:
        return np.sort(order[: count // 2])
    chosen = [order[classes[order] == one] for one in np.unique(classes)]
    return np.sort(np.concatenate([rows[: (len(rows) + 1) // 2] for rows in chosen]))


def _drawn(half: np.ndarray, mass: np.ndarray, random: np.random.Generator, *, weighted: bool) -> np.ndarray:
    """Rows to take an input's values from: a shuffle, or with weights draws by weight, which is the weighted distribution."""
    if not weighted:
        return np.asarray(half[random.permutation(len(half))])
    edges = np.cumsum(mass[half])
    places = np.searchsorted(edges, random.random(len(half)) * edges[-1], side="right").clip(max=len(half) - 1)
    return np.asarray(half[places])


class _Quality:
    """How good answers are for some rows: AUC of scores, R² of numbers, accuracy of classes; weighted where rows are."""

    def __init__(self, truth: np.ndarray, said: np.ndarray, mass: np.ndarray, metric: str) -> None:
        self.truth, self.said, self.mass, self.metric = truth, said, mass, metric

    def __call__(self, rows: np.ndarray, answers: np.ndarray) -> float:
        """``rows`` are the rows' truths and weights, ``answers`` the places of the model's answers to them."""
        truth, said, mass = self.truth[rows], self.said[answers], self.mass[rows]
        if self.metric == "auc":
            if truth.min() == truth.max():
                raise CheckError("data.label_one_class", "The rows that were drawn have one class only; raise “rows”.")
            return delong.auc(said, truth, np.ones(len(rows)), mass).value
        if self.metric == "accuracy":
            return float((mass * (truth == said)).sum() / mass.sum())
        spread = float((mass * (truth - (mass * truth).sum() / mass.sum()) ** 2).sum())
        return 1.0 - float((mass * (truth - said) ** 2).sum()) / spread if spread else 0.0


def _measure(rows: CheckInputs, probe: Probe) -> tuple[str, _Quality]:
    """The measure that fits the model's answers. Raises ``CheckError``."""
    mass, answers = weighting.units(rows).to_numpy() / weighting.UNIT, probe.predictions
    if answers is None:
        raise CheckError("probe.failed", f"The model gave no answer to the shuffled rows: {probe.error}")
    if "score" in answers.column_names:
        columns.check_binary_label(rows)
        truth, said = columns.binary_label(rows).to_numpy().astype("int64"), answers.column("score").to_numpy()
        return "auc", _Quality(truth, said, mass, "auc")
    if "prediction" not in answers.column_names:
        raise CheckError("data.predictions_invalid", "The predictions have neither “score” nor “prediction”.")
    label = columns.rows_of(rows).column(str(rows.roles.label))
    said = answers.column("prediction")
    if pa.types.is_floating(said.type) and is_number(label.type):
        return "r2", _Quality(columns.number_label(rows).to_numpy(), said.to_numpy(), mass, "r2")
    pair = [np.array(columns.words(one).to_pylist(), dtype=object) for one in (label, said)]
    return "accuracy", _Quality(pair[0], pair[1], mass, "accuracy")


def _result(
    inputs: CheckInputs, params: ImportanceParams, names: list[str], drops: np.ndarray, *, n: int, worth: float,
    metric: str, baseline: float,
) -> CheckResult:  # fmt: skip
    halved = n >= HALVES_FROM
    means, spread = drops.mean(axis=1), drops.std(axis=1, ddof=1)
    # Over halves of the rows this is the delete-half jackknife; over the same rows only the shuffling differs.
    errors = spread if halved else spread / np.sqrt(params.repeats)
    far = estimates.student(params.repeats - 1)
    shares = _shares(means)
    each = _shares(drops)
    order = sorted(range(len(names)), key=lambda i: (-means[i], names[i]))
    sensitive = [i for i, name in enumerate(names) if name in inputs.roles.sensitive]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (names[i], float(means[i]), float(errors[i]), float(shares[i]),
         float(means[i] - far * errors[i]), float(means[i] + far * errors[i]))
        for i in order
    )  # fmt: skip
    strongest = names[order[0]]
    whole = columns.rows_of(inputs).num_rows
    limits = [
        "Inputs that move together share their importance, so each can look small alone.",
        "Importance says what this model uses, not what causes the outcome.",
    ]
    if n < whole:
        limits.append(
            f"{n} of {whole} rows were used, drawn with the seed {params.seed}; the intervals are for so many."
        )
    if not halved:
        limits.append(f"With fewer than {HALVES_FROM} rows the intervals tell only how much the shuffling changes.")
    top = _near(float(shares.max()), each.max(axis=0), far, halved=halved)
    mine = _near(float(shares[sensitive].sum()), each[sensitive].sum(axis=0), far, halved=halved)
    return CheckResult(
        IMPORTANCE.key, IMPORTANCE.version, params.as_dict(), n,
        figures=(_stability(drops, n), _figure("top_share", n, *top), _figure("sensitive_share", n, *mine)),
        tables=(Table("importance", f"Loss of {_NAMES[metric]} when shuffled", _COLUMNS, rows),),
        pictures=(_picture(rows, metric),),
        findings=(
            f"“{strongest}” matters most: shuffled, {_NAMES[metric]} falls by {means[order[0]]:.3f} from {baseline:.3f}.",
            *weighting.said(inputs, worth),
        ),
        limits=tuple(limits),
        facts={"metric": metric, "baseline": baseline, "repeats": params.repeats},
    )  # fmt: skip


_COLUMNS = (
    ("feature", "Input"), ("importance", "Importance"), ("error", "Standard error"), ("share", "Share"),
    ("low", "Low"), ("high", "High"),
)  # fmt: skip


def _shares(drops: np.ndarray) -> np.ndarray:
    """Parts of all loss that is one; an input whose shuffling helps has none."""
    useful = np.maximum(drops, 0.0)
    whole = useful.sum(axis=0)
    return np.asarray(useful / np.where(whole > 0, whole, 1.0))


def _near(value: float, each: np.ndarray, far: float, *, halved: bool) -> tuple[float, float, float]:
    half = far * float(each.std(ddof=1)) / (1.0 if halved else float(np.sqrt(len(each))))
    return value, max(0.0, value - half), min(1.0, value + half)


def _stability(drops: np.ndarray, n: int) -> Figure:
    """Mean Spearman correlation over all pairs of repeats; not defined below two inputs."""
    features, repeats = drops.shape
    if features < 2:
        return _figure("rank_stability", n, None, note="It needs at least two inputs.")
    pairs = [stability.spearman(drops[:, a], drops[:, b]) for a, b in combinations(range(repeats), 2)]
    known = [one for one in pairs if one is not None]
    if len(known) < len(pairs):
        return _figure("rank_stability", n, None, note="In a repeat no input made any difference.")
    return _figure("rank_stability", n, float(np.mean(known)))


def _picture(rows: tuple[tuple[Cell, ...], ...], metric: str) -> Picture:
    shown: list[dict[str, Cell]] = [
        {"name": str(row[0]), "value": row[1], "low": row[4], "high": row[5]} for row in rows[:_MOST_BARS]
    ]
    alt = f"Bars of the loss of {_NAMES[metric]} for {len(shown)} inputs with 95 % intervals; the longest is {rows[0][0]}."
    return pictures.bars(
        "importance", "What the model leans on", alt, shown, value=f"Loss of {_NAMES[metric]}", by="Input"
    )


def _figure(
    key: str, n: int, value: float | None, low: float | None = None, high: float | None = None, *, note: str = ""
) -> Figure:
    spec = _SPECS[key]
    return Figure(spec.key, spec.label, value, n, spec.better, ci_low=low, ci_high=high, note=note)
