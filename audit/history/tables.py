"""Which tables are remembered: every governed one, unless it says why not.

    class User(AbstractUser):
        history_free = "Names and addresses must be erasable."         # no history: the past shows the row of today
    class CheckRun(models.Model):
        history_forgets = ("progress_done", "progress_total")           # changes too often: the past shows it empty

A table that is not remembered is read as it is today, also on a page of a past day. Tables of other people's packages are
spoken for in ``AppConfig.history_of_others``, functions that read our tables in ``AppConfig.history_functions``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from audit.governed import Governed, free_models, governed_models


@dataclass(frozen=True, slots=True)
class Remembered:
    """A table with a history. ``forgets`` names the columns that have none."""

    governed: Governed
    forgets: tuple[str, ...]

    @property
    def table(self) -> str:
        """Its name, in ``public``, ``history`` and ``asof``."""
        return self.governed.table


def remembered() -> list[Remembered]:
    """Every table with a history, by name. Raises ``ImproperlyConfigured`` for a column to forget that is not there."""
    free = history_free()
    found = [one for one in governed_models() if one.label not in free]
    return sorted((_remembered(one) for one in found), key=lambda one: one.table)


def history_free() -> dict[str, str]:
    """The models without a history, and why: what no entry vouches for, and what says so itself."""
    others: dict[str, str] = {}
    for config in apps.get_app_configs():
        given: Mapping[str, str] = getattr(config, "history_of_others", {})
        others |= given
    own = {one.label: str(getattr(one.model, "history_free", "")) for one in governed_models()}
    return {**free_models(), **others, **{label: why for label, why in own.items() if why}}


def functions() -> list[str]:
    """Functions of ours that read tables by name, and so are needed a second time for the past."""
    return sorted(name for config in apps.get_app_configs() for name in getattr(config, "history_functions", ()))


def _remembered(one: Governed) -> Remembered:
    forgets = tuple(getattr(one.model, "history_forgets", ()))
    known = {str(field.column) for field in one.model._meta.concrete_fields} - {one.key}
    if unknown := sorted(set(forgets) - known):
        raise ImproperlyConfigured(f"{one.label} has no column {unknown[0]!r} to forget.")
    return Remembered(one, forgets)
