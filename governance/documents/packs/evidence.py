"""The part of the packs about checks: every limit with what was measured, and waivers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from governance.categories import CATEGORIES
from governance.documents.packs.common import name_of
from governance.documents.shape import Column, Section, Table
from governance.models import CheckRun, PromotionRequest, Waiver
from governance.policy import Judged, Judgement, Node, Status, Verdict
from governance.states import CheckState

_PLACES: Final = {name: place for place, name in enumerate(CATEGORIES.values())}
"""Categories of plug-ins come after ours, by name."""
_BOUNDS: Final = {"value": "", "ci_low": "lower end ", "ci_high": "upper end "}
_SIGNS: Final = {"ge": "≥", "le": "≤"}
_ORDER: Final = (Judgement.FAIL, Judgement.INCONCLUSIVE, Judgement.INSUFFICIENT, Judgement.CAUTION, Judgement.PASS)


def mark(status: Status, judged: Iterable[Judged] = (), state: str = "") -> str:
    """The verdict word of a requirement."""
    if status is Status.WAIVED:
        return "waived"
    if status is Status.MET:
        return "caution" if any(one.judgement is Judgement.CAUTION for one in judged) else "pass"
    if status is Status.NOT_MET:
        return "fail"
    if status is Status.PENDING:
        return "running" if state == CheckState.RUNNING else "queued"
    return "error"


_CHECKS: Final = (
    Column("category", "Category", weight=0.85),
    Column("check", "Check and figure", weight=1.8),
    Column("verdict", "Verdict", "verdict"),
    Column("measured", "Measured, 95 % interval", "estimate", optional=True, weight=1.25),
    Column("limit", "Limit", optional=True, weight=0.75),
    Column("live", "Live", "number", optional=True),
    Column("n", "n", "count", optional=True),
    Column("room", "short | room to ideal", "headroom", weight=1.15),
)
_CHECK_NOTE: Final = (
    "Every limit stands on the one vertical line: right of it the room that is left to the ideal, left of it (hatched) what "
    "is short. The whisker is the interval of the number in the row; a hollow dot is the live version on the same data; a "
    "square is an exact requirement. A limit fails only when the figure breaches it and the adjusted test says so."
)


def checks(request: PromotionRequest, verdict: Verdict, live: Mapping[str, CheckRun]) -> Section:
    """Each limit of each check with value, interval, threshold and verdict."""
    runs = {run.key: run for run in request.checks.all() if run.round == request.round}
    rows: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for node in verdict.checks.children:
        run = runs.get(node.key.removeprefix("checks/"))
        for leaf in node.children or (node,):
            rows.append(_line(node, leaf, run, live))
            person_said = run is not None and run.category == "manual"
            if leaf.status is not Status.MET or rows[-1]["verdict"] == "caution" or person_said:
                notes.append({"check": rows[-1]["check"], "verdict": rows[-1]["verdict"], "why": leaf.reason})
    rows.sort(
        key=lambda row: (
            _PLACES.get(row["category"], len(_PLACES)),
            "" if row["category"] in _PLACES else row["category"],
        )
    )
    blocks = [Table("checks", _CHECKS, rows, note=_CHECK_NOTE, nothing="The policy asks for no check.")]
    if notes:
        columns = (
            Column("check", "Check", weight=1.4),
            Column("verdict", "Verdict", "verdict"),
            Column("why", "Why", weight=4),
        )
        blocks.append(Table("remarks", columns, notes, "What did not simply pass, and what people found"))
    blocks.append(_runs(run for run in runs.values()))
    return Section("checks", "Checks", finding([row["verdict"] for row in rows]), blocks)


def finding(marks: Sequence[str]) -> str:
    """What a list of marks comes to, in a sentence."""
    n = len(marks)
    if not n:
        return "No limit was set."
    words = (
        ("fail", "not met"),
        ("error", "could not be told"),
        ("running", "running"),
        ("queued", "waiting"),
        ("waived", "waived"),
        ("caution", "passed with caution"),
    )
    rest = [f"{marks.count(word)} {said}" for word, said in words if word in marks]
    return f"{marks.count('pass')} of {n} limits kept{'; ' + ', '.join(rest) if rest else ''}."


def _line(node: Node, leaf: Node, run: CheckRun | None, live: Mapping[str, CheckRun]) -> dict[str, Any]:
    category = CATEGORIES.get(run.category, run.category.capitalize()) if run else "Performance"
    state = run.state if run else ""
    row: dict[str, Any] = {"category": category, "verdict": mark(leaf.status, leaf.judged, state), "key": leaf.key}
    if not leaf.judged:
        row["check"] = (run.title if run else node.label) + (f": {leaf.label}" if leaf is not node else "")
        row["room"] = {"room": None, "live": None}
        return row
    one = min(
        leaf.judged, key=lambda each: (_ORDER.index(each.judgement), each.headroom if each.headroom is not None else 0)
    )
    about = f", {one.figure.about}" if one.figure.about else ""
    before = live_value(live.get(run.key) if run else None, one)
    fig, limit = one.figure, one.limit
    exact = limit.ideal == limit.value
    row |= {
        "check": f"{run.title if run else node.label}: {fig.label}{about}",
        "measured": {"value": fig.value, "low": fig.ci_low, "high": fig.ci_high},
        "limit": f"{_BOUNDS[limit.bound]}{_SIGNS[limit.op]} {limit.value:g}",
        "live": before,
        "n": fig.n,
        "room": {
            "room": (0.0 if exact else None) if one.headroom is None else one.headroom,
            "live": _share(before, one),
            "low": _share(fig.ci_low, one),
            "high": _share(fig.ci_high, one),
            "exact": exact,
        },
    }
    return row


def _share(value: float | None, one: Judged) -> float | None:
    span = one.limit.ideal - one.limit.value
    return None if value is None or not span else round((value - one.limit.value) / span, 6)


def live_value(live: CheckRun | None, one: Judged) -> float | None:
    """The same figure of the live version, of the same group, or None."""
    for found in figures_of(live):
        if (found["key"], found.get("attribute"), found.get("group")) == (
            one.figure.key,
            one.figure.attribute,
            one.figure.group,
        ):
            return None if found["value"] is None else float(found["value"])
    return None


def figures_of(run: CheckRun | None) -> Sequence[Mapping[str, Any]]:
    """The figures of a stored result; none without one."""
    result: Mapping[str, Any] = (run.result if run else None) or {}
    found: Sequence[Mapping[str, Any]] = result.get("figures", ())
    return found


def tables_of(run: CheckRun | None, prefix: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Stored tables whose key begins with ``prefix``: title and rows by column."""
    result: Mapping[str, Any] = (run.result if run else None) or {}
    return [
        (table["title"], [dict(zip([c[0] for c in table["columns"]], row, strict=True)) for row in table["rows"]])
        for table in result.get("tables", ())
        if table["key"].startswith(prefix)
    ]


_RUNS: Final = (
    Column("check", "Check", weight=1.8),
    Column("key", "Key and version", "code", weight=1.5),
    Column("verdict", "Result", "verdict"),
    Column("data", "Data", optional=True, weight=1.3),
    Column("finished", "Finished", "moment", weight=1.2),
    Column("sandbox", "Sandbox", optional=True, weight=0.8),
    Column("digest", "Result", "digest"),
)
_RESULTS: Final = {
    "pass": "pass",
    "fail": "fail",
    "inconclusive": "error",
    "error": "error",
    "not_applicable": "na",
    "": "queued",
}


def _runs(found: Iterable[CheckRun]) -> Table:
    rows = [
        {
            "check": run.title,
            "key": f"{run.key} {run.check_version}".strip(),
            "verdict": _RESULTS[run.verdict],
            "data": str(run.dataset) if run.dataset else "",
            "finished": run.finished_at,
            "sandbox": str(run.sandbox.get("level", "")),
            "digest": run.result_digest,
        }
        for run in found
    ]
    return Table("runs", _RUNS, rows, "The runs behind it", nothing="No check has run.")


_WAIVERS: Final = (
    Column("check", "Check", weight=1.3),
    Column("reason", "Reason", weight=3),
    Column("asked_by", "Asked by", weight=1.2),
    Column("asked_at", "Asked", "day"),
    Column("granted_at", "Granted", "day", optional=True),
    Column("until", "Until", "day"),
    Column("signed", "Signed by", "list", weight=1.5),
)


def waivers(found: Sequence[Waiver]) -> Section:
    """The dated ways past a check that did not pass."""
    rows = [
        {
            "check": one.check_run.title,
            "reason": one.reason,
            "asked_by": name_of(one.asked_by),
            "asked_at": one.asked_at,
            "granted_at": one.granted_at,
            "until": one.until,
            "round": one.check_run.round,
            "signed": [name_of(each.person) for each in one.signatures.all()],
        }
        for one in found
    ]
    granted = sum(one.granted_at is not None for one in found)
    said = f"{granted} of {len(found)} granted." if found else "Nothing was waived: no waiver was asked for."
    return Section("waivers", "Waivers", said, [Table("waivers", _WAIVERS, rows)] if rows else ())
