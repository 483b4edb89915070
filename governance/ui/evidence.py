"""From check results to the tables of the decision screen: checks against limits, and what stands behind them.

Reads the stored JSON of ``CheckResult``; computes no verdict of its own: marks come from the policy's nodes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.urls import reverse
from django.utils.text import Truncator

from config.figures import figure
from governance.categories import CATEGORIES
from governance.models import CheckRun
from governance.policy import Judged, Judgement, Node, Status
from governance.progress import progress_of
from governance.screens import CheckRow
from governance.states import CheckState

_ORDER: Final = list(CATEGORIES)
_WORST: Final = ("fail", "error", "running", "queued", "waived", "caution", "pass")
_LONG: Final = 20
"""A table of more lines than this folds some of what passes."""
_SHOWN: Final = 2
"""So many of a category's lines that simply pass stay in a long table."""
_MOST: Final = 200
"""Characters of a reason in the table."""
_BOUND: Final = {"ci_low": "low", "ci_high": "high"}
_SIGN: Final = {"ge": "≥", "le": "≤"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of checks; its fields are what ``components/checks_table.html`` reads."""

    id: str
    category: str
    verdict: str
    name: str
    note: str = ""
    measured: str = ""
    interval: str = ""
    limit_words: str = ""
    live_words: str = ""
    value: float | None = None
    limit: float | None = None
    ideal: float | None = None
    lo: float | None = None
    hi: float | None = None
    live: float | None = None
    label: str = ""
    evidence: str = ""
    evidence_url: str = ""
    progress: int = 0
    progress_max: int = 100
    progress_words: str = ""
    queued: bool = False
    check: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The checks of one category, with the worst of their marks, for table and ribbon."""

    id: str
    name: str
    rows: tuple[Row, ...]
    kept: int = 0
    """How many of ``rows``, from the last, are folded: limits that are kept, with the most room or none to speak of."""

    @property
    def shown(self) -> tuple[Row, ...]:
        """What stands in the table at once."""
        return self.rows[: len(self.rows) - self.kept]

    @property
    def folded(self) -> tuple[Row, ...]:
        """What is there on demand."""
        return self.rows[len(self.rows) - self.kept :]

    @property
    def span(self) -> int:
        """How many lines of the table its name stands beside: what is shown, and the one that unfolds the rest."""
        return len(self.shown) + bool(self.kept)

    @property
    def verdict(self) -> str:
        """The worst mark."""
        marks = {row.verdict for row in self.rows}
        return next((mark for mark in _WORST if mark in marks), "na")

    @property
    def url(self) -> str:
        """Where the table has them."""
        return f"#{self.id}"

    @property
    def words(self) -> str:
        """The tally: "3 of 3 pass", "1 of 2 fails"."""
        return tally([row.verdict for row in self.rows])


def tally(marks: Sequence[str]) -> str:
    """What a list of marks comes to, in words."""
    marks = [mark for mark in marks if mark != "na"] if set(marks) != {"na"} else []
    n = len(marks)
    if not n:
        return "does not apply"
    good = sum(mark in {"pass", "caution", "waived"} for mark in marks)
    failed, caution, broken = marks.count("fail"), marks.count("caution"), marks.count("error")
    if failed:
        return f"{failed} of {n} {'fails' if failed == 1 else 'fail'}"
    if broken:
        return f"{broken} of {n} not judged"
    if {"running", "queued"} & set(marks):
        return f"{good} of {n} done"
    if "waived" in marks:
        return f"{good} of {n}, {marks.count('waived')} waived"
    return f"{good} of {n}, {caution} caution" if caution else f"{good} of {n} pass"


def mark_of(status: Status, judged: Iterable[Judged], state: str) -> str:
    """The mark of a requirement on the page."""
    if status is Status.WAIVED:
        return "waived"
    if status is Status.MET:
        return "caution" if any(one.judgement is Judgement.CAUTION for one in judged) else "pass"
    if status is Status.NOT_MET:
        return "fail"
    if status is Status.PENDING:
        return "running" if state == CheckState.RUNNING else "queued"
    return "error"


def check_mark(row: CheckRow) -> str:
    """The mark of a whole check."""
    if row.requirement is None:
        states = {CheckState.QUEUED: "queued", CheckState.RUNNING: "running"}
        failed = row.run.verdict == CheckRun.Verdict.ERROR
        return states.get(CheckState(row.run.state), "error" if failed else "pass")
    return mark_of(row.requirement.status, row.judged, row.run.state)


def groups(checks: Iterable[CheckRow], scoring: Iterable[CheckRow], live: Mapping[str, CheckRun]) -> tuple[Group, ...]:
    """Every limit of every check as a line, by category. A scoring job has a line only while it matters."""
    rows = [line for check in checks for line in _lines(check, live.get(check.run.key))]
    rows += [_unfinished(job) for job in scoring if check_mark(job) != "pass"]
    return long_table(rows)


def long_table(rows: Sequence[Row]) -> tuple[Group, ...]:
    """The lines by category; first where something is not met or cannot be told.

    When all is finished and there are many, some of what passes is folded.
    """
    found: dict[str, list[Row]] = {}
    for row in _told_apart(rows):
        found.setdefault(row.category, []).append(row)
    names = sorted(found, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    folds = len(rows) > _LONG and not any(row.verdict in {"running", "queued"} for row in rows)
    made = [_group(name, found[name], folds=folds) for name in names]
    return tuple(
        sorted(made, key=lambda group: _FIRST.index(group.verdict) if group.verdict in _FIRST else len(_FIRST))
    )


def _told_apart(rows: Sequence[Row]) -> Iterator[Row]:
    """A figure that two checks of a category have under one name says which check it is of, where nothing else is said."""
    checks: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        checks.setdefault((row.category, row.name), set()).add(row.check)
    for row in rows:
        same = len(checks[row.category, row.name]) > 1
        yield replace(row, note=row.check) if same and not row.note else row


_FIRST: Final = ("fail", "error")


def _group(name: str, rows: Sequence[Row], *, folds: bool) -> Group:
    """The lines of a category as they come, but for what stops the request first and what is folded last."""
    passing = [row for row in rows if row.verdict == "pass"]
    exact = [row for row in passing if row.limit is not None and row.limit == row.ideal]
    telling = [row for row in passing if row not in exact]
    kept = [*telling, *exact][_SHOWN:] if folds and len(passing) > _SHOWN + 1 else []
    shown = [row for row in rows if row not in kept]
    shown.sort(key=lambda row: _FIRST.index(row.verdict) if row.verdict in _FIRST else len(_FIRST))
    ordered = (*shown, *(row for row in rows if row in kept))
    return Group(f"checks-{name}", CATEGORIES.get(name, name.capitalize()), ordered, len(kept))


def _lines(check: CheckRow, live: CheckRun | None) -> Iterable[Row]:
    node = check.requirement
    if node is None:
        return
    if not any(leaf.judged for leaf in node.children):
        yield _unfinished(check)
        return
    for leaf in node.children:
        if leaf.judged:
            yield _judged(check, leaf, worst(leaf.judged), live)
        else:
            yield _plain(check, leaf)


def worst(judged: Sequence[Judged]) -> Judged:
    """The figure of a family that decides: the worst judgement, then the least room."""
    order = [Judgement.FAIL, Judgement.INCONCLUSIVE, Judgement.INSUFFICIENT, Judgement.CAUTION, Judgement.PASS]
    return min(judged, key=lambda one: (order.index(one.judgement), one.headroom if one.headroom is not None else 0.0))


def _judged(check: CheckRow, leaf: Node, one: Judged, live: CheckRun | None) -> Row:
    mark = mark_of(leaf.status, leaf.judged, check.run.state)
    name = f"{one.figure.label}, {one.figure.about}" if one.figure.about else one.figure.label
    others = len(leaf.judged) - 1
    before = live_value(live, one)
    limit = f"{_SIGN[one.limit.op]} {number(one.limit.value)}"
    measured = number(one.figure.value)
    return Row(
        id=leaf.anchor,
        category=check.run.category,
        verdict=mark,
        name=name,
        note=_note(mark, leaf, one, others),
        measured=measured,
        interval=interval(one.figure.ci_low, one.figure.ci_high),
        limit_words=limit,
        live_words=number(before) if before is not None else "",
        value=one.figure.value,
        limit=one.limit.value,
        ideal=one.limit.ideal,
        lo=one.figure.ci_low,
        hi=one.figure.ci_high,
        live=before,
        label=f"{name}: measured {measured}, limit {limit}, {_WORDS[mark]}",
        progress_words=_short(leaf.reason) if mark == "error" else "",
        check=check.run.title,
        **_evidence(check.run),
    )


_WORDS: Final = {
    "pass": "pass", "caution": "pass with caution", "fail": "fail", "waived": "waived", "error": "cannot tell",
    "running": "running", "queued": "waiting",
}  # fmt: skip


def _note(mark: str, leaf: Node, one: Judged, others: int) -> str:
    """What the numbers of the line do not say."""
    if mark == "waived":
        return leaf.reason
    if one.judgement is Judgement.INCONCLUSIVE:
        return f"Short of the limit, but n = {one.figure.n} is too small to tell a breach from chance."
    if mark == "caution":
        return _short(one.reason)
    if one.figure.about and others > 0:
        return f"The least favourable of {others + 1} groups, n = {one.figure.n}"
    if one.limit.bound in _BOUND:
        return f"The {_BOUND[one.limit.bound]} end of the interval keeps the limit."
    return ""


def _short(reason: str) -> str:
    """A reason that may quote a model's own words, cut for a line of the table; the page of the check has all of it."""
    return Truncator(reason).chars(_MOST)


def _plain(check: CheckRow, leaf: Node) -> Row:
    mark = mark_of(leaf.status, (), check.run.state)
    return Row(
        id=leaf.anchor, category=check.run.category, verdict="error" if mark == "fail" else mark, name=leaf.label,
        progress_words=_short(leaf.reason), queued=mark == "queued", **_evidence(check.run),
    )  # fmt: skip


def _unfinished(check: CheckRow) -> Row:
    """A check without judged figures: it waits, runs, ended with an error, or has no limit set on it."""
    run, mark = check.run, check_mark(check)
    anchor = check.requirement.anchor if check.requirement else f"job-{run.pk}"
    if mark == "pass" and run.verdict == CheckRun.Verdict.NOT_APPLICABLE:
        mark = "na"
    words = check.requirement.reason if check.requirement else run.summary
    if mark == "running" or (mark == "queued" and run.progress_total):
        mark, words = "running", progress_of(run).words
    elif run.state == CheckState.AWAITED:
        words = "waits for a person's finding"
    elif mark == "queued":
        words = "after the predictions" if run.needs_id else "waits for a worker"
    return Row(
        id=anchor, category=run.category, verdict=mark, name=run.title, measured="done" if mark == "pass" else "",
        note=words if mark in {"pass", "waived", "na"} else "",
        progress=check.percent, progress_words=_short(words), queued=mark == "queued", **_evidence(run),
    )  # fmt: skip


def _evidence(run: CheckRun) -> dict[str, Any]:
    if run.state == CheckState.AWAITED:
        return {"evidence": "open", "evidence_url": reverse("ui:check", args=[run.request.ref, run.pk])}
    if run.state != CheckState.FINISHED:
        return {}
    return {
        "evidence": run.result_digest[:8] or "detail",
        "evidence_url": reverse("ui:check", args=[run.request.ref, run.pk]),
    }


def live_value(live: CheckRun | None, one: Judged) -> float | None:
    """The same figure of the live version, of the same group, or None."""
    for figure_json in figures_of(live):
        same = (figure_json["key"], figure_json.get("attribute"), figure_json.get("group"))
        if same == (one.figure.key, one.figure.attribute, one.figure.group):
            value = figure_json["value"]
            return None if value is None else float(value)
    return None


def figures_of(run: CheckRun | None) -> Sequence[Mapping[str, Any]]:
    """The figures of a stored result; none without one."""
    result: Mapping[str, Any] = (run.result if run else None) or {}
    found: Sequence[Mapping[str, Any]] = result.get("figures", ())
    return found


def table_of(run: CheckRun | None, key: str) -> list[dict[str, Any]]:
    """The rows of one stored table, as mappings by column; none if there is no such table."""
    result: Mapping[str, Any] = (run.result if run else None) or {}
    for table in result.get("tables", ()):
        if table["key"] == key:
            names = [column[0] for column in table["columns"]]
            return [dict(zip(names, row, strict=True)) for row in table["rows"]]
    return []


def number(value: float | None) -> str:
    """A measured number: whole ones without places, unless they are the 0.000 and 1.000 of a rate with others beside."""
    if value is None:
        return figure(None)
    return figure(int(value)) if float(value).is_integer() else figure(value)


def interval(low: float | None, high: float | None) -> str:
    """Both ends, such as “0.772 to 0.795”; nothing for an unknown interval and for one without width."""
    if low is None or high is None or low == high:
        return ""
    return f"{number(low)} to {number(high)}"
