"""Exemptions from gating begin and end here, at start-up and by the operator's word; nothing in the product calls it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from audit.actors import SYSTEM
from audit.services import append
from config.errors import Invalid
from governance.models import GateExemption
from governance.models.exemptions import WHOLE_INSTANCE
from governance.selectors.exemptions import Unpermitted, unpermitted_below
from registry.names import check_name

_LOCK: Final = 0x65786D70  # one start-up at a time
_TOLD: Final = 100


@dataclass(frozen=True, slots=True)
class Applied:
    """What changed, and which governed names stand without a permit now that an exemption has ended."""

    began: tuple[str, ...]
    ended: tuple[str, ...]
    unpermitted: tuple[Unpermitted, ...]


def check_names(names: Collection[str]) -> None:
    """Refuse what is no list of exact names. Raises ``Invalid``: a start that is not understood exempts nothing."""
    if WHOLE_INSTANCE in names and len(names) > 1:
        raise Invalid(
            f"“{WHOLE_INSTANCE}” exempts every model and stands alone.",
            code="exemption.name",
            field="UNGOVERNED_MODELS",
        )
    for name in names:
        if name == WHOLE_INSTANCE:
            continue
        if WHOLE_INSTANCE in name:
            raise Invalid(
                f"“{name}”: names are taken literally, there are no patterns. “{WHOLE_INSTANCE}” alone is every model.",
                code="exemption.name",
                field="UNGOVERNED_MODELS",
            )
        check_name(name, field="UNGOVERNED_MODELS")


@transaction.atomic
def apply(*, names: Sequence[str]) -> Applied:
    """Make exactly ``names`` exempt from gating: end what is not among them, begin what is new. Idempotent.

    Needs the owner's role: the runtime roles may read the table only. Names and stages that were set meanwhile stay as
    they are when an exemption ends; which of them stand without a permit is logged with its end.

    Raises ``Invalid`` for what ``check_names`` refuses.
    """
    wanted = set(names)
    check_names(wanted)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    in_force = {row.name: row for row in GateExemption.objects.in_force()}
    now = timezone.now()
    over = [in_force[name] for name in sorted(in_force.keys() - wanted)]
    for row in over:
        row.ended_at = now
        row.save(update_fields=["ended_at"])
    begun = [GateExemption.objects.create(name=name, began_at=now) for name in sorted(wanted - in_force.keys())]
    for row in begun:
        append(action="exemption.began", subject=row, by=SYSTEM, facts={"name": row.name})
    unpermitted = []
    for row in over:
        standing = unpermitted_below([row.name])
        append(
            action="exemption.ended",
            subject=row,
            by=SYSTEM,
            facts={"name": row.name, "unpermitted": [str(one) for one in standing[:_TOLD]], "count": len(standing)},
        )
        unpermitted += standing
    return Applied(tuple(row.name for row in begun), tuple(row.name for row in over), tuple(unpermitted))
