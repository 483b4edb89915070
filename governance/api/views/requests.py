"""Promotion requests: ask, list, read, withdraw, run again, comment, take the evidence away."""

import tempfile
from typing import Final

from django.http import FileResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from config import as_of
from governance.api.serializers.requests import (
    CommentIn,
    CommentOut,
    ReasonIn,
    RequestDetail,
    RequestIn,
    RequestOut,
    RequestQuery,
)
from governance.models import Comment, Permit, PromotionRequest
from governance.screens import actions_of
from governance.selectors.requests import request_of, requests_visible_to
from governance.services import evidence, promotions
from governance.standing import standing_of
from registry.api.endpoint import Endpoint, PageQuery, created
from registry.api.schema import BYTES, IDEMPOTENCY_KEY, documented, page_of
from registry.selectors.catalog import model_by_name, version_by_number
from registry.services.idempotency import Answer

TAG = "requests"
SPOOLED_IN_MEMORY: Final = 8 * 2**20
EXAMPLE = OpenApiExample(
    "To production",
    value={
        "model": "credit-default",
        "version": 3,
        "target": "alias:production",
        "intended_use": "Rank consumer credit applications for review by a person.",
    },
    request_only=True,
)


class RequestEndpoint(Endpoint):
    """Views of one request."""

    def found(self, ref: int) -> PromotionRequest:
        """The request, if the person may see it. Raises ``NotFound``."""
        return request_of(self.person, ref)

    def detail(self, ref: int) -> dict[str, object]:
        """The request as it is now, with what the policy asks and what the person may do."""
        request = self.found(ref)
        standing = standing_of(request, at=as_of.now())
        permit = Permit.objects.filter(request=request).first()
        actions = [
            {"action": name, "allowed": action.allowed, "reason": action.why_not}
            for name, action in actions_of(request, standing, permit, self.actor).items()
        ]
        shown = RequestDetail(request, context={"verdict": standing.verdict, "actions": actions, "permit": permit})
        return dict(shown.data)


class Requests(RequestEndpoint):
    """All requests one may see, and a new one."""

    query = RequestQuery

    @documented("requests_list", "List promotion requests", tag=TAG, query=RequestQuery, answer=page_of(RequestOut))
    def get(self, _request: Request) -> Response:
        """Newest first."""
        asked = self.ask()
        rows = requests_visible_to(self.person, state=asked.get("state", ""))
        if "model" in asked:
            rows = rows.filter(model__name=asked["model"], model__deleted_at=None)
        if "version" in asked:
            rows = rows.filter(version__number=asked["version"])
        if "target" in asked:
            rows = rows.filter(target=asked["target"])
        return self.listed(rows, keys=["-number"], asked=asked, present=RequestOut)

    @documented(
        "requests_create",
        "Ask for a promotion",
        tag=TAG,
        request=RequestIn,
        answer=RequestDetail,
        status=201,
        writes=True,
        parameters=[IDEMPOTENCY_KEY],
        examples=[EXAMPLE],
        description="The checks that the policy asks for start by themselves. Follow `state`, or list the checks.",
    )
    def post(self, _request: Request) -> Response:
        """Ask."""
        given = self.read(RequestIn)
        version = version_by_number(model_by_name(given["model"], self.person), given["version"])

        def create() -> Answer:
            asked = promotions.request_promotion(
                version=version, target=given["target"], intended_use=given["intended_use"], by=self.actor
            )
            return created(self.detail(asked.number), location=reverse("api:request", kwargs={"ref": asked.number}))

        return self.once(create)


class OneRequest(RequestEndpoint):
    """One request."""

    @documented(
        "requests_read",
        "Read a request",
        tag=TAG,
        answer=RequestDetail,
        description="`requirements` is what the policy asks, where each stands and the way out; `allowed_actions` says "
        "what you may do, and why not.",
    )
    def get(self, _request: Request, ref: int) -> Response:
        """Read."""
        self.ask()
        return Response(self.detail(ref))


class Withdrawal(RequestEndpoint):
    """The end of a request by the person who made it."""

    @documented("requests_withdraw", "Withdraw a request", tag=TAG, request=ReasonIn, answer=RequestDetail, writes=True)
    def post(self, _request: Request, ref: int) -> Response:
        """Withdraw."""
        found = self.found(ref)
        given = self.read(ReasonIn)
        promotions.withdraw(request=found, reason=given["reason"], by=self.actor)
        return Response(self.detail(ref))


class Rerun(RequestEndpoint):
    """Another round of checks."""

    @documented(
        "requests_run_again",
        "Run the checks again",
        tag=TAG,
        request=None,
        answer=RequestDetail,
        writes=True,
        description="Begins a new round: votes of the round before no longer count.",
    )
    def post(self, _request: Request, ref: int) -> Response:
        """Run again."""
        promotions.run_again(request=self.found(ref), by=self.actor)
        return Response(self.detail(ref))


class Comments(RequestEndpoint):
    """The thread of a request."""

    query = PageQuery

    @documented("comments_list", "List the comments on a request", tag=TAG, query=PageQuery, answer=page_of(CommentOut))
    def get(self, _request: Request, ref: int) -> Response:
        """Oldest first."""
        rows = Comment.objects.filter(request=self.found(ref)).select_related("author")
        return self.listed(rows, keys=["created_at", "pk"], asked=self.ask(), present=CommentOut)

    @documented(
        "comments_create",
        "Comment on a request",
        tag=TAG,
        request=CommentIn,
        answer=CommentOut,
        status=201,
        writes=True,
        parameters=[IDEMPOTENCY_KEY],
    )
    def post(self, _request: Request, ref: int) -> Response:
        """Say something."""
        found = self.found(ref)
        given = self.read(CommentIn)

        def create() -> Answer:
            made = promotions.comment(request=found, text=given["text"], by=self.actor)
            return created(CommentOut(made).data, location=reverse("api:request-comments", kwargs={"ref": ref}))

        return self.once(create)


class EvidenceBundle(RequestEndpoint):
    """Everything about a request, to verify offline."""

    @documented(
        "requests_evidence",
        "Download the evidence bundle",
        tag=TAG,
        answers={(200, "application/zip"): BYTES},
        errors=[409, 503],
        description="Works in any state. `python verify.py bundle.zip` checks it without a network.",
    )
    def get(self, _request: Request, ref: int) -> FileResponse:
        """Write it aside, so that what is sent is whole, and stream it."""
        self.ask()
        found = self.found(ref)
        out = tempfile.SpooledTemporaryFile(max_size=SPOOLED_IN_MEMORY)  # noqa: SIM115 - the response closes it
        try:
            evidence.export_bundle(request=found, by=self.actor, out=out)
        except BaseException:
            out.close()
            raise
        out.seek(0)
        return FileResponse(
            out, as_attachment=True, filename=f"{found.ref}-evidence.zip", content_type="application/zip"
        )
