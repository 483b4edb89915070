"""What the policy is evaluated against: everything known about one request, as frozen values without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

CheckState = Literal[
    "not_run", "queued", "running", "awaited", "done", "error", "timeout", "cancelled", "not_applicable"
]
Decision = Literal["approve", "reject", "request_changes"]
STATES: tuple[CheckState, ...] = (
    "not_run", "queued", "running", "awaited", "done", "error", "timeout", "cancelled", "not_applicable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FigureFact:
    """One measured figure, as stored in a check's result. ``value`` None means there was too little data: see ``withheld``."""

    key: str
    label: str
    value: float | None
    n: int
    ci_low: float | None = None
    ci_high: float | None = None
    scale: Literal["identity", "log", "logit"] = "identity"
    attribute: str | None = None
    group: str | None = None
    reference: str | None = None
    unit: str = ""
    note: str = ""

    @property
    def withheld(self) -> bool:
        """Whether it has a value, and its check says that the rows are too few for an interval, or of the wrong kind."""
        return self.value is not None and self.ci_low is None and self.ci_high is None and self.note.startswith(_FEW)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> FigureFact:
        """From one item of ``figures`` of a stored result. Raises ``KeyError`` when key, label, value or n lack."""
        optional = {name: stored[name] for name in _OPTIONAL if stored.get(name) is not None}
        return cls(stored["key"], stored["label"], stored["value"], stored["n"], **optional)

    @property
    def about(self) -> str:
        """The group in words: ``sex = female``, or nothing for an overall figure."""
        if self.attribute is None:
            return "" if self.group is None else self.group
        return self.attribute if self.group is None else f"{self.attribute} = {self.group}"


_FEW = "Insufficient data"
"""With that a check begins the note of a figure for which it has too little data."""
_OPTIONAL = ("ci_low", "ci_high", "scale", "attribute", "group", "reference", "unit", "note")


@dataclass(frozen=True, slots=True)
class CheckFact:
    """The newest run of one required check. ``key`` is :attr:`CheckRequirement.key`.

    ``stale``: made for another version, data set, policy or code of the check than the request now names.
    ``finding`` and ``words``: of a manual check, what a person found; it has no figures.
    """

    key: str
    state: CheckState
    figures: tuple[FigureFact, ...] = ()
    error: str = ""
    stale: bool = False
    finding: str = ""
    words: str = ""

    @classmethod
    def from_result(cls, key: str, result: Mapping[str, Any], *, stale: bool = False) -> CheckFact:
        """From a stored ``CheckResult``. A result that says it does not apply is ``not_applicable``, never met."""
        figures = tuple(FigureFact.from_json(item) for item in result["figures"])
        reason = str(result.get("not_applicable", ""))
        finding = str(result.get("facts", {}).get("finding", "")) if result.get("check") == "manual" else ""
        words = " ".join(str(one) for one in result.get("findings", ())) if finding else ""
        return cls(key, "not_applicable" if reason else "done", figures, reason, stale, finding, words)


@dataclass(frozen=True, slots=True)
class SignatureFact:
    """One signed decision. ``roles`` are those held *at signing*; ``void`` says why it no longer counts, or ""."""

    id: str
    person: str
    name: str
    stage: str
    decision: Decision
    roles: frozenset[str]
    at: datetime
    independent: bool = False
    void: str = ""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why a person's vote cannot count here, for example ``requested this promotion`` or ``trained the model``."""

    person: str
    because: str


@dataclass(frozen=True, slots=True)
class WaiverFact:
    """An accepted deviation. ``key`` is a check's key, or ``check-key/figure`` for one limit of it."""

    id: str
    key: str
    reason: str
    granted_at: datetime
    expires_at: datetime
    signatures: tuple[SignatureFact, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that counts, at the time ``at``. The evaluation reads no clock and nothing else."""

    at: datetime
    checks: tuple[CheckFact, ...] = ()
    card: frozenset[str] = frozenset()
    signatures: tuple[SignatureFact, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    waivers: tuple[WaiverFact, ...] = ()
