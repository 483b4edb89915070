"""The erasure of a person, for administrators at the keyboard."""

from drf_spectacular.utils import OpenApiExample
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from audit import personal
from config.errors import Invalid, NotFound
from registry import guards
from registry.api.endpoint import Endpoint
from registry.api.permissions import only_in_session
from registry.api.schema import documented
from registry.api.serializers.people import ErasedOut, EraseIn, ErasureOut
from registry.models import User
from registry.services import access

TAG = "accounts"


class Erasure(Endpoint):
    """What stands against erasing the person behind an account, and its erasure."""

    def account(self, pk: int) -> User:
        """The account. Raises ``NotFound``, also for all but administrators."""
        found = User.objects.filter(pk=pk).first()
        if found is None or guards.why_not(guards.check_can_administer, self.actor):
            raise NotFound("There is no such account, or you may not see it.", code="user.unknown")
        return found

    @documented("erasure_read", "See what stands against erasing a person", tag=TAG, answer=ErasureOut)
    def get(self, _request: Request, account: int) -> Response:
        """Legal holds, open votes and requests, each in a sentence."""
        user = self.account(account)
        subject = personal.subject_of(user.pk)
        body = {"person": subject, "erased": personal.is_erased(subject), "needs": access.needs_of(user)}
        return Response(ErasureOut(body).data)

    @documented(
        "erasure_create",
        "Erase a person",
        tag=TAG,
        request=EraseIn,
        answer=ErasedOut,
        status=201,
        writes=True,
        description="For good: the key under which their names are sealed, and name, address and password of the account. "
        "What they did stays in the log under the account's number. Needs a session. Refused with 409 `person.needed` "
        "while a legal hold or an open vote needs them; `needs` says which.",
        examples=[OpenApiExample("Asked by themselves", value={"username": "ada", "reason": "Request 2027-114"})],
    )
    def post(self, request: Request, account: int) -> Response:
        """Erase."""
        user = self.account(account)
        only_in_session(request, "erase a person")
        given = self.read(EraseIn)
        if given["username"] != user.username:
            raise Invalid("This is not the user name of this account.", code="person.username", field="username")
        done = access.erase_person(user=user, reason=given["reason"], by=self.actor)
        return Response(ErasedOut(done).data, status=status.HTTP_201_CREATED)
