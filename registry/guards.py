"""Who may do what in the registry. Each guard raises the sentence that also explains a disabled button."""

from collections.abc import Callable
from typing import ParamSpec

from audit.actors import Actor
from config import as_of
from config.errors import Conflict, NotAllowed, Refusal
from registry import reach
from registry.models import Experiment, ModelVersion, RegisteredModel, User

P = ParamSpec("P")


def why_not(check: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> str:
    """The reason why ``check`` refuses, or an empty text. On a page of the past nothing can be done."""
    if as_of.current():
        return as_of.NOTHING_CHANGES
    try:
        check(*args, **kwargs)
    except Refusal as refusal:
        return str(refusal)
    return ""


def _holds(by: Actor, permissions: tuple[str, ...], model: RegisteredModel | None) -> bool:
    if by.kind in {"system", "service"} and by.id != "service:visitor":
        return True
    if not isinstance(by.user, User):
        return False
    return any(reach.holds(by.user, permission, model.pk if model else None) for permission in permissions)


def check_can_create_model(by: Actor) -> None:
    """A contributor on every model may create new ones."""
    if not _holds(by, (reach.CONTRIBUTE,), None):
        raise NotAllowed(
            "You may not create models: that needs the role contributor on every model.",
            code="model.not_contributor",
            remedy="Ask an administrator to grant it to your team.",
        )


def check_can_contribute(by: Actor, model: RegisteredModel) -> None:
    """Register versions, write tags and texts, ask for promotion."""
    if not _holds(by, (reach.CONTRIBUTE,), model):
        raise NotAllowed(
            f"You may not change {model.name}: that needs the role contributor on it.",
            code="model.not_contributor",
            remedy="Ask an administrator to grant it to your team.",
        )


def check_can_have_signatures_checked(by: Actor, version: ModelVersion) -> None:
    """Raise ``NotAllowed``, or ``Conflict`` for a version without bytes."""
    check_can_contribute(by, version.model)
    if not version.is_sealed:
        raise Conflict(f"{version} is not sealed yet.", code="version.not_sealed", remedy="Wait until its files are.")


def check_can_curate(by: Actor, model: RegisteredModel) -> None:
    """Change the card, tier, use case and evaluation data set: contributors, validators, administrators."""
    if not _holds(by, (reach.CONTRIBUTE, reach.VALIDATE, reach.ADMINISTER), model):
        raise NotAllowed(
            f"You may not edit {model.name}: that needs the role contributor, validator or administrator on it.",
            code="model.not_curator",
        )


def check_can_relax_tier(by: Actor, model: RegisteredModel | None) -> None:
    """Say that a model matters less than was thought: validators and administrators, since policies bind by tier."""
    if not _holds(by, (reach.VALIDATE, reach.ADMINISTER), model):
        raise NotAllowed(
            "Only a validator or an administrator may put a model into a less strict tier; a new one is in tier 1.",
            code="model.tier_not_yours",
            field="tier",
            remedy="Ask one of them to assess it.",
        )


def check_can_administer(by: Actor, model: RegisteredModel | None = None) -> None:
    """People, teams, roles; with a model: that model."""
    if not _holds(by, (reach.ADMINISTER,), model):
        raise NotAllowed("This needs the role administrator.", code="not_administrator")


def check_is_sealed(version: ModelVersion) -> None:
    """The bytes are fixed."""
    if not version.is_sealed:
        raise Conflict(f"{version} is not sealed: {version.get_status_display().lower()}.", code="version.not_sealed")


def check_can_manage_experiment(by: Actor, experiment: Experiment) -> None:
    """Restrict an experiment and grant it to teams: its owner and administrators."""
    if isinstance(by.user, User) and by.user.is_active and by.user.pk == experiment.owner_id:
        return
    if not _holds(by, (reach.ADMINISTER,), None):
        raise NotAllowed(
            f"Only its owner, {experiment.owner}, and administrators say who may see the experiment {experiment}.",
            code="experiment.not_owner",
        )


def check_can_move(by: Actor, model: RegisteredModel) -> None:
    """Move an alias or a stage: contributors; and whoever may sign, as the last signature moves it. The gate says whether."""
    if not _holds(by, (reach.CONTRIBUTE, reach.APPROVE, reach.VALIDATE, reach.ADMINISTER), model):
        check_can_contribute(by, model)
