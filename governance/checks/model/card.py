"""``documentation.card``: whether the model card says what the policy asks for, and whether it speaks of this version's data.

Figures that it states are another check's (``documentation.claims``), since they need predictions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.model import CARD
from governance.checks.results import CheckError, CheckResult, Figure, Table
from governance.checks.rowless import RowlessCheck

_SPECS = {spec.key: spec for spec in CARD.figures}
_SHA256 = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class CardParams(Params):
    """``older_days``: so much older than the version may the card be; it is often written just before."""

    older_days: int = 0

    def check(self) -> None:
        if not 0 <= self.older_days <= 3650:
            raise CheckError("params.value", "“older_days” must be from 0 to 3650.")


class DocumentationCard(RowlessCheck):
    """Reads the card's text, the fields that are required, and ``papers``.

    ``papers``: ``card_changed`` and ``version_made`` (ISO 8601, or ""), ``used``: the data sets of this version's lineage and of
    its evaluation (``name``, ``number``, ``sha256``), ``named``: the versions (``name``, ``number``, ``sha256``) of those data
    sets that the card names.
    """

    manifest = CARD
    params = CardParams

    def validate(self, inputs: CheckInputs) -> None:
        if inputs.card is None:
            raise CheckError("inputs.missing", "This check needs the model card, and none was given.")

    def finish(self, state: pa.Table, inputs: CheckInputs, params: CardParams) -> CheckResult:
        card, required = inputs.card or {}, inputs.required_card
        missing = [name for name in required if not card.get(name, "").strip()]
        n = len(required)
        rows = tuple((name, name not in missing) for name in required)
        papers: Mapping[str, Any] = inputs.papers or {}
        days, why_no_days = _days_behind(papers)
        links = list(wrong_links(card, papers)) if papers else []
        return CheckResult(
            CARD.key, CARD.version, params.as_dict(), n,
            figures=(
                _figure("filled_share", (n - len(missing)) / n if n else 1.0, n),
                _figure("missing_fields", float(len(missing)), n),
                _figure("days_behind", days, n, why_no_days),
                _figure("wrong_data", float(len(links)) if papers else None, n, "Nothing is known of this version's data."),
            ),
            tables=tuple(_tables(rows, links)),
            findings=(
                f"Empty: {', '.join(missing)}." if missing else "Every required field is filled in.",
                *([f"The card was last changed {days:.0f} days before this version was registered."]
                  if days is not None and days > params.older_days else []),
                *(f"{field}: “{said}” {why}" for field, said, why in links),
            ),
            limits=(
                "That a field is filled in does not make it true.",
                "Data sets are found by their names here with a version after them, and by SHA-256 digests.",
            ),
        )  # fmt: skip


def _days_behind(papers: Mapping[str, Any]) -> tuple[float | None, str]:
    """How long before the version the card was last changed; 0 where it was changed since."""
    changed, made = str(papers.get("card_changed", "")), str(papers.get("version_made", ""))
    if not changed or not made:
        return None, "It is not known when the card was last changed."
    seconds = (_moment(made) - _moment(changed)).total_seconds()
    return max(0.0, seconds / _DAY), ""


def _moment(text: str) -> datetime:
    made = datetime.fromisoformat(text)
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def wrong_links(card: Mapping[str, str], papers: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Field, what it says, and why: digests and versions of data sets that are not those of this version."""
    used = [one for one in papers.get("used", ()) if isinstance(one, Mapping)]
    named = [one for one in papers.get("named", ()) if isinstance(one, Mapping)]
    digests = {str(one["sha256"]) for one in used}
    versions = {(str(one["name"]), int(one["number"])) for one in used if one.get("number") is not None}
    known = {(str(one["name"]), int(one["number"])) for one in named}
    for field, text in sorted(card.items()):
        for match in _SHA256.finditer(str(text).lower()):
            if match[0] not in digests:
                yield field, match[0], "is not the digest of a data set that this version was made or tested with."
        for name in sorted({one for one, _ in known | versions}):
            for match in re.finditer(
                rf"(?<![\w-]){re.escape(name)}[ @/,:]{{0,2}}(?:version |v\.? ?|@)(\d{{1,9}})\b", str(text)
            ):
                number = int(match[1])
                if (name, number) not in versions:
                    why = "is not a version" if (name, number) in known else "is no sealed version"
                    yield field, match[0], f"{why} that this model version was made or tested with."


def _figure(key: str, value: float | None, n: int, note: str = "") -> Figure:
    spec = _SPECS[key]
    return Figure(
        key, spec.label, value, n, spec.better, ci_low=value, ci_high=value, note=note if value is None else "",
        unit="days" if key == "days_behind" else "",
    )  # fmt: skip


def _tables(rows: Sequence[tuple[str, bool]], links: Sequence[tuple[str, str, str]]) -> Iterator[Table]:
    if rows:
        yield Table("fields", "Fields", (("field", "Field"), ("filled", "Filled in")), tuple(rows))
    if links:
        yield Table("links", "Other data", (("field", "Field"), ("says", "Says"), ("why", "Why")), tuple(links))
