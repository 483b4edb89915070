"""The gates of clusters: what they let in without a permit."""

from uuid import UUID

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import NotFound
from governance.api.serializers.gate import BrokenGlassIn, BrokenGlassOut, BrokenGlassQuery, ReviewIn
from governance.models import BrokenGlass
from governance.selectors.broken_glass import visible_to
from governance.services import broken_glass
from registry.api.endpoint import Endpoint
from registry.api.schema import documented, page_of
from registry.models import User

TAG = "gate"


class BrokenGlasses(Endpoint):
    """What was let in, and one more."""

    query = BrokenGlassQuery

    @documented(
        "broken_glass_list",
        "List what clusters let in without a permit",
        tag=TAG,
        query=BrokenGlassQuery,
        answer=page_of(BrokenGlassOut),
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        asked = self.ask()
        rows = visible_to(self.person)
        if asked["reviewed"] is not None:
            rows = rows.filter(reviewed_at__isnull=not asked["reviewed"])
        return self.listed(rows, keys=["-reported_at", "-pk"], asked=asked, present=BrokenGlassOut)

    @documented(
        "broken_glass_report",
        "Report what a gate let in",
        tag=TAG,
        request=BrokenGlassIn,
        answer=BrokenGlassOut,
        status=201,
        writes=True,
        description="For the service account of a gate. Telling the same `uid` again is no error and writes nothing.",
    )
    def post(self, _request: Request) -> Response:
        """Keep it."""
        made = broken_glass.report(**self.read(BrokenGlassIn), by=self.actor)
        here = reverse("api:broken-glass", args=[made.pk])
        return Response(BrokenGlassOut(made).data, status=201, headers={"Location": here})


class OneBrokenGlass(Endpoint):
    """One of them."""

    @documented("broken_glass_read", "Read what a cluster let in", tag=TAG, answer=BrokenGlassOut)
    def get(self, _request: Request, broken: UUID) -> Response:
        """Read."""
        self.ask()
        return Response(BrokenGlassOut(_found(broken, self.person)).data)


class Review(Endpoint):
    """What was found afterwards."""

    @documented(
        "broken_glass_review",
        "Review what a cluster let in",
        tag=TAG,
        request=ReviewIn,
        answer=BrokenGlassOut,
        writes=True,
        description="Once, by an approver of the model.",
    )
    def post(self, _request: Request, broken: UUID) -> Response:
        """Review."""
        found = _found(broken, self.person)
        given = self.read(ReviewIn)
        broken_glass.review(broken=found, outcome=given["outcome"], text=given["text"], by=self.actor)
        return Response(BrokenGlassOut(_found(broken, self.person)).data)


def _found(broken: UUID, user: User) -> BrokenGlass:
    """The row, if the person may know of it. Raises ``NotFound``."""
    found = visible_to(user).filter(pk=broken).first()
    if found is None:
        raise NotFound("There is no such report, or you may not see it.", code="glass.unknown")
    return found
