"""Signatures on a request. Signing needs a person in a session, a challenge, and the password again."""

from django.urls import reverse
from drf_spectacular.utils import OpenApiExample
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.serializers.decisions import ChallengeOut, DecisionIn, DecisionOut
from governance.api.views.requests import RequestEndpoint
from governance.models import Decision
from governance.services import reviews
from registry.api.endpoint import PageQuery, refuse_idempotency_key
from registry.api.permissions import only_in_session
from registry.api.schema import documented, page_of

TAG = "decisions"
NEVER_TWICE = "A signature is made once: its challenge cannot be used again."
EXAMPLE = OpenApiExample(
    "Approve",
    value={
        "outcome": "approve",
        "meaning": "approval",
        "comment": "Intervals are narrow and every group is within the limits.",
        "challenge": "6f9a7a1c-6a53-4b61-8a40-0c61b47a1c11",
        "evidence_digest": "0" * 64,
        "password": "your password",
    },
    request_only=True,
)


class Challenges(RequestEndpoint):
    """A single-use number for one signature."""

    @documented(
        "challenges_create",
        "Begin a signature",
        tag=TAG,
        request=None,
        answer=ChallengeOut,
        status=201,
        writes=True,
        description="Names the evidence and the policy that would be signed. Needs a session: API tokens may not sign.",
    )
    def post(self, request: Request, ref: int) -> Response:
        """Hand one out."""
        found = self.found(ref)
        only_in_session(request, "sign")
        refuse_idempotency_key(request, NEVER_TWICE)
        challenge = reviews.new_challenge(request=found, by=self.actor)
        return Response(ChallengeOut(challenge).data, status=status.HTTP_201_CREATED)


class Decisions(RequestEndpoint):
    """The votes on a request, and a new one."""

    query = PageQuery

    @documented(
        "decisions_list", "List the decisions on a request", tag=TAG, query=PageQuery, answer=page_of(DecisionOut)
    )
    def get(self, _request: Request, ref: int) -> Response:
        """Oldest first, of every round."""
        rows = Decision.objects.filter(request=self.found(ref)).select_related("person")
        return self.listed(rows, keys=["signed_at", "pk"], asked=self.ask(), present=DecisionOut)

    @documented(
        "decisions_sign",
        "Sign a decision",
        tag=TAG,
        request=DecisionIn,
        answer=DecisionOut,
        status=201,
        writes=True,
        errors=[429],
        examples=[EXAMPLE],
        description="Needs a session, a fresh challenge and your password. `evidence_digest` is what you saw: if the "
        "request has newer evidence, the answer is 409 and nothing is signed. API tokens may not sign: 403.",
    )
    def post(self, request: Request, ref: int) -> Response:
        """Sign."""
        found = self.found(ref)
        only_in_session(request, "sign")
        refuse_idempotency_key(request, NEVER_TWICE)
        given = self.read(DecisionIn)
        decision = reviews.sign(
            request_id=found.pk,
            outcome=given["outcome"],
            meaning=given["meaning"],
            comment=given["comment"],
            conditions=given["conditions"],
            password=given["password"],
            challenge_id=given["challenge"],
            evidence_digest=given["evidence_digest"],
            by=self.actor,
        )
        here = reverse("api:request-decisions", kwargs={"ref": ref})
        return Response(DecisionOut(decision).data, status=status.HTTP_201_CREATED, headers={"Location": here})
