"""A gatekeeper that denies one alias and one stage: what the policies of the product do, in a line."""

from datetime import datetime

from audit.actors import Actor
from config.errors import NotAllowed
from registry.models import ModelVersion, RegisteredModel


class DenyProduction:
    """``production`` needs a request; everything else is free."""

    def check_alias(self, *, model: RegisteredModel, alias: str, version: ModelVersion | None, by: Actor) -> None:
        if alias == "production":
            raise _refusal(f"The alias production of {model.name} is governed by the policy credit-risk.", model)

    def check_stage(self, *, version: ModelVersion, stage: str, by: Actor) -> None:
        if stage == "Production":
            raise _refusal(f"The stage Production of {version.model.name} is governed.", version.model)

    def check_tag(self, *, model: RegisteredModel | None, version: ModelVersion | None, key: str, by: Actor) -> None:
        if key.startswith("approved"):
            raise _refusal("Tags that look like approvals are not yours to write.", model)

    def check_change(
        self, *, model: RegisteredModel, version: ModelVersion | None, verb: str, by: Actor, new_name: str = ""
    ) -> None:
        """Nothing is refused."""

    def exemptions(self) -> dict[str, datetime]:
        """None."""
        return {}


def _refusal(sentence: str, model: RegisteredModel | None) -> NotAllowed:
    return NotAllowed(
        sentence,
        code="alias.governed",
        remedy="Ask for promotion.",
        extra={"url": f"http://testserver/models/{model.name if model else ''}/requests/new"},
    )
