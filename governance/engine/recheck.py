"""Running a stored result again from the sealed bytes, and saying in words what differs. Stores nothing.

The predictions that a result rests on are computed again, too: nothing that was computed before is believed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from audit.models import Entry
from audit.selectors import entries_about
from config.errors import Refusal
from governance import checks, vendors
from governance.checks import CheckError, CheckResult
from governance.engine.execute import SCORING, compute, marked
from governance.engine.provenance import provenance_of, waited_for
from governance.engine.scoring import score
from governance.engine.storing import write_rows
from governance.engine.workspace import Progress, SandboxRefused
from governance.models import CheckRun
from governance.services.evidence import result_bytes
from governance.states import CheckState
from registry.storage import CHUNK, blobs

_WHOLE: Final = "The stored bytes are those that the ledger names."
MOST: Final = 20
"""Differences that are listed."""
_SENTENCES: Final[Mapping[str, str]] = {
    "check": "The check was {then}; it is {now} now.",
    "model": "The model's files had the digest {then}; the version has {now}.",
    "champion": "The live version had the digest {then}; the one it would be compared with now has {now}.",
    "data": "The data had the digest {then}; the data set version has {now}.",
    "columns": "The parts of the columns (label, sensitive, …) were others: {then}, now {now}.",
    "training": "The training data had the digest {then}; now {now}.",
    "training_columns": "The parts of the training data's columns were others: {then}, now {now}.",
    "live_data": "The live data had the digest {then}; now {now}.",
    "card": "The model card has changed since: {then}, now {now}.",
    "metrics": "The recorded metrics have changed since: {then}, now {now}.",
    "sensitive": "The sensitive columns were others: {then}, now {now}.",
    "advisories": "The operator's list of known vulnerabilities is another: {then}, now {now}.",
    "uploaded": "The uploaded predictions were {then}; now {now}.",
    "parameters": "The parameters were others: {then}, now {now}.",
    "predictions": "The predictions were others: {then}, now {now}.",
    "model_environment": "The model's own environment was recorded as {then}.",
}


class End(IntEnum):
    """How it ended; also the exit code."""

    AGREES = 0
    DIFFERS = 1
    NOT_ASKED = 2
    NOT_REPEATABLE = 3


@dataclass(frozen=True, slots=True)
class Rechecked:
    """One result run again. ``words`` say what was compared and what differs, the answer first."""

    run: CheckRun
    end: End
    words: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    """What is wrong, and what is only other than it was."""

    wrong: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


def recheck(run: CheckRun, directory: Path, progress: Progress = lambda _done, _total: None) -> Rechecked:
    """Run it again in ``directory``. Guarantee: ``AGREES`` only if every byte of result and predictions is the same."""
    if run.state != CheckState.FINISHED:
        return Rechecked(run, End.NOT_ASKED, ("It has not finished, so there is no result yet.",))
    found = _Found(wrong=list(_kept(run)))
    source = run.reused_from or run
    if found.wrong:
        return Rechecked(run, End.DIFFERS, tuple(found.wrong))
    if why := _not_repeatable(source):
        return Rechecked(run, End.NOT_REPEATABLE, (why, _WHOLE))
    _compare_inputs(source, found)
    try:
        _compare_results(source, directory, progress, found)
    except SandboxRefused as refused:
        if refused.outcome.code == "environment_failed" and not found.wrong:
            why = f"Its model's environment cannot be had here: {refused.outcome.message}"
            return Rechecked(run, End.NOT_REPEATABLE, (why, _WHOLE))
        found.wrong.append(f"It did not run to its end this time: {refused.outcome.message}")
    except (CheckError, Refusal) as error:
        found.wrong.append(f"It cannot be run from the sealed bytes: {error}")
    if found.wrong:
        return Rechecked(run, End.DIFFERS, (*found.wrong, *found.other))
    agrees = f"It agrees: run again, it gives the same {source.result_digest}, byte for byte."
    return Rechecked(run, End.AGREES, (agrees, *found.other))


def _kept(run: CheckRun) -> Iterator[str]:
    """What is wrong with the stored bytes, before anything is run."""
    try:
        actual = hashlib.sha256(result_bytes(run)).hexdigest()
    except Refusal as refusal:
        yield f"The stored result cannot be read: {refusal}"
        return
    if actual != run.result_digest:
        yield f"The stored result was changed: it hashes to {actual}, and its row says {run.result_digest}."
    said = _said_by_the_ledger(run)
    if said and run.result_digest not in said:
        yield f"The ledger says that the result is {said[-1]}; its row says {run.result_digest}."
    if not said:
        yield "The ledger has no entry that this check finished (or it has not been sequenced yet; try again in a second)."
    for file in (run.result or {}).get("files", ()):
        try:
            with blobs().open(str(file["sha256"])) as stream:
                if _hashed(stream) != file["sha256"]:
                    yield f"The file {file['name']} beside it was changed."
        except Refusal as refusal:
            yield f"The file {file['name']} beside it cannot be read: {refusal}"


def _said_by_the_ledger(run: CheckRun) -> list[str]:
    rows = entries_about("governance.checkrun", str(run.pk)).filter(action="check.finished").order_by("index")
    return [str(_facts(entry).get("result_digest", "")) for entry in rows]


def _facts(entry: Entry) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = json.loads(entry.canon)["facts"]
    return facts


def _not_repeatable(run: CheckRun) -> str:
    """Why running it again cannot give the same bytes; "" if it must."""
    if run.verdict == CheckRun.Verdict.ERROR:
        return f"It ended with an error, so there are no figures to compare: {run.summary}"
    if run.category == SCORING:
        return ""
    use = str(run.requirement["use"])
    if use.partition("@")[0] == "manual":
        return "It is a person's finding; nothing was computed."
    try:
        about = checks.manifest(use)
    except CheckError as error:
        return f"Its check is not in this catalogue (a plug-in that is not installed or not trusted here?): {error}"
    if "latency" in about.needs:
        return f"{about.title} measures time and memory, which are others in every run, so its bytes are not compared."
    return ""


def _compare_inputs(run: CheckRun, found: _Found) -> None:
    """What is recorded of the inputs, against what they are now. On its own none of it is a fault: the result decides."""
    then = run.provenance
    if not then:
        found.other.append("The result was stored without its provenance, so changed inputs cannot be named.")
        return
    now = provenance_of(run, run.sandbox)
    for name, sentence in _SENTENCES.items():
        before, after = then.get(name, ""), now.get(name, "")
        if before != after:
            found.other.append(sentence.format(then=_shown(before), now=_shown(after)))
    before, after = then.get("code", {}), now.get("code", {})
    if before != after:
        found.other.append(f"The code is another: {_code(before)} then, {_code(after)} now.")
    before, after = then.get("environment", {}), now.get("environment", {})
    gone = sorted({*_environment(before)} - {*_environment(after)})
    come = sorted({*_environment(after)} - {*_environment(before)})
    if gone or come:
        found.other.append(
            f"The environment is another: {', '.join(gone) or 'nothing'} then, {', '.join(come) or 'nothing'} now."
        )


def _shown(value: Any) -> str:  # noqa: ANN401 - of a stored document
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value) or "none"


def _code(value: Mapping[str, Any]) -> str:
    return f"{value.get('distribution', '?')} {value.get('version', '?')} ({str(value.get('digest', '?'))[:16]})"


def _environment(value: Mapping[str, Any]) -> list[str]:
    return [f"python {value.get('python', '?')}", str(value.get("system", "?")), *value.get("libraries", ())]


def _compare_results(run: CheckRun, directory: Path, progress: Progress, found: _Found) -> None:
    for number, needed in enumerate(CheckRun.objects.filter(pk__in=waited_for(run)).order_by("position")):
        folder = directory / f"needed-{number}"
        folder.mkdir()
        output = _scored(_loaded(needed), folder, progress, found)
        if output != needed.output_blob_id:
            found.wrong.append(
                f"{needed.title}: computed again, they are {output}; the result rests on {needed.output_blob_id}."
            )
    folder = directory / "check"
    folder.mkdir()
    stored: Mapping[str, Any] = json.loads(result_bytes(run))
    if run.category == SCORING:
        output = _scored(_loaded(run), folder, progress, found)
        if output != run.output_blob_id:
            found.wrong.append(f"The predictions differ: {output} now, {run.output_blob_id} then.")
        return
    again = marked(*compute(_loaded(run), folder, progress, again=True))
    if hashlib.sha256(again.to_json().encode()).hexdigest() != run.result_digest:
        found.wrong += ["It differs: run again, it gives other bytes.", *_differences(stored, again)]


def _loaded(run: CheckRun) -> CheckRun:
    return CheckRun.objects.select_related(
        "request__version__model", "request__model", "request__replaces", "request__policy_version__policy",
        "dataset__dataset",
    ).get(pk=run.pk)  # fmt: skip


def _scored(run: CheckRun, directory: Path, progress: Progress, found: _Found) -> str:
    """SHA-256 of the predictions, computed again and written as they are stored; of uploaded ones, of their bytes."""
    if vendors.KEY in run.parameters:
        found.other.append(f"{run.title}: they were uploaded, so their bytes were compared and no model was run.")
        with blobs().open(str(run.output_blob_id)) as stream:
            return _hashed(stream)
    table, _, _ = score(run, directory, progress, again=True)
    path = directory / "again.parquet"
    write_rows(table, path)
    with path.open("rb") as stream:
        return _hashed(stream)


def _hashed(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _differences(stored: Mapping[str, Any], again: CheckResult) -> list[str]:
    """Up to ``MOST`` places in which the two documents differ, figures by their names."""
    found = list(_between(_named(stored), _named(again.as_dict()), ""))
    more = [f"… and {len(found) - MOST} more."] if len(found) > MOST else []
    return [*found[:MOST], *more]


def _named(result: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its figures by name, so that a new one does not shift all that follow."""
    figures = {}
    for figure in result.get("figures", ()):
        about = ", ".join(str(figure[one]) for one in ("attribute", "group") if figure.get(one))
        figures[f"{figure['key']} ({about})" if about else figure["key"]] = figure
    return {**result, "figures": figures}


def _between(then: Any, now: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in sorted({*then, *now}):
            below = f"{path}, {key}" if path else str(key)
            if key not in then or key not in now:
                yield f"{below}: {'only now' if key not in then else 'only then'}."
            else:
                yield from _between(then[key], now[key], below)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _between(one, other, f"{path} {number + 1}")
    elif then != now:
        yield f"{path}: {_brief(then)} then, {_brief(now)} now."


def _brief(value: Any) -> str:  # noqa: ANN401 - JSON
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}…"


def asked_by_digest(digest: str) -> CheckRun | None:
    """The run that computed the result of that digest."""
    rows = CheckRun.objects.filter(result_digest=digest, state=CheckState.FINISHED)
    return rows.order_by("reused_from_id", "finished_at").first()
