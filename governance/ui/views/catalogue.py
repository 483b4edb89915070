"""The catalogue of checks: what each one computes, what it needs, and what a policy can ask of it. Imports none of them."""

from collections.abc import Iterable, Mapping
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from config.errors import NotFound
from config.pages import render_page, signed_in
from governance import checks
from governance.categories import CATEGORIES
from governance.checks import CheckError, Manifest
from governance.checks.contract import Modality, Need, Task
from governance.checks.manifests.policys_own import FIGURES_OF_ITS_OWN
from governance.checks.parameters import parameters_of
from governance.models import PolicyVersion
from governance.policy import Limit
from governance.standing import policy_of

NEEDS: Final[Mapping[Need, str]] = {
    "data": "a sealed data set",
    "label": "its label",
    "sensitive": "sensitive columns, named by the policy",
    "predictions": "the model's predictions on it, or those of a vendor",
    "scores": "scores, not only decisions",
    "champion": "a live version, and its predictions on the same rows",
    "training": "the sealed data that the version was trained on",
    "train_predictions": "the model's predictions on its training data",
    "probe": "the model itself, asked about rows that the check makes up",
    "live_probe": "the live version, asked about the same rows",
    "trees": "the trees or weights inside the model, where it has any",
    "recorded": "metrics recorded with the version",
    "metrics": "metrics recorded with the version",
    "scan": "the sealed files, read as bytes",
    "requirements": "the sealed files that name its packages",
    "advisories": "the operator's list of known vulnerabilities",
    "card": "the model card",
    "papers": "dates and data sets of the version",
    "latency": "the model itself, timed in the sandbox",
    "live_data": "sealed data that the live version was given",
    "script": "a script that stands in the policy",
    "signature": "the signature in the sealed MLmodel",
}
"""What a check asks for, in words."""
TASKS: Final[Mapping[Task, str]] = {
    "binary": "classifiers of two classes", "multiclass": "classifiers of several classes", "regression": "regressions",
    "ranking": "rankings", "any": "any task",
}  # fmt: skip
KINDS: Final[Mapping[Modality, str]] = {
    "any": "models of any kind", "tabular": "models on tables", "text": "models of text", "image": "models of images",
}  # fmt: skip
_SIGN: Final = {"ge": "at least", "le": "at most"}
_BOUND: Final = {
    "value": "",
    "ci_low": ", by the low end of its interval",
    "ci_high": ", by the high end of its interval",
}


@signed_in
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Every check by category."""
    asked = _asked()
    found: dict[str, list[tuple[Manifest, list[str]]]] = {}
    for name in checks.names():
        about = checks.manifest(name)
        policies = sorted({policy for policy, _ in asked.get(name, ())})
        found.setdefault(about.category, []).append((about, policies))
    order = list(CATEGORIES)
    names = sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))
    groups = [(CATEGORIES.get(name, name.capitalize()), found[name]) for name in names]
    context = {"section": "policies", "groups": groups, "total": sum(len(rows) for _, rows in groups)}
    return render_page(request, "governance/catalogue.html", context)


@signed_in
@require_safe
def detail(request: HttpRequest, use: str) -> HttpResponse:
    """One check: definition with formula and sources, parameters with their defaults, figures, and who limits them how."""
    try:
        about = checks.manifest(use)
    except CheckError as error:
        raise NotFound(str(error), code="check.unknown") from error
    plugin = checks.plugin_of(about.name)
    asked = _asked().get(about.name, [])
    context = {
        "section": "policies",
        "about": about,
        "category": CATEGORIES.get(about.category, about.category.capitalize()),
        "needs": list(dict.fromkeys(NEEDS[need] for need in about.needs)),
        "task": TASKS[about.task],
        "kinds": [KINDS[kind] for kind in about.modalities],
        "parameters": parameters_of(about.name),
        "plugin": plugin,
        "own_figures": about.key in FIGURES_OF_ITS_OWN,
        "figures": [
            {"spec": spec, "op": "ge" if spec.better == "higher" else "le",
             "words": "at least" if spec.better == "higher" else "at most",
             "held": [(policy, _held(limit)) for policy, limit in asked if limit and limit.figure == spec.key]}
            for spec in about.figures
        ],
        "policies": sorted({policy for policy, _ in asked}),
        "example": _example(about),
    }  # fmt: skip
    return render_page(request, "governance/catalogue_check.html", context)


def _asked() -> dict[str, list[tuple[str, Limit | None]]]:
    """By the full name of a check: the policies in force that use it, once for each limit that they set, else with None."""
    found: dict[str, list[tuple[str, Limit | None]]] = {}
    for version in PolicyVersion.objects.current().select_related("policy").order_by("policy__name"):
        for need in policy_of(version).checks:
            try:
                name = checks.resolve(need.use)
            except CheckError:  # of a plug-in that is not here any more
                continue
            limits: Iterable[Limit | None] = need.limits or (None,)
            found.setdefault(name, []).extend((version.policy.name, limit) for limit in limits)
    return found


def _held(limit: Limit) -> str:
    return f"{_SIGN[limit.op]} {limit.value:g}{_BOUND[limit.bound]}"


def _example(about: Manifest) -> str:
    """How a policy asks for it; the numbers are the policy's to choose."""
    lines = ["checks:", f"  - use: {about.key}"]
    if "data" in about.needs:
        lines.append("    data: {role: test}")
    if "sensitive" in about.needs:
        lines.append("    sensitive: [sex]")
    listed = parameters_of(about.name)
    required = [one for one in listed.fields if one.required] if listed else []
    if required:
        lines.append("    params:")
        lines += [f"      {one.name}: …  # {one.kind}" for one in required]
    if about.figures:
        lines.append("    require:")
        lines += [f"      {spec.key}: {{{'ge' if spec.better == 'higher' else 'le'}: …}}" for spec in about.figures[:2]]
    return "\n".join(lines)
