"""What clusters let in without a permit, as far as somebody may know of it."""

from django.db.models import Q, QuerySet

from governance.models import BrokenGlass
from registry import reach
from registry.models import RegisteredModel, User


def visible_to(user: User) -> QuerySet[BrokenGlass]:
    """Those about models the person may see; those about no model of ours for whoever sees every model."""
    seen = Q(version__model__in=RegisteredModel.objects.visible_to(user).values("pk"))
    if reach.holds(user, reach.VIEW):
        seen |= Q(version=None)
    return BrokenGlass.objects.filter(seen).select_related("version__model", "reported_by", "reviewed_by")


def unreviewed(user: User) -> QuerySet[BrokenGlass]:
    """Those that wait for a review, if the person approves anywhere; else none."""
    if not reach.holds_anywhere(user, reach.APPROVE):
        return BrokenGlass.objects.none()
    return visible_to(user).filter(reviewed_at=None)
