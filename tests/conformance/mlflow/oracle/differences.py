"""Which differences from MLflow the oracle tolerates: those of the table in docs/reference/mlflow.md, by its names."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from registry.mlflow import filters
from tests.conformance.mlflow.oracle.pair import Answer, Call, plain

PAGE: Final = Path(__file__).resolve().parents[4] / "docs" / "reference" / "mlflow.md"


def documented() -> dict[str, str]:
    """The names in the first column of the table, and the tests that show them."""
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    return dict(rows)


Test = Callable[[Call, Answer, Answer], bool]
_TOLERATED: Final[dict[str, Test]] = {}


def _difference(name: str) -> Callable[[Test], Test]:
    def keep(test: Test) -> Test:
        _TOLERATED[name] = test
        return test

    return keep


def names() -> set[str]:
    """The differences that the oracle knows."""
    return set(_TOLERATED)


def tolerated(call: Call, theirs: Answer, ours: Answer) -> str:
    """The documented difference that explains two answers, or ""."""
    known = documented()
    return next((name for name, test in _TOLERATED.items() if name in known and test(call, theirs, ours)), "")


def _refused(answer: Answer) -> bool:
    return (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")


def _searches(call: Call) -> bool:
    return call.rest.endswith("/search")


def _parameter(call: Call, name: str) -> Any:
    return call.arguments.get(name)


@_difference("not-a-fault-of-the-server")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    """MLflow fails (500) where what it was asked is wrong; the client repeats such a call for minutes."""
    return theirs.status == 500 and ours.status in {400, 404}


@_difference("size-of-nothing")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    size = str(_parameter(call, "max_results"))
    return _searches(call) and re.fullmatch(r"-?0*[01]?", size) is not None and theirs.ok and _refused(ours)


@_difference("arguments-of-a-wrong-type")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    """What protobuf cannot read MLflow sometimes leaves out in silence."""
    size = str(_parameter(call, "max_results"))
    odd_size = re.fullmatch(r"-?[0-9]{1,18}", size) is None and "max_results" in call.arguments
    odd_tags = any(not isinstance(tag, dict) for tag in _list(_parameter(call, "tags")))
    return theirs.ok and _refused(ours) and (odd_size or odd_tags)


@_difference("camel-case")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    return "newName" in call.arguments and _refused(theirs)


@_difference("page-tokens")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    return _searches(call) and bool(_parameter(call, "page_token")) and _refused(ours)


@_difference("sql-in-messages")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    return "[SQL:" in theirs.message and ours.status < 500


@_difference("pending-until-sealed")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    if call.rest != "model-versions/create" or not (theirs.ok and ours.ok):
        return False
    said = {**plain(theirs.body)["model_version"], "status": "PENDING_REGISTRATION"}
    return bool(_completed({"model_version": said}, plain(ours.body)) == plain(ours.body))


@_difference("user-and-aliases")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    """Their answers, completed by what ours say more."""
    if not (theirs.ok and ours.ok):
        return False
    return bool(_completed(plain(theirs.body), plain(ours.body)) == _without_token(plain(ours.body)))


def _completed(theirs: Any, ours: Any) -> Any:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = {key: _completed(item, ours.get(key)) for key, item in theirs.items() if key != "next_page_token"}
        if "current_stage" in found:
            found |= {key: ours[key] for key in ("user_id", "aliases") if key in ours and key not in found}
        if "next_page_token" in theirs:
            found["next_page_token"] = "…"
        return found
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [_completed(one, two) for one, two in zip(theirs, ours, strict=True)]
    return theirs


def _without_token(body: Any) -> Any:
    return body | {"next_page_token": "…"} if isinstance(body, dict) and "next_page_token" in body else body


@_difference("sealed-uri")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    if call.rest != "model-versions/get-download-uri" or not (theirs.ok and ours.ok):
        return False
    return str(ours.body["artifact_uri"]).startswith("mlflow-artifacts:/sealed/")


@_difference("source")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    """Buckets, other servers and paths are not read."""
    return call.rest == "model-versions/create" and theirs.ok and _refused(ours) and "source" in ours.message


@_difference("prompt-is-sealed")
def _(call: Call, theirs: Answer, ours: Answer) -> bool:
    return theirs.ok and (ours.status, ours.code) == (409, "RESOURCE_CONFLICT") and "prompt" in ours.message.lower()


def _search_difference(name: str, test: Callable[[str, int, Answer], bool]) -> None:
    """``test`` is told the filter, and how many conditions we read in it: none if we refuse it."""

    def tolerate(call: Call, theirs: Answer, ours: Answer) -> bool:
        text = str(_parameter(call, "filter") or "")
        if not _searches(call) or not text:
            return False
        try:
            language = filters.MODELS if call.rest.startswith("registered-models") else filters.VERSIONS
            found = len(filters.parse(text, language))
        except filters.BadFilter:
            found = 0
        return test(text, found, theirs)

    _TOLERATED[name] = tolerate


BARE_KEY: Final = re.compile(r"\btags?\.[^\s`\"'=!<>]*(?:[-/]|\.\.|(?<=\.)[0-9]|[^\x00-\x7f])")
_LOOSE_KEY: Final = re.compile(r"\btags?(?:\s+\.|\.\s|\.\.)|\btags?\.(?:``|\"\"|[^\s'\"`=!<>]*(?:\.\s|\.\.|\.[=!]))")


def reads_more_keys(text: str) -> bool:
    """A key without back-ticks that MLflow's parser cannot read."""
    return BARE_KEY.search(text) is not None


def reads_loose_keys(text: str) -> bool:
    """A space beside the dot, or no key at all."""
    return _LOOSE_KEY.search(text) is not None


def lacks_and(text: str, conditions: int) -> bool:
    """More conditions than AND joins."""
    ands = len(re.findall(r"(?:\band\b\s*)+", text, re.IGNORECASE))
    return conditions > ands + 1 or (conditions > 1 and re.search(r"\band\W*$", text, re.IGNORECASE) is not None)


_search_difference(
    "search-bare-keys", lambda text, found, theirs: _refused(theirs) and found > 0 and reads_more_keys(text)
)
_search_difference(
    "search-without-and", lambda text, found, theirs: _refused(theirs) and found > 0 and lacks_and(text, found)
)
_search_difference("search-loose-keys", lambda text, found, theirs: theirs.ok and found == 0 and reads_loose_keys(text))
_search_difference(
    "search-quotes",
    lambda text, found, theirs: theirs.ok and found > 0 and re.search(r"''|\"\"|\\", text) is not None,
)
_search_difference(
    "search-lists",
    lambda text, found, theirs: theirs.ok and found == 0 and re.search(r"\bin\b", text, re.IGNORECASE) is not None,
)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
