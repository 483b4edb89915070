"""Policies come into force here, and nowhere else."""

from django.db import connection, transaction

from audit.actors import SYSTEM, Actor
from audit.services import append
from config.errors import Conflict, Invalid, NotAllowed
from governance.checks import Params, manifest
from governance.checks.manifests.policys_own import FIGURES_OF_ITS_OWN, MANUAL, SCRIPT
from governance.checks.manual import ManualParams
from governance.checks.results import CheckError
from governance.checks.script_params import ScriptParams
from governance.models import Policy, PolicyVersion
from governance.policy import CheckRequirement, PolicyError, built_in, parse
from governance.policy import Policy as Document
from registry.models import User
from registry.names import looks
from registry.reach import ADMINISTER, holds

_ADOPTION_LOCK = 0x6F6C6963  # one adoption at a time: overlap is a matter of all policies together


@transaction.atomic
def adopt(*, document: str, by: Actor) -> PolicyVersion:
    """Put a policy into force, as the next version of the policy of its name.

    Adopting the text in force again changes nothing and returns it. Open requests keep the version they were judged
    under and cannot be signed until their checks are run again under the new one.

    Raises ``NotAllowed`` for whoever does not administer every model, ``Invalid`` naming line and cause for a text that
    is no policy or asks for an unknown check or figure, ``Conflict`` if another policy in force governs one of its
    targets for one of its tiers, or if the text was in force before under the same name.
    """
    _check_can_adopt(by)
    parsed = _parsed(document)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADOPTION_LOCK])
    same = PolicyVersion.objects.filter(digest=parsed.digest).select_related("policy").first()
    if same is not None and same.policy.current_id == same.pk:
        return same
    if same is not None:
        raise Conflict(
            f"This very text was {same} before.",
            code="policy.again",
            remedy="Change a comment in it, to say why it is back.",
        )
    _check_overlap(parsed)
    policy, _ = Policy.objects.get_or_create(name=parsed.name)
    last = policy.versions.order_by("-number").values_list("number", flat=True).first() or 0
    previous = policy.current
    version = PolicyVersion.objects.create(
        policy=policy,
        number=last + 1,
        document=document,
        digest=parsed.digest,
        targets=list(parsed.targets),
        tiers=list(parsed.tiers),
        adopted_by=by.user if isinstance(by.user, User) else None,
    )
    policy.current = version
    policy.save(update_fields=["current"])
    append(
        action="policy.in_force",
        subject=policy,
        by=by,
        facts={"number": version.number, "policy_digest": version.digest},
    )
    append(
        action="policy.adopted",
        subject=version,
        by=by,
        diff={"digest": [previous.digest if previous else None, version.digest]},
        facts={"policy": policy.name, "number": version.number, "policy_digest": version.digest},
    )
    return version


def adopt_built_in(*, by: Actor = SYSTEM) -> PolicyVersion:
    """Make sure that the policy that comes with the product was adopted. Idempotent; never replaces a text of your own."""
    document = built_in()
    name = parse(document).name
    policy = Policy.objects.filter(name=name).select_related("current__policy").first()
    if policy is not None and policy.current is not None:
        return policy.current
    return adopt(document=document.decode(), by=by)


def _check_can_adopt(by: Actor) -> None:
    if by == SYSTEM:
        return
    if not isinstance(by.user, User) or not holds(by.user, ADMINISTER):
        raise NotAllowed("Only an administrator of every model can adopt a policy.", code="policy.no_administrator")


def _parsed(document: str) -> Document:
    try:
        parsed = parse(document.encode("utf-8", "surrogatepass"))
        for need in parsed.checks:
            _check_params(need)
            if manifest(need.use).key in FIGURES_OF_ITS_OWN:
                continue
            known = {figure.key for figure in manifest(need.use).figures}
            for limit in need.limits:
                if limit.figure not in known:
                    raise PolicyError(
                        f"The check {need.use} has no figure “{limit.figure}”. It has: {', '.join(sorted(known))}.",
                        path=("checks", need.key),
                    )
    except (PolicyError, CheckError) as error:
        raise Invalid(str(error), code="policy.invalid", field="document") from error
    return parsed


def _check_params(need: CheckRequirement) -> None:
    """Raise ``CheckError`` for parameters without which the check can not even be planned."""
    kinds: dict[str, type[Params]] = {MANUAL.key: ManualParams, SCRIPT.key: ScriptParams}
    kind = kinds.get(manifest(need.use).key)
    if kind is not None:
        kind.from_mapping(need.params)


def _check_overlap(parsed: Document) -> None:
    """Exactly one policy may govern a target for a tier, so that nobody has to guess which of two holds."""
    for other in PolicyVersion.objects.current().exclude(policy__name=parsed.name):
        own = {looks(target) for target in parsed.targets}
        targets = sorted(target for target in other.targets if looks(target) in own)
        tiers = sorted(set(other.tiers) & set(parsed.tiers))
        if targets and tiers:
            raise Conflict(
                f"The policy {other.policy.name} already governs {targets[0]} for tier {tiers[0]}.",
                code="policy.overlap",
                field="governs",
                remedy=f"Take it out of one of the two, or adopt this as a new version of {other.policy.name}.",
                extra={"policy": other.policy.name, "targets": targets, "tiers": tiers},
            )
