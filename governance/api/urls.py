"""Addresses of governance below ``/api/v1/``."""

from django.urls import path, register_converter

from governance.api.converters import RefConverter
from governance.api.views import checks, decisions, exports, findings, gate, permits, reports, requests

register_converter(RefConverter, "ref")

urlpatterns = [
    path("exports", exports.Exports.as_view(), name="exports"),
    path("exports/scale", exports.ExportScale.as_view(), name="export-scale"),
    path("exports/<uuid:export>", exports.OneExport.as_view(), name="export"),
    path("exports/<uuid:export>/bundle.zip", exports.ExportFile.as_view(), name="export-file"),
    path("samples", exports.Samples.as_view(), name="samples"),
    path("samples/count", exports.SampleCount.as_view(), name="sample-count"),
    path("samples/size", exports.SampleSize.as_view(), name="sample-size"),
    path("samples/<uuid:sample>", exports.OneSample.as_view(), name="sample"),
    path("samples/<uuid:sample>/draw", exports.SampleDraw.as_view(), name="sample-draw"),
    path("requests", requests.Requests.as_view(), name="requests"),
    path("requests/<ref:ref>", requests.OneRequest.as_view(), name="request"),
    path("requests/<ref:ref>/withdraw", requests.Withdrawal.as_view(), name="request-withdraw"),
    path("requests/<ref:ref>/run-again", requests.Rerun.as_view(), name="request-run-again"),
    path("requests/<ref:ref>/comments", requests.Comments.as_view(), name="request-comments"),
    path("requests/<ref:ref>/evidence.zip", requests.EvidenceBundle.as_view(), name="request-evidence"),
    path("requests/<ref:ref>/checks", checks.Checks.as_view(), name="request-checks"),
    path("requests/<ref:ref>/waivers", checks.Waivers.as_view(), name="request-waivers"),
    path("requests/<ref:ref>/challenges", decisions.Challenges.as_view(), name="request-challenges"),
    path("requests/<ref:ref>/decisions", decisions.Decisions.as_view(), name="request-decisions"),
    path("waivers/<uuid:waiver>/sign", checks.WaiverSignature.as_view(), name="waiver-sign"),
    path("requests/<ref:ref>/retry-errors", checks.Retry.as_view(), name="request-retry-errors"),
    path("checks/<uuid:check>", checks.Check.as_view(), name="check"),
    path("checks/<uuid:check>/finding", findings.CheckFinding.as_view(), name="check-finding"),
    path("checks/<uuid:check>/files/<str:sha256>", findings.CheckFile.as_view(), name="check-file"),
    path("checks/<uuid:check>/cancel", checks.Cancellation.as_view(), name="check-cancel"),
    path("permits", permits.Permits.as_view(), name="permits"),
    path("permits/status-list", permits.StatusList.as_view(), name="permit-status-list"),
    path("trust-root/chain", permits.TrustChain.as_view(), name="trust-chain"),
    path("permits/<uuid:permit>", permits.OnePermit.as_view(), name="permit"),
    path("permits/<uuid:permit>/envelope", permits.Envelope.as_view(), name="permit-envelope"),
    path("permits/<uuid:permit>/file", permits.File.as_view(), name="permit-file"),
    path("permits/<uuid:permit>/suspend", permits.Suspension.as_view(), name="permit-suspend"),
    path("permits/<uuid:permit>/resume", permits.Resumption.as_view(), name="permit-resume"),
    path("permits/<uuid:permit>/revoke", permits.Revocation.as_view(), name="permit-revoke"),
    path("gate/broken-glass", gate.BrokenGlasses.as_view(), name="broken-glasses"),
    path("gate/broken-glass/<uuid:broken>", gate.OneBrokenGlass.as_view(), name="broken-glass"),
    path("gate/broken-glass/<uuid:broken>/review", gate.Review.as_view(), name="broken-glass-review"),
    path("reports", reports.Reports.as_view(), name="reports"),
    path("reports/kinds", reports.ReportKinds.as_view(), name="report-kinds"),
    path("reports/<uuid:report>", reports.OneReport.as_view(), name="report"),
    path("reports/<uuid:report>/files/<str:file>", reports.ReportFile.as_view(), name="report-file"),
    path("policies", permits.Policies.as_view(), name="policies"),
    path("policies/<slug:policy>/versions", permits.PolicyVersions.as_view(), name="policy-versions"),
    path(
        "policies/<slug:policy>/versions/<int:number>/document",
        permits.PolicyDocument.as_view(),
        name="policy-document",
    ),
]
