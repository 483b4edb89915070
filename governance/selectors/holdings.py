"""How much this installation holds of what evidence is made of: counts over the models a person may see."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.contrib.auth import get_user_model

from audit.models import Checkpoint, Entry
from config import as_of
from governance.models import CheckRun, Permit, Policy, PolicyVersion, PromotionRequest
from governance.states import CheckState
from registry.models import DatasetVersion, Edge, Node, RegisteredModel, User

EXPORTS: Final = ("evidence.exported", "report.asked")


@dataclass(frozen=True, slots=True)
class Holdings:
    """Counts. ``card``: models with content in a field, by field; ``checks``: finished runs by catalogue key."""

    models: int
    policies: int
    policy_versions: int
    duties: int
    datasets: int
    environments: int
    edges: int
    requests: int
    intended: int
    finished: int
    permits: int
    entries: int
    exports: int
    card: Mapping[str, int]
    checks: Mapping[str, int]


def holdings(reader: User) -> Holdings:
    """Count. Policies, data sets, lineage and the log are the installation's; the rest is of the models visible to ``reader``."""
    models = RegisteredModel.objects.alive().visible_to(reader)
    card: Counter[str] = Counter()
    n = 0
    for fields in models.values_list("card", flat=True).iterator():
        n += 1
        card.update(key for key, text in fields.items() if str(text).strip())
    requests = PromotionRequest.objects.visible_to(reader)
    runs = CheckRun.objects.filter(request__in=requests.values("pk"), state=CheckState.FINISHED, result__isnull=False)
    checks = Counter(str(use or "").partition("@")[0] for use in runs.values_list("requirement__use", flat=True))
    shown = as_of.current()
    head = shown.size if shown else Checkpoint.objects.order_by("-size").values_list("size", flat=True).first()
    holders = get_user_model().objects.filter(is_active=True, is_service=False, groups__role_grants__isnull=False)
    return Holdings(
        models=n,
        policies=Policy.objects.exclude(current=None).count(),
        policy_versions=PolicyVersion.objects.count(),
        duties=holders.distinct().count(),
        datasets=DatasetVersion.objects.exclude(sealed_at=None).count(),
        environments=Node.objects.filter(kind=Node.Kind.ENVIRONMENT).count(),
        edges=Edge.objects.count(),
        requests=requests.count(),
        intended=requests.exclude(intended_use="").count(),
        finished=sum(checks.values()),
        permits=Permit.objects.filter(model__in=models.values("pk")).count(),
        entries=head or 0,
        exports=Entry.objects.filter(action__in=EXPORTS, index__lt=head or 0).count(),
        card=card,
        checks=checks,
    )
