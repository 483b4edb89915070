"""``robustness.perturbations``: what becomes of decisions when the inputs are a little wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import columns
from governance.checks.contract import CheckInputs, Params
from governance.checks.intervals import mean_interval, wilson
from governance.checks.manifests.explainability import ROBUSTNESS
from governance.checks.probing import ProbeCheck, answer_of
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Table
from governance.checks.sampling import features_of, is_number, numbers_of, sample, with_numbers

_SPECS = {spec.key: spec for spec in ROBUSTNESS.figures}
AS_IS = "as it is"
NOISE, MISSING, BEYOND, UNSEEN = "noise", "missing values", "out of range", "unseen categories"
UNSEEN_WORD = "never seen before"


@dataclass(frozen=True, slots=True)
class RobustnessParams(Params):
    """``noise``: its standard deviation, in those of each number. ``missing``: the share of cells that are emptied."""

    threshold: float = 0.5
    rows: int = 2000
    noise: float = 0.1
    missing: float = 0.1
    seed: int = 0

    def check(self) -> None:
        if not 0 < self.threshold < 1 or not 0 < self.noise <= 10 or not 0 < self.missing < 1:
            raise CheckError("params.value", "“threshold” and “missing” must lie between 0 and 1, “noise” in (0, 10].")
        if not 50 <= self.rows <= 100_000 or self.seed < 0:
            raise CheckError("params.value", "“rows” must be from 50 to 100000 and “seed” not negative.")


class Perturbations(ProbeCheck):
    """The same rows, as they are and disturbed in four ways; only what the columns allow is asked."""

    manifest = ROBUSTNESS
    params = RobustnessParams

    def probes(self, inputs: CheckInputs, params: RobustnessParams) -> Mapping[str, pa.Table]:
        rows = sample(columns.rows_of(inputs).select(features_of(inputs)), params.rows, params.seed)
        random = np.random.Generator(np.random.PCG64(params.seed + 1))
        numeric = [name for name in rows.column_names if is_number(rows.schema.field(name).type)]
        words = [name for name in rows.column_names if _is_word(rows.schema.field(name).type)]
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
        decided, scored = _decisions(base.predictions, params.threshold)
        figures: list[Figure] = []
        rows: list[tuple[Cell, ...]] = []
        failed = 0
        for name in (NOISE, MISSING, BEYOND, UNSEEN):
            flip, shift = _SPECS["flip_share"], _SPECS["score_shift"]
            probe = (inputs.probes or {}).get(name)
            if probe is None:
                continue
            if probe.predictions is None:
                failed += 1
                note = f"The model gave no answer: {probe.error}"
                figures.append(Figure(flip.key, flip.label, None, n, flip.better, group=name, note=note))
                rows.append((name, None, None, None, None, note))
                continue
            now, scores = _decisions(probe.predictions, params.threshold)
            flips = int((now != decided).sum())
            low, high = wilson(flips, n)
            figures.append(
                Figure(
                    flip.key, flip.label, flips / n, n, flip.better, ci_low=low, ci_high=high, scale="logit", group=name
                )
            )
            moved = None
            if scored is not None and scores is not None:
                gaps = np.abs(scores - scored)
                moved = float(gaps.mean())
                ends = mean_interval(moved, float(gaps.var(ddof=1)) if n > 1 else 0.0, n) or (None, None)
                figures.append(
                    Figure(shift.key, shift.label, moved, n, shift.better, ci_low=ends[0], ci_high=ends[1], group=name)
                )
            rows.append((name, flips / n, low, high, moved, ""))
        if not any(figure.key == "score_shift" for figure in figures):
            spec = _SPECS["score_shift"]
            figures.append(Figure(spec.key, spec.label, None, n, spec.better, note="The model gives no probabilities."))
        spec = _SPECS["failed_probes"]
        figures.append(
            Figure(spec.key, spec.label, float(failed), n, spec.better, ci_low=float(failed), ci_high=float(failed))
        )
        labels = (
            ("probe", "Inputs"), ("flips", "Decisions that change"), ("low", "Low"), ("high", "High"),
            ("shift", "Score moves by"), ("note", "Note"),
        )  # fmt: skip
        return CheckResult(
            ROBUSTNESS.key, ROBUSTNESS.version, params.as_dict(), n, tuple(figures),
            tables=(Table("perturbations", "Inputs disturbed", labels, tuple(rows)),),
            findings=tuple(_findings(figures)),
            limits=(
                "Random disturbance is not an adversary: inputs chosen to deceive can change more decisions with less.",
                "A changed decision need not be a wrong one; it says how much hangs on small errors of the inputs.",
            ),
            facts={"features": len(features_of(inputs))},
        )  # fmt: skip


def _is_word(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _noisy(rows: pa.Table, numeric: list[str], noise: float, random: np.random.Generator) -> pa.Table:
    for name in numeric:
        values = numbers_of(rows, name)
        spread = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
        rows = with_numbers(rows, name, values + random.normal(size=len(values)) * noise * spread)
    return rows


def _emptied(rows: pa.Table, share: float, random: np.random.Generator) -> pa.Table:
    for place, name in enumerate(rows.column_names):
        empty = pa.array(random.random(rows.num_rows) < share)
        column = rows.column(name)
        rows = rows.set_column(place, name, pc.if_else(empty, pa.scalar(None, column.type), column))
    return rows


def _beyond(rows: pa.Table, numeric: list[str], random: np.random.Generator) -> pa.Table:
    """In each row one number lies as far above the largest known as that is above the smallest."""
    chosen = random.integers(0, len(numeric), rows.num_rows)
    for place, name in enumerate(numeric):
        values = numbers_of(rows, name)
        if np.isfinite(values).any():
            top, bottom = float(np.nanmax(values)), float(np.nanmin(values))
            rows = with_numbers(rows, name, np.where(chosen == place, top + max(top - bottom, 1.0), values))
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


def _decisions(predictions: pa.Table, threshold: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Decisions to compare, and scores if there are any. Numbers predicted by a regression are compared as they are."""
    if "score" in predictions.column_names:
        score: np.ndarray = predictions.column("score").to_numpy()
        return score >= threshold, score
    return np.array(columns.words(predictions.column("prediction")).to_pylist(), dtype=object), None


def _findings(figures: list[Figure]) -> list[str]:
    made = [
        f"{figure.group}: {figure.value:.1%} of decisions change."
        if figure.value is not None
        else f"{figure.group}: {figure.note}"
        for figure in figures
        if figure.key == "flip_share"
    ]
    return made or ["The model has no inputs that could be disturbed."]
