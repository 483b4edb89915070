"""What is exempt from gating, and what stands where a permit would be needed and is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from config import as_of
from governance.models import GateExemption
from governance.models.exemptions import WHOLE_INSTANCE
from registry.models import RegisteredModel

# Which models comes first, materialized: what a function of ours answers is asked of their few rows only.
_STANDING: Final = """
WITH models AS MATERIALIZED (
    SELECT id, name FROM registry_registeredmodel
    WHERE deleted_at IS NULL AND (%(all)s OR id = %(model)s OR name = ANY(%(names)s))
), standing AS MATERIALIZED (
    SELECT m.id AS model_id, m.name, a.version_id, 'alias:' || a.name AS target
    FROM models m JOIN registry_alias a ON a.model_id = m.id
    UNION ALL
    SELECT m.id, m.name, v.id, 'stage:' || v.stage
    FROM models m JOIN registry_modelversion v ON v.model_id = m.id AND v.stage <> 'None' AND v.deleted_at IS NULL
)
SELECT s.name, s.target, v.number
FROM standing s
JOIN registry_modelversion v ON v.id = s.version_id
WHERE governance_governs(s.model_id, s.target)
  AND NOT EXISTS (
      SELECT 1 FROM governance_permit p
      WHERE p.version_id = s.version_id AND p.target = s.target AND p.state = 'active' AND p.expires_at > %(now)s
  )
ORDER BY s.name, s.target, v.number
"""


@dataclass(frozen=True, slots=True)
class Unpermitted:
    """A governed name or stage that stands without a permit: set before it was governed, or while it was exempt."""

    model: str
    target: str
    number: int

    def __str__(self) -> str:
        return f"{self.target} of {self.model} (v{self.number})"


@dataclass(frozen=True, slots=True)
class Exemption:
    """The gate lets a model through: since when, and whether it is named or everything is."""

    since: datetime
    by_name: bool


def exemption_of(model: RegisteredModel, in_force: Mapping[str, datetime] | None = None) -> Exemption | None:
    """How the gate lets this model through, or None while it does not. ``in_force``: from ``exemptions_in_force``."""
    rows = exemptions_in_force() if in_force is None else in_force
    for name in (model.name, WHOLE_INSTANCE):
        if name in rows:
            return Exemption(rows[name], name != WHOLE_INSTANCE)
    return None


def exemptions_in_force() -> dict[str, datetime]:
    """Every name that is exempt (``*`` stands for all) and since when."""
    return dict(GateExemption.objects.in_force().values_list("name", "began_at"))


def unpermitted_of(model: RegisteredModel) -> list[Unpermitted]:
    """The governed names and stages of a model that stand without a permit."""
    return _standing(model=model.pk)


def unpermitted_below(names: Sequence[str]) -> list[Unpermitted]:
    """The same for the models of these names; ``*`` asks for all."""
    return _standing(names=names)


def _standing(*, model: int | None = None, names: Sequence[str] = ()) -> list[Unpermitted]:
    with connection.cursor() as cursor:
        cursor.execute(
            _STANDING, {"all": WHOLE_INSTANCE in names, "model": model, "names": list(names), "now": as_of.now()}
        )
        return [Unpermitted(*row) for row in cursor.fetchall()]
