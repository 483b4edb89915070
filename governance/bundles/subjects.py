"""The objects whose whole story belongs into a bundle. Those without an entry below the checkpoint drop out by themselves."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.db import connection

from governance.models import CheckRun, Decision, Permit, PromotionRequest, Waiver
from registry.models import ModelVersion

Subject = tuple[str, str]
_REQUESTS = "governance.promotionrequest"


def of_requests(requests: Collection[UUID]) -> list[Subject]:
    """Requests with their decisions, checks, waivers, permits, policies and versions."""
    found: list[Subject] = []
    rows = PromotionRequest.objects.filter(pk__in=requests).values_list("pk", "policy_version_id", "version_id")
    for pk, policy, version in rows:
        found += [
            (_REQUESTS, str(pk)),
            ("governance.policyversion", str(policy)),
            ("registry.modelversion", str(version)),
        ]
    for kind, queryset in (
        ("governance.decision", Decision.objects.filter(request__in=requests)),
        ("governance.checkrun", CheckRun.objects.filter(request__in=requests)),
        ("governance.waiver", Waiver.objects.filter(request__in=requests)),
        ("governance.permit", Permit.objects.filter(request__in=requests)),
    ):
        found += [(kind, str(pk)) for pk in queryset.order_by().values_list("pk", flat=True)]
    return found


def of_versions(versions: Collection[UUID]) -> list[Subject]:
    """Versions with every request about them."""
    requests = list(PromotionRequest.objects.filter(version__in=versions).values_list("pk", flat=True))
    return [*(("registry.modelversion", str(pk)) for pk in versions), *of_requests(requests)]


def of_model(model: int, size: int) -> list[Subject]:
    """A model with its versions, its requests, and every name it ever gave to a version."""
    versions = list(ModelVersion.objects.filter(model=model).values_list("pk", flat=True))
    return [("registry.registeredmodel", str(model)), *of_versions(versions), *aliases_of(model, size)]


def of_entries(indices: Sequence[int]) -> list[Subject]:
    """The objects that these entries are about; of a decision, a check, a waiver or a permit its whole request."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT object_type, object_id, canon::jsonb #>> '{facts,request}' FROM audit_entry "
            "WHERE index = ANY (%s) ORDER BY index",
            [list(indices)],
        )
        rows = [(str(kind), str(key), request) for kind, key, request in cursor.fetchall()]
    requests = {UUID(key) for kind, key, _ in rows if kind == _REQUESTS} | {UUID(one) for _, _, one in rows if one}
    permits = [UUID(key) for kind, key, _ in rows if kind == "governance.permit"]
    requests |= set(Permit.objects.filter(pk__in=permits).values_list("request_id", flat=True))
    versions = [UUID(key) for kind, key, _ in rows if kind == "registry.modelversion"]
    return [*((kind, key) for kind, key, _ in rows), *of_requests(requests), *of_versions(versions)]


def aliases_of(model: int, size: int) -> list[Subject]:
    """The aliases of a model, those that are gone as well: found in the log by the names the model had."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH names AS (
                SELECT canon::jsonb #>> '{facts,name}' AS name FROM audit_entry
                WHERE object_type = 'registry.registeredmodel' AND object_id = %(model)s AND index < %(size)s
                AND action = 'model.created'
                UNION SELECT canon::jsonb #>> '{diff,name,after}' FROM audit_entry
                WHERE object_type = 'registry.registeredmodel' AND object_id = %(model)s AND index < %(size)s
                AND action = 'model.renamed'
                UNION SELECT name FROM registry_registeredmodel WHERE id = %(id)s
            )
            SELECT object_id FROM audit_entry
            WHERE object_type = 'registry.alias' AND index < %(size)s
            AND canon::jsonb #>> '{facts,model}' IN (SELECT name FROM names)
            AND NOT EXISTS (
                SELECT FROM registry_alias other WHERE other.id::text = object_id AND other.model_id <> %(id)s
            )
            ORDER BY object_id
            """,
            {"model": str(model), "id": model, "size": size},
        )
        return [("registry.alias", str(key)) for (key,) in cursor.fetchall()]


def once(subjects: Iterable[Subject]) -> list[Subject]:
    """Sorted, each once."""
    return sorted(set(subjects))
