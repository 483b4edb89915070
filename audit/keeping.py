"""Setting and releasing legal holds, and the rules of retention. Administrators; every step is an entry with a reason."""

from datetime import datetime
from typing import Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from audit import personal
from audit.actors import Actor
from audit.retention import LegalHold, RetentionRule
from audit.services import append
from audit.subjects import Subject
from config.errors import Conflict, Invalid, NotAllowed, NotFound

PERMISSION: Final = "registry.administer_registeredmodel"
LONGEST_REASON: Final = 2000


def check_can_keep(by: Actor) -> None:
    """Raise ``NotAllowed`` for all but administrators."""
    if by.kind in {"system", "service"} and by.id != "service:visitor":
        return
    if by.user is None or not by.user.is_active or not by.user.has_perm(PERMISSION):  # type: ignore[attr-defined]
        raise NotAllowed("This needs the role administrator.", code="not_administrator")


@transaction.atomic
def set_hold(
    *,
    of: str,
    reason: str,
    by: Actor,
    object_type: str = "",
    object_id: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> LegalHold:
    """Keep an object, a person (``object_id`` ``user:7``) or a period until the hold is released.

    Raises ``NotAllowed``, and ``Invalid`` naming the field.
    """
    check_can_keep(by)
    if of not in LegalHold.Of.values:
        raise Invalid("A hold is of an object, a person or a period.", code="hold.of", field="of")
    if of == LegalHold.Of.PERIOD:
        object_type = object_id = ""
        if since is None or until is None or until <= since:
            raise Invalid("A period begins before it ends.", code="hold.period", field="until")
    else:
        since = until = None
        object_type = object_type if of == LegalHold.Of.OBJECT else ""
        _check_object(of, object_type, object_id)
    row = LegalHold.objects.create(
        of=of,
        object_type=object_type,
        object_id=object_id,
        since=since,
        until=until,
        reason=_text(reason),
        set_by=by.id,
        set_at=timezone.now(),
    )
    append(action="hold.set", subject=row, by=by, reason=row.reason, facts=_facts(row))
    return row


def hold(hold_id: int) -> LegalHold:
    """Return a hold. Raises ``NotFound``."""
    found = LegalHold.objects.filter(pk=hold_id).first()
    if found is None:
        raise NotFound("There is no such hold.", code="hold.unknown")
    return found


@transaction.atomic
def release_hold(*, hold_id: int, reason: str, by: Actor) -> LegalHold:
    """Release a hold, for good. Raises ``NotAllowed``, ``NotFound``, ``Conflict`` if it is released, ``Invalid``."""
    check_can_keep(by)
    row = LegalHold.objects.select_for_update().get(pk=hold(hold_id).pk)
    if row.released_at is not None:
        raise Conflict("This hold is released already.", code="hold.released")
    row.release_reason, row.released_by, row.released_at = _text(reason), by.id, timezone.now()
    row.save(update_fields=["release_reason", "released_by", "released_at"])
    append(action="hold.released", subject=row, by=by, reason=row.release_reason, facts=_facts(row))
    return row


@transaction.atomic
def set_rule(*, of: str, prefix: str, days: int, basis: str, by: Actor) -> RetentionRule:
    """Say how long entries are kept whose action, or kind of object, begins so; 0 is for ever. Replaces the rule there is.

    Raises ``NotAllowed``, and ``Invalid`` naming the field.
    """
    check_can_keep(by)
    if of not in RetentionRule.Of.values:
        raise Invalid("A rule is of actions or of kinds of objects.", code="retention.of", field="of")
    if not 0 <= days <= 36525:
        raise Invalid("Days are 0, which is for ever, to 36525.", code="retention.days", field="days")
    before = RetentionRule.objects.select_for_update().filter(of=of, prefix=prefix).first()
    rule = before or RetentionRule(of=of, prefix=prefix)
    diff = {"days": [before.days if before else None, days]}
    rule.days, rule.basis = days, _text(basis, field="basis", longest=400)
    try:
        with transaction.atomic():
            rule.save()
    except IntegrityError as error:
        if "retentionrule_prefix" not in str(error):
            raise
        raise Invalid(
            "Write the beginning of an action or of a kind of object, such as check. or registry.apitoken.",
            code="retention.prefix",
            field="prefix",
        ) from error
    append(
        action="retention.set", subject=rule, by=by, reason=rule.basis, diff=diff, facts={"of": of, "prefix": prefix}
    )
    return rule


@transaction.atomic
def drop_rule(*, rule_id: int, by: Actor) -> None:
    """Take a rule away; what it named is kept as long as the others say. Raises ``NotAllowed``, ``NotFound``."""
    check_can_keep(by)
    rule = RetentionRule.objects.select_for_update().filter(pk=rule_id).first()
    if rule is None:
        raise NotFound("There is no such rule.", code="retention.unknown")
    about = Subject(type=rule._meta.label_lower, id=str(rule.pk))
    rule.delete()
    append(
        action="retention.dropped",
        subject=about,
        by=by,
        diff={"days": [rule.days, None]},
        facts={"of": rule.of, "prefix": rule.prefix},
    )


def _check_object(of: str, object_type: str, object_id: str) -> None:
    if of == LegalHold.Of.OBJECT and not object_type.strip():
        raise Invalid("Say what kind of object, such as registry.modelversion.", code="hold.type", field="object_type")
    if not object_id.strip() or "\x00" in object_id + object_type:
        raise Invalid("Say which.", code="hold.id", field="object_id")
    if len(object_type) > 100 or len(object_id) > 255:
        raise Invalid("No object has an id so long.", code="hold.id", field="object_id")
    if of == LegalHold.Of.PERSON and not personal.is_person(object_id):
        raise Invalid("A person is named by account, such as user:7.", code="hold.person", field="object_id")


def _facts(row: LegalHold) -> dict[str, str | int]:
    return {"of": row.of, "about": row.about, "hold": row.pk}


def _text(text: str, *, field: str = "reason", longest: int = LONGEST_REASON) -> str:
    said = text.strip()
    if not said:
        raise Invalid("Say why.", code="hold.reason", field=field)
    if len(said) > longest or "\x00" in said:
        raise Invalid(f"At most {longest} characters of text.", code="hold.reason", field=field)
    return said
