"""Check runs of a request, and waivers of those that did not pass."""

from uuid import UUID

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import NotFound
from governance.api.serializers.evidence import CheckDetail, CheckOut, CheckQuery, PasswordIn, WaiverIn, WaiverOut
from governance.api.serializers.requests import ReasonIn, RequestDetail
from governance.api.views.requests import RequestEndpoint
from governance.models import CheckRun, PromotionRequest, Waiver
from governance.selectors.requests import check_of
from governance.services import stops, waivers
from registry.api.endpoint import Endpoint, PageQuery, created
from registry.api.permissions import only_in_session
from registry.api.schema import IDEMPOTENCY_KEY, documented, page_of
from registry.services.idempotency import Answer


class Checks(RequestEndpoint):
    """The checks of a request."""

    query = CheckQuery

    @documented("checks_list", "List the checks of a request", tag="checks", query=CheckQuery, answer=page_of(CheckOut))
    def get(self, _request: Request, ref: int) -> Response:
        """In the order of the page; of the present round unless another is asked for."""
        asked = self.ask()
        found = self.found(ref)
        rows = CheckRun.objects.filter(request=found, round=asked.get("round", found.round)).select_related(
            "dataset__dataset"
        )
        return self.listed(rows, keys=["position"], asked=asked, present=CheckOut)


class Check(Endpoint):
    """One check with its result, and its end before it has one."""

    @documented("checks_read", "Read a check's result", tag="checks", answer=CheckDetail)
    def get(self, _request: Request, check: UUID) -> Response:
        """Read."""
        self.ask()
        return Response(CheckDetail(check_of(self.person, check)).data)


class Cancellation(Endpoint):
    """The end of a check that waits or runs."""

    @documented(
        "checks_cancel",
        "Cancel a check",
        tag="checks",
        request=ReasonIn,
        answer=CheckDetail,
        writes=True,
        description="It ends as an error, and what needs its result ends with it. A model that runs is ended in seconds.",
    )
    def post(self, _request: Request, check: UUID) -> Response:
        """Cancel."""
        found = check_of(self.person, check)
        given = self.read(ReasonIn)
        stops.cancel(run_id=found.pk, by=self.actor, reason=given["reason"])
        return Response(CheckDetail(check_of(self.person, check)).data)


class Retry(RequestEndpoint):
    """Another try for what ended with an error."""

    @documented(
        "checks_retry",
        "Run what ended with an error again",
        tag="checks",
        request=None,
        answer=RequestDetail,
        writes=True,
        description="Begins a new round: votes of the round before no longer count, and results on which nothing changed "
        "are used again. Refused when no check ended with an error, and when one did too often.",
    )
    def post(self, _request: Request, ref: int) -> Response:
        """Try again."""
        stops.retry_errors(request=self.found(ref), by=self.actor)
        return Response(self.detail(ref))


class Waivers(RequestEndpoint):
    """Waivers of a request's checks."""

    query = PageQuery

    @documented(
        "waivers_list", "List the waivers of a request", tag="checks", query=PageQuery, answer=page_of(WaiverOut)
    )
    def get(self, _request: Request, ref: int) -> Response:
        """Oldest first."""
        rows = (
            Waiver.objects.filter(request=self.found(ref))
            .select_related("check_run", "asked_by")
            .prefetch_related("signatures__person")
        )
        return self.listed(rows, keys=["asked_at", "pk"], asked=self.ask(), present=WaiverOut)

    @documented(
        "waivers_create",
        "Ask for a waiver",
        tag="checks",
        request=WaiverIn,
        answer=WaiverOut,
        status=201,
        writes=True,
        parameters=[IDEMPOTENCY_KEY],
        description="A waiver lets one check's failure stand until a date. It counts when the people the policy "
        "names have signed it.",
    )
    def post(self, _request: Request, ref: int) -> Response:
        """Ask."""
        found = self.found(ref)
        given = self.read(WaiverIn)

        def create() -> Answer:
            waiver = waivers.ask(
                request=found,
                check_run_id=given["check_run_id"],
                reason=given["reason"],
                until=given["until"],
                by=self.actor,
            )
            return created(WaiverOut(waiver).data, location=reverse("api:request-waivers", kwargs={"ref": ref}))

        return self.once(create)


class WaiverSignature(RequestEndpoint):
    """One person's agreement to a waiver."""

    @documented(
        "waivers_sign",
        "Agree to a waiver",
        tag="checks",
        request=PasswordIn,
        answer=WaiverOut,
        writes=True,
        errors=[429],
        description="Needs a session and your password: API tokens may not sign.",
    )
    def post(self, request: Request, waiver: UUID) -> Response:
        """Sign."""
        seen = PromotionRequest.objects.visible_to(self.person).values("pk")
        found = Waiver.objects.filter(pk=waiver, request__in=seen).first()
        if found is None:
            raise NotFound("There is no such waiver, or you may not see it.", code="waiver.unknown")
        only_in_session(request, "sign")
        given = self.read(PasswordIn)
        signed = waivers.sign(waiver_id=found.pk, password=given["password"], by=self.actor)
        return Response(WaiverOut(signed).data)
