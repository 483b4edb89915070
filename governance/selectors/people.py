"""What open requests need of a person, so that nobody is erased from under a decision."""

from django.db.models import F, Q

from governance.models import PromotionRequest
from registry.models import User


def needs(user: User) -> list[str]:
    """Say of each open request why the person is needed: they asked for it, or a vote of theirs counts in it.

    Also where only a waiver is theirs. Once a request is closed its record stands by the account's number alone.
    """
    voted = Q(decisions__person=user, decisions__round=F("round"))
    waived = Q(waivers__signatures__person=user) | Q(waivers__asked_by=user)
    found = PromotionRequest.objects.open().filter(Q(requested_by=user) | voted | waived).distinct().order_by("number")
    return [_sentence(request, user) for request in found]


def _sentence(request: PromotionRequest, user: User) -> str:
    if request.requested_by_id == user.pk:
        return f"They asked for {request.ref}, which is open."
    if request.decisions.filter(person=user, round=request.round).exists():
        return f"They have signed in {request.ref}, which is open."
    return f"A waiver in {request.ref}, which is open, is theirs."
