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

ALL: tuple[Manifest, ...] = (QUALITY,)
