"""Addresses of governance's pages."""

from django.urls import path

from governance.ui.views import acts, broken_glass, checks, exports, inbox, permits, policies, reports, requests, trust

REQUEST = "requests/<str:ref>/"

urlpatterns = [
    path("exports/", exports.index, name="exports"),
    path("exports/<uuid:pk>/", exports.detail, name="export"),
    path("exports/<uuid:pk>/bundle.zip", exports.download, name="export-file"),
    path("samples/", exports.sample_index, name="samples"),
    path("samples/<uuid:pk>/", exports.sample_detail, name="sample"),
    path("", inbox.index, name="inbox"),
    path("inbox/waiting/", inbox.waiting, name="inbox-waiting"),
    path("requests/", requests.index, name="requests"),
    path(REQUEST, requests.detail, name="request"),
    path(f"{REQUEST}sign/", acts.sign, name="request-sign"),
    path(f"{REQUEST}comment/", acts.comment, name="request-comment"),
    path(f"{REQUEST}withdraw/", acts.withdraw, name="request-withdraw"),
    path(f"{REQUEST}run-again/", acts.run_again, name="request-run-again"),
    path(f"{REQUEST}waivers/ask/", acts.ask_waiver, name="request-waiver"),
    path(f"{REQUEST}waivers/<uuid:pk>/sign/", acts.sign_waiver, name="request-waiver-sign"),
    path(f"{REQUEST}evidence.zip", acts.bundle, name="request-bundle"),
    path(f"{REQUEST}checks/<uuid:pk>/", checks.detail, name="check"),
    path(f"{REQUEST}checks/<uuid:pk>/cancel/", checks.cancel, name="check-cancel"),
    path(f"{REQUEST}retry-errors/", checks.retry_errors, name="request-retry-errors"),
    path(f"{REQUEST}checks/<uuid:pk>/evidence.json", checks.evidence, name="check-evidence"),
    path(f"{REQUEST}<slug:name>/", requests.region, name="request-region"),
    path("models/<str:name>/versions/<int:number>/promote/", requests.promote, name="promote"),
    path("permits/<uuid:pk>/", permits.detail, name="permit"),
    path("permits/<uuid:pk>/suspend/", permits.suspend, name="permit-suspend"),
    path("permits/<uuid:pk>/resume/", permits.resume, name="permit-resume"),
    path("permits/<uuid:pk>/envelope.json", permits.envelope, name="permit-envelope"),
    path("permits/<uuid:pk>/permit.json", permits.file, name="permit-file"),
    path("trust/root.json", trust.root, name="trust-root"),
    path("trust/roots.json", trust.roots, name="trust-roots"),
    path("trust/<int:number>.root.json", trust.version, name="trust-version"),
    path("trust/permit-status.json", trust.status_list, name="permit-status"),
    path("trust/verify_permit.py", trust.verifier, name="permit-verifier"),
    path("broken-glass/", broken_glass.index, name="broken-glasses"),
    path("broken-glass/<uuid:pk>/", broken_glass.detail, name="broken-glass"),
    path("reports/", reports.index, name="reports"),
    path("reports/new/<slug:name>/", reports.ask, name="report-ask"),
    path("reports/<uuid:pk>/", reports.detail, name="report"),
    path("reports/<uuid:pk>/files/<str:name>", reports.download, name="report-file"),
    path("policies/", policies.index, name="policies"),
    path("policies/<str:name>/", policies.detail, name="policy"),
    path("policies/<str:name>/v<int:number>.yaml", policies.document, name="policy-document"),
]
