"""Permits and the policies behind them."""

from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import NotFound
from governance.api.serializers.decisions import PermitOut, PermitQuery, PolicyOut, PolicyVersionOut, RevocationIn
from governance.models import Permit, Policy, PolicyVersion
from governance.selectors.permits import permit_file, roots, status_list
from governance.services import permits
from registry.api.endpoint import Endpoint, PageQuery
from registry.api.schema import BYTES, DOCUMENT, DOCUMENTS, documented, page_of
from registry.models import RegisteredModel, User

ENVELOPE = "application/vnd.in-toto+json"
FILE = "application/vnd.countersign.permit+json"


def visible(user: User) -> QuerySet[Permit]:
    """Permits of models that the person may see."""
    models = RegisteredModel.objects.visible_to(user).values("pk")
    return Permit.objects.filter(model__in=models).select_related("request", "model", "version")


def permit_of(permit: UUID, user: User) -> Permit:
    """The permit, if the person may see it. Raises ``NotFound``."""
    found = visible(user).filter(pk=permit).first()
    if found is None:
        raise NotFound("There is no such permit, or you may not see it.", code="permit.unknown")
    return found


class Permits(Endpoint):
    """All permits one may see."""

    query = PermitQuery

    @documented("permits_list", "List permits", tag="permits", query=PermitQuery, answer=page_of(PermitOut))
    def get(self, _request: Request) -> Response:
        """Newest first."""
        asked = self.ask()
        rows = visible(self.person)
        if "model" in asked:
            rows = rows.filter(model__name=asked["model"], model__deleted_at=None)
        if "version" in asked:
            rows = rows.filter(version__number=asked["version"])
        if "state" in asked:
            rows = rows.filter(state=asked["state"])
        return self.listed(rows, keys=["-issued_at", "-pk"], asked=asked, present=PermitOut)


class OnePermit(Endpoint):
    """One permit."""

    @documented("permits_read", "Read a permit", tag="permits", answer=PermitOut)
    def get(self, _request: Request, permit: UUID) -> Response:
        """Read."""
        self.ask()
        return Response(PermitOut(permit_of(permit, self.person)).data)


class Envelope(Endpoint):
    """The permit as it was signed."""

    @documented(
        "permits_envelope",
        "Download a permit's DSSE envelope",
        tag="permits",
        answers={(200, ENVELOPE): DOCUMENT},
        description="An in-toto Statement in a DSSE envelope, byte for byte as signed. It verifies offline.",
    )
    def get(self, _request: Request, permit: UUID) -> HttpResponse:
        """Download."""
        self.ask()
        found = permit_of(permit, self.person)
        name = f'attachment; filename="permit-{found.pk}.dsse.json"'
        return HttpResponse(found.envelope, content_type=ENVELOPE, headers={"Content-Disposition": name})


class File(Endpoint):
    """The permit with all that proves it."""

    @documented(
        "permits_file",
        "Download a permit with what proves it",
        tag="permits",
        answers={(200, FILE): DOCUMENT},
        description="Envelope, log entry, inclusion proof under a signed checkpoint, trust root and status list in one "
        "file, for `countersign permit verify`. It verifies offline until the status list in it is stale.",
    )
    def get(self, _request: Request, permit: UUID) -> HttpResponse:
        """Download."""
        self.ask()
        found = permit_of(permit, self.person)
        name = f'attachment; filename="{found.pk}.permit.json"'
        return HttpResponse(permit_file(found), content_type=FILE, headers={"Content-Disposition": name})


class StatusList(Endpoint):
    """What every permit is."""

    @documented(
        "permits_status_list",
        "Read the signed status list",
        tag="permits",
        answers={(200, "application/json"): DOCUMENT},
        description="A DSSE envelope with the state of every permit, bound to a checkpoint, good until `valid_until`. "
        "Without an account it is at `/trust/permit-status.json`.",
    )
    def get(self, _request: Request) -> HttpResponse:
        """Read."""
        self.ask()
        return HttpResponse(status_list(), content_type="application/json")


class TrustChain(Endpoint):
    """The trust root."""

    @documented(
        "trust_root_chain",
        "Read every version of the trust root",
        tag="permits",
        answers={(200, "application/json"): DOCUMENTS},
        description="A JSON list of DSSE envelopes, oldest first. Without an account it is at `/trust/roots.json`.",
    )
    def get(self, _request: Request) -> HttpResponse:
        """Read."""
        self.ask()
        return HttpResponse(roots(), content_type="application/json")


class Suspension(Endpoint):
    """Out of force for a while."""

    @documented(
        "permits_suspend", "Suspend a permit", tag="permits", request=RevocationIn, answer=PermitOut, writes=True
    )
    def post(self, _request: Request, permit: UUID) -> Response:
        """Suspend."""
        found = permit_of(permit, self.person)
        permits.suspend(permit=found, reason=self.read(RevocationIn)["reason"], by=self.actor)
        return Response(PermitOut(permit_of(permit, self.person)).data)


class Resumption(Endpoint):
    """In force again."""

    @documented(
        "permits_resume",
        "Resume a suspended permit",
        tag="permits",
        request=RevocationIn,
        answer=PermitOut,
        writes=True,
    )
    def post(self, _request: Request, permit: UUID) -> Response:
        """Resume."""
        found = permit_of(permit, self.person)
        permits.resume(permit=found, reason=self.read(RevocationIn)["reason"], by=self.actor)
        return Response(PermitOut(permit_of(permit, self.person)).data)


class Revocation(Endpoint):
    """The early end of a permit."""

    @documented("permits_revoke", "Revoke a permit", tag="permits", request=RevocationIn, answer=PermitOut, writes=True)
    def post(self, _request: Request, permit: UUID) -> Response:
        """Revoke."""
        found = permit_of(permit, self.person)
        given = self.read(RevocationIn)
        permits.revoke(permit=found, reason=given["reason"], by=self.actor)
        return Response(PermitOut(permit_of(permit, self.person)).data)


def _versions() -> QuerySet[PolicyVersion]:
    return PolicyVersion.objects.select_related("policy", "adopted_by").defer("document")


class Policies(Endpoint):
    """All policies. Everybody may read the rules they are held to."""

    query = PageQuery

    @documented("policies_list", "List policies", tag="policies", query=PageQuery, answer=page_of(PolicyOut))
    def get(self, _request: Request) -> Response:
        """By name."""
        rows = Policy.objects.select_related("current__policy", "current__adopted_by")
        return self.listed(rows, keys=["name"], asked=self.ask(), present=PolicyOut)


class PolicyVersions(Endpoint):
    """All versions of a policy."""

    query = PageQuery

    @documented(
        "policy_versions_list",
        "List the versions of a policy",
        tag="policies",
        query=PageQuery,
        answer=page_of(PolicyVersionOut),
    )
    def get(self, _request: Request, policy: str) -> Response:
        """Newest first."""
        found = Policy.objects.filter(name=policy).first()
        if found is None:
            raise NotFound("There is no such policy.", code="policy.unknown")
        rows = _versions().filter(policy=found)
        return self.listed(rows, keys=["-number"], asked=self.ask(), present=PolicyVersionOut)


class PolicyDocument(Endpoint):
    """The text of one version of a policy."""

    @documented(
        "policy_versions_document",
        "Download the text of a policy version",
        tag="policies",
        answers={(200, "application/yaml"): BYTES},
        description="YAML, byte for byte as adopted. The `ETag` is its SHA-256.",
    )
    def get(self, _request: Request, policy: str, number: int) -> HttpResponse:
        """Download."""
        self.ask()
        found = PolicyVersion.objects.filter(policy__name=policy, number=number).first()
        if found is None:
            raise NotFound("There is no such version of a policy of that name.", code="policy.unknown")
        return HttpResponse(found.document, content_type="application/yaml", headers={"ETag": f'"{found.digest}"'})
