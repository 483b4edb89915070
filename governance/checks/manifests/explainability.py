"""Explanations."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest

_F = FigureSpec

IMPORTANCE = Manifest(
    key="explainability.importance", version=1, category="explainability", title="Importance of the inputs",
    task="any", needs=("data", "label", "importance"), sandbox=True,
    definition=(
        "Permutation importance: the loss of AUC (R² for regression) when one input is shuffled, mean and standard "
        "error over repeats (Breiman 2001; Fisher, Rudin & Dominici 2019). Rank stability: mean Spearman correlation "
        "of the inputs' importances between every two repeats, each on its own half of the rows where they allow it."
    ),
    figures=(
        _F("rank_stability", "Stability of the ranking", "higher"),
        _F("top_share", "Share of the strongest input", "lower"),
        _F("sensitive_share", "Share of sensitive inputs", "lower"),
    ),
    code="governance.checks.importance:Importance",
)  # fmt: skip

ALL: tuple[Manifest, ...] = (IMPORTANCE,)
