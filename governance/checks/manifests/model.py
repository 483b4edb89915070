"""The model's files and papers."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest

_F = FigureSpec

SECURITY = Manifest(
    key="security.scan", version=1, category="security", title="Scan of the model's files", task="any", needs=("scan",),
    definition="Findings of the artifact gate: files read as bytes, default-deny list of what a pickle may name.",
    figures=(_F("refused_findings", "Refused findings", "lower"), _F("warnings", "Warnings", "lower")),
    code="governance.checks.security_scan:SecurityScan",
)  # fmt: skip

CARD = Manifest(
    key="documentation.card", version=1, category="documentation", title="Completeness of the model card",
    task="any", needs=("card",),
    definition="The share of the required card fields that hold at least one word.",
    figures=(_F("filled_share", "Fields filled in", "higher"), _F("missing_fields", "Fields missing", "lower")),
    code="governance.checks.documentation_card:DocumentationCard",
)  # fmt: skip

ALL: tuple[Manifest, ...] = (SECURITY, CARD)
