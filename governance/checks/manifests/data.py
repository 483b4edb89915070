"""The data a model is tested on."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest

_F = FigureSpec

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
    code="governance.checks.data_quality:DataQuality",
)  # fmt: skip

DRIFT = Manifest(
    key="drift.columns", version=1, category="drift", title="Drift of the inputs", task="any",
    needs=("data", "training"),
    definition=(
        "Each input of the test data against the training data. PSI = Σ (p-q) ln(p/q) over bins that the training data "
        "fixes, also net of what chance gives, (B-1)(1/n+1/m) (Yurdakul & Naranjo 2020), with an interval by inverting the "
        "non-central chi-square. Numbers: Kolmogorov-Smirnov statistic, and the Wasserstein distance in standard "
        "deviations of the training data. Categories: chi-square test and Cramér's V. Jensen-Shannon distance, base 2. "
        "A column has drifted when its net PSI is above the line and its test says so after Benjamini and Hochberg's "
        "correction over all columns (1995): both the size and the evidence."
    ),
    figures=(
        _F("drifted_columns", "Drifted columns", "lower"), _F("psi", "PSI", "lower"),
        _F("psi_corrected", "PSI beyond chance", "lower"), _F("js_distance", "Jensen-Shannon distance", "lower"),
        _F("ks", "Kolmogorov-Smirnov statistic", "lower"), _F("wasserstein", "Wasserstein distance", "lower"),
        _F("cramers_v", "Cramér's V", "lower"),
    ),
    code="governance.checks.drift:ColumnDrift",
)  # fmt: skip

DOMAIN = Manifest(
    key="drift.classifier", version=1, category="drift", title="Drift of the inputs together", task="any",
    needs=("data", "training"),
    definition=(
        "AUC, with DeLong's interval, of boosted trees that tell rows of the test data from rows of the training data, each "
        "row scored by a model that has not seen it, in five folds (a classifier two-sample test: Lopez-Paz & Oquab 2017). "
        "0.5 means that they cannot be told apart."
    ),
    figures=(_F("domain_auc", "AUC of telling test from training data", "lower"),),
    code="governance.checks.domain:DomainClassifier",
)  # fmt: skip

ALL: tuple[Manifest, ...] = (QUALITY, DRIFT, DOMAIN)
