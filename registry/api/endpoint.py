"""What every REST view shares: who asks, strict input, keyset pages, ETags, idempotent creation."""

# ruff: noqa: ANN401 - the signatures are the REST framework's

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar, cast

from django.db.models import Model, QuerySet
from rest_framework import serializers, status
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from audit.actors import Actor
from config.errors import Invalid, StaleEdit
from config.pagination import KeysetPagination, page_of
from registry.api.fields import Input
from registry.api.parsers import StrictJSONParser
from registry.models import User
from registry.services import idempotency
from registry.services.idempotency import Answer

Row = TypeVar("Row", bound=Model)
_ETAG: Final = re.compile(r'"([0-9]{1,9})"')


class PageQuery(Input):
    """Query of every list: where to go on, and how many rows."""

    after = serializers.CharField(required=False, default="", max_length=2000)
    page_size = serializers.IntegerField(
        required=False, default=KeysetPagination.page_size, min_value=1, max_value=KeysetPagination.max_page_size
    )


class OneRenderer(DefaultContentNegotiation):
    """Answer in the view's own media type. ``Accept`` and ``?format=`` do not choose (RFC 9110 12.5.1 allows it)."""

    def select_renderer(
        self,
        request: Request,
        renderers: Any,
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Choose the first."""
        return renderers[0], renderers[0].media_type


class Endpoint(APIView):
    """Base of the REST views. A view parses, calls a service or a selector, and presents; it decides nothing."""

    parser_classes = [StrictJSONParser]
    content_negotiation_class = OneRenderer
    query: ClassVar[type[Input]] = Input
    """What a GET of this view may ask. Anything else is refused by name."""

    @property
    def actor(self) -> Actor:
        """Who asks, for the services."""
        return Actor.of(self.request)

    @property
    def person(self) -> User:
        """The account that asks, for what may be seen."""
        return cast(User, self.request.user)

    def read(self, kind: type[Input]) -> dict[str, Any]:
        """The request body, checked.

        Raises ``ValidationError``: naming each field at fault.
        """
        form = kind(data=self.request.data)
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)

    def ask(self) -> dict[str, Any]:
        """The query string, checked.

        Raises ``ValidationError``: naming each parameter at fault.
        """
        asked = self.request.query_params.copy()
        asked.pop("as_of", None)  # registry.time_travel has seen to it
        form = self.query(data=asked)
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)

    def listed(
        self,
        rows: QuerySet[Row],
        *,
        keys: Sequence[str],
        asked: Mapping[str, Any],
        present: type[serializers.BaseSerializer[Any]],
    ) -> Response:
        """One page: ``results``, and ``next`` with the address of the page after it (null at the end)."""
        page = page_of(rows, after=asked["after"], size=asked["page_size"], keys=keys)
        following = None
        if page.next:
            following = replace_query_param(self.request.build_absolute_uri(), "after", page.next)
        body = {"next": following, "results": present(page.rows, many=True, context={"request": self.request}).data}
        return Response(body, headers={"Link": f'<{following}>; rel="next"'} if following else {})

    def once(self, effect: Callable[[], Answer]) -> Response:
        """Run a creation; with an ``Idempotency-Key``, run it once and answer repetitions from memory."""
        key = self.request.headers.get("Idempotency-Key")
        if key is None:
            answer = effect()
        else:
            payload = json.dumps(self.request.data, sort_keys=True, default=str).encode()
            route = f"{self.request.method} {self.request.path}"[:200]
            answer = idempotency.once(user=self.person, key=key, route=route, payload=payload, effect=effect)
        headers = dict(answer.headers) | ({"Idempotency-Replayed": "true"} if answer.replayed else {})
        return Response(answer.body, status=answer.status, headers=headers)

    def expected_revision(self) -> int | None:
        """The revision that ``If-Match`` names; ``None`` if the caller does not care.

        Raises ``StaleEdit``: it names something that was never an ETag of ours.
        """
        given = self.request.headers.get("If-Match", "").strip()
        if given in {"", "*"}:
            return None
        match = _ETAG.fullmatch(given)
        if not match:
            raise StaleEdit("If-Match does not name an ETag of this object.", field="If-Match")
        return int(match.group(1))


def created(body: Any, *, location: str, **headers: str) -> Answer:
    """A 201, as JSON values, so that it can be kept for repetitions."""
    plain = json.loads(JSONRenderer().render(body))
    return Answer(status=status.HTTP_201_CREATED, body=plain, headers={"Location": location, **headers})


def refuse_idempotency_key(request: Request, why: str) -> None:
    """For creations that cannot be repeated from memory.

    Raises ``Invalid``: the request has an ``Idempotency-Key``.
    """
    if "Idempotency-Key" in request.headers:
        raise Invalid(why, code="idempotency.unsupported", field="Idempotency-Key")
