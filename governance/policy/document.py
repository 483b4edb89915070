"""The parsed policy: frozen values, nothing of YAML left in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Operator = Literal["ge", "le"]
Bound = Literal["value", "ci_low", "ci_high"]
InsufficientData = Literal["warn", "fail"]
NotApplicable = Literal["accept", "fail"]
"""What a check that says it does not apply to the model is worth: nothing, unless the policy says otherwise."""
Predictions = Literal["computed", "uploaded"]
"""Whether predictions that somebody uploaded, of a model that is not here, are taken."""
SandboxLevel = Literal["reduced", "confined", "full"]
SandboxEnvironment = Literal["any", "compatible"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A line that a figure must keep to. ``ideal`` is the best value there is, for the headroom picture."""

    figure: str
    op: Operator
    value: float
    bound: Bound
    ideal: float


@dataclass(frozen=True, slots=True)
class CheckRequirement:
    """One check that must have run, and the limits on its figures. ``key`` is unique in the policy."""

    key: str
    use: str
    limits: tuple[Limit, ...] = ()
    sensitive: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    dataset: str | None = None
    data_role: str = "test"
    insufficient_data: InsufficientData = "fail"
    predictions: Predictions = "computed"
    not_applicable: NotApplicable = "fail"

    @property
    def is_manual(self) -> bool:
        """Whether a person records the result."""
        return self.use.partition("@")[0] == "manual"


@dataclass(frozen=True, slots=True)
class Slots:
    """``n`` people who hold ``role``; ``independent`` people also report outside the developing team."""

    role: str
    n: int
    independent: bool = False


@dataclass(frozen=True, slots=True)
class ReviewStage:
    """One step of the review; every slot of ``all`` must be filled by a different person."""

    name: str
    all: tuple[Slots, ...]

    @property
    def size(self) -> int:
        """How many signatures the stage needs."""
        return sum(slots.n for slots in self.all)


@dataclass(frozen=True, slots=True)
class WaiverRule:
    """Who may waive an unmet check, and for how long at most."""

    by: Slots
    max_days: int


@dataclass(frozen=True, slots=True)
class SandboxRule:
    """How the model must have run. ``level``: the least protection; ``environment``: with which libraries."""

    level: SandboxLevel = "reduced"
    environment: SandboxEnvironment = "any"


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy version. ``digest`` is the sha256 of the exact bytes it was read from."""

    name: str
    digest: str
    tiers: tuple[int, ...]
    targets: tuple[str, ...]
    checks: tuple[CheckRequirement, ...]
    card: tuple[str, ...]
    review: tuple[ReviewStage, ...]
    title: str = ""
    valid_days: int | None = None
    waivers: WaiverRule | None = None
    namespaces: tuple[str, ...] = ()
    sandbox: SandboxRule = SandboxRule()

    def governs(self, *, tier: int, target: str) -> bool:
        """Whether this policy speaks about a model of ``tier`` moving to ``target`` (``alias:x``, ``stage:X``)."""
        return tier in self.tiers and target in self.targets

    def stage(self, name: str) -> ReviewStage:
        """The stage of that name. Raises ``KeyError``."""
        for stage in self.review:
            if stage.name == name:
                return stage
        raise KeyError(name)
