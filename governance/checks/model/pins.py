"""``security.pins``: the model's recorded requirements against an offline list of known vulnerabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from governance.checks import pictures
from governance.checks.contract import CheckInputs, Params
from governance.checks.manifests.model import PINS
from governance.checks.model.requirement_files import Recorded, recorded
from governance.checks.results import CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rowless import RowlessCheck

_SPECS = {spec.key: spec for spec in PINS.figures}
NO_LIST = (
    "There is no list of advisories here (setting ADVISORIES_DIR), so nobody can say whether a package is known to be "
    "vulnerable."
)
NOTHING_RECORDED = "The model records no requirements (requirements.txt, conda.yaml or python_env.yaml)."
_KINDS = {
    "pinned": "pinned", "range": "a range of versions", "open": "any version", "direct": "a file or an address",
    "option": "an option of pip", "unreadable": "not readable",
}  # fmt: skip
_LOOSE = ("range", "open", "direct", "unreadable")


@dataclass(frozen=True, slots=True)
class Hit:
    """An advisory that holds for a requirement: surely, or for some version that it allows."""

    requirement: Recorded
    id: str
    severity: str
    fixed: str
    summary: str
    sure: bool


class Pins(RowlessCheck):
    """Reads the texts of the requirement files and ``governance.advisories.known``."""

    manifest = PINS
    params = Params

    def validate(self, inputs: CheckInputs) -> None:
        if inputs.requirements is None:
            raise CheckError("inputs.missing", "This check needs the model's requirement files, and none were given.")

    def finish(self, state: pa.Table, inputs: CheckInputs, params: Params) -> CheckResult:
        found = recorded(inputs.requirements or {})
        named = [one for one in found if one.name]
        listed = inputs.advisories
        hits = _hits(named, listed["packages"]) if listed is not None else []
        sure = {(one.requirement.name, one.requirement.version) for one in hits if one.sure}
        maybe = {one.requirement.name for one in hits if not one.sure} - {name for name, _ in sure}
        loose = [one for one in found if one.kind in _LOOSE]
        note = NOTHING_RECORDED if not found else NO_LIST if listed is None else ""
        n = len(found)
        return CheckResult(
            PINS.key, PINS.version, params.as_dict(), n,
            figures=(
                _figure("vulnerable_pins", len(sure), n, note), _figure("possibly_vulnerable", len(maybe), n, note),
                _figure("unpinned", len(loose), n, note),
            ),
            tables=tuple(_tables(found, hits)),
            pictures=_pictures(hits),
            findings=tuple(_findings(found, hits, loose, note)),
            limits=(
                "Only what the model records is looked at: what those packages need in turn is not, unless it is recorded too.",
                "A list says what is known when it was made, and not whether the model uses what is vulnerable.",
            ),
            facts=_facts(listed),
        )  # fmt: skip


def _facts(listed: Mapping[str, Any] | None) -> dict[str, str | int | float | bool | None]:
    if listed is None:
        return {"advisories": 0}
    return {"advisories": int(listed["read"]), "newest_advisory": str(listed["newest"]), "list": str(listed["digest"])}


def _figure(key: str, count: int, n: int, note: str) -> Figure:
    spec = _SPECS[key]
    if note:
        return Figure(key, spec.label, None, n, spec.better, note=note)
    number = float(count)
    return Figure(key, spec.label, number, n, spec.better, ci_low=number, ci_high=number)


def _hits(named: Sequence[Recorded], packages: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Hit]:
    made = []
    for one in named:
        for entry in packages.get(one.name, ()):
            fixed = ", ".join(
                sorted({event["fixed"] for events in entry["ranges"] for event in events if "fixed" in event})
            )
            words = str(entry["id"]), str(entry.get("severity", "")), fixed, str(entry.get("summary", ""))
            if one.version and affects(entry, Version(one.version)):
                made.append(Hit(one, *words, sure=True))
            elif not one.version and _may_affect(entry, one):
                made.append(Hit(one, *words, sure=False))
    return made


def affects(entry: Mapping[str, Any], version: Version) -> bool:
    """Whether an advisory holds for a version: listed, or within a range (OSV's evaluation algorithm)."""
    listed = {made for text in entry["versions"] if (made := _version(text)) is not None}
    return version in listed or any(_within(events, version) for events in entry["ranges"])


def _within(events: Sequence[Mapping[str, str]], version: Version) -> bool:
    inside = False
    for place, _, event in sorted(_ordered(events), key=lambda one: (one[0], one[1])):
        if event == "last_affected":
            inside = inside and version <= place
        elif version >= place:
            inside = event == "introduced"
    return inside


def _ordered(events: Sequence[Mapping[str, str]]) -> Iterator[tuple[Version, int, str]]:
    for event in events:
        for rank, kind in enumerate(("introduced", "fixed", "limit", "last_affected")):
            text = event.get(kind)
            made = None if text in (None, "*") else _version("0.dev0" if text == "0" else str(text))
            if made is not None:
                yield made, rank, "fixed" if kind == "limit" else kind


def _may_affect(entry: Mapping[str, Any], one: Recorded) -> bool:
    """Whether a version that the requirement allows is affected; without any version, or for a file, all may be."""
    if one.kind != "range":
        return True
    allowed = SpecifierSet(one.allowed)
    texts = [*entry["versions"], *(text for events in entry["ranges"] for event in events for text in event.values())]
    texts += [spec.version.removesuffix(".*") for spec in allowed]
    candidates = [made for text in texts if (made := _version(text)) is not None]
    return any(allowed.contains(made, prereleases=True) and affects(entry, made) for made in candidates)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _tables(found: Sequence[Recorded], hits: Sequence[Hit]) -> Iterator[Table]:
    if hits:
        columns = (
            ("file", "File"), ("package", "Package"), ("recorded", "Recorded"), ("advisory", "Advisory"),
            ("severity", "Severity"), ("fixed", "Fixed in"), ("sure", "Holds for"), ("summary", "Summary"),
        )  # fmt: skip
        rows = tuple(
            (one.requirement.file, one.requirement.name, one.requirement.text, one.id, one.severity, one.fixed,
             "this version" if one.sure else "a version it allows", one.summary)
            for one in hits
        )  # fmt: skip
        yield Table("advisories", "Known vulnerabilities", columns, rows)
    if found:
        heads = (("file", "File"), ("package", "Package"), ("recorded", "Recorded"), ("kind", "Says"))
        yield Table(
            "requirements", "Requirements", heads, tuple((r.file, r.name, r.text, _KINDS[r.kind]) for r in found)
        )


def _pictures(hits: Sequence[Hit]) -> tuple[Picture, ...]:
    counts: dict[str, int] = {}
    for one in hits:
        counts[one.requirement.name] = counts.get(one.requirement.name, 0) + 1
    if not counts:
        return ()
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:20]
    rows: list[pictures.Row] = [{"name": name, "value": count} for name, count in ranked]
    alt = f"Advisories by package; most for {ranked[0][0]} ({ranked[0][1]})."
    return (pictures.bars("packages", "Advisories by package", alt, rows, value="Advisories"),)


_MOST_SAID = 50


def _findings(found: Sequence[Recorded], hits: Sequence[Hit], loose: Sequence[Recorded], note: str) -> Iterator[str]:
    if note:
        yield note
    said = [
        f"{one.requirement.file}: {one.requirement.text}: {one.id}{f' ({one.severity})' if one.severity else ''}"
        f"{'' if one.sure else ' holds for a version it allows'}{f', fixed in {one.fixed}' if one.fixed else ''}."
        for one in sorted(hits, key=lambda one: (not one.sure, one.requirement, one.id))
    ]
    said += [f"{one.file}: {one.text}: {_KINDS[one.kind]}, not pinned to one version." for one in loose]
    said += [f"{one.file}: {one.text}: an option of pip." for one in found if one.kind == "option"]
    yield from said[:_MOST_SAID]
    if len(said) > _MOST_SAID:
        yield f"{len(said) - _MOST_SAID} more are in the tables."
    if not note and not said:
        yield f"None of {len(found)} requirements is known to be vulnerable, and all are pinned."
