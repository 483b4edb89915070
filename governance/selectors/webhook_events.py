"""The events of governance that webhooks may be told of: promotion requests and permits. Named in WEBHOOK_EVENTS.

Addresses of pages are written out: the sequencer's process, where followers run, loads no views.
"""

from typing import Any, Final

from django.conf import settings

from audit.models import Entry
from governance.models import BrokenGlass, Decision, Permit, PromotionRequest
from registry.events import Data, Event, Happening, Reader, Table

_DIGEST: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_ABOUT: Final[Data] = {
    "name": "credit-default",
    "version": "14",
    "target": "alias:production",
    "manifest_digest": _DIGEST,
}
_REQUEST: Final[Data] = {
    **_ABOUT,
    "request": "REQ-0412",
    "reason": "",
    "url": "https://models.example.org/requests/REQ-0412/",
}
_PERMIT: Final[Data] = {
    **_ABOUT,
    "permit": "0b1f6a5e-3a54-4f43-9a8e-6d7c7a0f9b11",
    "request": "REQ-0412",
    "expires_at": "2027-05-20T12:00:00+00:00",
    "reason": "",
    "url": "https://models.example.org/permits/0b1f6a5e-3a54-4f43-9a8e-6d7c7a0f9b11/",
}

_OF_REQUESTS: Final = {
    "promotion.requested": ("requested", "draft", "Somebody asks for a promotion."),
    "promotion.checks_started": ("checks_started", "checking", "The checks of a request begin."),
    "promotion.checks_finished": ("checks_finished", "ready", "They are done: the request is ready, or stopped."),
    "promotion.review_opened": (
        "review_opened",
        "in_review",
        "The review of a request begins: the first signature is there.",
    ),
    "promotion.changes_requested": ("changes_requested", "changes_requested", "A request is returned for changes."),
    "promotion.approved": ("approved", "approved", "A request is approved; its permit follows."),
    "promotion.approved_with_conditions": (
        "approved_with_conditions",
        "approved_with_conditions",
        "A request is approved with conditions; its permit follows.",
    ),
    "promotion.rejected": ("rejected", "rejected", "A request is refused."),
    "promotion.withdrawn": ("withdrawn", "withdrawn", "A request is withdrawn."),
    "promotion.lapsed": ("lapsed", "lapsed", "A request lapses."),
}
_OF_PERMITS: Final = {
    "permit.issued": ("issued", "active", "A permit is issued."),
    "permit.suspended": ("suspended", "suspended", "A permit is suspended."),
    "permit.resumed": ("resumed", "active", "A suspended permit is in force again."),
    "permit.revoked": ("revoked", "revoked", "A permit is revoked."),
    "permit.expired": ("expired", "expired", "A permit's time is up."),
    "permit.superseded": ("superseded", "superseded", "A permit gives way to that of another version."),
}


def _request_data(request: PromotionRequest, state: str, reason: str) -> Data:
    return {
        "name": request.model.name,
        "version": str(request.version.number),
        "target": request.target,
        "manifest_digest": request.manifest_digest,
        "request": request.ref,
        "state": state,
        "reason": reason,
        "url": f"{settings.PUBLIC_URL}/requests/{request.ref}/",
    }


def _about(name: str) -> str:
    return f"model:{name}"[:120]


def _of_request(event: str, state: str) -> Reader:
    def read(entry: Entry) -> Happening | None:
        request = PromotionRequest.objects.select_related("model", "version").filter(pk=entry.subject_id).first()
        if request is None:
            return None
        step: Any = entry.diff.get("state")
        data = _request_data(request, step[1] if step else state, entry.reason)
        return Happening(f"promotion_request.{event}", data, _about(request.model.name))

    return read


def _signed(entry: Entry) -> Happening | None:
    decision = Decision.objects.select_related("request__model", "request__version").filter(pk=entry.subject_id).first()
    if decision is None:
        return None
    data = _request_data(decision.request, decision.request.state, entry.reason)
    data |= {"outcome": decision.outcome, "role": decision.role}
    return Happening("promotion_request.signed", data, _about(decision.request.model.name))


def _of_permit(event: str, state: str) -> Reader:
    def read(entry: Entry) -> Happening | None:
        permit = Permit.objects.select_related("model", "version", "request").filter(pk=entry.subject_id).first()
        if permit is None:
            return None
        data: Data = {
            "name": permit.model.name,
            "version": str(permit.version.number),
            "target": permit.target,
            "manifest_digest": permit.manifest_digest,
            "permit": str(permit.pk),
            "request": permit.request.ref,
            "state": state,
            "expires_at": permit.expires_at.isoformat(),
            "reason": entry.reason,
            "url": f"{settings.PUBLIC_URL}/permits/{permit.pk}/",
        }
        return Happening(f"permit.{event}", data, _about(permit.model.name))

    return read


_GLASS: Final[Data] = {
    "id": "6a3a1d8e-0f5e-4a0c-8a53-2b4f8f5f9c10",
    "title": "Deployment credit/scorer",
    "namespace": "credit",
    "digests": [_DIGEST],
    "reason": "Fraud wave; the permitted model is down.",
    "url": "https://models.example.org/broken-glass/6a3a1d8e-0f5e-4a0c-8a53-2b4f8f5f9c10/",
}


def _of_glass(event: str) -> Reader:
    def read(entry: Entry) -> Happening | None:
        broken = BrokenGlass.objects.filter(pk=entry.subject_id).first()
        if broken is None:
            return None
        data: Data = {
            "id": str(broken.pk),
            "title": broken.title,
            "namespace": broken.namespace,
            "digests": list(broken.digests),
            "reason": entry.reason,
            "url": f"{settings.PUBLIC_URL}/broken-glass/{broken.pk}/",
        }
        if event == "reviewed":
            data |= {"outcome": broken.outcome}
        return Happening(f"broken_glass.{event}", data, f"namespace:{broken.namespace}"[:120])

    return read


TABLE: Final = Table(
    events=(
        *(
            Event(f"promotion_request.{event}", words, {**_REQUEST, "state": state})
            for event, state, words in _OF_REQUESTS.values()
        ),
        Event(
            "promotion_request.signed",
            "Somebody signs a decision on a request.",
            {**_REQUEST, "state": "in_review", "outcome": "approve", "role": "approver"},
        ),
        Event("broken_glass.reported", "A cluster let something in without a permit.", _GLASS),
        Event("broken_glass.reviewed", "Somebody reviewed why.", {**_GLASS, "outcome": "justified"}),
        *(Event(f"permit.{event}", words, {**_PERMIT, "state": state}) for event, state, words in _OF_PERMITS.values()),
    ),
    readers={
        **{action: _of_request(event, state) for action, (event, state, _) in _OF_REQUESTS.items()},
        "decision.signed": _signed,
        "glass.broken": _of_glass("reported"),
        "glass.reviewed": _of_glass("reviewed"),
        **{action: _of_permit(event, state) for action, (event, state, _) in _OF_PERMITS.items()},
    },
)
