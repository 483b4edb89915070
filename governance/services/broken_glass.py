"""What a cluster's gate reports that it let in without a permit, and the review that follows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils import timezone

from audit.actors import Actor
from audit.services import append
from config.errors import Invalid
from governance import guards
from governance.models import BrokenGlass
from registry.models import ModelVersion

LONGEST: Final = 1000


@transaction.atomic
def report(
    *,
    uid: str,
    namespace: str,
    title: str,
    digests: Sequence[str],
    user: str,
    reason: str,
    refused_because: str,
    at: datetime,
    by: Actor,
) -> BrokenGlass:
    """Keep an event of a gate, once by its ``uid``: a gate tells until it is heard. Raises ``NotAllowed``."""
    reporter = guards.check_can_report(by)
    known = BrokenGlass.objects.filter(uid=uid).first()
    if known is not None:
        return known
    version = ModelVersion.objects.filter(manifest_digest__in=digests).order_by("created_at", "pk").first()
    made, is_new = BrokenGlass.objects.get_or_create(
        uid=uid,
        defaults={
            "namespace": namespace,
            "title": title,
            "digests": list(digests),
            "version": version,
            "user": user,
            "reason": reason,
            "refused_because": refused_because,
            "at": at,
            "reported_by": reporter,
        },
    )
    if is_new:
        append(
            action="glass.broken",
            subject=made,
            by=by,
            reason=reason,
            facts={"uid": uid, "namespace": namespace, "user": user, "digests": list(digests)},
        )
    return made


@transaction.atomic
def review(*, broken: BrokenGlass, outcome: str, text: str, by: Actor) -> BrokenGlass:
    """Say what was found when it was looked at afterwards. Raises ``NotAllowed``, ``Conflict``, ``Invalid``."""
    broken = BrokenGlass.objects.select_for_update(of=("self",)).select_related("version__model").get(pk=broken.pk)
    reviewer = guards.check_can_review_broken_glass(by, broken)
    if outcome not in BrokenGlass.Outcome.values:
        raise Invalid("Say whether it was justified.", code="glass.outcome", field="outcome")
    broken.review = guards.text_of(text, field="text")
    broken.outcome = outcome
    broken.reviewed_by = reviewer
    broken.reviewed_at = timezone.now()
    broken.save(update_fields=["review", "outcome", "reviewed_by", "reviewed_at"])
    append(action="glass.reviewed", subject=broken, by=by, reason=broken.review, facts={"outcome": outcome})
    return broken
