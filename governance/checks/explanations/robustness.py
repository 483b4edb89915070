"""``robustness.perturbations``: what becomes of decisions when the inputs are a little wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures
from governance.checks.contract import CheckInputs, Params
from governance.checks.explanations import grids
from governance.checks.manifests.explainability import ROBUSTNESS
from governance.checks.probing import ProbeCheck, answer_of
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Scale, Table
from governance.checks.rows import columns
from governance.checks.rows.sampling import features_of, is_number, numbers_of, sample, with_numbers
from governance.checks.statistics.intervals import mean_interval, wilson

_SPECS = {spec.key: spec for spec in ROBUSTNESS.figures}
AS_IS = "as it is"
NOISE, MISSING, BEYOND, UNSEEN = "noise", "missing values", "out of range", "unseen categories"
UNSEEN_WORD = "never seen before"


@dataclass(frozen=True, slots=True)
class RobustnessParams(Params):
    """``noise``: its standard deviation, in those of each number. ``missing``: the share of cells that are emptied.

    ``tolerance``: by how many of its own standard deviations a predicted number may move before it counts as another
    decision.
    """

    threshold: float = 0.5
    rows: int = 2000
    noise: float = 0.1
    missing: float = 0.1
    tolerance: float = 0.5
    seed: int = 0

    def check(self) -> None:
        if not 0 < self.threshold < 1 or not 0 < self.noise <= 10 or not 0 < self.missing < 1:
            raise CheckError("params.value", "“threshold” and “missing” must lie between 0 and 1, “noise” in (0, 10].")
        if not 50 <= self.rows <= 100_000 or not 0 < self.tolerance <= 10 or self.seed < 0:
            raise CheckError("params.value", "“rows” is 50 to 100000, “tolerance” in (0, 10], “seed” not negative.")


class Perturbations(ProbeCheck):
    """The same rows, as they are and disturbed in four ways; only what the columns allow is asked."""

    manifest = ROBUSTNESS
    params = RobustnessParams

    def probes(self, inputs: CheckInputs, params: RobustnessParams) -> Mapping[str, pa.Table]:
        rows = sample(columns.rows_of(inputs).select(features_of(inputs)), params.rows, params.seed)
        random = np.random.Generator(np.random.PCG64(params.seed + 1))
        numeric = [name for name in rows.column_names if is_number(rows.schema.field(name).type)]
        words = [name for name in rows.column_names if grids.is_word(rows.schema.field(name).type)]
        made = {AS_IS: rows, MISSING: _emptied(rows, params.missing, random)}
        if numeric:
            made[NOISE] = _noisy(rows, numeric, params.noise, random)
            made[BEYOND] = _beyond(rows, numeric, random)
        if words:
            made[UNSEEN] = _unseen(rows, words, random)
        return made

    def finish(self, state: pa.Table, inputs: CheckInputs, params: RobustnessParams) -> CheckResult:
        base = answer_of(inputs, AS_IS)
        if base.predictions is None:
            raise CheckError("probe.failed", f"The model gave no answer to the rows as they are: {base.error}")
        n = base.predictions.num_rows
        before = _Answers.of(base.predictions, params.threshold)
        figures: list[Figure] = []
        rows: list[tuple[Cell, ...]] = []
        failed = 0
        for name in (NOISE, MISSING, BEYOND, UNSEEN):
            probe = (inputs.probes or {}).get(name)
            if probe is None:
                continue
            if probe.predictions is None:
                failed += 1
                note = f"The model gave no answer: {probe.error}"
                figures.append(_figure("flip_share", None, n, group=name, note=note))
                rows.append((name, None, None, None, None, note))
                continue
            now = _Answers.of(probe.predictions, params.threshold)
            flips = before.flips(now, params.tolerance)
            low, high = wilson(flips, n)
            figures.append(_figure("flip_share", flips / n, n, (low, high), group=name))
            moved, ends = before.moved(now)
            if moved is not None:
                figures.append(_figure("score_shift", moved, n, ends, group=name))
            rows.append((name, flips / n, low, high, moved, ""))
        if not any(figure.key == "score_shift" for figure in figures):
            figures.append(_figure("score_shift", None, n, note="The model gives neither probabilities nor numbers."))
        figures.append(_figure("failed_probes", float(failed), n, (float(failed), float(failed))))
        return CheckResult(
            ROBUSTNESS.key, ROBUSTNESS.version, params.as_dict(), n, tuple(figures),
            tables=(Table("perturbations", "Inputs disturbed", _LABELS, tuple(rows)),),
            pictures=_pictures(rows),
            findings=tuple(_findings(figures)),
            limits=_limits(inputs, params, n, before),
            facts={"features": len(features_of(inputs)), "output": before.kind},
        )  # fmt: skip


_LABELS = (
    ("probe", "Inputs"), ("flips", "Decisions that change"), ("low", "Low"), ("high", "High"),
    ("shift", "Output moves by"), ("note", "Note"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Answers:
    """What a model says: ``probability`` and the decisions from it, ``number``, or ``class``."""

    kind: str
    decided: np.ndarray
    scored: np.ndarray | None

    @classmethod
    def of(cls, predictions: pa.Table, threshold: float) -> _Answers:
        if "score" in predictions.column_names:
            score = predictions.column("score").to_numpy()
            return cls("probability", score >= threshold, score)
        said = predictions.column("prediction")
        if pa.types.is_floating(said.type):
            return cls("number", said.to_numpy(), said.to_numpy())
        return cls("class", np.array(columns.words(said).to_pylist(), dtype=object), None)

    @property
    def spread(self) -> float:
        """By which moves are measured: 1 for probabilities, for numbers their standard deviation over the rows as they are."""
        if self.kind != "number" or self.scored is None:
            return 1.0
        return float(self.scored.std())

    def flips(self, now: _Answers, tolerance: float) -> int:
        """Rows with another decision: of a number, one that moved by more than the tolerance."""
        if self.kind == "number" and now.kind == "number":
            return int((np.abs(now.decided - self.decided) > tolerance * self.spread).sum())
        if self.kind != now.kind:
            return len(self.decided)
        return int((now.decided != self.decided).sum())

    def moved(self, now: _Answers) -> tuple[float | None, tuple[float, float] | None]:
        """The mean absolute change of the output in units of ``spread``, with its interval."""
        if self.scored is None or now.scored is None or self.spread == 0:
            return None, None
        gaps = np.abs(now.scored - self.scored) / self.spread
        mean, n = float(gaps.mean()), len(gaps)
        ends = mean_interval(mean, float(gaps.var(ddof=1)) if n > 1 else 0.0, n)
        return mean, None if ends is None else (max(0.0, ends[0]), ends[1])


def _noisy(rows: pa.Table, numeric: list[str], noise: float, random: np.random.Generator) -> pa.Table:
    for name in numeric:
        values = numbers_of(rows, name)
        known = values[np.isfinite(values)]
        spread = float(known.std()) if len(known) else 0.0
        rows = with_numbers(rows, name, values + random.normal(size=len(values)) * noise * spread)
    return rows


def _emptied(rows: pa.Table, share: float, random: np.random.Generator) -> pa.Table:
    for place, name in enumerate(rows.column_names):
        empty = pa.array(random.random(rows.num_rows) < share)
        column = rows.column(name)
        rows = rows.set_column(place, name, pc.if_else(empty, pa.scalar(None, column.type), column))
    return rows


def _beyond(rows: pa.Table, numeric: list[str], random: np.random.Generator) -> pa.Table:
    """In each row one number lies as far above the largest known as that is above the smallest.

    What its type cannot hold ends at the largest that it can.
    """
    chosen = random.integers(0, len(numeric), rows.num_rows)
    for place, name in enumerate(numeric):
        values = numbers_of(rows, name)
        known = values[np.isfinite(values)]
        if len(known):
            top, bottom = float(known.max()), float(known.min())
            with np.errstate(over="ignore"):
                far = min(top + max(top - bottom, 1.0), np.finfo("float64").max)
            rows = with_numbers(rows, name, np.where(chosen == place, far, values))
    return rows


def _unseen(rows: pa.Table, words: list[str], random: np.random.Generator) -> pa.Table:
    """In each row one category is a word that the model cannot know."""
    chosen = random.integers(0, len(words), rows.num_rows)
    for place, name in enumerate(words):
        column = rows.column(name)
        plain = column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
        made = pc.if_else(pa.array(chosen == place), pa.scalar(UNSEEN_WORD, plain.type), plain)
        rows = rows.set_column(rows.column_names.index(name), name, made)
    return rows


def _figure(
    key: str, value: float | None, n: int, ends: tuple[float, float] | None = None, *, group: str | None = None, note: str = ""
) -> Figure:  # fmt: skip
    spec = _SPECS[key]
    low, high = ends or (None, None)
    scale: Scale = "logit" if key == "flip_share" and value is not None else "identity"
    return Figure(
        spec.key, spec.label, value, n, spec.better, ci_low=low, ci_high=high, scale=scale, group=group, note=note
    )  # fmt: skip


def _pictures(rows: list[tuple[Cell, ...]]) -> tuple[Picture, ...]:
    shown: list[dict[str, Cell]] = [
        {"name": row[0], "value": row[1], "low": row[2], "high": row[3]} for row in rows if row[1] is not None
    ]
    if not shown:
        return ()
    alt = (
        "The share of decisions that change, with its interval, for "
        + ", ".join(str(row["name"]) for row in shown)
        + "."
    )
    return (pictures.ranges("flips", "Decisions that change", alt, shown, value="Share of decisions", by="Inputs"),)


def _limits(inputs: CheckInputs, params: RobustnessParams, n: int, before: _Answers) -> tuple[str, ...]:
    said = [
        "Random disturbance is not an adversary: inputs chosen to deceive can change more decisions with less.",
        "A changed decision need not be a wrong one; it says how much hangs on small errors of the inputs.",
    ]
    if before.kind == "number":
        said.append(
            f"The model predicts numbers: a decision counts as changed when its number moves by more than {params.tolerance:g} "
            "standard deviations of all of them; moves are in standard deviations, too."
        )
    whole = columns.rows_of(inputs).num_rows
    if n < whole:
        said.append(
            f"{n} of {whole} rows were disturbed, drawn with the seed {params.seed}; the intervals are for so many."
        )
    if inputs.roles.weight:
        said.append("Rows count alike here: the weights of the rows are not used.")
    return tuple(said)


def _findings(figures: list[Figure]) -> list[str]:
    made = [
        f"{figure.group}: {figure.value:.1%} of decisions change."
        if figure.value is not None
        else f"{figure.group}: {figure.note}"
        for figure in figures
        if figure.key == "flip_share"
    ]
    return made or ["The model has no inputs that could be disturbed."]
