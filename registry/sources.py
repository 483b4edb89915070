"""Where a version's bytes are said to come from: checked as data, never opened here. Pure.

What a version may be registered from: the artifacts of a run (``runs:/<run>/<path>``), a logged model
(``models:/m-…``), this server's own artifact store (``mlflow-artifacts:/…``), another registered version
(``models:/<name>/<number>``, or by alias, stage or ``latest``). Nothing else: no local paths, no other hosts, no buckets.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

LONGEST: Final = 2000
_RUN: Final = re.compile(r"[a-zA-Z0-9][\w\-]{0,63}")
_LOGGED_MODEL: Final = re.compile(r"m-[0-9a-zA-Z]{1,60}")
SEALED: Final = "sealed"
"""First part of the artifact paths that stand for sealed versions."""


class BadSource(ValueError):
    """The source is not acceptable; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source taken apart. ``id`` is a run id, a logged model's id, or a registered model's name."""

    kind: Literal["run", "logged_model", "artifacts", "version", "sealed"]
    id: str = ""
    path: str = ""
    number: int = 0
    alias: str = ""
    stage: str = ""


def parse(text: str) -> Source:
    """Take a source apart. Raises ``BadSource``."""
    if len(text) > LONGEST:
        raise BadSource(f"Invalid model version source: it is longer than {LONGEST} characters.")
    if _unquoted(text) != text:
        raise _bad(text, "It must not contain percent-encoded characters.")
    if "\0" in text or "\\" in text or any(ord(letter) < 32 for letter in text) or "?" in text or "#" in text:
        raise _bad(text, "It contains a character that has no place in one.")
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in {"runs", "models", "mlflow-artifacts"}:
        raise _bad(
            text,
            "Use runs:/<run id>/<path>, models:/<model id>, models:/<name>/<version> or mlflow-artifacts:/<path>; "
            "local paths, other servers and buckets are not read.",
        )
    if not rest.startswith("/") or rest.startswith("//"):
        raise _bad(text, f"It must begin with {scheme}:/ and name no other server.")
    parts = rest[1:].rstrip("/").split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise _bad(text, "An absolute path must be provided without relative path references present.")
    if scheme == "runs":
        return _run(text, parts)
    if scheme == "models":
        return _model(text, parts)
    if parts[0] == SEALED:
        return _sealed(text, parts)
    return Source("artifacts", path="/".join(parts))


def check_owner(source: Source, text: str, *, run_id: str, model_id: str) -> None:
    """Check that the run or logged model a source names is the one given with it, as MLflow's server does.

    Raises ``BadSource``. Whether the run or the logged model exists, and holds that path, is found out when the bytes
    are read.
    """
    for name, value, form in (("run_id", run_id, _RUN), ("model_id", model_id, _LOGGED_MODEL)):
        if value and not form.fullmatch(value):
            raise BadSource(f"Invalid value for parameter '{name}' supplied: {value!r} is no such id.")
    if source.kind in {"version", "sealed"}:
        return
    wanted = "model_id" if model_id or source.kind == "logged_model" else "run_id"
    fits = {
        "run": not model_id and run_id == source.id,
        "logged_model": model_id == source.id,
        "artifacts": bool(model_id or run_id),
    }[source.kind]
    if not fits:
        raise _bad(text, f"The {wanted} request parameter must identify the resource that contains the source.")


def _run(text: str, parts: list[str]) -> Source:
    if len(parts) < 2 or not _RUN.fullmatch(parts[0]):
        raise _bad(text, "It must look like runs:/<run id>/<path>.")
    return Source("run", id=parts[0], path="/".join(parts[1:]))


def _model(text: str, parts: list[str]) -> Source:
    if len(parts) == 1 and _LOGGED_MODEL.fullmatch(parts[0]):
        return Source("logged_model", id=parts[0])
    if len(parts) == 2 and re.fullmatch(r"[1-9][0-9]{0,8}", parts[1]):
        return Source("version", id=parts[0], number=int(parts[1]))
    if len(parts) == 2 and re.fullmatch(r"[A-Za-z]{1,20}", parts[1]):
        return Source("version", id=parts[0], stage="" if parts[1].lower() == "latest" else parts[1])
    name, at, alias = parts[0].rpartition("@")
    if len(parts) == 1 and at and name and alias:
        return Source("version", id=name, alias=alias)
    raise _bad(text, "It must look like models:/<model id>, models:/<name>/<version> or models:/<name>@<alias>.")


def _sealed(text: str, parts: list[str]) -> Source:
    if len(parts) == 3 and all(re.fullmatch(r"[1-9][0-9]{0,8}", part) for part in parts[1:]):
        return Source("sealed", id=parts[1], number=int(parts[2]))
    raise _bad(text, "A sealed version is registered again as a whole: name models:/<name>/<version>.")


def _unquoted(text: str) -> str:
    while (plain := unquote(text)) != text:
        text = plain
    return text


def _bad(text: str, why: str) -> BadSource:
    shown = text if len(text) <= 200 else text[:200] + "…"
    return BadSource(f"Invalid model version source: '{shown}'. {why}")
