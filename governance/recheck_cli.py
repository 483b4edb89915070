# ruff: noqa: T201 - a program that prints
"""``countersign recheck RESULT``: run a stored result again from the sealed bytes. Needs what a worker needs."""

import argparse
import hashlib
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

_MEMBER = re.compile(r"(?:[^/]+/)?checks/([0-9a-f]{64})\.json")
_LARGEST = 256 * 2**20
_ENDS = {
    0: "agrees",
    1: "DIFFERS",
    2: "could not be asked",
    3: "cannot be repeated",
}


class _Unreadable(Exception):
    """What was given names no result."""


def main(arguments: list[str] | None = None) -> int:
    """Return the worst end of all results: 1 before 2 before 3 before 0."""
    parser = argparse.ArgumentParser(
        prog="countersign recheck",
        description="Run a stored result again from the sealed bytes of model and data, and compare every byte.",
        epilog="Exit code: 0 it agrees; 1 it differs, or stored bytes were changed; 2 it could not be asked like that; 3 its "
        "kind cannot be repeated (a person's finding, an error, measured times, libraries that are gone), its stored bytes are "
        "whole.",
    )
    parser.add_argument("result", help="id of a check, digest of a result, a result's .json file, or a bundle.zip")
    given = parser.parse_args(arguments)
    try:
        asked = list(_asked(given.result))
    except _Unreadable as error:
        print(f"countersign recheck: {error}", file=sys.stderr)
        return 2
    return _run(asked)


def _asked(word: str) -> Iterator[tuple[str, str]]:
    """(kind, value) of every result that is named. Raises ``_Unreadable``."""
    path = Path(word)
    if path.is_file():
        yield from _in_file(path)
        return
    if re.fullmatch(r"[0-9a-f]{64}", word):
        yield "digest", word
        return
    try:
        yield "id", str(UUID(word))
    except ValueError as error:
        raise _Unreadable(f"“{word}” is no file, no id of a check and no digest of a result.") from error


def _in_file(path: Path) -> Iterator[tuple[str, str]]:
    if not zipfile.is_zipfile(path):
        yield "digest", hashlib.sha256(path.read_bytes()).hexdigest()
        return
    with zipfile.ZipFile(path) as bundle:
        members = [(one, found.group(1)) for one in bundle.infolist() if (found := _MEMBER.fullmatch(one.filename))]
        if not members:
            raise _Unreadable(f"{path} holds no check results.")
        for member, digest in members:
            if member.file_size > _LARGEST or hashlib.sha256(bundle.read(member)).hexdigest() != digest:
                raise _Unreadable(
                    f"{path}: {member.filename} does not have the digest of its name: the bundle was changed."
                )
            yield "digest", digest


def _apart(place: Path, data: Path) -> Path:
    """A directory where nothing is that a worker has decoded before; libraries that it built by their lock stay of use."""
    place.mkdir()
    if (data / "environments").is_dir():
        (place / "environments").symlink_to((data / "environments").resolve())
    return place


def _run(asked: list[tuple[str, str]]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")
    import django  # noqa: PLC0415 - what explains itself needs no server
    from django.apps import apps  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415

    if not apps.ready:
        django.setup()
    from governance.engine.recheck import asked_by_digest, recheck  # noqa: PLC0415
    from governance.models import CheckRun  # noqa: PLC0415

    ends = set()
    before = settings.DATA_DIR
    with tempfile.TemporaryDirectory(prefix="recheck-") as place:
        settings.DATA_DIR = _apart(Path(place) / "data", Path(before))
        try:
            for number, (kind, value) in enumerate(asked):
                rows = CheckRun.objects.select_related("request", "reused_from")
                run = asked_by_digest(value) if kind == "digest" else rows.filter(pk=value).first()
                if run is None:
                    print(f"{value}: there is no result of that {kind} here.")
                    ends.add(2)
                    continue
                folder = Path(place) / str(number)
                folder.mkdir()
                answer = recheck(run, folder)
                print(f"{run.request.ref} {run.key} ({run.pk}): {_ENDS[answer.end]}")
                print("".join(f"  {sentence}\n" for sentence in answer.words), end="")
                ends.add(int(answer.end))
        finally:
            settings.DATA_DIR = before
    return next((one for one in (1, 2, 3) if one in ends), 0)
