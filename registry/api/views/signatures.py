"""OpenSSF model signatures among a version's files."""

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.endpoint import Endpoint
from registry.api.schema import documented
from registry.api.serializers.signatures import SignatureOut, SignaturesOut
from registry.api.views.versions import TAG, version_of
from registry.followers import send
from registry.guards import check_can_have_signatures_checked
from registry.models import ModelVersion
from registry.selectors.model_signatures import newest


class Signatures(Endpoint):
    """What the newest look at each signature found."""

    @documented(
        "versions_signatures",
        "Read what a version's OpenSSF signatures say",
        tag=TAG,
        answer=SignaturesOut,
        description="A file `model.sig` beside `MLmodel` is verified when the version is sealed, against the keys and "
        "authorities whom the operator trusts.",
    )
    def get(self, _request: Request, name: str, number: int) -> Response:
        """Read."""
        self.ask()
        return Response(_told(version_of(name, number, self.person)))

    @documented(
        "versions_signatures_check",
        "Have a version's OpenSSF signatures looked at again",
        tag=TAG,
        request=None,
        answer=SignaturesOut,
        status=202,
        writes=True,
        description="After a signer was added, say. A worker looks; what differs from the look before is logged.",
    )
    def post(self, _request: Request, name: str, number: int) -> Response:
        """Ring for a worker."""
        version = version_of(name, number, self.person)
        check_can_have_signatures_checked(self.actor, version)
        send("check_signatures", str(version.pk))
        return Response(_told(version), status=status.HTTP_202_ACCEPTED)


def _told(version: ModelVersion) -> dict[str, object]:
    return {"results": SignatureOut(newest(version), many=True).data}
