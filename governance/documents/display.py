"""From a pack to what people read: the one place where a report's values are written as words and figures.

PDF and page are both made of what ``shown`` returns, so that they cannot say different things.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from config.figures import MONTHS, NOTHING, THIN, figure, percent, size
from governance.documents.shape import is_empty

EMPTY: Final = "Empty"
DASH: Final = NOTHING
VERDICTS: Final[Mapping[str, str]] = {
    "pass": "Pass",
    "caution": "Pass with caution",
    "fail": "Fail",
    "waived": "Waived",
    "error": "Cannot tell",
    "running": "Running",
    "queued": "Waiting",
    "na": "Not applicable",
}
"""Every verdict a report can show, and its words."""
_TIMES: Final = frozenset({"moment", "instant"})
_RIGHT: Final = frozenset({"number", "share", "count", "size", "estimate", "entry"})


def shown(data: Mapping[str, Any]) -> dict[str, Any]:
    """The pack with every value as a cell: ``t`` its words, ``k`` its kind; ``e`` if empty, ``s`` second words, ``m``, ``g``."""
    made = dict(data)
    made["as_of"] = _moment(data["as_of"])
    made["log"] = {**data["log"], "at": _moment(data["log"]["at"]), "size": figure(data["log"]["size"])}
    made["log"]["root_fours"] = in_fours(data["log"]["root"])
    made["head"] = [_fact(fact) for fact in data["head"]]
    made["files"] = [{**file, "size": size(file["size"]), "sha256": in_fours(file["sha256"])} for file in data["files"]]
    made["sections"] = [
        {**section, "blocks": [_block(block) for block in section["blocks"]]} for section in data["sections"]
    ]
    return made


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["type"] == "facts":
        return {**block, "facts": [_fact(fact) for fact in block["facts"]]}
    if block["type"] == "table":
        columns = [
            {
                **column,
                "right": column["kind"] in _RIGHT,
                "label": f"{column['label']} (UTC)" if column["kind"] in _TIMES else column["label"],
            }
            for column in block["columns"]
        ]
        rows = [_row([_in_table(row[column["key"]], column) for column in columns]) for row in block["rows"]]
        return {**block, "columns": columns, "rows": rows}
    if block["type"] == "signatures":
        return {**block, "signatures": [_signature(one) for one in block["signatures"]]}
    return dict(block)


def _fact(fact: Mapping[str, Any]) -> dict[str, Any]:
    return {**fact, "cell": cell(fact["value"], fact)}


def _signature(one: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(one)
    made["signed_at"] = _moment(one["signed_at"], seconds=True)
    made["record_digest"] = in_fours(one.get("record_digest") or "")
    entry = one.get("entry")
    made["entry"] = "not in the log yet" if entry is None else f"log entry {figure(entry)}"
    return made


def cell(value: Any, column: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - whatever a pack can hold
    """One value as words. What is not there is a dash where that is ordinary, else it is said to be empty."""
    kind = column["kind"]
    if is_empty(value):
        return {"k": kind, "t": DASH} if column.get("optional") else {"k": kind, "t": EMPTY, "e": True}
    if kind in _WRITTEN:
        return {"k": kind, "t": _WRITTEN[kind](value)}
    if kind == "verdict":
        return {"k": kind, "t": VERDICTS[value], "m": value}
    if kind == "list":
        return {"k": kind, "t": ", ".join(str(one) for one in value)}
    if kind == "estimate":
        return _estimate(value, column)
    if kind in {"headroom", "rate"}:
        return {"k": kind, "t": "", "g": value}
    return {"k": kind, "t": str(value)}


def _row(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cells, each drawing with the verdict of its row and with words that say what it shows."""
    verdict = next((one["m"] for one in cells if "m" in one), "pass")
    words = ", ".join(one["t"] for one in cells[:6] if one["t"] not in {"", DASH})
    return [{**one, "v": verdict, "l": words} if "g" in one else one for one in cells]


def _in_table(value: Any, column: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - whatever a pack can hold
    """A cell of a table, where the head of a column of moments says that they are in UTC."""
    made = cell(value, column)
    if column["kind"] in _RIGHT:
        made["n"] = True
    return {**made, "t": made["t"].removesuffix(" UTC")} if column["kind"] in _TIMES else made


def _estimate(value: Mapping[str, Any], column: Mapping[str, Any]) -> dict[str, Any]:
    if value["value"] is None:
        return {"k": "estimate", "t": DASH} if column.get("optional") else {"k": "estimate", "t": EMPTY, "e": True}
    low, high = value.get("low"), value.get("high")
    interval = "" if low is None or high is None or low == high else f"{number(low)} to {number(high)}"
    return {"k": "estimate", "t": number(value["value"]), "s": interval}


def number(value: float) -> str:
    """A measured number; whole ones without places."""
    return figure(int(value)) if float(value).is_integer() else figure(value)


def _moment(value: str, *, seconds: bool = False) -> str:
    """A moment in UTC, whatever zone the installation shows its pages in: a report is read elsewhere."""
    if not value:
        return ""
    at = datetime.fromisoformat(value).astimezone(UTC)
    return f"{_day(value)}, {at:%H:%M:%S} UTC" if seconds else f"{_day(value)}, {at:%H:%M} UTC"


def _day(value: str) -> str:
    at = datetime.fromisoformat(value).astimezone(UTC)
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}"


def in_fours(digest: str) -> str:
    """A digest in groups of four."""
    return " ".join(digest[place : place + 4] for place in range(0, len(digest), 4))


_WRITTEN: Final[Mapping[str, Callable[[Any], str]]] = {
    "number": number,
    "share": percent,
    "count": figure,
    "size": size,
    "digest": in_fours,
    "moment": _moment,
    "instant": lambda value: _moment(value, seconds=True),
    "day": _day,
    "yesno": lambda value: "yes" if value else "no",
    "entry": lambda value: f"#{THIN}{figure(value)}",
}


def tables(data: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Every table of the pack as (file name, CSV of RFC 4180 with a head), in order; facts as a table of their own."""
    found: list[tuple[str, bytes]] = []
    for section in data["sections"]:
        for block in section["blocks"]:
            name = f"{section['number']:02d}-{section['key']}-{block['key']}.csv"
            if block["type"] == "table":
                found.append((name, _csv([column["key"] for column in block["columns"]], block["rows"])))
            elif block["type"] == "facts":
                found.append((name, _csv(["key", "label", "value"], block["facts"])))
            elif block["type"] == "signatures" and block["signatures"]:
                found.append((name, _csv(list(block["signatures"][0]), block["signatures"])))
    return found


def _csv(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_csv_cell(row.get(name)) for name in names])
    return out.getvalue().encode("utf-8", "replace")


def _csv_cell(value: Any) -> str:  # noqa: ANN401 - whatever a pack can hold
    """One value. Text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, CSV injection)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = "; ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
