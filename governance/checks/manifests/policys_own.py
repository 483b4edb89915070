"""Checks whose substance the policy brings: a person's finding, and a script."""

from __future__ import annotations

from governance.checks.contract import Manifest

MANUAL = Manifest(
    key="manual", version=1, category="manual", title="A person's finding", task="any", needs=(), modalities=("any",),
    definition=(
        "A person with the role that the policy names examines what the instructions say and records pass, fail or "
        "inconclusive, with words and at most one file. Whoever asked for the promotion, registered or trained the version or "
        "wrote its code cannot. Nothing is computed, so the finding has no figures and cannot be run again."
    ),
    figures=(),
    code="governance.checks.manual:ManualFinding",
)  # fmt: skip

SCRIPT = Manifest(
    key="script", version=1, category="script", title="Script of the policy", task="any",
    needs=("data", "predictions", "script"),
    definition=(
        "The script that stands in the policy is run in the sandbox, without network, with the data set and the model's "
        "predictions as Parquet files, and writes its figures as JSON. Its digest is in the result; what its figures mean "
        "is the script's to say."
    ),
    figures=(),
    code="governance.checks.scripted:Script",
    sandbox=True,
)  # fmt: skip

ALL: tuple[Manifest, ...] = (MANUAL, SCRIPT)
FIGURES_OF_ITS_OWN = frozenset({"script"})
"""Checks whose figures are not known before they run: a policy may set a limit on any name."""
