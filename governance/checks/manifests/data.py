"""The data a model is tested on."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest

_F = FigureSpec

QUALITY = Manifest(
    key="data.quality", version=1, category="data", title="Quality of the test data", task="any", needs=("data",),
    definition=(
        "Columns the model or the policy needs and the data lacks; missing cells; rows that occur more than once; "
        "columns with one value; rows that also occur in the training data. Rows are compared by 64-bit hashes; of more than two "
        "million different ones a fixed share is kept, and the figures are estimates with intervals."
    ),
    figures=(
        _F("missing_features", "Missing columns", "lower"), _F("missing_label_share", "Rows without label", "lower"),
        _F("missing_cell_share", "Missing cells", "lower"), _F("duplicate_share", "Repeated rows", "lower"),
        _F("constant_columns", "Columns with one value", "lower"),
        _F("train_overlap_share", "Rows also in the training data", "lower"),
    ),
    code="governance.checks.data.quality:DataQuality", splits=True,
)  # fmt: skip

_MEASURES = (
    "PSI = Σ (p-q) ln(p/q) over bins that {0} fixes (recorded, so that a later run can reuse them), also net of what chance "
    "gives, (B-1)(1/n+1/m) (Yurdakul & Naranjo 2020), with an interval by inverting the non-central chi-square. Numbers: "
    "Kolmogorov-Smirnov statistic, and the Wasserstein distance in standard deviations of {0}. Categories: chi-square test and "
    "Cramér's V. Jensen-Shannon distance, base 2. A column has drifted when its net PSI is above the line and its test says so "
    "after Benjamini and Hochberg's correction over all columns (1995): both the size and the evidence."
)
_MOVED = (
    _F("drifted_columns", "Drifted columns", "lower"), _F("psi", "PSI", "lower", per_group=True),
    _F("psi_corrected", "PSI beyond chance", "lower", per_group=True),
    _F("js_distance", "Jensen-Shannon distance", "lower", per_group=True),
    _F("ks", "Kolmogorov-Smirnov statistic", "lower", per_group=True),
    _F("wasserstein", "Wasserstein distance", "lower", per_group=True), _F("cramers_v", "Cramér's V", "lower", per_group=True),
)  # fmt: skip

DRIFT = Manifest(
    key="drift.columns", version=1, category="drift", title="Drift of the inputs", task="any",
    needs=("data", "training"),
    definition="Each input of the test data against the training data. " + _MEASURES.format("the training data"),
    figures=_MOVED,
    code="governance.checks.data.drift:ColumnDrift", splits=True,
)  # fmt: skip

LIVE_DRIFT = Manifest(
    key="drift.live", version=1, category="drift", title="Drift of the inputs against live data", task="any",
    needs=("data", "live_data"),
    definition=(
        "Each input of the test data against live data, sealed with the role “live” or named by the parameter “live”: whether "
        "the model was tested on what it will meet. " + _MEASURES.format("the live data")
    ),
    figures=_MOVED,
    code="governance.checks.data.drift:LiveDrift", splits=True,
)  # fmt: skip

PREDICTION_DRIFT = Manifest(
    key="drift.predictions", version=1, category="drift", title="Drift of the predictions", task="any",
    needs=("data", "predictions", "training", "train_predictions"),
    definition=(
        "Scores and decisions of the model on the test data against those on its training data. "
        + _MEASURES.format("the training data")
    ),
    figures=_MOVED,
    code="governance.checks.data.drift:PredictionDrift", reads="roles", splits=True,
)  # fmt: skip

LABEL_DRIFT = Manifest(
    key="drift.label", version=1, category="drift", title="Drift of the label", task="any",
    needs=("data", "label", "training"),
    definition="The label of the test data against that of the training data. " + _MEASURES.format("the training data"),
    figures=_MOVED,
    code="governance.checks.data.drift:LabelDrift", reads="roles", splits=True,
)  # fmt: skip

_TOLD_APART = (
    "AUC, with DeLong's interval, of boosted trees that tell rows of the test data from rows of {}, trained on half of up "
    "to 10,000 rows of either and judged on the other half (a classifier two-sample test: Lopez-Paz & Oquab 2017). 0.5 means "
    "that they cannot be told apart."
)

DOMAIN = Manifest(
    key="drift.classifier", version=1, category="drift", title="Drift of the inputs together", task="any",
    needs=("data", "training"),
    definition=_TOLD_APART.format("the training data"),
    figures=(_F("domain_auc", "AUC of telling test from training data", "lower"),),
    code="governance.checks.data.domain:DomainClassifier",
)  # fmt: skip

LIVE_DOMAIN = Manifest(
    key="drift.live_classifier", version=1, category="drift", title="Drift of the inputs together, against live data",
    task="any", needs=("data", "live_data"),
    definition=_TOLD_APART.format("live data, sealed with the role “live” or named by the parameter “live”"),
    figures=(_F("domain_auc", "AUC of telling test from live data", "lower"),),
    code="governance.checks.data.domain:LiveDomainClassifier",
)  # fmt: skip

SCHEMA = Manifest(
    key="data.schema", version=1, category="data", title="The data against the model's signature", task="any",
    needs=("data", "signature"), modalities=("any",),
    definition=(
        "Inputs that the signature in the sealed MLmodel names and the data lacks; columns whose type cannot be given to the "
        "model without loss (whole numbers may widen, nothing narrows, nothing is parsed); whole numbers with empty cells, which "
        "the model cannot take; columns that are neither inputs nor have a role."
    ),
    figures=(
        _F("missing_inputs", "Inputs that the data lacks", "lower"), _F("wrong_types", "Inputs of another type", "lower"),
        _F("empty_inputs", "Inputs with empty cells that cannot be", "lower"),
        _F("extra_columns", "Columns the model does not take", "lower"),
    ),
    code="governance.checks.data.schema:Schema",
)  # fmt: skip

LEAKAGE = Manifest(
    key="data.leakage", version=1, category="data", title="Inputs that tell the label", task="any", needs=("data", "label"),
    definition=(
        "How much each input alone tells of the label, from 0 to 1. A number and two classes: |2 AUC - 1|, interval by DeLong "
        "(1988). Two numbers: Spearman's correlation, interval by Bonett & Wright (Psychometrika 65, 2000). Otherwise Cramér's V "
        "net of chance (Bergsma 2013), with the interval of a correlation of that size. Whether a value is missing is an input "
        "too. An input is suspicious when even the lower end is at or above the line."
    ),
    figures=(
        _F("leaking_inputs", "Inputs that alone tell the label", "lower"),
        _F("association", "Association with the label", "lower", per_group=True),
    ),
    code="governance.checks.data.leakage:Leakage", splits=True,
)  # fmt: skip

ALL: tuple[Manifest, ...] = (
    QUALITY,
    SCHEMA,
    LEAKAGE,
    DRIFT,
    LIVE_DRIFT,
    PREDICTION_DRIFT,
    LABEL_DRIFT,
    DOMAIN,
    LIVE_DOMAIN,
)
