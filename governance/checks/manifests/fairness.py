"""Fairness between groups."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest

_F = FigureSpec

FAIRNESS = Manifest(
    key="fairness.groups", version=1, category="fairness", title="Group fairness", task="binary",
    needs=("data", "label", "predictions", "sensitive"),
    definition=(
        "For every group of every sensitive column against the group that does best (or the given reference): selection "
        "rate ratio (adverse impact ratio; 29 CFR 1607.4(D) calls < 4/5 evidence) with the score interval of Miettinen and "
        "Nurminen (Stat. Med. 4, 1985), and differences of selection rate, true positive rate (equal opportunity, Hardt et "
        "al. 2016), false positive and false negative rate, precision (predictive parity, Chouldechova 2017) and accuracy "
        "with Newcombe's interval (Stat. Med. 17, 1998, method 10). Equalised odds is the larger of the TPR and FPR "
        "differences, its interval the larger of both ends. Calibration error within a group (ECE over bins of equal width) "
        "by a test turned round, and its difference from the best calibrated group (Zou and Donner, Stat. Med. 27, 2008). "
        "Intersections of columns are shown, and judged if the policy says so. Rows with weights count by them, exactly, "
        "with Kish's effective number of rows. Spread over all groups by the range of the rates' deviations (Tukey 1953) "
        "in a multinomial bootstrap over the cells, its far end by Newcombe, or Donner and Zou (2012), over all pairs. A group "
        "with too few rows has insufficient data. Base rates are shown beside, because these figures cannot all be equal "
        "unless base rates are."
    ),
    figures=(
        _F("selection_rate_ratio", "Selection rate ratio", "higher", per_group=True),
        _F("selection_rate_difference", "Selection rate difference", "lower", per_group=True),
        _F("equal_opportunity_difference", "Equal opportunity difference", "lower", per_group=True),
        _F("false_positive_rate_difference", "False positive rate difference", "lower", per_group=True),
        _F("false_negative_rate_difference", "False negative rate difference", "lower", per_group=True),
        _F("equalised_odds_difference", "Equalised odds difference", "lower", per_group=True),
        _F("predictive_parity_difference", "Predictive parity difference", "lower", per_group=True),
        _F("accuracy_difference", "Accuracy difference", "lower", per_group=True),
        _F("calibration_error", "Calibration error within the group", "lower", per_group=True),
        _F("calibration_difference", "Calibration error difference", "lower", per_group=True),
    ),
    code="governance.checks.fairness.groups:GroupFairness", reads="roles", splits=True,
)  # fmt: skip

REGRESSION = Manifest(
    key="fairness.regression", version=1, category="fairness", title="Group error of a regression", task="regression",
    needs=("data", "label", "predictions", "sensitive"),
    definition=(
        "For every group of every sensitive column: the mean error (prediction minus truth; its size is the figure), the mean "
        "absolute and the root mean squared error, and how much larger they are than those of the best served (or the given) "
        "group; of mean errors, which have a sign, how far they lie apart (bounded group loss, Agarwal, Dudik and Wu, ICML "
        "2019). Intervals: Student's t; for absolute errors and for the root as performance.regression has them, and none "
        "where a group's errors are too one-sided for its rows; differences by Zou and Donner (Stat. Med. 27, 2008). Sums are "
        "exact, with weights too; intersections are shown, and judged if the policy says so."
    ),
    figures=(
        _F("mean_error", "Size of the mean error", "lower", per_group=True),
        _F("mean_error_difference", "Difference of mean errors", "lower", per_group=True),
        _F("mean_absolute_error", "Mean absolute error", "lower", per_group=True),
        _F("mean_absolute_error_difference", "Mean absolute error difference", "lower", per_group=True),
        _F("root_mean_squared_error", "Root mean squared error", "lower", per_group=True),
        _F("root_mean_squared_error_difference", "Root mean squared error difference", "lower", per_group=True),
    ),
    code="governance.checks.fairness.regression:RegressionFairness", reads="roles", splits=True,
)  # fmt: skip

CLASSES = Manifest(
    key="fairness.classes", version=1, category="fairness", title="Group fairness, class by class", task="multiclass",
    needs=("data", "label", "predictions", "sensitive"),
    definition=(
        "For a classifier of several classes: each class against the rest, for every group of every sensitive column against "
        "the group that does best (or the given reference): differences of how often the class is given, of its true positive "
        "rate (recall), false positive rate and precision, and of accuracy over all classes; Newcombe's interval (Stat. Med. "
        "17, 1998, method 10). Rows with weights count by them, exactly."
    ),
    figures=(
        _F("class_rate_difference", "Class rate difference", "lower", per_group=True),
        _F("class_recall_difference", "Recall difference", "lower", per_group=True),
        _F("class_false_positive_difference", "False positive rate difference", "lower", per_group=True),
        _F("class_precision_difference", "Precision difference", "lower", per_group=True),
        _F("accuracy_difference", "Accuracy difference", "lower", per_group=True),
    ),
    code="governance.checks.fairness.classes:ClassFairness", reads="roles", splits=True,
)  # fmt: skip

CLARIFY = Manifest(
    key="fairness.clarify", version=1, category="fairness", title="Bias figures of SageMaker Clarify", task="binary",
    needs=("data", "label", "predictions", "sensitive"),
    definition=(
        "Each group (facet d) against all others (facet a), under the names and with the signs of Amazon SageMaker "
        "Clarify (Hardt et al., KDD 2021). Of labels: class imbalance CI = (nₐ-n_d)/n, difference in proportions of "
        "labels DPL, Kullback-Leibler KL, Jensen-Shannon JS, LP (Euclidean), TVD, KS, conditional demographic disparity "
        "CDDL. Of decisions: DPPL, disparate impact DI, conditional acceptance DCA and rejection DCR, specificity SD, "
        "recall RD, acceptance rates DAR, rejection rates DRR, accuracy AD, CDDPL, treatment equality TE, generalised "
        "entropy GE. Differences of rates with Newcombe's interval, DI with Miettinen and Nurminen's (Stat. Med. 4, 1985). "
        "The flip test FT is a check of its own (fairness.flip_test), since it needs rows, not counts."
    ),
    figures=(
        _F("ci", "Class imbalance (CI)", "lower", per_group=True),
        _F("dpl", "Difference in proportions of labels (DPL)", "lower", per_group=True),
        _F("kl", "Kullback-Leibler divergence (KL)", "lower", per_group=True),
        _F("js", "Jensen-Shannon divergence (JS)", "lower", per_group=True),
        _F("lp", "Euclidean distance of labels (LP)", "lower", per_group=True),
        _F("tvd", "Total variation distance (TVD)", "lower", per_group=True),
        _F("ks", "Kolmogorov-Smirnov of labels (KS)", "lower", per_group=True),
        _F("cddl", "Conditional disparity in labels (CDDL)", "lower", per_group=True),
        _F("dppl", "Difference in proportions of predicted labels (DPPL)", "lower", per_group=True),
        _F("di", "Disparate impact (DI)", "higher", per_group=True),
        _F("dca", "Difference in conditional acceptance (DCA)", "lower", per_group=True),
        _F("dcr", "Difference in conditional rejection (DCR)", "lower", per_group=True),
        _F("sd", "Specificity difference (SD)", "lower", per_group=True),
        _F("rd", "Recall difference (RD)", "lower", per_group=True),
        _F("dar", "Difference in acceptance rates (DAR)", "lower", per_group=True),
        _F("drr", "Difference in rejection rates (DRR)", "lower", per_group=True),
        _F("ad", "Accuracy difference (AD)", "lower", per_group=True),
        _F("cddpl", "Conditional disparity in predicted labels (CDDPL)", "lower", per_group=True),
        _F("te", "Treatment equality (TE)", "lower", per_group=True),
        _F("ge", "Generalised entropy (GE)", "lower", per_group=True),
    ),
    code="governance.checks.fairness.clarify:ClarifyBias", reads="roles", splits=True,
)  # fmt: skip

FLIP_TEST = Manifest(
    key="fairness.flip_test", version=1, category="fairness", title="Flip test of SageMaker Clarify", task="binary",
    needs=("data", "predictions", "sensitive"),
    definition=(
        "Counterfactual flip test FT = (F⁺ - F⁻) / n_d of Amazon SageMaker Clarify, for each group (facet d) against all others "
        "(facet a): F⁺ are the rejected of the group whose nearest neighbours among the others are accepted, F⁻ the accepted "
        "whose neighbours are rejected; neighbours by the inputs without the sensitive columns, each number divided by its "
        "standard deviation, categories as 0 and 1 columns; the majority of five decides (Black et al., FAccT 2020). "
        "Interval of paired proportions by D. G. Bonett and R. M. Price (J. Educ. Behav. Stat. 37, 2012)."
    ),
    figures=(_F("ft", "Flip test (FT)", "lower", per_group=True), _F("flips", "Share of flips", "lower", per_group=True)),
    code="governance.checks.fairness.flip_test:FlipTest",
)  # fmt: skip

LL144 = Manifest(
    key="fairness.ll144", version=1, category="fairness", title="Bias audit tables of Local Law 144", task="any",
    needs=("data", "predictions", "sensitive"),
    definition=(
        "New York City Local Law 144 of 2021, 6 RCNY § 5-301: selection rate = selected / applicants of a category; scoring "
        "rate = those above the median score of all / applicants; impact ratio = a category's rate / the highest rate, by "
        "each sensitive column and by every two together. People of unknown category are counted beside. Categories under "
        "2 % of the data are shown but not judged. Intervals of ratios by Miettinen and Nurminen (Stat. Med. 4, 1985)."
    ),
    figures=(_F("impact_ratio", "Impact ratio", "higher", per_group=True),),
    code="governance.checks.fairness.local_law_144:LocalLaw144", reads="roles", splits=True,
)  # fmt: skip

PROXIES = Manifest(
    key="fairness.proxies", version=1, category="fairness", title="Proxies of protected attributes", task="any",
    needs=("data", "sensitive"),
    definition=(
        "Predictability: AUC, with DeLong's interval, of boosted trees that tell a group from all others by the model's inputs "
        "(without the sensitive columns), trained on half of up to 20,000 rows and judged on the other half. Association of each "
        "input, numbers cut at quantiles: Cramér's V net of chance (Bergsma 2013)."
    ),
    figures=(
        _F("predictability", "Predictability of the group", "lower", per_group=True),
        _F("strongest_association", "Strongest association of an input", "lower"),
    ),
    code="governance.checks.fairness.proxies:Proxies",
)  # fmt: skip

ALL: tuple[Manifest, ...] = (FAIRNESS, REGRESSION, CLASSES, CLARIFY, FLIP_TEST, LL144, PROXIES)
