"""What every built-in check says about itself. Plain data, so that pages and planners need no numerical library."""

from __future__ import annotations

from governance.checks.contract import Manifest
from governance.checks.manifests import data, explainability, fairness, model, performance, policys_own

MANIFESTS: tuple[Manifest, ...] = (
    *performance.ALL, *fairness.ALL, *explainability.ALL, *data.ALL, *model.ALL,
    *policys_own.ALL,
)  # fmt: skip
