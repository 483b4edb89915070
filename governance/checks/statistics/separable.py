"""How well rows of two kinds can be told apart by a trained classifier: out-of-fold scores, AUC with DeLong's interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from governance.checks.statistics import delong

FOLDS = 5
LEAST = 5
"""Rows of each kind that every fold needs one of."""


def told_apart(features: pa.Table, kind: np.ndarray, *, seed: int) -> delong.Auc | None:
    """AUC of telling kind 1 from kind 0, each row scored by a model that has not seen it; None with too few of a kind.

    Boosted trees take numbers with their gaps, and categories as they are; no tuning, so that the seed fixes the result.
    """
    if min(int((kind == 1).sum()), int((kind == 0).sum())) < LEAST:
        return None
    frame = _encoded(features)
    ranked = np.zeros(len(kind))
    # One thread: several that wait for each other on a busy machine are far slower, and workers share the cores anyway.
    with threadpool_limits(1):
        for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(frame, kind):
            model = HistGradientBoostingClassifier(max_iter=60, random_state=seed, early_stopping=False)
            score = model.fit(frame[train], kind[train]).predict_proba(frame[test])[:, 1]
            # The folds' models differ, so their scores are compared by rank within the fold.
            ranked[test] = pd.Series(score).rank(pct=True).to_numpy()
    return delong.auc(ranked, kind, np.ones(len(kind), dtype="int64"))


def _encoded(features: pa.Table) -> np.ndarray:
    """Numbers as they are; words by their place among the words, sorted."""
    made = []
    for column in features.columns:
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type):
            made.append(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
        else:
            codes, _ = pd.factorize(column.cast(pa.string()).to_pandas(), sort=True)
            made.append(np.where(codes < 0, np.nan, codes.astype("float64")))
    return np.column_stack(made)
