"""``explainability.importance``: what the model leans on, and how sure that ranking is."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.explainability import IMPORTANCE
from governance.checks.results import CheckError, CheckResult, Figure, Table
from governance.checks.rowless import RowlessCheck

_SPECS = {spec.key: spec for spec in IMPORTANCE.figures}


class Importance(RowlessCheck):
    """Reads the sandbox's report of mode ``importance``."""

    manifest = IMPORTANCE
    params = Params

    def validate(self, inputs: CheckInputs) -> None:
        report = inputs.importance
        if report is None:
            raise CheckError("inputs.missing", "This check needs the sandbox's importance report, and none was given.")
        try:
            drops = np.asarray(report["drops"], dtype="float64")
            shape = (len(report["features"]), drops.shape[1])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CheckError("inputs.invalid", "The importance report is not of its form.") from error
        if drops.shape != shape or not np.isfinite(drops).all() or not len(drops):
            raise CheckError("inputs.invalid", "The importance report holds no table of finite numbers.")

    def finish(self, state: pa.Table, inputs: CheckInputs, params: Params) -> CheckResult:
        report: Mapping[str, Any] = inputs.importance or {}
        names: list[str] = list(report["features"])
        drops = np.asarray(report["drops"], dtype="float64")
        repeats, n = drops.shape[1], int(report["rows"])
        means = drops.mean(axis=1)
        errors = drops.std(axis=1, ddof=1) / np.sqrt(repeats) if repeats > 1 else np.full(len(names), np.nan)
        useful = np.maximum(means, 0.0)
        shares = useful / useful.sum() if useful.sum() > 0 else np.zeros(len(names))
        order = sorted(range(len(names)), key=lambda i: (-means[i], names[i]))
        rows = tuple(
            (names[i], float(means[i]), float(errors[i]) if np.isfinite(errors[i]) else None, float(shares[i]))
            for i in order
        )
        sensitive = [i for i, name in enumerate(names) if name in inputs.roles.sensitive]
        measure = {"auc": "AUC", "r2": "R²"}[report["metric"]]
        return CheckResult(
            IMPORTANCE.key, IMPORTANCE.version, params.as_dict(), n,
            figures=(
                _stability(drops, n), _plain("top_share", float(shares.max()), n),
                _plain("sensitive_share", float(shares[sensitive].sum()) if sensitive else 0.0, n),
            ),
            tables=(Table("importance", f"Loss of {measure} when shuffled", _COLUMNS, rows),),
            findings=(f"“{names[order[0]]}” matters most: shuffled, {measure} falls by {means[order[0]]:.3f}.",),
            limits=(
                "Inputs that move together share their importance, so each can look small alone.",
                "Importance says what this model uses, not what causes the outcome.",
            ),
            facts={"metric": str(report["metric"]), "baseline": float(report["baseline"]), "repeats": repeats},
        )  # fmt: skip


_COLUMNS = (("feature", "Input"), ("importance", "Importance"), ("error", "Standard error"), ("share", "Share"))


def _plain(key: str, value: float, n: int) -> Figure:
    spec = _SPECS[key]
    return Figure(key, spec.label, value, n, spec.better)


def _stability(drops: np.ndarray, n: int) -> Figure:
    """Mean Spearman correlation over all pairs of repeats; not defined below two repeats or two inputs."""
    spec = _SPECS["rank_stability"]
    features, repeats = drops.shape
    if repeats < 2 or features < 2:
        return Figure(spec.key, spec.label, None, n, spec.better, note="It needs at least two repeats and two inputs.")
    ranks = np.apply_along_axis(rankdata, 0, drops)
    ranks -= ranks.mean(axis=0)
    norms = np.sqrt((ranks**2).sum(axis=0))
    if not norms.all():
        return Figure(spec.key, spec.label, None, n, spec.better, note="In a repeat no input made any difference.")
    pairs = [float(ranks[:, a] @ ranks[:, b] / (norms[a] * norms[b])) for a, b in combinations(range(repeats), 2)]
    return Figure(spec.key, spec.label, float(np.mean(pairs)), n, spec.better)
