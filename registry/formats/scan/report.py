"""What a scan found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["refused", "warning", "info"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One finding: ``code`` is stable, ``path`` is relative to the model's directory, ``message`` is for people."""

    path: str
    severity: Severity
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ScanReport:
    """Everything found, sorted. ``globals`` are all names that the pickles and skops files would import."""

    findings: tuple[Finding, ...]
    flavors: tuple[str, ...] = ()
    loader_module: str = ""
    requirements: tuple[str, ...] = ()
    globals: tuple[str, ...] = ()
    files: int = 0
    bytes: int = 0

    @property
    def refused(self) -> tuple[Finding, ...]:
        """The findings that close the gate."""
        return tuple(finding for finding in self.findings if finding.severity == "refused")

    @property
    def ok(self) -> bool:
        """Whether the model may enter the sandbox."""
        return not self.refused

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; what ``CheckInputs.scan`` takes."""
        made = asdict(self)
        made["findings"] = [asdict(finding) for finding in self.findings]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in made.items()}
