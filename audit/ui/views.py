"""Pages of the audit log: head of the tree, entries, one entry with its proof."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit import actions, merkle, proofs, selectors
from audit.health import log_status
from audit.models import Checkpoint, Entry
from audit.selectors import Filters
from audit.ui.head import TreeHead, tree_head
from config.errors import NotAllowed, NotFound
from config.pages import render_page, signed_in

PERMISSION: Final = "registry.audit_registeredmodel"
PER_PAGE: Final = 50
_UUID_LENGTH: Final = 36
_NOUNS: Final = {
    "promotionrequest": "request",
    "modelversion": "version",
    "registeredmodel": "model",
    "checkrun": "check",
    "policyversion": "policy",
    "datasetversion": "data set",
    "apitoken": "token",
    "group": "team",
    "user": "account",
}


def check_auditor(request: HttpRequest) -> None:
    """Raise ``NotAllowed`` for everybody without the auditor's permission on all models: the log speaks of every one."""
    if not request.user.has_perm(PERMISSION):
        raise NotAllowed(
            "The audit log speaks of every model, so reading it needs the auditor role on all models.",
            code="ledger.not_auditor",
            remedy="Ask an administrator for it.",
        )


class SearchForm(forms.Form):
    """What the log can be searched for. ``about`` is ``kind:id`` or a kind; ``who`` a user name or an actor's id."""

    about = forms.CharField(required=False, max_length=400, label="About")
    who = forms.CharField(required=False, max_length=255, label="Who")
    action = forms.ChoiceField(required=False, label="Action")
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.fields["action"].choices = [("", "Any action"), *((one.name, one.name) for one in actions.known())]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Refuse a period that ends before it begins."""
        found = super().clean() or {}
        if found.get("since") and found.get("until") and found["since"] > found["until"]:
            self.add_error("until", "This day is before the first one.")
        return found

    def filters(self) -> Filters:
        """The search as the selectors take it; days are whole days, both included."""
        found = self.cleaned_data
        kind, _, ident = found.get("about", "").partition(":")
        until: date | None = found.get("until")
        return Filters(
            action=found.get("action", ""),
            actor=_actor(found.get("who", "")),
            object_type=kind,
            object_id=ident,
            since=_midnight(found.get("since")),
            until=_midnight(until + timedelta(days=1)) if until else None,
        )


def _midnight(day: date | None) -> datetime | None:
    return timezone.make_aware(datetime.combine(day, time())) if day else None


def _actor(who: str) -> str:
    """The id behind a user name; what is no user name is taken for an id (``service:checks``)."""
    user = get_user_model().objects.filter(username=who).only("pk").first() if who else None
    return f"user:{user.pk}" if user else who


@dataclass(frozen=True, slots=True)
class Line:
    """One entry in the list. ``day`` is set where a new day begins; ``signed`` for what people put their name to."""

    entry: Entry
    day: date | None
    words: str
    sealed: bool
    signed: bool


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The log: its head, and its entries, newest first."""
    check_auditor(request)
    form = SearchForm(request.GET)
    head = tree_head()
    page = None
    if form.is_valid():
        page = selectors.entries_page(form.filters(), after=request.GET.get("after", ""), size=PER_PAGE)
    kept = {key: value for key, value in request.GET.items() if key != "after" and value}
    context = {
        "section": "audit",
        "form": form,
        "head": head,
        "first": Entry.objects.order_by("index").only("canon").values_list("at", flat=True).first(),
        "lines": _lines(page.rows if page else [], head.checkpoint.size if head else 0),
        "searched": bool(kept),
        "older": f"{request.path}?{urlencode({**kept, 'after': page.next})}" if page and page.next else "",
        "newer": f"{request.path}?{urlencode(kept)}" if request.GET.get("after") else "",
    }
    return render_page(request, "audit/log.html", context, partial="events", status=200 if form.is_valid() else 422)


def _lines(rows: list[Entry], size: int) -> list[Line]:
    lines, last = [], None
    for entry in rows:
        day = timezone.localdate(entry.at)
        lines.append(_line(entry, size, day if day != last else None))
        last = day
    return lines


def _line(entry: Entry, size: int, day: date | None = None) -> Line:
    signed = entry.action in {"decision.signed", "waiver.signed"}
    return Line(entry, day, words_of(entry), entry.index < size, signed)


def words_of(entry: Entry) -> str:
    """The entry in words, without who: the column before it says that."""
    ident = str(entry.object_version) or str(entry.object_id)
    short = ident[:8] if len(ident) == _UUID_LENGTH else ident
    kind = str(entry.object_type).rpartition(".")[2]
    noun = _NOUNS.get(kind, kind)
    template = actions.sentence(str(entry.action), actor="", subject="")
    subject = short if noun in template else f"{noun} {short}"
    return actions.sentence(str(entry.action), actor="", subject=subject).strip().removeprefix(":").strip()


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
    line = _line(found, checkpoint.size if checkpoint else 0)
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


@signed_in
@never_cache
@require_safe
def checkpoint(request: HttpRequest) -> HttpResponse:
    """The signed head of the log as a file: the note of C2SP tlog-checkpoint."""
    check_auditor(request)
    found = selectors.head()
    if found is None:
        raise NotFound("The log has no checkpoint yet.", code="ledger.empty")
    name = f'attachment; filename="checkpoint-{found.size}.txt"'
    return HttpResponse(found.note, content_type="text/plain; charset=utf-8", headers={"Content-Disposition": name})


@signed_in
@never_cache
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """The seal in the masthead, for everybody who is signed in, and the banner over the page when the log is broken."""
    return render(request, "audit/status.html", {"log_status": log_status()})


def _entry(index: int) -> tuple[Entry, Checkpoint | None]:
    found = Entry.objects.filter(index=index).first() if index < 2**63 else None
    if found is None:
        raise NotFound(f"There is no entry {index} in the log.", code="ledger.no_entry")
    return found, selectors.head()


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
