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

RESOURCES = Manifest(
    key="resources.latency", version=1, category="resources", title="Speed, memory and size", task="any",
    needs=("data", "latency"), modalities=("any",), sandbox=True, reads="roles",
    definition=(
        "Times of calls to the loaded model in the sandbox, with one row and with a batch, after a warm-up: p50, p95 and p99 "
        "with 95 % intervals between order statistics, whatever the distribution (David & Nagaraja 2003, §7.1). "
        "Peak resident memory of its process, size of its sealed files, time to load. They hold for the machine that the "
        "result names: they are measured anew for every request, never taken from an earlier one."
    ),
    figures=(
        _F("latency_p50", "Time of a call, median", "lower", per_group=True),
        _F("latency_p95", "Time of a call, p95", "lower", per_group=True),
        _F("latency_p99", "Time of a call, p99", "lower", per_group=True), _F("throughput", "Rows a second in batches", "higher"),
        _F("load_seconds", "Time to load", "lower"), _F("peak_memory", "Peak memory", "lower"),
        _F("size", "Size on disk", "lower"),
    ),
    code="governance.checks.resources:Resources",
)  # fmt: skip

ALL: tuple[Manifest, ...] = (SECURITY, CARD, PINS, RESOURCES)
