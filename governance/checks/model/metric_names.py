"""What people call the measures of a model, and which of our figures each is; numbers as they were written down.

The names are those of scikit-learn's scorers and functions, of MLflow's evaluation and autologging, of Keras and of LightGBM.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "auc": ("auc", "roc_auc", "auc_roc", "auroc", "roc_auc_score", "rocauc"),
    "average_precision": ("average_precision", "average_precision_score", "ap"),
    "log_loss": ("log_loss", "logloss", "binary_logloss", "cross_entropy", "binary_crossentropy"),
    "brier": ("brier", "brier_score", "brier_score_loss", "brier_loss"),
    "accuracy": ("accuracy", "accuracy_score", "acc", "binary_accuracy"),
    "balanced_accuracy": ("balanced_accuracy", "balanced_accuracy_score"),
    "precision": ("precision", "precision_score", "ppv"),
    "recall": ("recall", "recall_score", "sensitivity", "tpr"),
    "specificity": ("specificity", "tnr"),
    "f1": ("f1", "f1_score"),
    "macro_f1": ("macro_f1", "f1_macro", "f1_score_macro", "macro_avg_f1_score"),
    "weighted_f1": ("weighted_f1", "f1_weighted", "f1_score_weighted", "weighted_avg_f1_score"),
    "kappa": ("kappa", "cohen_kappa", "cohen_kappa_score"),
    "mcc": ("mcc", "matthews_corrcoef", "matthews_correlation"),
    "rmse": ("rmse", "root_mean_squared_error", "root_mean_square_error"),
    "mae": ("mae", "mean_absolute_error"),
    "mse": ("mse", "mean_squared_error"),
    "r2": ("r2", "r2_score", "r_squared"),
}
"""Figure → names. ``mse`` is the square of ``rmse``."""
_KNOWN: Final = {name: figure for figure, names in NAMES.items() for name in names}
_HERE: Final = ("test", "testing", "eval", "evaluation", "holdout", "heldout", "final")
_ELSEWHERE: Final = ("train", "training", "val", "valid", "validation", "cv", "dev", "fold", "best_cv", "oob")


@dataclass(frozen=True, slots=True)
class Named:
    """``figure`` is ours, or ""; ``elsewhere`` says that the name speaks of other rows than those of a test."""

    figure: str
    elsewhere: bool = False


def figure_of(name: str, extra: Mapping[str, str] | None = None) -> Named:
    """Which figure a recorded name means: as it stands in ``extra``, or by the table, without “test” before or after it."""
    if extra and name in extra:
        return Named(extra[name])
    parts = [part for part in re.split(r"[^a-z0-9]+", name.lower()) if part]
    joined = "_".join(parts)
    if joined in _KNOWN:
        return Named(_KNOWN[joined])
    elsewhere = bool(set(parts) & set(_ELSEWHERE))
    kept = "_".join(part for part in parts if part not in _HERE and part not in _ELSEWHERE and not part.isdigit())
    return Named(_KNOWN.get(kept, ""), elsewhere)


def written_half_unit(value: float) -> float:
    """Half a unit of the last digit that was written down, but never more than half a percent of the value or of 1."""
    text = repr(abs(float(value)))
    mantissa, _, exponent = text.partition("e")
    digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return min(0.5 * 10.0**-digits, 0.005 * max(1.0, abs(value)))


Bound = Literal["is", "at least", "at most"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure that a text states: ``AUC 0.83`` or ``accuracy of at least 90 %``. ``slack`` is half a unit of its last digit."""

    field: str
    text: str
    figure: str
    value: float
    bound: Bound
    slack: float


_WORDS = "|".join(
    re.escape(name).replace("_", "[ _-]?")
    for name in sorted(_KNOWN, key=len, reverse=True)
    if name not in ("ap", "acc")
)
_CLAIM = re.compile(
    rf"(?<![\w.])(?P<name>{_WORDS}|R²)(?![\w])"
    r"(?P<between>[^\d\n.;%]{0,40}?)(?P<number>-?\d+(?:[.,]\d+)?)(?P<percent>\s?%)?(?![\w])",
    re.IGNORECASE,
)
_LEAST = re.compile(r"at least|above|over|more than|exceed|[>≥]", re.IGNORECASE)
_MOST = re.compile(r"at most|below|under|less than|[<≤]", re.IGNORECASE)
_OTHER_ROWS = re.compile(r"\b(train|training|validation|cross)\b", re.IGNORECASE)


def claims(card: Mapping[str, str]) -> Iterator[Claim]:
    """The figures that a card states about the model, field by field. What it says of training or validation is left out."""
    for field, text in sorted(card.items()):
        for match in _CLAIM.finditer(str(text)[:100_000]):
            between = match["between"]
            before = str(text)[max(0, match.start() - 20) : match.start()]
            if _OTHER_ROWS.search(before) or _OTHER_ROWS.search(between):
                continue
            name = "r2" if match["name"].lower() == "r²" else match["name"]
            number = match["number"].replace(",", ".")
            scale = 100.0 if match["percent"] else 1.0
            digits = len(number.partition(".")[2])
            bound: Bound = "at least" if _LEAST.search(between) else "at most" if _MOST.search(between) else "is"
            figure = figure_of(re.sub(r"[ -]", "_", name)).figure or figure_of(name).figure
            yield Claim(field, match[0].strip(), figure, float(number) / scale, bound, 0.5 * 10.0**-digits / scale)
