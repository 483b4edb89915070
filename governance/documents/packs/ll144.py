"""The public summary after New York City's Local Law 144, from the tables of the check ``fairness.ll144``."""

from datetime import datetime
from typing import Any, Final

from governance.documents.cards import field_fact
from governance.documents.citations import LL_144
from governance.documents.packs.common import installation, log_head
from governance.documents.packs.evidence import tables_of
from governance.documents.shape import Column, Fact, Facts, Pack, Section, Table
from governance.models import CheckRun
from governance.selectors.requests import newest_result
from registry.models import ModelVersion

NAME: Final = "ll144-summary"
CHECK: Final = "fairness.ll144"
LEAST_SHARE: Final = 0.02
LIMITS: Final = (
    (
        "The law asks for an audit by an independent auditor (§ 5-300). These are the auditor's tables computed here; the "
        "auditor's name and opinion are not ours to give."
    ),
    (
        "The law asks for the tables, not for a limit on them; the four-fifths line comes from 29 CFR 1607.4(D). A ratio "
        "below 0.80 for a small category happens often by chance: read it with its interval."
    ),
)

_COLUMNS: Final = (
    Column("category", "Category", weight=2.4),
    Column("n", "Applicants", "count"),
    Column("hits", "Selected", "count"),
    Column("rate", "Rate", "share", optional=True),
    Column("ratio", "Impact ratio", "number", optional=True),
    Column("low", "from", "number", optional=True),
    Column("high", "to", "number", optional=True),
    Column("share", "Share of the data", "share"),
    Column("judged", "In the ratios", "yesno"),
)


def build(version: ModelVersion) -> Pack:
    """The summary of a version. Without a result of the check it says that there is none, and has no figure."""
    log = log_head()
    run = newest_result(version, CHECK)
    card = version.model.card
    result: dict[str, Any] = (run.result if run else None) or {}
    facts: dict[str, Any] = result.get("facts", {})
    rate = "scoring" if facts.get("rate") == "scoring" else "selection"
    people = facts.get("people")
    tables = [_table(place, title, rows, rate) for place, (title, rows) in enumerate(tables_of(run, "ll144:"), 1)]
    unknown = (
        [{"by": _by(table.title), "unknown": people - sum(row["n"] for row in table.rows)} for table in tables]
        if isinstance(people, int)
        else []
    )
    small = [{"by": _by(table.title), **row} for table in tables for row in table.rows if not row["judged"]]
    at = run.finished_at if run else None
    answer = (
        f"{rate.capitalize()} rates and impact ratios of {people} people, computed on {_day(at)}."
        if run
        else "No result of the check fairness.ll144 is on record for this version: there is nothing to publish."
    )
    sections = [
        Section(
            "summary",
            "What must be published",
            "§ 5-303(a): the date and the summary of the most recent bias audit, and the distribution date.",
            [Facts("summary", _summary(run, at, people, card))],
            source="6 RCNY § 5-303(a)",
        ),
        *(
            Section(f"table-{place}", table.title, "", [table], source="6 RCNY § 5-301(b), (c)")
            for place, table in enumerate(tables, 1)
        ),
        Section(
            "unknown",
            "People of unknown category",
            _unknown_words(unknown),
            [
                Table(
                    "unknown",
                    (Column("by", "Table", weight=3), Column("unknown", "People not in it", "count")),
                    unknown,
                    nothing="There is no result to count in.",
                )
            ],
            source="6 RCNY § 5-303(a)(1)",
        ),
        Section(
            "small",
            "Categories left out of the ratios",
            _small_words(small, run),
            [
                Facts("small", [field_fact(card, "exclusion_reason", label="Justification of the auditor")]),
                Table(
                    "categories",
                    (Column("by", "Table", weight=2), *_COLUMNS[:4], Column("share", "Share of the data", "share")),
                    small,
                    nothing="None was left out.",
                ),
            ],
            source="6 RCNY § 5-301(d)",
        ),
    ]
    return Pack(
        report=NAME,
        kind="Summary of a bias audit",
        label="NYC Local Law 144",
        title=f"Bias audit summary: {version.model.name} v{version.number}",
        question="Selection or scoring rates and impact ratios by sex, by race/ethnicity, and by both.",
        answer=answer,
        verdict="" if run else "caution",
        log=log,
        sections=sections,
        sources=(LL_144,),
        subject={"type": "registry.modelversion", "id": str(version.pk), "ref": str(version)},
        parameters={"model": version.model.name, "version": version.number},
        limits=(
            *LIMITS,
            *(str(one) for one in result.get("findings", ())),
        ),
        installation=installation(),
    )


def _by(title: str) -> str:
    return title.removeprefix("Impact ratio by ")


def _table(place: int, title: str, rows: list[dict[str, Any]], rate: str) -> Table:
    word = "Above the median" if rate == "scoring" else "Selected"
    columns = [Column("hits", word, "count") if one.key == "hits" else one for one in _COLUMNS]
    columns = [
        Column("rate", f"{rate.capitalize()} rate", "share", optional=True) if one.key == "rate" else one
        for one in columns
    ]
    note = "The category of the highest rate has the ratio 1. Katz 95 % intervals of the ratios."
    return Table(f"ratios-{place}", columns, rows, title, note)


def _summary(run: CheckRun | None, at: datetime | None, people: object, card: dict[str, Any]) -> list[Fact]:
    data = run.dataset if run else None
    why = "No result of fairness.ll144 is on record."
    latest = at.replace(year=at.year + 1, day=28 if (at.month, at.day) == (2, 29) else at.day) if at else None
    return [
        Fact("audited", "Date of the bias audit (tables computed)", at, "day", why=why, source="5-303(a)(1)"),
        field_fact(card, "independent_auditor", source="5-300, 5-301"),
        Fact(
            "data",
            "Data used",
            f"{data}, {data.get_role_display().lower()}" if data else None,
            source="5-303(a)(1)",
            why=why,
        ),
        field_fact(card, "data_explanation", source="5-303(a)(1)"),
        Fact("data_digest", "SHA-256 of the data", data.digest if data else None, "digest", why=why),
        Fact("people", "People assessed in the data", people, "count", source="5-303(a)(1)", why=why),
        field_fact(card, "distribution_date", source="5-303(a)(2)"),
        Fact("until", "May be relied on until", latest, "day", source="20-871(a)(1)", why=why),
        Fact("result", "Result of the check", run.result_digest if run else None, "digest", why=why),
    ]


def _unknown_words(unknown: list[dict[str, Any]]) -> str:
    if not unknown:
        return "Not known."
    most = max(row["unknown"] for row in unknown)
    return "Every person's category is known." if most == 0 else f"Up to {most} people are in no category of a table."


def _small_words(small: list[dict[str, Any]], run: CheckRun | None) -> str:
    if run is None:
        return "Not known."
    share = float((run.parameters or {}).get("least_share", LEAST_SHARE))
    if not small:
        return f"No category is under {share:.0%} of the data."
    return (
        f"{len(small)} under {share:.0%} of the data: shown with count and rate, not in the ratios. The reason is the "
        "auditor's to give."
    )


def _day(at: datetime | None) -> str:
    return f"{at:%-d %B %Y}" if at else ""
