"""Findings of people: recorded, and the files that stand beside them."""

from uuid import UUID

from django.http import FileResponse
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.serializers.evidence import CheckDetail
from governance.api.serializers.findings import FindingIn, FindingWithFileIn
from governance.downloads import download_of
from governance.selectors.requests import check_of
from governance.services import findings
from governance.services.findings import Attachment
from registry.api.endpoint import Endpoint
from registry.api.parsers import StrictJSONParser
from registry.api.schema import BYTES, documented


class CheckFinding(Endpoint):
    """A person's finding, the result of a check with the state ``awaited``."""

    parser_classes = [StrictJSONParser, MultiPartParser]

    @documented(
        "checks_record_finding",
        "Record a person's finding",
        tag="checks",
        request={"application/json": FindingIn, "multipart/form-data": FindingWithFileIn},
        answer=CheckDetail,
        writes=True,
        description="For a check of the policy with `use: manual`. Needs the role that the policy names; whoever asked for the "
        "promotion, registered or trained the version cannot. It is recorded once. A file goes along as "
        "`multipart/form-data`.",
    )
    def post(self, request: Request, check: UUID) -> Response:
        """Record."""
        whole = (request.content_type or "").startswith("multipart/")
        run = check_of(self.person, check)
        given = self.read(FindingWithFileIn if whole else FindingIn)
        file = given.get("attachment")
        recorded = findings.record(
            run_id=run.pk,
            finding=given["finding"],
            words=given["words"],
            attachment=Attachment(file.name, file.file) if file is not None else None,
            by=self.actor,
        )
        return Response(CheckDetail(check_of(self.person, recorded.pk)).data)


class CheckFile(Endpoint):
    """A file that stands beside a result."""

    @documented(
        "checks_file",
        "Download a file that stands beside a check's result",
        tag="checks",
        answers={(200, "application/octet-stream"): BYTES},
        description="The bytes that were attached, always as a download. The `ETag` is their SHA-256.",
    )
    def get(self, _request: Request, check: UUID, sha256: str) -> FileResponse:
        """Stream."""
        self.ask()
        return download_of(check_of(self.person, check), sha256)
