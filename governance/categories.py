"""What the categories of checks are called, in the order in which they are shown. Those of plug-ins come after ours, by name."""

from collections.abc import Mapping
from typing import Final

CATEGORIES: Final[Mapping[str, str]] = {
    "performance": "Performance",
    "fairness": "Fairness",
    "explainability": "Explainability",
    "robustness": "Robustness",
    "drift": "Drift",
    "data": "Data quality",
    "reproducibility": "Reproducibility",
    "security": "Security scan",
    "resources": "Resources",
    "documentation": "Documentation",
    "script": "Scripts",
    "manual": "Findings",
    "scoring": "Predictions",
}
