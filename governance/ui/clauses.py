"""A policy as parallel text: each clause in words, beside the very lines of YAML that it was read from. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import ndiff
from typing import Final

import yaml

from governance.checks import CheckError, manifest
from governance.checks.contract import Manifest
from governance.checks.manual import ManualParams
from governance.policy import CheckRequirement, Limit, Policy, ReviewStage, Slots
from governance.ui.words import counted, role_words, target_words

_ENDS: Final = {
    "value": "",
    "ci_low": "the lower end of the 95 % interval of ",
    "ci_high": "the upper end of the 95 % interval of ",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of YAML. ``change``: "ins", "del" or ""."""

    text: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause. ``changed``: its lines differ from those of the version before."""

    no: str
    title: str
    text: str
    lines: tuple[Line, ...]
    changed: bool


def clauses(document: str, policy: Policy, before: str | None = None) -> tuple[Clause, ...]:
    """Every clause of a policy that ``governance.policy.parse`` has accepted."""
    own, old = _slices(document), _slices(before) if before is not None else None
    return tuple(
        _clause((no, title, text), own.get(key, []), old.get(key, []) if old is not None else None)
        for no, title, text, key in _words(policy)
    )


def _clause(words: tuple[str, str, str], lines: list[str], before: list[str] | None) -> Clause:
    no, title, text = words
    if before is None or before == lines:
        return Clause(no, title, text, tuple(Line(line) for line in lines), changed=False)
    marks = {"+ ": "ins", "- ": "del", "  ": ""}
    compared = [line for line in ndiff(before, lines) if line[:2] in marks]
    return Clause(no, title, text, tuple(Line(line[2:], marks[line[:2]]) for line in compared), changed=True)


def _words(policy: Policy) -> Iterable[tuple[str, str, str, str]]:
    tiers = _listed([str(tier) for tier in policy.tiers])
    targets = _listed([f"“{target_words(target)}”" for target in policy.targets], "or")
    yield (
        "1",
        "Scope",
        f"This policy binds every model of risk tier {tiers} before one of its versions may be called {targets}.",
        "governs",
    )
    for number, need in enumerate(policy.checks, 1):
        yield f"2.{number}", *_check_words(need), f"checks/{need.key}"
    if policy.card:
        fields = _listed([name.replace("_", " ") for name in policy.card])
        yield "3", "Model card", f"The model card says something about {fields}.", "card"
    yield (
        "4",
        "Review",
        " ".join(_stage(stage) for stage in policy.review)
        + " Nobody signs a version they asked for, registered, trained or wrote the code of, and nobody signs twice.",
        "review",
    )
    if policy.valid_days:
        yield (
            "5",
            "Validity",
            f"An approval holds for {policy.valid_days} days. Then it must be given again.",
            "valid_for",
        )
    if policy.waivers:
        text = (
            f"A check that is not met may be waived for {policy.waivers.max_days} days at most, by "
            f"{_people(policy.waivers.by)}. The permit names the waiver and ends with it."
        )
        yield "6", "Waivers", text, "waivers"


def _check_words(need: CheckRequirement) -> tuple[str, str]:
    """Title and text of the clause about one check."""
    try:
        about = manifest(need.use)
    except CheckError:
        return (
            need.use,
            "This check is not in the catalogue of this installation: the plug-in that brings it is missing.",
        )
    if need.is_manual:
        params = ManualParams.from_mapping(need.params)
        apart = " outside the development" if params.independent else ""
        file = " A file stands beside the finding." if params.attachment == "required" else ""
        who = f"{role_words(params.role)}{apart} examines it and records the finding."
        return params.title, f"{_first_upper(_article(who))}{file} {params.instructions}"
    return about.title, _check(need, about)


def _article(words: str) -> str:
    return f"{'an' if words[:1].lower() in 'aeiou' else 'a'} {words[:1].lower()}{words[1:]}"


def _check(need: CheckRequirement, about: Manifest) -> str:
    labels = {spec.key: spec.label for spec in about.figures}
    names = {spec.key: spec.per_group for spec in about.figures}
    where = (
        f" on the data set {need.dataset}"
        if need.dataset
        else (" on the held-out data" if "data" in about.needs else "")
    )
    if not need.limits:
        return f"The check has run{where}; no limit is set on it.{_not_applicable(need)}"
    about_groups = need.sensitive and any(names.get(one.figure) for one in need.limits)
    grouped = (
        f", for every group of {_listed([name.replace('_', ' ') for name in need.sensitive])}" if about_groups else ""
    )
    said = "; ".join(_limit(one, labels.get(one.figure, one.figure)) for one in need.limits)
    place = _first_upper(f"{where}{grouped}".strip())
    text = f"{place}: {said}." if place else f"{_first_upper(said)}."
    if need.sensitive:
        small = "passes with caution" if need.insufficient_data == "warn" else "does not pass"
        text += f" A group too small to measure {small}."
    return text + _not_applicable(need)


def _not_applicable(need: CheckRequirement) -> str:
    accepted = " Where the check says that it does not apply to the model, that is accepted."
    return accepted if need.not_applicable == "accept" else ""


def _limit(limit: Limit, label: str) -> str:
    name = label if label[1:2].isupper() else f"{label[:1].lower()}{label[1:]}"
    how = "exactly" if limit.value == limit.ideal else ("at least" if limit.op == "ge" else "at most")
    return f"{_ENDS[limit.bound]}{name} {how} {limit.value:g}"


def _stage(stage: ReviewStage) -> str:
    return f"In the stage “{stage.name}” {_listed([_people(slots) for slots in stage.all])} sign{'s' if stage.size == 1 else ''}."


def _people(slots: Slots) -> str:
    role = role_words(slots.role).lower()
    role = f"independent {role}" if slots.independent and "independent" not in role else role
    return counted(slots.n, role).lower()


def _listed(items: Sequence[str], word: str = "and") -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}" if items else "nothing"


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _slices(document: str) -> dict[str, list[str]]:
    """The lines of each part, by top-level key; ``governs`` takes everything before it, each check has its own."""
    lines = document.splitlines()
    node = yaml.compose(document, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        return {}
    starts: list[tuple[int, str]] = []
    for key, value in node.value:
        if key.value == "checks" and isinstance(value, yaml.SequenceNode):
            starts += [
                (_line_of(item) if number else _line_of(key), f"checks/{_key(item)}")
                for number, item in enumerate(value.value)
            ]
        elif key.value not in {"policy", "title"}:
            starts.append((_line_of(key), str(key.value)))
    starts.sort()
    ends = [line for line, _ in starts[1:]] + [len(lines)]
    found = {name: lines[begin:end] for (begin, name), end in zip(starts, ends, strict=True)}
    if "governs" in found:
        head = next(begin for begin, name in starts if name == "governs")
        found["governs"] = lines[:head] + found["governs"]
    return found


def _line_of(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line


def _key(item: yaml.Node) -> str:
    plain = {key.value: value.value for key, value in item.value}
    return str(plain.get("id") or plain.get("use", ""))
