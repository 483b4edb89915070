"""Reports: what there is, asking for one, and its files."""

from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.serializers.reports import ReportDetail, ReportFileOut, ReportIn, ReportKindOut, ReportOut
from governance.documents import catalogue
from governance.followers import ring_for_report
from governance.models import ReportJob
from governance.services import reports
from registry.api.endpoint import Endpoint, PageQuery, created
from registry.api.schema import BYTES, IDEMPOTENCY_KEY, documented, page_of
from registry.services.idempotency import Answer

TAG = "reports"
EXAMPLE = OpenApiExample(
    "The file of one promotion",
    value={"report": "request", "parameters": {"request": "REQ-0007"}},
    request_only=True,
)


class ReportKinds(Endpoint):
    """What can be asked for."""

    @documented("report_kinds_list", "List the kinds of report", tag=TAG, answer=ReportKindOut(many=True))
    def get(self, _request: Request) -> Response:
        """In the order of the page."""
        self.ask()
        return Response(ReportKindOut(catalogue.REPORTS, many=True).data)


class Reports(Endpoint):
    """One's own reports, and a new one."""

    query = PageQuery

    @documented("reports_list", "List the reports you asked for", tag=TAG, query=PageQuery, answer=page_of(ReportOut))
    def get(self, _request: Request) -> Response:
        """Newest first."""
        rows = ReportJob.objects.filter(asked_by=self.person)
        return self.listed(rows, keys=["-asked_at", "-pk"], asked=self.ask(), present=ReportOut)

    @documented(
        "reports_create",
        "Ask for a report",
        tag=TAG,
        request=ReportIn,
        answer=ReportDetail,
        status=201,
        parameters=[IDEMPOTENCY_KEY],
        errors=[429],
        examples=[EXAMPLE],
        writes=True,
        description="A worker makes it; read it until `state` is `finished`. That it was asked for is logged.",
    )
    def post(self, _request: Request) -> Response:
        """Ask."""
        given = self.read(ReportIn)

        def effect() -> Answer:
            parameters = {
                name: value.isoformat() if name in {"since", "until"} else value
                for name, value in given.get("parameters", {}).items()
            }
            job = reports.ask(
                report=given["report"], parameters=parameters, by=self.actor, as_of=given.get("as_of", "")
            )
            ring_for_report(job.pk)
            return created(_detail(job), location=f"{self.request.path}/{job.pk}")

        return self.once(effect)


class OneReport(Endpoint):
    """One report."""

    @documented("reports_read", "Read a report that you asked for", tag=TAG, answer=ReportDetail)
    def get(self, _request: Request, report: UUID) -> Response:
        """How far it is, and its files."""
        self.ask()
        return Response(_detail(reports.job_of(self.actor, report)))


class ReportFile(Endpoint):
    """A file of a report."""

    @documented(
        "reports_file",
        "Download a file of a report",
        tag=TAG,
        answers={(200, "application/pdf"): BYTES, (200, "application/json"): BYTES, (200, "application/zip"): BYTES},
        description="`report.pdf` (PDF/A-3 with the data attached), `pack.json` or `tables.zip`. The `ETag` is the SHA-256.",
    )
    def get(self, _request: Request, report: UUID, file: str) -> HttpResponse:
        """Download."""
        self.ask()
        found = reports.file_of(reports.job_of(self.actor, report), file)
        headers = {
            "Content-Disposition": f'attachment; filename="{found.name}"',
            "ETag": f'"{found.sha256}"',
            "Cache-Control": "private, no-store",
        }
        return HttpResponse(bytes(found.content), content_type=found.media_type, headers=headers)


def _detail(job: ReportJob) -> dict[str, object]:
    files = ReportFileOut(job.files.defer("content"), many=True).data
    return {**ReportOut(job).data, "files": files}
