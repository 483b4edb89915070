"""One entry with its proof, as a page, as a row of the list and as a file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit import merkle, proofs, selectors
from audit.models import Checkpoint, Entry
from audit.personal import named
from audit.ui.head import TreeHead, tree_head
from audit.ui.views.access import check_auditor
from audit.ui.views.lines import line_of, words_of
from config.errors import NotFound
from config.pages import render_page, signed_in


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a proof, and whether it holds."""

    words: str
    holds: bool
    digest: str = ""


@signed_in
@never_cache
@require_safe
def entry(request: HttpRequest, index: int) -> HttpResponse:
    """One entry: its text, and the proof that it is in the log, computed anew. For htmx its row, opened or closed."""
    check_auditor(request)
    found, checkpoint = _entry(index)
    line = line_of(found, checkpoint.size if checkpoint else 0)
    inside = getattr(request, "htmx", False)
    if inside and "closed" in request.GET:
        return render(request, "audit/_line.html", {"line": line, "swapped": True})
    head = tree_head()
    steps, proof = _proof(found, head)
    context = {
        "section": "audit",
        "entry": found,
        "words": words_of(found),
        "text": json.dumps(json.loads(found.leaf_text), indent=2, ensure_ascii=False, sort_keys=True),
        "changes": _changes(found.diff),
        "facts": [(name.replace("_", " "), _text(value)) for name, value in sorted(found.facts.items())],
        "steps": steps,
        "proved": bool(steps) and all(step.holds for step in steps),
        "hashes": [one.hex() for one in proof.hashes] if proof else [],
        "checkpoint": checkpoint,
        "stream": f"{found.object_type}:{found.object_id}",
        "leaf": bytes(found.leaf_hash).hex(),
    }
    if inside:
        return render(request, "audit/_line.html", {**context, "line": line, "open": True, "swapped": True})
    return render_page(request, "audit/entry.html", context)


@signed_in
@never_cache
@require_safe
def proof(request: HttpRequest, index: int) -> HttpResponse:
    """The entry, its proof and the signed checkpoint, to check elsewhere."""
    check_auditor(request)
    found, checkpoint = _entry(index)
    if checkpoint is None or found.index >= checkpoint.size:
        raise NotFound("This entry waits for its checkpoint.", code="ledger.no_entry", remedy="Try again in a second.")
    inclusion = proofs.inclusion(found.index, checkpoint.size)
    body = {
        "index": found.index,
        "leaf": found.leaf_text,
        "leaf_hash": bytes(found.leaf_hash).hex(),
        "size": inclusion.size,
        "root": inclusion.root.hex(),
        "hashes": [one.hex() for one in inclusion.hashes],
        "checkpoint": checkpoint.note,
    }
    name = f'attachment; filename="entry-{found.index}-proof.json"'
    return JsonResponse(
        body, json_dumps_params={"indent": 2, "ensure_ascii": False}, headers={"Content-Disposition": name}
    )


def _entry(index: int) -> tuple[Entry, Checkpoint | None]:
    found = Entry.objects.filter(index=index).first() if index < 2**63 else None
    if found is None:
        raise NotFound(f"There is no entry {index} in the log.", code="ledger.no_entry")
    return named([found])[0], selectors.head()


def _proof(found: Entry, head: TreeHead | None) -> tuple[list[Step], proofs.Inclusion | None]:
    """Hash the text, climb to the root, compare it with the signed one. None while no checkpoint covers the entry."""
    if head is None or found.index >= head.checkpoint.size:
        return [], None
    leaf = merkle.leaf_hash(found.leaf_text.encode())
    proved = proofs.inclusion(found.index, head.checkpoint.size)
    climbs = True
    try:
        merkle.verify_inclusion(leaf, found.index, proved.size, proved.hashes, bytes(head.checkpoint.root))
    except merkle.BadProof:
        climbs = False
    hashes = f"{len(proved.hashes)} hash{'' if len(proved.hashes) == 1 else 'es'}"
    return [
        Step("Leaf hash of the stored text", leaf == bytes(found.leaf_hash), leaf.hex()),
        Step(f"Path of {hashes} to the root", climbs),
        Step(f"Root of the tree of {head.checkpoint.size}", head.rooted, head.root),
        Step("Checkpoint signed by the log key", head.signed, head.key),
    ], proved


def _changes(diff: Mapping[str, Any]) -> list[dict[str, str]]:
    found = []
    for name, value in sorted(diff.items()):
        if isinstance(value, list) and len(value) == 2:
            before, after = value
        elif isinstance(value, dict) and set(value) == {"before", "after"}:
            before, after = value["before"], value["after"]
        else:
            before, after = None, value
        found.append(
            {
                "name": name,
                "before": "" if before in (None, "") else _text(before),
                "after": "" if after in (None, "") else _text(after),
            }
        )
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
