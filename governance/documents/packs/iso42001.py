"""The map from the 38 controls of ISO/IEC 42001:2023 Annex A to what this installation holds about each."""

from typing import Any, Final

from governance.documents.citations import ISO_42001
from governance.documents.controls import CONTROLS, OBJECTIVES
from governance.documents.packs.common import installation, log_head
from governance.documents.shape import Column, Fact, Pack, Section, Table
from governance.selectors.holdings import holdings
from registry.models import User
from registry.reach import VIEW, holds

NAME: Final = "iso-42001-map"
NOTHING: Final = "No evidence here."

_COLUMNS: Final = (
    Column("control", "Control", weight=0.7),
    Column("title", "Title", weight=2),
    Column("here", "Evidence here", weight=0.8),
    Column("evidence", "What there is", weight=3.4),
    Column("where", "Where", optional=True, weight=1.4),
)


def build(reader: User) -> Pack:
    """The map over the models that ``reader`` may see. A control without evidence is listed and said to have none."""
    log = log_head()
    held = holdings(reader)
    rows: list[dict[str, Any]] = []
    for control in CONTROLS:
        found = control.evidence(held)
        words = ("partly" if control.partial else "yes") if found else "no"
        note = f" {control.partial}" if found and control.partial else ""
        rows.append(
            {
                "control": control.number,
                "title": control.title,
                "here": words,
                "evidence": f"{found}{note}" if found else f"{NOTHING} {control.elsewhere}".strip(),
                "where": control.where if found else None,
            }
        )
    tally = {word: sum(row["here"] == word for row in rows) for word in ("yes", "partly", "no")}
    sections = [
        Section(
            number.replace(".", "-").lower(),
            f"{number} {title}",
            _finding(number, rows),
            [Table("controls", _COLUMNS, [row for row in rows if row["control"].startswith(f"{number}.")])],
        )
        for number, title in OBJECTIVES.items()
    ]
    return Pack(
        report=NAME,
        kind="Evidence map",
        label="ISO/IEC 42001",
        title="Evidence for ISO/IEC 42001 Annex A",
        question="For which controls does this installation hold evidence, and for which does it hold none?",
        answer=f"Of {len(rows)} controls: evidence for {tally['yes']}, in part for {tally['partly']}, none for {tally['no']}.",
        log=log,
        sections=sections,
        sources=(ISO_42001,),
        parameters={"every_model": holds(reader, VIEW)},
        head=[
            Fact(
                "scope",
                "Models",
                "Every model on record" if holds(reader, VIEW) else "Only the models that the person who asked may see",
            ),
            Fact("models", "Models counted", held.models, "count"),
        ],
        limits=(
            "Evidence here means that records exist, not that a control is effective, nor that it applies.",
            "Management-system clauses 4 to 10 are outside this map.",
        ),
        installation=installation(),
    )


def _finding(number: str, rows: list[dict[str, Any]]) -> str:
    mine = [row for row in rows if str(row["control"]).startswith(f"{number}.")]
    none = sum(row["here"] == "no" for row in mine)
    return (
        f"{len(mine) - none} of {len(mine)} controls with evidence here."
        if none
        else f"All {len(mine)} with evidence here."
    )
