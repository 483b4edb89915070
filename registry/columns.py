"""What the columns of a data set are for: the roles, their shape, and which of them exclude each other. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from audit.canonical import LARGEST
from config.errors import Invalid
from registry import names

LISTS: Final = ("features", "sensitive")
SINGLE: Final = ("label", "prediction", "score", "weight", "id", "time")
ROLES: Final = frozenset({*LISTS, *SINGLE, "positive"})
NEVER_FEATURES: Final = ("prediction", "score", "weight", "id", "time")
MOST: Final = 5_000
LONGEST: Final = 250


def checked(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Column roles as they are stored.

    Raises ``Invalid`` for field ``columns.…``: an unknown role, no column name, a name given twice, a column that has
    two of the single roles, and one that is a feature though its role says that it is none.
    """
    found: dict[str, Any] = {}
    for key, value in columns.items():
        field = f"columns.{key}"
        if key not in ROLES:
            known = ", ".join(sorted(ROLES))
            raise Invalid(f"{key!r} is no column role; known are {known}.", code="columns", field=field)
        if key in LISTS:
            found[key] = _listed(key, value, field)
        elif key == "positive":
            found[key] = _positive(value, field)
        else:
            found[key] = _name(value, field)
    _check_apart(found)
    return found


def _name(value: object, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise Invalid(f"{field}: the name of a column was expected.", code="columns", field=field)
    names.check_text(value, field=field, longest=LONGEST)
    return value


def _listed(key: str, value: object, field: str) -> list[str]:
    if not isinstance(value, list | tuple) or len(value) > MOST:
        raise Invalid(f"{key} is a list of at most {MOST} column names.", code="columns", field=field)
    for name in value:
        _name(name, field)
    if len(set(value)) < len(value):
        twice = next(name for name in value if value.count(name) > 1)
        raise Invalid(f"{key} names the column {twice!r} twice.", code="columns.twice", field=field)
    return list(value)


def _positive(value: object, field: str) -> object:
    if not isinstance(value, str | int | bool):
        raise Invalid(
            "positive is the label's value that counts as 1: text, integer or true.", code="columns", field=field
        )
    if isinstance(value, str):
        names.check_text(value, field=field, longest=LONGEST)
    elif abs(value) > LARGEST:
        raise Invalid("positive is beyond 2**53 - 1; write it as text.", code="columns", field=field)
    return value


def _check_apart(columns: Mapping[str, Any]) -> None:
    """No column plays two parts that exclude each other."""
    part: dict[str, str] = {}
    for role in SINGLE:
        name = columns.get(role, "")
        if name and name in part:
            raise Invalid(
                f"The column {name!r} is named as {part[name]} and as {role}; it can be one of them.",
                code="columns.two_roles",
                field=f"columns.{role}",
            )
        part[name] = role
    for role in NEVER_FEATURES:
        name = columns.get(role, "")
        if name and name in columns.get("features", ()):
            raise Invalid(
                f"The column {name!r} is named as {role}, so it is no feature.",
                code="columns.not_a_feature",
                field="columns.features",
                remedy=f"Leave it out of the features, or give it no role {role}.",
            )
    identity = columns.get("id", "")
    if identity and identity in columns.get("sensitive", ()):
        raise Invalid(
            f"The column {identity!r} is named as id; it cannot be a sensitive group, too.",
            code="columns.two_roles",
            field="columns.sensitive",
        )


def hidden(columns: Mapping[str, Any]) -> frozenset[str]:
    """The columns of which no value is ever shown: sensitive ones and ids."""
    return frozenset({*columns.get("sensitive", ()), columns.get("id", "")} - {""})
