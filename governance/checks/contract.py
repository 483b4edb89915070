"""The plug-in contract of a check: ``plan → map(shard) → merge → finish`` (DESIGN §12).

``map`` turns a shard of rows into a table of integer counts; ``merge`` adds such tables; ``finish`` turns the
one merged table into a result. Because a state is a *sorted table of distinct keys with integer counts*, any
partition of the rows merges to the same bits, and no float is ever summed in an order that depends on the split.
"""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from governance.checks.results import Better, CheckError, CheckResult

if TYPE_CHECKING:
    import pyarrow as pa

Need = Literal[
    "data", "label", "sensitive", "predictions", "scores", "champion", "training", "probe", "recorded",
    "scan", "card", "train_predictions", "trees", "latency", "live_data", "metrics", "requirements",
    "live_probe", "script", "signature", "advisories", "papers",
]  # fmt: skip
"""What a check asks the engine for. A loader in ``governance.engine.inputs`` fills the field of ``CheckInputs``."""
Modality = Literal["any", "tabular", "text", "image"]
Task = Literal["binary", "multiclass", "regression", "ranking", "any"]


@dataclass(frozen=True, slots=True)
class Roles:
    """Which column of the data set plays which part. ``features`` empty means: those of the model's signature.

    The columns ``weight``, ``prediction``, ``id`` and ``time`` are never features.
    """

    label: str | None = None
    sensitive: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    positive: str | int | bool | None = None
    weight: str | None = None
    prediction: str | None = None
    id: str | None = None
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What the model said to a table that a check made up: predictions row by row, or the sentence why there are none."""

    predictions: pa.Table | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class CheckInputs:
    """Everything a check may read. Tables have the same rows in the same order as ``data``.

    ``predictions`` and ``champion`` are what the sandbox wrote: ``score`` (float64) and/or ``prediction``.
    ``scan`` is ``ScanReport.as_dict()``;
    ``card`` maps the card's field names to their text, ``required_card`` lists those the policy wants.
    ``probes`` are the answers to ``ProbeCheck.probes``, by name.
    ``training_predictions`` are those of this version on the rows of ``training``, in their order; ``live_data`` are rows
    that the live version was given. ``metrics`` are those recorded with the version, ``requirements`` the texts of its
    requirement files by name, ``latency`` and ``trees`` the sandbox's reports of modes ``resources`` and ``treeshap``.
    None where there is none.
    ``live_probes`` and ``live_trees`` are what the live version says to the same rows as ``probes`` and ``trees``.
    ``signature`` are the inputs of the model's signature as MLmodel has them, ``advisories`` the operator's list of known
    vulnerabilities for the recorded packages, ``papers`` what the card is held against: dates and sealed data sets.
    ``script`` is what a script of the policy's answered in the sandbox.
    ``prepared`` is what ``plan`` found out about all rows and every shard needs, such as the edges of bins.
    """

    data: pa.Table | None = None
    roles: Roles = field(default_factory=Roles)
    predictions: pa.Table | None = None
    champion: pa.Table | None = None
    training: pa.Table | None = None
    scan: Mapping[str, Any] | None = None
    card: Mapping[str, str] | None = None
    required_card: tuple[str, ...] = ()
    probes: Mapping[str, Probe] | None = None
    training_predictions: pa.Table | None = None
    live_data: pa.Table | None = None
    metrics: Mapping[str, float] | None = None
    requirements: Mapping[str, str] | None = None
    latency: Mapping[str, Any] | None = None
    trees: Mapping[str, Any] | None = None
    live_probes: Mapping[str, Probe] | None = None
    live_trees: Mapping[str, Any] | None = None
    script: Mapping[str, Any] | None = None
    signature: Sequence[Mapping[str, Any]] | None = None
    advisories: Mapping[str, Any] | None = None
    papers: Mapping[str, Any] | None = None
    prepared: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Params:
    """Base of every check's typed parameters."""

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Typed parameters from a policy's ``params``. Raises ``CheckError`` naming the parameter."""
        hints = get_type_hints(cls)
        known = {f.name for f in fields(cls)}
        for name in given:
            if name not in known:
                listed = ", ".join(sorted(known)) or "none"
                raise CheckError("params.unknown", f"There is no parameter “{name}” here. Known: {listed}.")
        made = {name: _typed(name, hints[name], value) for name, value in given.items()}
        for f in fields(cls):
            if f.name not in made and f.default is MISSING and f.default_factory is MISSING:
                raise CheckError("params.missing", f"The parameter “{f.name}” is required.")
        params = cls(**made)
        params.check()
        return params

    def check(self) -> None:
        """Raises ``CheckError`` when values do not fit together. The base accepts all."""

    def as_dict(self) -> dict[str, Any]:
        """Every parameter with the value in force, defaults included: this is what a result records."""
        return asdict(self)


def _typed(name: str, hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise CheckError("params.type", f"The parameter “{name}” must be a list.")
        return tuple(_typed(name, get_args(hint)[0], item) for item in value)
    if origin is Literal:
        if value not in get_args(hint):
            raise CheckError("params.value", f"The parameter “{name}” must be one of {', '.join(get_args(hint))}.")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise CheckError("params.type", f"The parameter “{name}” must be {hint.__name__}, not {type(value).__name__}.")
    return value


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """A figure that a policy may set a limit on. ``per_group`` figures come once per group."""

    key: str
    label: str
    better: Better
    per_group: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a check says about itself; ``definition`` holds formula and source, in words.

    ``code`` is ``module:Class``; it is imported when the check is run, so that planners stay light.

    ``reads`` says which columns of the data it reads: ``all``, or only those that have a role (the features are none) and
    those that its parameters name; it is never given more. ``splits``: ``map`` of parts of the rows may run on several
    workers. ``modalities``: the kinds of model it can judge; for others the engine answers "not applicable".
    """

    key: str
    version: int
    title: str
    category: str
    definition: str
    task: Task
    needs: tuple[Need, ...]
    figures: tuple[FigureSpec, ...]
    code: str
    sandbox: bool = False
    reads: Literal["all", "roles"] = "all"
    splits: bool = False
    modalities: tuple[Modality, ...] = ("tabular",)

    @property
    def name(self) -> str:
        """``key@version``, the name in the catalogue."""
        return f"{self.key}@{self.version}"


class Check(ABC):
    """One check. All methods are pure: no database, no network, no clock, no unseeded randomness."""

    manifest: ClassVar[Manifest]
    params: ClassVar[type[Params]] = Params

    @abstractmethod
    def plan(self, inputs: CheckInputs, params: Any, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        """Validate the inputs and split their rows. Raises ``CheckError`` naming the column at fault."""

    @abstractmethod
    def map(self, shard: CheckInputs, params: Any) -> pa.Table:
        """Counts of one shard: key columns and one int64 column ``count``."""

    def merge(self, states: Iterable[pa.Table]) -> pa.Table:
        """Add count tables. Guarantee: the same bits for any partition and any order."""
        from governance.checks.statistics.counts import merged  # noqa: PLC0415 - so that planners need no numpy

        return merged(states)

    @abstractmethod
    def finish(self, state: pa.Table, inputs: CheckInputs, params: Any) -> CheckResult:
        """The result from the merged counts; of ``inputs`` only what is not rows is read."""


def run_check(
    check: Check, inputs: CheckInputs, params: Mapping[str, Any] | None = None, *, shards: int = 1
) -> CheckResult:
    """Run all four steps in this process. Raises ``CheckError``."""
    typed = check.params.from_mapping(params or {})
    parts = check.plan(inputs, typed, shards=shards)
    state = check.merge(check.map(part, typed) for part in parts)
    return check.finish(state, inputs, typed)
