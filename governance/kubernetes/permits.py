"""The permits a gate knows: files in a directory, each verified anew whenever it is asked for.

    permits/*.permit.json   as the registry hands them out
    status.json             the newest status list; a stale one closes the gate
    roots.json              newer versions of the trust root than the pinned one, a JSON list

The directory is not trusted: whoever writes into it can take permits away and bring none about. It is filled by the
registry (``sync``), by a person, or by whatever brings files into a cluster.
"""

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from governance.kubernetes.rules import Judgement
from governance.permits.signed import PERMIT, Refused, load, opened
from governance.permits.verifier import verify

STATUS: Final = "status.json"
ROOTS: Final = "roots.json"
FOLDER: Final = "permits"
SUFFIX: Final = ".permit.json"
Json = dict[str, Any]


@dataclass(slots=True)
class Permits:
    """What lies in ``directory``, judged with the trust root that the operator pinned. ``now`` in microseconds."""

    directory: Path
    pinned: Json
    now: Callable[[], int]
    _read: dict[Path, tuple[tuple[int, int], str, Json]] = field(default_factory=dict)

    def judge(self, digest: str, namespace: str) -> Judgement:
        """Say which permit lets a manifest digest run in a namespace, or why none does. Never raises."""
        if not namespace:
            return Judgement(reason="it is in no namespace, and permits are for namespaces.")
        try:
            chain, status = self._chain(), self._status()
        except (Refused, OSError) as error:
            return Judgement(reason=f"{error}.")
        reasons = []
        for file in self._of(digest):
            try:
                permit, _ = verify(file, self.pinned, chain=chain, status=status, namespace=namespace, now=self.now())
            except Refused as refused:
                reasons.append(f"{refused}.")
            else:
                return Judgement(permit=str(permit["permit"]))
        return Judgement(reason=" ".join(dict.fromkeys(reasons)) or "no permit for these bytes is known here.")

    def problem(self) -> str:
        """Why every question would be refused now, or nothing: for the readiness probe."""
        try:
            self._chain()
            self._status()
        except (Refused, OSError) as error:
            return str(error)
        return ""

    def _chain(self) -> list[Any]:
        try:
            made = json.loads((self.directory / ROOTS).read_bytes())
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise Refused(f"{ROOTS} is not JSON: {error}") from error
        if not isinstance(made, list):
            raise Refused(f"{ROOTS} is no JSON list")
        return made

    def _status(self) -> Json:
        """The status list. Those inside permits' files are as old as these: here the newest is asked for."""
        try:
            return load((self.directory / STATUS).read_bytes(), STATUS)
        except FileNotFoundError:
            raise Refused(f"there is no {STATUS}, so nobody can tell which permits were revoked") from None

    def _of(self, digest: str) -> list[Json]:
        """The permits' files about a digest. One that cannot be read is about none."""
        present = {}
        for path in sorted((self.directory / FOLDER).glob(f"*{SUFFIX}")):
            try:
                told = path.stat()
                mark = (told.st_mtime_ns, told.st_size)
                known = self._read.get(path)
                if known is None or known[0] != mark:
                    file = load(path.read_bytes(), path.name)
                    known = (mark, _subject(file), file)
            except (Refused, OSError):
                continue
            present[path] = known
        self._read = present
        return [file for _, subject, file in present.values() if subject == digest]


def _subject(file: Mapping[str, Any]) -> str:
    """The digest that a permit's file says it is for. Nothing is verified yet."""
    payload, _, _ = opened(file.get("envelope"), PERMIT, "the permit")
    try:
        return str(load(payload, "the permit")["subject"][0]["digest"]["sha256"])
    except (KeyError, IndexError, TypeError):
        raise Refused("the permit names no artifact") from None


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
