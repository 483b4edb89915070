"""A data set version as its page shows it: states as marks, the profile as rows of words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from registry.models import DatasetVersion

MOST_COLUMNS: Final = 300
_MARKS: Final = {"open": "queued", "sealing": "running", "sealed": "pass", "failed": "error"}
_ROLES: Final = {"sensitive": "sensitive", "id": "id", "feature": "feature"}
_FORMATS: Final = {"csv": "CSV", "parquet": "Parquet", "arrow": "Arrow"}
_MANY: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A column of the profile. ``looks`` are pairs of words: quantile and value, or value and rows."""

    name: str
    type: str
    role: str
    secret: bool
    missing: str
    distinct: str
    looks: list[tuple[str, str]]
    rest: str


def mark_of(version: DatasetVersion) -> tuple[str, str]:
    """Mark and word of its state."""
    return _MARKS[version.status], str(DatasetVersion.Status(version.status).label)


def format_of(version: DatasetVersion) -> str:
    """``CSV, packed with gzip``."""
    packed = f", packed with {version.compression}" if version.compression else ""
    return f"{_FORMATS.get(version.format, version.format)}{packed}"


def profile_rows(version: DatasetVersion) -> list[Row]:
    """What may be told of the columns, at most ``MOST_COLUMNS`` of them."""
    if not version.profile:
        return []
    cell = int(version.profile["smallest_cell"])
    return [_row(one, cell) for one in version.profile["columns"][:MOST_COLUMNS]]


def role_facts(version: DatasetVersion) -> list[tuple[str, str]]:
    """The column roles in words; lists in short."""
    columns: Mapping[str, Any] = version.columns
    facts = []
    for role in ("label", "positive", "prediction", "score", "sensitive", "features", "weight", "id", "time"):
        value = columns.get(role)
        if value in (None, [], ""):
            continue
        facts.append((role.capitalize(), _some(value) if isinstance(value, list) else str(value)))
    return facts


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MANY} more" if len(listed) > _MANY else ""
    return ", ".join(listed[:_MANY]) + more


def _row(one: Mapping[str, Any], cell: int) -> Row:
    looks = [(f"{float(share):.0%}", value) for share, value in one.get("quantiles", [])]
    if "mean" in one:
        looks.append(("mean", one["mean"]))
    looks += [(value, f"{count:,} rows") for value, count in one.get("top", [])]
    return Row(
        name=one["name"],
        type=one["type"],
        role=_ROLES.get(one["role"], one["role"]),
        secret=bool(one.get("secret")),
        missing=_missing(one, cell),
        distinct=_distinct(one),
        looks=looks,
        rest=f"{one['rest']:,} rows of other values" if one.get("rest") else "",
    )


def _missing(one: Mapping[str, Any], cell: int) -> str:
    if "missing" not in one:
        return "not told"
    words = "not told" if one["missing"] is None else f"{one['missing']:,}"
    if one.get("not_finite"):
        words += f"; {one['not_finite']:,} not finite"
    return words if one["missing"] is not None else f"{words} (cells below {cell} are kept back)"


def _distinct(one: Mapping[str, Any]) -> str:
    if one.get("more_than"):
        return f"more than {one['more_than']:,}"
    return f"{one['distinct']:,}" if one.get("distinct") is not None else "not told"
