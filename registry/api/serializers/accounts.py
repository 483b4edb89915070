"""Who asks, and their tokens."""

from typing import Any

from rest_framework import serializers

from registry.api.fields import Input, Text, Whole
from registry.models import ApiToken


class TokenIn(Input):
    """A new token."""

    name = Text(max_length=80, single_line=True)
    days = Whole(required=False, default=90, min_value=1, max_value=366)
    scope = serializers.ChoiceField(choices=ApiToken.Scope.choices, required=False, default=ApiToken.Scope.WRITE)


class TokenOut(serializers.Serializer[ApiToken]):
    """A token, without its secret."""

    prefix = serializers.CharField()
    name = serializers.CharField()
    scope = serializers.ChoiceField(choices=ApiToken.Scope.choices)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewTokenOut(TokenOut):
    """A token that was just made. ``token`` is shown this once."""

    token = serializers.CharField()


class RoleHeld(serializers.Serializer[Any]):
    """A role, through a team, on one model or on every model."""

    role = serializers.CharField()
    team = serializers.CharField()
    model = serializers.CharField(allow_null=True)


class Credentials(serializers.Serializer[Any]):
    """How the request was authenticated."""

    kind = serializers.ChoiceField(choices=["session", "token"])
    token = serializers.CharField(allow_null=True, help_text="The token's prefix.")
    scope = serializers.ChoiceField(choices=ApiToken.Scope.choices)


class MeOut(serializers.Serializer[Any]):
    """The account that asks."""

    username = serializers.CharField()
    display_name = serializers.CharField(allow_blank=True)
    is_service = serializers.BooleanField()
    teams = serializers.ListField(child=serializers.CharField())
    roles = RoleHeld(many=True)
    credentials = Credentials()
