"""Policies: the rules in words, beside what the machine reads."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from config.errors import NotFound
from config.pages import render_page, signed_in
from config.pagination import page_of
from governance.models import Policy, PolicyVersion, PromotionRequest
from governance.standing import policy_of
from governance.ui.clauses import clauses
from governance.ui.screen import person
from governance.ui.words import target_words

PER_PAGE = 25


@signed_in
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All policies. Everybody may read the rules they are held to."""
    rows = Policy.objects.select_related("current__adopted_by")
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("name",))
    shown = []
    for policy in page.rows:
        version = policy.current
        if version is not None:
            version.policy = policy
        shown.append({"policy": policy, "version": version, "parsed": policy_of(version) if version else None})
    context = {"section": "policies", "rows": shown, "next": page.next, "after": request.GET.get("after", "")}
    return render_page(request, "governance/policy_list.html", context)


@signed_in
@require_safe
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """One version of a policy, clause by clause, with what it changed."""
    versions = list(
        PolicyVersion.objects.filter(policy__name=name).select_related("policy", "adopted_by").order_by("-number")[:20]
    )
    if not versions:
        raise NotFound("There is no such policy.", code="policy.unknown")
    asked = request.GET.get("version", "")
    current = next((one for one in versions if one.pk == one.policy.current_id), versions[0])
    version = next((one for one in versions if str(one.number) == asked), None) if asked else current
    if version is None:
        raise NotFound(f"There is no version {asked[:20]} of the policy {name}.", code="policy.unknown")
    before = next((one for one in versions if one.number == version.number - 1), None)
    parsed = policy_of(version)
    requests = PromotionRequest.objects.visible_to(person(request)).open().filter(policy_version=version)
    context = {
        "section": "policies",
        "version": version,
        "versions": versions,
        "current": current,
        "parsed": parsed,
        "targets": [target_words(target) for target in parsed.targets],
        "clauses": clauses(version.document, parsed, before.document if before else None),
        "before": before,
        "open": requests.select_related("model", "version").order_by("number")[:10],
    }
    return render_page(request, "governance/policy.html", context)


@signed_in
@require_safe
def document(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The text, byte for byte as adopted."""
    version = PolicyVersion.objects.filter(policy__name=name, number=number).first()
    if version is None:
        raise NotFound("There is no such version of a policy of that name.", code="policy.unknown")
    headers = {"Content-Disposition": f'attachment; filename="{name}-v{number}.yaml"', "ETag": f'"{version.digest}"'}
    return HttpResponse(version.document, content_type="application/yaml", headers=headers)
