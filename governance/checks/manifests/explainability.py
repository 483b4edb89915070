"""Explanations."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest

_F = FigureSpec

IMPORTANCE = Manifest(
    key="explainability.importance", version=1, category="explainability", title="Importance of the inputs",
    task="any", needs=("data", "label", "probe"), sandbox=True,
    definition=(
        "Permutation importance: the loss of AUC (R² for numbers, accuracy for several classes) when one input is shuffled, mean "
        "over repeats (Breiman 2001; Fisher, Rudin & Dominici 2019). Each repeat uses its own half of the sampled rows, of each "
        "class half; the spread of the repeats is the delete-half jackknife's standard error (Shao & Wu 1989), intervals are "
        "Student's. With weights every measure is weighted and values are drawn by weight. Rank stability: mean Spearman "
        "correlation of the inputs' importances between every two repeats."
    ),
    figures=(
        _F("rank_stability", "Stability of the ranking", "higher"),
        _F("top_share", "Share of the strongest input", "lower"),
        _F("sensitive_share", "Share of sensitive inputs", "lower"),
    ),
    code="governance.checks.explanations.importance:Importance",
)  # fmt: skip

EFFECTS = Manifest(
    key="explainability.effects", version=1, category="explainability", title="How the output follows the inputs",
    task="any", needs=("data", "probe"), sandbox=True,
    definition=(
        "Partial dependence (Friedman 2001): each number is set to its quantiles, each word to its frequent categories, all "
        "else as it is, and the model is asked; the mean output with its interval. Individual conditional expectation "
        "(Goldstein et al. 2015) as the band that holds four fifths of the rows, never a row's own curve. Range: by how much the "
        "mean output moves, with an interval from resampled rows (bootstrap, Efron 1979). Monotonicity: the share of rows in "
        "which the output steps the wrong way along the grid of an input that the policy declares increasing or decreasing, "
        "with Wilson's interval. Grids end, and categories are left out, where fewer than five rows lie."
    ),
    figures=(
        _F("monotonicity_violations", "Rows that break monotonicity", "lower", per_group=True),
        _F("effect_range", "Range of the average output", "lower", per_group=True),
    ),
    code="governance.checks.explanations.effects:Effects",
)  # fmt: skip

ROBUSTNESS = Manifest(
    key="robustness.perturbations", version=1, category="robustness", title="Decisions under disturbed inputs",
    task="any", needs=("data", "probe"), sandbox=True,
    definition=(
        "The same rows are predicted as they are, with normal noise on every number, with cells emptied at random, with one "
        "number beyond the known range, and with one category nobody has seen. The share of decisions that change, with "
        "Wilson's interval (1927): another side of the threshold, another class, or a predicted number that moves by more than "
        "the tolerance in its own standard deviations. The mean absolute change of the probability (of a number: in standard "
        "deviations) with a normal interval; and the disturbances to which the model gave no answer."
    ),
    figures=(
        _F("flip_share", "Decisions that change", "lower", per_group=True),
        _F("score_shift", "Change of the score", "lower", per_group=True),
        _F("failed_probes", "Disturbances without an answer", "lower"),
    ),
    code="governance.checks.explanations.robustness:Perturbations",
)  # fmt: skip

SHAPLEY = Manifest(
    key="explainability.shapley", version=1, category="explainability", title="Shapley values and reason codes",
    task="any", needs=("data", "probe", "trees"), sandbox=True,
    definition=(
        "What each input adds to single outputs, against other rows (interventional Shapley values; Lundberg & Lee 2017). Exact "
        "where the model is a sum of trees or weights, also behind preprocessing that keeps inputs apart: a leaf that needs a "
        "inputs of the row and b of the other adds v(a-1)!b!/(a+b)! to each of the a and takes va!(b-1)!/(a+b)! from each of the "
        "b (Lundberg et al. 2020); the sum read from the model must give its own answers to the mixed rows. Else by sampling of "
        "orders, antithetic (Strumbelj & Kononenko 2014; Mitchell et al. 2022). The result says which. Local accuracy: how far "
        "values and base miss the output, at most. Error of the values: standard error over tenths of the background, or over "
        "pairs of orders, relative to the mean value. Stability: Spearman correlation of two independent halves of the work; "
        "over resamples of the rows (bootstrap, Efron 1979), Spearman correlation and the share of the first few inputs that two "
        "resamples have in common. "
        "Reason codes of refusals (12 CFR 1002.9(b)(2)), at most four: the inputs that pushed "
        "towards the refusal most; complete when they make up half of all that pushed, stable by the mean Jaccard index of the "
        "codes of two independent halves; none may be sensitive (12 CFR 1002.4(a)); wordings as in Appendix C to part 1002."
    ),
    figures=(
        _F("rank_stability", "Stability of the ranking", "higher"),
        _F("rank_resampled", "Ranking agrees in resamples", "higher"),
        _F("top_kept", "First inputs kept in resamples", "higher"),
        _F("top_share", "Share of the strongest input", "lower"),
        _F("sensitive_share", "Share of sensitive inputs", "lower"),
        _F("sampling_error", "Error of the values, relative", "lower"),
        _F("local_accuracy", "Values miss the output by", "lower"),
        _F("reasons_complete", "Refusals with complete reasons", "higher"),
        _F("reasons_stable", "Stability of the reasons", "higher"),
        _F("reasons_sensitive", "Refusals with a sensitive reason", "lower"),
        _F("reasons_worded", "Refusals whose reasons have a wording", "higher"),
    ),
    code="governance.checks.explanations.attributions:Attributions",
)  # fmt: skip

LIVE = Manifest(
    key="explainability.live", version=1, category="explainability", title="Explanations beside the live version's",
    task="any", needs=("data", "probe", "trees", "live_probe"), sandbox=True,
    definition=(
        "The Shapley values (explainability.shapley) of this version and of the live one, for the same rows against the same "
        "background. Ranking: Spearman correlation of the inputs' mean absolute values. Largest mover: the largest change of an "
        "input's share of all that inputs do. Rows: mean Spearman correlation of the values of the same row. Intervals from "
        "resamples of the rows (bootstrap, Efron 1979). Both exact on one scale, or both sampled. Not applicable when nothing "
        "is live."
    ),
    figures=(
        _F("rank_correlation", "Ranking agrees with the live version", "higher"),
        _F("largest_mover", "Largest change of a share", "lower"),
        _F("row_correlation", "Single rows are explained alike", "higher"),
    ),
    code="governance.checks.explanations.live:LiveAttributions",
)  # fmt: skip

ALL: tuple[Manifest, ...] = (IMPORTANCE, SHAPLEY, LIVE, EFFECTS, ROBUSTNESS)
