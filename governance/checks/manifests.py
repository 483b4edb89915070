"""What every built-in check says about itself. Plain data, so that pages and planners need no numerical library."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest

_F = FigureSpec

BINARY = Manifest(
    key="performance.binary", version=1, category="performance", title="Performance of a binary classifier",
    task="binary", needs=("data", "label", "predictions"),
    definition=(
        "AUC = P(score of a positive > score of a negative) + ½ P(tie), interval by DeLong (Biometrics 44, 1988; "
        "Sun & Xu 2014) on the logit scale. Average precision as the step sum over distinct scores. Log loss with "
        "scores clipped to [2⁻⁵², 1-2⁻⁵²], Brier score, expected calibration error over equal-width bins. Accuracy, "
        "precision, recall at the threshold with Wilson intervals (JASA 22, 1927)."
    ),
    figures=(
        _F("auc", "AUC", "higher"), _F("average_precision", "Average precision", "higher"),
        _F("log_loss", "Log loss", "lower"), _F("brier", "Brier score", "lower"),
        _F("ece", "Calibration error (ECE)", "lower"), _F("accuracy", "Accuracy", "higher"),
        _F("precision", "Precision", "higher"), _F("recall", "Recall", "higher"), _F("f1", "F1", "higher"),
    ),
)  # fmt: skip

REGRESSION = Manifest(
    key="performance.regression", version=1, category="performance", title="Performance of a regression",
    task="regression", needs=("data", "label", "predictions"),
    definition=(
        "RMSE = √mean((y-ŷ)²), MAE = mean|y-ŷ|, R² = 1 - Σ(y-ŷ)²/Σ(y-ȳ)². Intervals: percentile bootstrap over rows, "
        "seeded (Efron & Tibshirani 1993)."
    ),
    figures=(_F("rmse", "RMSE", "lower"), _F("mae", "MAE", "lower"), _F("r2", "R²", "higher")),
)  # fmt: skip

FAIRNESS = Manifest(
    key="fairness.groups", version=1, category="fairness", title="Group fairness", task="binary",
    needs=("data", "label", "predictions", "sensitive"),
    definition=(
        "For every group of every sensitive column against the group with the highest rate (or the given reference): "
        "selection rate ratio (adverse impact ratio; 29 CFR 1607.4(D) calls < 4/5 evidence) with Katz's log interval "
        "(Biometrics 34, 1978), and differences of selection rate, true positive rate (equal opportunity, Hardt et al. "
        "2016), false positive rate and precision (predictive parity, Chouldechova 2017) with Newcombe's interval "
        "(Stat. Med. 17, 1998, method 10). Equalised odds is the larger of the TPR and FPR differences. Base rates "
        "are shown beside, because these figures cannot all be equal unless base rates are."
    ),
    figures=(
        _F("selection_rate_ratio", "Selection rate ratio", "higher", per_group=True),
        _F("selection_rate_difference", "Selection rate difference", "lower", per_group=True),
        _F("equal_opportunity_difference", "Equal opportunity difference", "lower", per_group=True),
        _F("false_positive_rate_difference", "False positive rate difference", "lower", per_group=True),
        _F("equalised_odds_difference", "Equalised odds difference", "lower", per_group=True),
        _F("predictive_parity_difference", "Predictive parity difference", "lower", per_group=True),
    ),
)  # fmt: skip

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
)  # fmt: skip

CHAMPION = Manifest(
    key="compare.champion", version=1, category="performance", title="Comparison with the live version",
    task="binary", needs=("data", "label", "scores", "champion"),
    definition="AUC of this version minus AUC of the live one on the same rows, paired DeLong interval (1988).",
    figures=(
        _F("auc_difference", "AUC difference", "higher"), _F("flip_share", "Decisions that change", "lower"),
    ),
)  # fmt: skip

QUALITY = Manifest(
    key="data.quality", version=1, category="data", title="Quality of the test data", task="any", needs=("data",),
    definition=(
        "Columns the model or the policy needs and the data lacks; missing cells; rows that occur more than once; "
        "columns with one value; rows that also occur in the training data. Rows are compared by 64-bit hashes."
    ),
    figures=(
        _F("missing_features", "Missing columns", "lower"), _F("missing_label_share", "Rows without label", "lower"),
        _F("missing_cell_share", "Missing cells", "lower"), _F("duplicate_share", "Repeated rows", "lower"),
        _F("constant_columns", "Columns with one value", "lower"),
        _F("train_overlap_share", "Rows also in the training data", "lower"),
    ),
)  # fmt: skip

SECURITY = Manifest(
    key="security.scan", version=1, category="security", title="Scan of the model's files", task="any", needs=("scan",),
    definition="Findings of the artifact gate: files read as bytes, default-deny list of what a pickle may name.",
    figures=(_F("refused_findings", "Refused findings", "lower"), _F("warnings", "Warnings", "lower")),
)  # fmt: skip

CARD = Manifest(
    key="documentation.card", version=1, category="documentation", title="Completeness of the model card",
    task="any", needs=("card",),
    definition="The share of the required card fields that hold at least one word.",
    figures=(_F("filled_share", "Fields filled in", "higher"), _F("missing_fields", "Fields missing", "lower")),
)  # fmt: skip

MANIFESTS: tuple[Manifest, ...] = (BINARY, REGRESSION, FAIRNESS, IMPORTANCE, CHAMPION, QUALITY, SECURITY, CARD)
