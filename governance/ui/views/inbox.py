"""The first page: what waits for me."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit.actors import Actor
from config.figures import relative
from config.pages import render_page, signed_in
from governance.selectors.broken_glass import unreviewed
from governance.selectors.inbox import Inbox, Waiting, inbox_of
from governance.standing import display_name
from governance.states import UNFINISHED, CheckState
from governance.ui.screen import person
from governance.ui.words import OUTCOME_MARKS, OUTCOME_WORDS, counted, seal_of, signed_words, stands, target_words
from registry.models import RegisteredModel


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The inbox; of an empty register, the page that shows how to fill it."""
    if not RegisteredModel.objects.alive().exists():
        return redirect("ui:first-run")
    return render_page(request, "governance/inbox.html", _context(request))


@signed_in
@never_cache
@require_safe
def waiting(request: HttpRequest) -> HttpResponse:
    """The table of what waits, for htmx."""
    return render_page(request, "governance/inbox.html", _context(request), partial="waiting")


def _context(request: HttpRequest) -> dict[str, Any]:
    found = inbox_of(person(request), Actor.of(request))
    ready = sum(one.ready for one in found.waiting)
    broken = unreviewed(person(request)).count()
    return {
        "section": "inbox",
        "title": f"{counted(ready, 'request waits', 'requests wait')} for your signature",
        "lede": _lede(found, ready),
        "waiting": [_row(one) for one in found.waiting],
        "own": [_row(one) for one in found.own],
        "dated": any(one.request.decide_by for one in (*found.waiting, *found.own)),
        "findings": found.findings,
        "broken": broken,
        "broken_words": f"{counted(broken, 'deployment waits', 'deployments wait')} for a review.",
        "ending": found.ending,
        "recent": [
            {
                "d": one,
                "mark": OUTCOME_MARKS[one.outcome],
                "word": OUTCOME_WORDS[one.outcome].capitalize(),
                "who": display_name(one.person),
                "target": target_words(one.request.target),
            }
            for one in found.recent
        ],
        "more": found.more,
    }


def _lede(found: Inbox, ready: int) -> str:
    said = []
    due = [one.request.decide_by for one in found.waiting if one.ready and one.request.decide_by]
    if due:
        said.append(f"The first must be decided {relative(min(due))}.")
    later = len(found.waiting) - ready
    if later:
        said.append(
            f"{counted(later, 'more')} will, once what comes before is met."
            if ready
            else f"{counted(later, 'request')} will need it later."
        )
    if found.findings:
        n = len(found.findings)
        said.append(f"{counted(n, 'finding waits', 'findings wait')} to be recorded by you.")
    if found.own:
        said.append(f"{counted(len(found.own), 'request')} of your own {'is' if len(found.own) == 1 else 'are'} open.")
    if found.ending:
        said.append(f"{counted(len(found.ending), 'permit ends', 'permits end')} within 30 days.")
    return " ".join(said) or "Nothing waits for you."


def _row(one: Waiting) -> dict[str, Any]:
    request = one.request
    runs = [run for run in request.checks.all() if run.round == request.round]
    nodes = one.verdict.checks.children
    tally = {
        "fail": sum(node.status.value == "not_met" for node in nodes),
        "error": sum(node.status.value == "cannot_tell" for node in nodes),
        "waived": sum(node.status.value == "waived" for node in nodes),
        "pass": sum(node.status.value == "met" for node in nodes),
    }
    last = max((place.signature for place in one.places if place.signature), key=lambda s: s.at, default=None)
    return {
        "r": request,
        "ready": one.ready,
        "target": target_words(request.target),
        "line": stands(request, one.verdict.blocking()),
        "by": display_name(request.requested_by),
        "running": request.state in UNFINISHED,
        "done": sum(run.state == CheckState.FINISHED for run in runs),
        "total": len(runs),
        "tally": [(mark, n) for mark, n in tally.items() if n],
        "seal": seal_of(one.places),
        "signed": signed_words(one.places),
        "signed_note": f"{last.name} signed" if last else "no one yet",
    }
