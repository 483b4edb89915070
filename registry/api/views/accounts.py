"""Who asks, and their own tokens."""

from django.urls import reverse
from drf_spectacular.utils import OpenApiExample
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import NotFound
from registry.api.endpoint import Endpoint, PageQuery, refuse_idempotency_key
from registry.api.permissions import only_in_session
from registry.api.schema import documented, page_of
from registry.api.serializers.accounts import MeOut, NewTokenOut, TokenIn, TokenOut
from registry.models import ApiToken, RoleGrant
from registry.services import access

TAG = "accounts"


class Me(Endpoint):
    """The account that asks."""

    @documented("me_read", "Who am I, and in which roles", tag=TAG, answer=MeOut)
    def get(self, request: Request) -> Response:
        """Read."""
        self.ask()
        user = self.person
        token = request.auth if isinstance(request.auth, ApiToken) else None
        grants = RoleGrant.objects.filter(team__in=user.groups.values("pk")).select_related("team", "model")
        body = {
            "username": user.username,
            "display_name": user.display_name,
            "is_service": user.is_service,
            "teams": list(user.groups.order_by("name").values_list("name", flat=True)),
            "roles": [
                {"role": grant.role, "team": grant.team.name, "model": grant.model.name if grant.model else None}
                for grant in grants.order_by("role", "team__name", "pk")
                if grant.model is None or grant.model.deleted_at is None
            ],
            "credentials": {
                "kind": "token" if token else "session",
                "token": token.prefix if token else None,
                "scope": token.scope if token else ApiToken.Scope.WRITE.value,
            },
        }
        return Response(MeOut(body).data)


class Tokens(Endpoint):
    """My tokens, and a new one."""

    query = PageQuery

    @documented("tokens_list", "List your own tokens", tag=TAG, query=PageQuery, answer=page_of(TokenOut))
    def get(self, _request: Request) -> Response:
        """Newest first."""
        rows = ApiToken.objects.filter(user=self.person)
        return self.listed(rows, keys=["-pk"], asked=self.ask(), present=TokenOut)

    @documented(
        "tokens_create",
        "Make a token",
        tag=TAG,
        request=TokenIn,
        answer=NewTokenOut,
        status=201,
        writes=True,
        description="The secret is in this answer and nowhere else, so a repetition cannot be answered from memory: "
        "there is no `Idempotency-Key` here. Needs a session: a token cannot make another.",
        examples=[
            OpenApiExample("For training", value={"name": "laptop", "days": 30, "scope": "write"}, request_only=True)
        ],
    )
    def post(self, request: Request) -> Response:
        """Create."""
        only_in_session(request, "make another token")
        refuse_idempotency_key(request, "The answer holds a secret, which is not kept to be given out again.")
        given = self.read(TokenIn)
        token, secret = access.issue_token(user=self.person, by=self.actor, **given)
        return Response(
            {**TokenOut(token).data, "token": secret},
            status=status.HTTP_201_CREATED,
            headers={"Location": reverse("api:token", kwargs={"prefix": token.prefix}), "Cache-Control": "no-store"},
        )


class Token(Endpoint):
    """One of my tokens."""

    @documented("tokens_revoke", "Revoke a token", tag=TAG, answer=None, status=204, writes=True)
    def delete(self, _request: Request, prefix: str) -> Response:
        """Revoke. A token may revoke itself."""
        token = ApiToken.objects.filter(user=self.person, prefix=prefix).first()
        if token is None:
            raise NotFound("You have no such token.", code="token.unknown")
        access.revoke_token(token=token, by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
