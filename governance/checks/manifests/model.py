"""The model's files and papers."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest

_F = FigureSpec

SECURITY = Manifest(
    key="security.scan", version=1, category="security", title="Scan of the model's files", task="any", needs=("scan",),
    modalities=("any",),
    definition="Findings of the artifact gate: files read as bytes, default-deny list of what a pickle may name.",
    figures=(_F("refused_findings", "Refused findings", "lower"), _F("warnings", "Warnings", "lower")),
    code="governance.checks.security_scan:SecurityScan",
)  # fmt: skip

CARD = Manifest(
    key="documentation.card", version=1, category="documentation", title="Completeness of the model card",
    task="any", needs=("card",), modalities=("any",),
    definition="The share of the required card fields that hold at least one word.",
    figures=(_F("filled_share", "Fields filled in", "higher"), _F("missing_fields", "Fields missing", "lower")),
    code="governance.checks.documentation_card:DocumentationCard",
)  # fmt: skip

PINS = Manifest(
    key="security.pins", version=1, category="security", title="Known vulnerabilities of recorded packages", task="any",
    needs=("requirements", "advisories"), modalities=("any",),
    definition=(
        "The requirements in the sealed requirements.txt, conda.yaml and python_env.yaml, read as text, against the operator's "
        "offline list of advisories (OSV format; setting ADVISORIES_DIR). A pinned version is vulnerable when an advisory lists "
        "it or one of its ranges holds it, by the order of PEP 440. A requirement that is not pinned may be, when it allows "
        "such a version. Without a list nothing is shown to be safe: the first two figures have no value."
    ),
    figures=(
        _F("vulnerable_pins", "Vulnerable packages", "lower"),
        _F("possibly_vulnerable", "Packages that may be vulnerable", "lower"),
        _F("unpinned", "Requirements not pinned to one version", "lower"),
    ),
    code="governance.checks.pins:Pins",
)  # fmt: skip

ALL: tuple[Manifest, ...] = (SECURITY, CARD, PINS)
