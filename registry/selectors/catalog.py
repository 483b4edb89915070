"""Finding models and versions for a person: what they may not see is not found."""

from config.errors import NotFound
from registry import reach
from registry.models import ModelVersion, RegisteredModel, User
from registry.querysets import VIEW


def model_by_name(name: str, user: User, permission: str = VIEW) -> RegisteredModel:
    """The living model of that name, with owner, team and evaluation data set. Raises ``NotFound``."""
    found = (
        RegisteredModel.objects.alive()
        .visible_to(user, permission)
        .select_related("owner", "team", "evaluation_dataset")
        .filter(name=name.replace("\x00", ""))
        .first()
    )
    if found is None or "\x00" in name:
        raise NotFound(f"There is no model {name[:256]!r}, or you may not see it.", code="model.unknown")
    return found


def version_by_number(model: RegisteredModel, number: int) -> ModelVersion:
    """The living version of a model that the person was shown. Raises ``NotFound``."""
    found = (
        ModelVersion.objects.filter(model=model, number=number, deleted_at=None)
        .select_related("model__owner", "registered_by", "trained_by", "code_author", "manifest")
        .first()
    )
    if found is None:
        raise NotFound(f"{model.name} has no version {number}.", code="version.unknown")
    return found


def can(user: User, codename: str, model: RegisteredModel | None = None) -> bool:
    """Whether the person holds a permission on every model, or on that one."""
    return reach.holds(user, codename, model.pk if model else None)
