"""Explanations of single rows: exact where the model is a sum of trees or weights, else by sampling; and what each is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from governance.checks.contract import Probe
from governance.checks.explanations import shapley, trees
from governance.checks.rows.sampling import outputs

TOLERANCE: Final = 1e-5
"""A sum that is off by more than this, beside 1 or the output, is not what the model computes."""
_MOST_COMPARED: Final = 20_000
_MOST_BACKGROUND: Final = 1000
_LEAST_BACKGROUND: Final = 100
MOST_WORK: Final = 25_000_000_000
"""Nodes times explained times background rows: some minutes of one processor for deep forests, far less for shallow trees."""
SCALES: Final = {
    "identity": "the model's output",
    "logit": "the log-odds of the output",
    "log": "the logarithm of the output",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """What each input adds to each explained row: ``values`` of shape (rows, inputs), with their standard errors.

    ``halves``: the same from each half of what they were computed from. ``output`` is what the model says, ``base`` the mean
    output without the row's inputs, of ``background`` rows. ``gap``: by how much values and base miss the output, at most.
    ``why`` they are not exact.
    """

    method: Literal["exact", "sampled"]
    scale: str
    values: np.ndarray
    error: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    output: np.ndarray
    base: float
    gap: float
    background: int
    why: str = ""

    @property
    def strength(self) -> np.ndarray:
        """Mean absolute value of each input."""
        made: np.ndarray = np.abs(self.values).mean(axis=0)
        return made

    @property
    def share(self) -> np.ndarray:
        """Each input's part of all strength."""
        return shares(self.strength)


def shares(strength: np.ndarray) -> np.ndarray:
    """Parts of the whole along the last axis; zeros where nothing makes a difference."""
    whole = strength.sum(axis=-1, keepdims=True)
    return np.where(whole > 0, strength / np.where(whole > 0, whole, 1.0), 0.0)


def explain(
    probe: Probe, made: shapley.Design, report: Mapping[str, Any] | None, names: list[str], *, exact: bool = True
) -> Explained:
    """Exact values when the report's sum gives what the model said to every mixed row; else sampled ones, saying why.

    Raises ``CheckError`` when there are no answers.
    """
    said = outputs(probe)
    if report is None or not exact:
        return _sampled(said, made, "its trees could not be read" if exact else "sampling was asked for")
    if "why" in report:
        return _sampled(said, made, f"the model {report['why']}")
    try:
        model = trees.parsed(report, names)
    except ValueError:
        return _sampled(said, made, "its inputs are others")
    if len(model.cells) <= int(made.cells.max()):
        return _sampled(said, made, "its trees were read with other rows")
    off = _off(model, made, said)
    if not off <= TOLERANCE:
        return _sampled(said, made, f"the trees read from it miss its own answers by {off:.3g}")
    fit = MOST_WORK // max(1, model.size * len(made.explained))
    if fit < min(_LEAST_BACKGROUND, len(made.background)):
        return _sampled(
            said, made, f"its {model.size} nodes are too many for exact values of {len(made.explained)} rows"
        )
    try:
        return _exact(model, made, said, background=min(fit, _MOST_BACKGROUND))
    except trees.TooDeepError as error:
        return _sampled(said, made, str(error).rstrip(".").lower())


def _off(model: trees.Sum, made: shapley.Design, said: np.ndarray) -> float:
    """How far the sum misses the model's answers at most, beside 1 or the answer; over mixed rows, evenly chosen."""
    rows = made.cells.reshape(-1, made.cells.shape[-1])
    some = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST_COMPARED)).astype("int64"))
    given = model.output(trees.margins(model, trees.hybrid(model, rows[some])))
    return float((np.abs(given - said[some]) / np.maximum(1.0, np.abs(said[some]))).max())


def _exact(model: trees.Sum, made: shapley.Design, said: np.ndarray, *, background: int) -> Explained:
    explained, others = made.explained, made.background
    if len(others) > background:
        others = others[np.linspace(0, len(others) - 1, background).astype("int64")]
    found = trees.exact(model, explained, others, inputs=made.shape[2])
    values, blocks = found.values, found.of_block.shape[2]
    error = found.of_block.std(axis=2, ddof=1) / np.sqrt(blocks) if blocks > 1 else np.zeros_like(values)
    halves = found.of_block[:, :, 0::2].mean(axis=2), found.of_block[:, :, 1::2].mean(axis=2) if blocks > 1 else values
    gap = float(np.abs(values.sum(axis=1) + found.base - found.output).max())
    return Explained("exact", model.link, values, error, halves, _last(said, made), found.base, gap, len(others))


def _sampled(said: np.ndarray, made: shapley.Design, why: str) -> Explained:
    explained, orders, _ = made.shape
    draws = shapley.draws(said, made)
    values = draws.mean(axis=1)
    # The antithetic orders come in pairs (m, m + orders/2) that are not independent: a pair is one draw.
    pairs = (draws[:, : orders // 2] + draws[:, orders // 2 :]) / 2
    error = pairs.std(axis=1, ddof=1) / np.sqrt(orders // 2)
    ends = said.reshape(explained, orders, -1)
    base = ends[:, :, 0].mean(axis=1)
    output = _last(said, made)
    gap = float(np.abs(values.sum(axis=1) + base - output).max())
    halves = pairs[:, 0::2].mean(axis=1), pairs[:, 1::2].mean(axis=1)
    return Explained(
        "sampled", "identity", values, error, halves, output, float(base.mean()), gap, len(made.background), why
    )


def _last(said: np.ndarray, made: shapley.Design) -> np.ndarray:
    explained, orders, _ = made.shape
    return said.reshape(explained, orders, -1)[:, 0, -1]
