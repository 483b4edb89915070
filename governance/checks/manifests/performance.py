"""Performance and comparison."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest

_F = FigureSpec

BINARY = Manifest(
    key="performance.binary", version=1, category="performance", title="Performance of a binary classifier",
    task="binary", needs=("data", "label", "predictions"),
    definition=(
        "AUC = P(score of a positive > score of a negative) + ½ P(tie), interval by DeLong (Biometrics 44, 1988; Sun & Xu "
        "2014) on the logit scale. Average precision as the step sum over distinct scores, interval by the infinitesimal "
        "jackknife (Efron 1982) on the logit scale. Log loss with scores clipped to [2⁻⁵², 1-2⁻⁵²] and Brier score, Student's "
        "interval on the log scale with Satterthwaite's degrees of freedom (1946) over both classes. Expected calibration "
        "error over equal-width bins, Σ |Σ (y - score)| / n, interval by inverting the test of its own sampling noise "
        "(seeded), since the percentile bootstrap covers nothing where a model is calibrated. Recalibration slope and "
        "intercept (in the large) by logistic regression on the logit of the score (Cox, Biometrika 45, 1958; Van Calster et "
        "al., J. Clin. Epidemiol. 74, 2016): slope 1 and intercept 0 are ideal, a slope below 1 says that scores are too "
        "extreme. Lift: the rate of positives among the top share of scores against that of all rows, interval by Miettinen & "
        "Nurminen (Stat. Med. 4, 1985). Accuracy, precision, recall and specificity at the threshold with Wilson's intervals "
        "(JASA 22, 1927); F1 by Wilson's interval of its share TP / (TP + FP + FN); balanced accuracy from recall and "
        "specificity by MOVER (Zou & Donner 2008). With weights n is Kish's effective number."
    ),
    figures=(
        _F("auc", "AUC", "higher"), _F("average_precision", "Average precision", "higher"),
        _F("log_loss", "Log loss", "lower"), _F("brier", "Brier score", "lower"),
        _F("ece", "Calibration error (ECE)", "lower"), _F("calibration_slope", "Calibration slope", "higher"),
        _F("calibration_intercept", "Calibration intercept", "lower"), _F("lift", "Lift at the top", "higher"),
        _F("accuracy", "Accuracy", "higher"), _F("balanced_accuracy", "Balanced accuracy", "higher"),
        _F("precision", "Precision", "higher"), _F("recall", "Recall", "higher"),
        _F("specificity", "Specificity", "higher"), _F("f1", "F1", "higher"),
    ),
    code="governance.checks.performance.binary:BinaryPerformance", reads="roles", splits=True, modalities=("any",),
)  # fmt: skip

REGRESSION = Manifest(
    key="performance.regression", version=1, category="performance", title="Performance of a regression",
    task="regression", needs=("data", "label", "predictions"),
    definition=(
        "RMSE = √mean((y-ŷ)²), MAE = mean|y-ŷ|, R² = 1 - Σ(y-ŷ)²/Σ(y-ȳ)², from sums without rounding, so that no row is kept. "
        "Intervals: Student's on the log scale of RMSE, of MAE and of 1 - R². That of RMSE by Bonett's constants for few rows "
        "(Comput. Stat. Data Anal. 50, 2006) and the kurtosis of the errors, which is the larger of the sample's and of that "
        "which Geary's ratio E|e| / √E e² says (Biometrika 27, 1935; Bonett & Seier 2002), because few rows hide heavy tails; "
        "for the upper end also of what Geary's ratio says less 1.4 of its standard errors, and of 3 + 100 τ² with the "
        "L-skewness τ of the errors (Hosking, J. R. Stat. Soc. B 52, 1990), because one-sided errors have a tail that a sample "
        "may not show. Those of MAE and 1 - R² by the infinitesimal jackknife (Efron 1982): MAE's upper end with Geary's ratio "
        "less its standard error, 1 - R² with the same kurtosis (of its upper end with τ) and widened by n/(n-3). No interval "
        "holds its level for every population (Bahadur & Savage, Ann. Math. Stat. 27, 1956): where |τ| is above 0.4 "
        "(exponential errors have 1/3) and the rows are fewer than 500 times the kurtosis (of MAE 20 times), there is none. "
        "Residuals (label minus prediction) by quantile of the prediction, with Student's intervals."
    ),
    figures=(_F("rmse", "RMSE", "lower"), _F("mae", "MAE", "lower"), _F("r2", "R²", "higher")),
    code="governance.checks.performance.regression:RegressionPerformance", reads="roles", splits=True, modalities=("any",),
)  # fmt: skip

CHAMPION = Manifest(
    key="compare.champion", version=1, category="performance", title="Comparison with the live version",
    task="any", needs=("data", "label", "predictions", "champion"),
    definition=(
        "This version minus the live one on the same rows. AUC: paired DeLong interval (1988). Accuracy: Bonett & Price's "
        "interval (2012); McNemar's test of the rows that only one of them decides right, exact and mid-p (Fagerland et al., "
        "BMC Med. Res. Methodol. 13, 2013). Brier score and log loss: Student's interval of the rows' differences. Average "
        "precision: by the infinitesimal jackknife of the difference. Mean F1 of several classes: delta method over the paired "
        "rows (Takahashi et al., Appl. Intell. 52, 2022) with a pseudo-row in every class and Satterthwaite's degrees of "
        "freedom (1946). RMSE and MAE: 1 - own / live, Student's interval of the logarithm of the ratio, of RMSE widened for few "
        "rows. Of classifiers a "
        "seeded paired bootstrap of the rows (Efron & Tibshirani 1993, expanded after Hesterberg 2015) stands beside. "
        "The verdict rests on "
        "one metric: better (or worse) where the whole interval lies beyond the margin, not worse where it lies above minus "
        "the margin."
    ),
    figures=(
        _F("improvement_in_margins", "Improvement in margins", "higher"), _F("auc_difference", "AUC difference", "higher"),
        _F("average_precision_difference", "Average precision difference", "higher"),
        _F("accuracy_difference", "Accuracy difference", "higher"),
        _F("macro_f1_difference", "Mean F1 difference", "higher"),
        _F("brier_difference", "Brier score difference", "lower"),
        _F("log_loss_difference", "Log loss difference", "lower"),
        _F("rmse_improvement", "RMSE improvement", "higher"), _F("mae_improvement", "MAE improvement", "higher"),
        _F("flip_share", "Decisions that change", "lower"),
    ),
    code="governance.checks.performance.champion:ChampionComparison", reads="roles", splits=True, modalities=("any",),
)  # fmt: skip

MULTICLASS = Manifest(
    key="performance.multiclass", version=1, category="performance", title="Performance of a classifier of several classes",
    task="multiclass", needs=("data", "label", "predictions"),
    definition=(
        "From the confusion matrix: accuracy (Wilson's interval); balanced accuracy = mean recall of the classes that occur; "
        "F1 as the mean over classes and weighted by their rows; Cohen's kappa (1960); Matthews' correlation in Gorodkin's "
        "form for several classes (2004). Intervals: Wilson's with the number of rows that the figure's standard error is "
        "worth, by the infinitesimal jackknife (Efron 1982; Takahashi et al., Appl. Intell. 52, 2022) with a pseudo-row added "
        "to every class (Agresti & Coull 1998); of balanced accuracy and mean F1 with Student's t, degrees of freedom by "
        "Satterthwaite (1946) over the classes; of kappa and Matthews' correlation normal on Fisher's z scale. Recall of each "
        "class with Wilson's interval. With weights n is Kish's effective number."
    ),
    figures=(
        _F("accuracy", "Accuracy", "higher"), _F("balanced_accuracy", "Balanced accuracy", "higher"),
        _F("macro_f1", "F1, mean of classes", "higher"), _F("weighted_f1", "F1, weighted", "higher"),
        _F("kappa", "Cohen's kappa", "higher"), _F("mcc", "Matthews' correlation", "higher"),
        _F("class_recall", "Recall of a class", "higher", per_group=True),
    ),
    code="governance.checks.performance.multiclass:MulticlassPerformance", reads="roles", splits=True, modalities=("any",),
)  # fmt: skip

OVERFITTING = Manifest(
    key="performance.overfitting", version=1, category="performance", title="Training data against test data",
    task="any", needs=("data", "label", "predictions", "training", "train_predictions"),
    definition=(
        "How much better the model does on the rows it was trained on than on the test data: AUC and accuracy on the training "
        "data minus those on the test data, log loss on the test data minus that on the training data, RMSE on the test data / "
        "RMSE on the training data - 1. The samples are independent: intervals of the differences from the two intervals "
        "(MOVER: Zou & Donner, Stat. Med. 27, 2008; DeLong's for AUC, Wilson's for accuracy), of log loss by Welch (1947), of "
        "RMSE on the log scale. The model overfits where the whole interval lies beyond the margin."
    ),
    figures=(
        _F("auc_gap", "AUC, training minus test", "lower"), _F("accuracy_gap", "Accuracy, training minus test", "lower"),
        _F("log_loss_gap", "Log loss, test minus training", "lower"),
        _F("rmse_growth", "RMSE growth, test over training", "lower"),
    ),
    code="governance.checks.performance.overfitting:Overfitting", reads="roles", modalities=("any",),
)  # fmt: skip

RANKING = Manifest(
    key="performance.ranking", version=1, category="performance", title="Performance of a ranking",
    task="ranking", needs=("data", "label", "predictions"),
    definition=(
        "For the items of each query (the column with the role id), ordered by score: NDCG@k = DCG@k / best DCG@k, DCG@k = Σ "
        "gain / log₂(rank + 1) over the first k (Järvelin & Kekäläinen, ACM TOIS 20, 2002); average precision, whose mean is "
        "MAP; 1 / rank of the first relevant item, whose mean is MRR; share of the relevant items among the first k. Items of "
        "one score count as the mean over their orders (McSherry & Najork, ECIR 2008), in average precision as entering "
        "together. Means over the queries with a relevant item, with Student's intervals on the logit scale; Wilson's where "
        "every query has the same figure."
    ),
    figures=(
        _F("ndcg", "NDCG@k", "higher"), _F("map", "MAP", "higher"), _F("mrr", "MRR", "higher"),
        _F("recall", "Recall@k", "higher"),
    ),
    code="governance.checks.performance.ranking:RankingPerformance", reads="roles", splits=True, modalities=("any",),
)  # fmt: skip

SLICES = Manifest(
    key="performance.slices", version=1, category="performance", title="Where the model errs more",
    task="any", needs=("data", "label", "predictions"),
    definition=(
        "The share of wrong decisions (of a regression: the mean absolute error) in each slice of one column, or of two, "
        "against all other rows: the gap with Newcombe's interval and Fisher's exact test, of a regression Welch's (1947); "
        "one-sided, adjusted over all slices tried by Benjamini and Hochberg (1995). Numbers are cut at quantiles. A slice is "
        "flagged when the gap is above the margin and the adjusted test says so (compare Chung et al., Slice Finder, ICDE "
        "2019); intervals of flagged slices are widened for their selection (Benjamini & Yekutieli, JASA 100, 2005). Of a "
        "regression margin and worst gap are shares of the mean error."
    ),
    figures=(
        _F("error_rate", "Error rate", "lower"), _F("mean_error", "Mean absolute error", "lower"),
        _F("flagged_slices", "Flagged slices", "lower"), _F("worst_gap", "Error gap of the worst slice", "lower"),
    ),
    code="governance.checks.performance.slices:WorstSlices", splits=True,
)  # fmt: skip

ALL: tuple[Manifest, ...] = (BINARY, REGRESSION, MULTICLASS, RANKING, OVERFITTING, SLICES, CHAMPION)
