"""What a check hands back: figures with intervals, tables, findings and limits, as deterministic JSON.

Nothing here imports a numerical library, so that web processes can read stored results.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Better = Literal["higher", "lower"]
Scale = Literal["identity", "log", "logit"]
Cell = str | int | float | bool | None


class CheckError(Exception):
    """The check could not be computed, and why.

    Guarantee: ``code`` is stable (``data.*``, ``params.*``, ``inputs.*``), ``str(error)`` is a sentence for
    people, and ``column`` names the column at fault when there is one.
    """

    def __init__(self, code: str, message: str, column: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.column = column

    def __reduce__(self) -> tuple[type[CheckError], tuple[str, str, str | None]]:
        return type(self), (self.code, self.message, self.column)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its uncertainty. ``value`` is None when there was too little data: ``note`` says which.

    A value without an interval whose ``note`` begins with "Insufficient data" is shown, but judged by no limit.
    """

    key: str
    label: str
    value: float | None
    n: int
    better: Better
    ci_low: float | None = None
    ci_high: float | None = None
    unit: str = ""
    scale: Scale = "identity"
    attribute: str | None = None
    group: str | None = None
    reference: str | None = None
    smallest_gap: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("value", "ci_low", "ci_high", "smallest_gap"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"figure {self.key}: {name} is not a finite number")


@dataclass(frozen=True, slots=True)
class Table:
    """A small table for the page: column keys, their labels and rows of plain cells."""

    key: str
    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of figures that a table holds too: ``spec`` is Vega-Lite with its data in it, ``alt`` says what is to be seen."""

    key: str
    title: str
    alt: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Everything one check measured. The same inputs give the same bytes of :meth:`to_json`."""

    check: str
    version: int
    params: Mapping[str, Any]
    n: int
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    findings: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    not_applicable: str = ""
    facts: Mapping[str, Cell] = field(default_factory=dict)
    files: tuple[Mapping[str, Cell], ...] = ()
    """Evidence that stands beside the result: ``sha256``, ``name``, ``media_type``, ``size``. Bundles carry the bytes."""

    def figure(self, key: str, *, attribute: str | None = None, group: str | None = None) -> Figure:
        """The one figure of that key (and attribute and group, if given). Raises ``KeyError``."""
        for figure in self.figures:
            if figure.key == key and attribute in (None, figure.attribute) and group in (None, figure.group):
                return figure
        raise KeyError(key)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types only."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False, default=list))
        return plain

    def to_json(self) -> str:
        """Deterministic: sorted keys, no white space, shortest round-trip numbers."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)

    @property
    def digest(self) -> str:
        """sha256 of :meth:`to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()
