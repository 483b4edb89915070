"""``script``: what a script of the policy's answered in the sandbox, checked as hostile, as the result of a check."""

# ruff: noqa: ANN401 - the script's answer can be anything
from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

import pyarrow as pa

from governance.checks.contract import CheckInputs
from governance.checks.manifests.policys_own import SCRIPT
from governance.checks.results import Better, Cell, CheckError, CheckResult, Figure, Scale, Table
from governance.checks.rowless import RowlessCheck
from governance.checks.script_params import ScriptParams

MOST_FIGURES: Final = 500
MOST_TEXTS: Final = 50
MOST_TABLES, MOST_ROWS, MOST_COLUMNS = 10, 500, 30
LONGEST_LABEL, LONGEST_TEXT = 120, 1000
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_WHOLE: Final = 2**53
_ANSWER: Final = frozenset({"figures", "tables", "findings", "limits", "not_applicable"})
_FIGURE: Final = frozenset({
    "key", "label", "value", "n", "better", "ci_low", "ci_high", "unit", "scale", "attribute", "group", "reference", "note",
})  # fmt: skip
_TABLE: Final = frozenset({"key", "title", "columns", "rows"})


class Script(RowlessCheck):
    """Reads ``CheckInputs.script``, the answer of the sandbox's mode ``script``."""

    manifest = SCRIPT
    params = ScriptParams

    def validate(self, inputs: CheckInputs) -> None:
        if inputs.script is None:
            raise CheckError("inputs.missing", "The script was not run.")

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ScriptParams) -> CheckResult:
        answer: Any = {} if inputs.script is None else inputs.script
        _known(answer, _ANSWER, "The answer")
        figures = tuple(_figures(answer.get("figures", [])))
        reason = _text(answer.get("not_applicable", ""), "not_applicable", LONGEST_TEXT)
        if not figures and not reason:
            raise _wrong("it has no figure, and no reason in “not_applicable”")
        rows = inputs.data.num_rows if inputs.data is not None else 0
        return CheckResult(
            SCRIPT.key,
            SCRIPT.version,
            params.as_dict(),
            rows,
            figures=figures,
            tables=tuple(_table(one) for one in _list(answer.get("tables", []), "tables", MOST_TABLES)),
            findings=_texts(answer, "findings"),
            limits=(*_texts(answer, "limits"), "Figures of a script: what they mean is the script's to say."),
            not_applicable=reason,
            facts={"script_sha256": params.digest},
        )


def _wrong(what: str) -> CheckError:
    return CheckError("script.answer", f"The script's answer cannot be used: {what}.")


def _known(value: Any, names: frozenset[str], what: str) -> None:
    if not isinstance(value, Mapping):
        raise _wrong(f"{what} is no JSON object")
    if odd := sorted(str(name)[:60] for name in set(value) - names):
        raise _wrong(f"{what} has “{odd[0]}”, which is not known there")


def _list(value: Any, what: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(f"“{what}” is no list")
    if len(value) > most:
        raise _wrong(f"“{what}” has {len(value)} items; {most} are allowed")
    return value


def _text(value: Any, what: str, longest: int) -> str:
    if not isinstance(value, str):
        raise _wrong(f"“{what}” is no text")
    if len(value) > longest:
        raise _wrong(f"“{what}” has {len(value)} characters; {longest} are allowed")
    if not value.replace("\n", " ").isprintable():
        raise _wrong(f"“{what}” holds a character that cannot be shown")
    return value


def _texts(answer: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(_text(one, name, LONGEST_TEXT) for one in _list(answer.get(name, []), name, MOST_TEXTS))


def _key(value: Any, what: str) -> str:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise _wrong(f"the key of {what} must be lower-case letters, digits and _, at most 63")
    return value


def _number(value: Any, what: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(f"“{what}” is no number")
    try:
        found = float(value)
    except OverflowError as error:
        raise _wrong(f"“{what}” is too large") from error
    if not math.isfinite(found):
        raise _wrong(f"“{what}” is not a finite number")
    return found


def _figures(given: Any) -> Iterator[Figure]:
    seen: set[tuple[str, str | None, str | None]] = set()
    for one in _list(given, "figures", MOST_FIGURES):
        figure = _figure(one)
        name = (figure.key, figure.attribute, figure.group)
        if name in seen:
            raise _wrong(f"the figure “{figure.key}” is there twice for the same group")
        seen.add(name)
        yield figure


def _figure(one: Any) -> Figure:
    _known(one, _FIGURE, "A figure")
    key = _key(one.get("key"), "a figure")
    value, low, high = (_number(one.get(name), f"{key}: {name}") for name in ("value", "ci_low", "ci_high"))
    if low is not None and high is not None and low > high:
        raise _wrong(f"the interval of “{key}” ends before it begins")
    note = _text(one.get("note", ""), f"{key}: note", LONGEST_TEXT)
    if value is None and not note:
        raise _wrong(f"“{key}” has no value, and no note that says why")
    n = one.get("n", 0)
    if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < _WHOLE:
        raise _wrong(f"“{key}: n” is no count of rows")
    better, scale = one.get("better"), one.get("scale", "identity")
    if better not in get_args(Better) or scale not in get_args(Scale):
        raise _wrong(f"“{key}” needs “better”: higher or lower; “scale” is identity, log or logit")
    label = _text(one.get("label", key), f"{key}: label", LONGEST_LABEL)
    unit = _text(one.get("unit", ""), f"{key}: unit", LONGEST_LABEL)
    attribute, group, reference = (
        None if one.get(name) is None else _text(one[name], f"{key}: {name}", LONGEST_LABEL)
        for name in ("attribute", "group", "reference")
    )
    return Figure(
        key, label, value, n, better, low, high, unit, scale,
        attribute=attribute, group=group, reference=reference, note=note,
    )  # fmt: skip


def _table(one: Any) -> Table:
    _known(one, _TABLE, "A table")
    key = _key(one.get("key"), "a table")
    columns = []
    for column in _list(one.get("columns"), f"{key}: columns", MOST_COLUMNS):
        if not isinstance(column, list) or len(column) != 2:
            raise _wrong(f"a column of the table “{key}” is no pair of key and label")
        columns.append((_key(column[0], f"a column of “{key}”"), _text(column[1], f"{key}: column", LONGEST_LABEL)))
    rows = []
    for row in _list(one.get("rows"), f"{key}: rows", MOST_ROWS):
        if not isinstance(row, list) or len(row) != len(columns):
            raise _wrong(f"a row of the table “{key}” has not one cell for each column")
        rows.append(tuple(_cell(cell, key) for cell in row))
    return Table(key, _text(one.get("title", key), f"{key}: title", LONGEST_LABEL), tuple(columns), tuple(rows))


def _cell(value: Any, table: str) -> Cell:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, f"{table}: cell", LONGEST_TEXT)
    if isinstance(value, int) and abs(value) < _WHOLE:
        return value
    return _number(value, f"{table}: cell")
