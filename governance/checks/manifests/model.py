"""The model's files and papers."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest
from governance.checks.model.metric_names import NAMES

_F = FigureSpec

SECURITY = Manifest(
    key="security.scan", version=1, category="security", title="Scan of the model's files", task="any", needs=("scan",),
    modalities=("any",),
    definition=(
        "Findings of the artifact gate, each with its file: files and what is inside archives read as bytes, default-deny lists "
        "of formats, of MLmodel's flavours and loaders, and of what a pickle or skops file may name. Nothing is loaded."
    ),
    figures=(
        _F("refused_findings", "Refused findings", "lower"), _F("warnings", "Warnings", "lower"),
        _F("unlisted_formats", "Formats that are not on the list", "lower"),
        _F("archive_findings", "Refused findings inside archives", "lower"),
    ),
    code="governance.checks.model.scan:SecurityScan",
)  # fmt: skip

CARD = Manifest(
    key="documentation.card", version=1, category="documentation", title="Completeness of the model card",
    task="any", needs=("card", "papers"), modalities=("any",),
    definition=(
        "The share of the required card fields that hold at least one word; how many days before this version was registered the "
        "card was last changed; data sets that it names by version or digest and that are not those of this version."
    ),
    figures=(
        _F("filled_share", "Fields filled in", "higher"), _F("missing_fields", "Fields missing", "lower"),
        _F("days_behind", "Days the card is older than the version", "lower"), _F("wrong_data", "Other data named", "lower"),
    ),
    code="governance.checks.model.card:DocumentationCard",
)  # fmt: skip

CLAIMS = Manifest(
    key="documentation.claims", version=1, category="documentation", title="Figures that the model card states", task="any",
    needs=("data", "label", "predictions", "card"), modalities=("any",), reads="roles", splits=True,
    definition=(
        "Every figure of performance that the card states (a measure's name and a number: “AUC 0.83”, “accuracy above 90 %”) "
        "against the same figure measured on the sealed data. It is stale when both differ by more than half a unit of the last "
        "digit stated and a tolerance, or when a stated bound is not kept. What is said of training or validation is left out."
    ),
    figures=(
        _F("stale_claims", "Stale figures in the card", "lower"), _F("compared_claims", "Stated figures compared", "higher"),
        _F("unmeasured_claims", "Stated figures not measured here", "lower"),
    ),
    code="governance.checks.model.claims:Claims",
)  # fmt: skip

PINS = Manifest(
    key="security.pins", version=1, category="security", title="Known vulnerabilities of recorded packages", task="any",
    needs=("requirements", "advisories"), modalities=("any",),
    definition=(
        "The requirements in the sealed requirements.txt, conda.yaml and python_env.yaml, read as text, against the operator's "
        "offline list of advisories (OSV format; setting ADVISORIES_DIR). A pinned version is vulnerable when an advisory lists "
        "it or one of its ranges holds it, by the order of PEP 440. A requirement that is not pinned may be, when it allows "
        "such a version. Without a list nothing is shown to be safe, and no figure has a value."
    ),
    figures=(
        _F("vulnerable_pins", "Vulnerable packages", "lower"),
        _F("possibly_vulnerable", "Packages that may be vulnerable", "lower"),
        _F("unpinned", "Requirements not pinned to one version", "lower"),
    ),
    code="governance.checks.model.pins:Pins",
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
    code="governance.checks.model.resources:Resources",
)  # fmt: skip

REPRODUCED = Manifest(
    key="reproducibility.metrics", version=1, category="reproducibility", title="Recorded metrics, computed again", task="any",
    needs=("data", "label", "predictions", "metrics"), modalities=("any",), reads="roles", splits=True,
    definition=(
        "Every metric that the author recorded with the version, and whose name means one of our figures, against that figure "
        "computed again from the sealed model on sealed data. It is reproduced when both agree within half a unit of the last "
        "digit recorded, or a tolerance. Names: " + "; ".join(f"{figure}: {', '.join(names)}" for figure, names in NAMES.items())
        + "; with “test”, “eval” or “holdout” before or after. What is named after training, validation or folds is of other "
        "rows and is not compared."
    ),
    figures=(
        _F("unreproduced", "Metrics not reproduced", "lower"), _F("compared", "Metrics compared", "higher"),
        _F("difference", "Difference of a metric", "lower", per_group=True),
        _F("relative_difference", "Relative difference of a metric", "lower", per_group=True),
    ),
    code="governance.checks.model.reproducibility:Reproduced",
)  # fmt: skip

ALL: tuple[Manifest, ...] = (SECURITY, CARD, CLAIMS, PINS, RESOURCES, REPRODUCED)
