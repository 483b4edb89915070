"""Querysets that only narrow. No writes here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models

from governance.states import APPROVED, OPEN_REQUEST_STATES, CheckState, IssuanceState, PermitState
from registry.models import RegisteredModel, User
from registry.reach import VIEW, holds

if TYPE_CHECKING:
    from governance.models import CheckRun, GateExemption, Permit, PolicyVersion, PromotionRequest  # noqa: F401 - named in strings


class PolicyVersionQuerySet(models.QuerySet["PolicyVersion"]):
    """Versions of policies."""

    def current(self) -> Self:
        """Those in force: each the current version of its policy."""
        return self.filter(policy__current=models.F("pk")).select_related("policy")

    def governing(self, *, tier: int, target: str) -> Self:
        """Those in force that speak about a model of ``tier`` moving to ``target``: none or one."""
        return self.current().filter(tiers__contains=[tier], targets__contains=[target])


class PromotionRequestQuerySet(models.QuerySet["PromotionRequest"]):
    """Promotion requests."""

    def open(self) -> Self:
        """Those not yet decided."""
        return self.filter(state__in=OPEN_REQUEST_STATES)

    def being_permitted(self) -> Self:
        """Those approved whose permit is still to be made."""
        given_up = models.Q(issuance__state=IssuanceState.ABANDONED)
        return self.filter(state__in=APPROVED, permit=None).exclude(given_up)

    def visible_to(self, user: User) -> Self:
        """Those about models visible to the user."""
        if holds(user, VIEW):
            return self
        return self.filter(model__in=RegisteredModel.objects.visible_to(user).values("pk"))

    def locked(self) -> Self:
        """Lock the request rows, in primary-key order, after the model's row. Evaluate at once."""
        return self.order_by("pk").select_for_update(of=("self",), no_key=True)


class CheckRunQuerySet(models.QuerySet["CheckRun"]):
    """Check runs."""

    def unfinished(self) -> Self:
        """Waiting or running."""
        return self.exclude(state=CheckState.FINISHED)


class PermitQuerySet(models.QuerySet["Permit"]):
    """Permits."""

    def active(self) -> Self:
        """Those in force."""
        return self.filter(state=PermitState.ACTIVE)


class GateExemptionQuerySet(models.QuerySet["GateExemption"]):
    """Exemptions from gating."""

    def in_force(self) -> Self:
        """Those that have not ended."""
        return self.filter(ended_at=None)

    def of(self, name: str) -> Self:
        """Those in force for a model of that name, its own or that of the whole instance."""
        return self.in_force().filter(name__in=["*", name])
