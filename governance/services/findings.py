"""A person's finding: the result of a manual check, in the form and with the entry of every other result."""

import io
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Final
from uuid import UUID

from django.db import transaction

from audit.actors import Actor
from config.errors import Invalid, NotFound
from governance import guards
from governance.checks.manual import FINDINGS, Finding, ManualParams, result_of
from governance.checks.results import Cell
from governance.models import CheckRun, PromotionRequest
from governance.services import checks
from governance.services.checks import Outcome
from governance.services.transitions import locked
from registry.models import Blob
from registry.storage import blobs

MOST_BYTES: Final = 10 * 2**20
LONGEST_NAME: Final = 120
_SUMMARY: Final = 300
_VERDICTS: Final = {
    "pass": CheckRun.Verdict.PASS,
    "fail": CheckRun.Verdict.FAIL,
    "inconclusive": CheckRun.Verdict.INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that stands beside a finding: its name as given, and a stream of its bytes."""

    name: str
    stream: IO[bytes]


def record(*, run_id: UUID, finding: str, words: str, attachment: Attachment | None, by: Actor) -> CheckRun:
    """Record the finding, for good. The last check of the round has the request judged.

    Raises ``NotFound``, ``NotAllowed`` and ``Conflict`` as the guard does, and ``Invalid`` naming the field at fault.
    The attachment's bytes are stored before; the row that names them follows, with its entry, or nothing of it.
    """
    run = CheckRun.objects.select_related("request__model", "request__version", "request__policy_version").get(
        pk=run_id
    )
    guards.check_can_record(by, run.request, run)
    params = ManualParams.from_mapping(run.parameters)
    said = _finding(finding)
    text = guards.text_of(words, field="words")
    file = _stored(attachment, params)
    result = result_of(params, said, text, by=by.id, files=(file,) if file else ())
    digest = _put(result.to_json().encode())
    outcome = Outcome(
        _VERDICTS[said],
        text if len(text) <= _SUMMARY else f"{text[: _SUMMARY - 1]}…",
        result=result.as_dict(),
        result_digest=digest,
        result_blob=digest,
        output_blob=str(file["sha256"]) if file else "",
        provenance={
            "check": str(run.requirement["use"]),
            "model": run.request.manifest_digest,
            "recorded": "by a person",
        },
    )
    return _record(run.request, run, outcome, by=by)


@transaction.atomic
def _record(seen: PromotionRequest, run: CheckRun, outcome: Outcome, *, by: Actor) -> CheckRun:
    request = locked(seen.pk)
    held = CheckRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
    held.request = request
    guards.check_can_record(by, request, held)
    checks.record(request, held, outcome, by=by)
    return held


def file_of(run: CheckRun, sha256: str) -> tuple[str, int, IO[bytes]]:
    """Name, size and bytes of a file that stands beside a finding. Raises ``NotFound``."""
    for file in (run.result or {}).get("files", ()):
        if file["sha256"] == sha256:
            return str(file["name"]), int(file["size"]), blobs().open(sha256)
    raise NotFound("No such file stands beside this result.", code="finding.no_file")


def _finding(given: str) -> Finding:
    for one in FINDINGS:
        if one == given:
            return one
    raise Invalid(f"A finding is one of {', '.join(FINDINGS)}.", code="finding.unknown", field="finding")


def _stored(attachment: Attachment | None, params: ManualParams) -> dict[str, Cell] | None:
    if attachment is None:
        if params.attachment == "required":
            raise Invalid(
                "The policy wants a file beside this finding.", code="finding.no_attachment", field="attachment"
            )
        return None
    if params.attachment == "none":
        raise Invalid("The policy wants no file beside this finding.", code="finding.attachment", field="attachment")
    name = clean_name(attachment.name)
    content = attachment.stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise _unfit(f"The file is larger than {MOST_BYTES // 2**20} MiB.")
    if not content:
        raise _unfit("The file is empty.")
    media_type = media_type_of(name, content)
    return {"sha256": _put(content), "name": name, "media_type": media_type, "size": len(content)}


def clean_name(given: str) -> str:
    """The last part of a file's name, in normal form C. Raises ``Invalid`` for what cannot be one."""
    name = unicodedata.normalize("NFC", re.split(r"[\\/]", given)[-1]).strip()
    if not name or name in {".", ".."} or len(name) > LONGEST_NAME or not name.isprintable():
        raise _unfit(f"The file needs a name of 1 to {LONGEST_NAME} characters that can be shown.")
    return name


def media_type_of(name: str, content: bytes) -> str:
    """The type that both name and bytes say. Raises ``Invalid`` for any that is not on the list."""
    kind = KINDS.get(PurePath(name).suffix.lower())
    if kind is None:
        raise _unfit(f"A file of this kind cannot be attached. Possible are {', '.join(sorted(KINDS))}.")
    media_type, is_one = kind
    if not is_one(content):
        raise _unfit(f"The bytes of “{name}” are not those of {media_type}.")
    return media_type


def _begins(*with_: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(with_)


def _text(content: bytes) -> bool:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not any(unicodedata.category(char) == "Cc" and char not in "\t\n\r" for char in text)


def _json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


KINDS: Final[dict[str, tuple[str, Callable[[bytes], bool]]]] = {
    ".pdf": ("application/pdf", _begins(b"%PDF-")),
    ".png": ("image/png", _begins(b"\x89PNG\r\n\x1a\n")),
    ".jpg": ("image/jpeg", _begins(b"\xff\xd8\xff")),
    ".jpeg": ("image/jpeg", _begins(b"\xff\xd8\xff")),
    ".txt": ("text/plain", _text),
    ".md": ("text/markdown", _text),
    ".csv": ("text/csv", _text),
    ".json": ("application/json", _json),
}
"""What may stand beside a finding, by the end of its name: the media type, and how its bytes are told."""


def _unfit(why: str) -> Invalid:
    return Invalid(why, code="finding.attachment", field="attachment")


def _put(content: bytes) -> str:
    """Bytes first, content-addressed; the row that names them follows."""
    sha256, size = blobs().put(io.BytesIO(content))
    Blob.objects.bulk_create([Blob(sha256=sha256, size=size)], ignore_conflicts=True)
    return sha256
