"""Guards the registry's governed doors (``registry.gates``): nothing moves there without an active permit.

PostgreSQL asks the same question again with triggers (migrations 0004 to 0006), for whoever does not come through a door.
A model that the operator exempted (``governance.models.exemptions``) is gated by what its living permits hold, and by
nothing else.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from django.conf import settings
from django.utils import timezone

from audit.actors import Actor
from config.errors import Conflict, NotAllowed
from governance.models import GateExemption, Permit, PromotionRequest
from governance.selectors.exemptions import exemptions_in_force
from governance.selectors.policies import governors, has_standing
from governance.states import PermitState
from registry.models import ModelVersion, RegisteredModel
from registry.names import looks

_LIVING: Final = (PermitState.ACTIVE, PermitState.SUSPENDED)
_APPROVAL_WORDS: Final = re.compile(
    r"countersign($|\.)|approv(e|al)|validated|validation[ _.\-]?(status|state|result)"
    r"|signed[ _.\-]?(off|by)|sign[ _.\-]?off"
    r"|(^|[ _.\-])permit($|[ _.\-])|promot(ed|ion)[ _.\-]?(status|to|by)|certified|production[ _.\-]?ready"
    r"|governance[ _.\-]?status",
    re.IGNORECASE,
)
"""Tag keys that a reader would take for an approval. The permit says that; a tag anybody can write must not."""
_LETTERS: Final = str.maketrans("аеорсухіѕјԁһԛԝαορνικ", "aeopcyxisjdhqwaopvik")
"""Cyrillic and Greek letters that look like one of ours, as they are after ``casefold``."""


class Gatekeeper:
    """See ``registry.gates.Gatekeeper``: called inside the transaction, with the model's row locked."""

    def check_alias(self, *, model: RegisteredModel, alias: str, version: ModelVersion | None, by: Actor) -> None:
        """A governed alias names a version only by permit, and is taken away only when no permit holds."""
        target = f"alias:{alias}"
        governed = governors(model)
        governor = governed.get(target)
        if version is None:
            if governor:
                self._check_leaves(model, None, target, governor)
        elif governor:
            self._check_enters(model, version, target, governor)
        else:
            self._check_unlike(model, target, governed)

    def check_stage(self, *, version: ModelVersion, stage: str, by: Actor) -> None:
        """The same for MLflow's stages; a version leaves a governed stage only when no permit holds it there."""
        governed = governors(version.model)
        left = f"stage:{version.stage}"
        governor = governed.get(left)
        if governor and stage != version.stage:
            self._check_leaves(version.model, version, left, governor)
        target = f"stage:{stage}"
        governor = governed.get(target)
        if governor:
            self._check_enters(version.model, version, target, governor)

    def check_tag(self, *, model: RegisteredModel | None, version: ModelVersion | None, key: str, by: Actor) -> None:
        """Nobody writes what looks like an approval beside the one that is signed."""
        if _reads_as_approval(key):
            policies = ", ".join(sorted(set(governors(model).values()))) if model else ""
            raise NotAllowed(
                f"The tag “{key}” looks like an approval, and approvals are signed here"
                f"{f' under the policy {policies}' if policies else ''}, not tagged.",
                code="gate.tag",
                field="key",
                remedy=f"Use another key, or ask for a promotion: {self._address(model, version)}",
                extra={"policy": policies, "request_url": self._address(model, version)},
            )

    def exemptions(self) -> dict[str, datetime]:
        """Every name that is exempt from gating, ``*`` for all, and since when."""
        return exemptions_in_force()

    def check_change(
        self, *, model: RegisteredModel, version: ModelVersion | None, verb: str, by: Actor, new_name: str = ""
    ) -> None:
        """What a permit or an open request names keeps its name, its description and its life.

        And no model is renamed into a name that is exempt from gating, or out of one.
        """
        if new_name:
            self._check_renamed(model, new_name)
        if not has_standing(model):
            return
        living = Permit.objects.filter(model=model, state__in=_LIVING)
        open_requests = PromotionRequest.objects.open().filter(model=model)
        approved = PromotionRequest.objects.being_permitted().filter(model=model)
        if version is not None:
            living, open_requests = living.filter(version=version), open_requests.filter(version=version)
            approved = approved.filter(version=version)
        permit = living.select_related("request__policy_version__policy").first()
        if permit is not None and (verb in {"rename", "delete"} or version is not None):
            address = _request_address(permit.request)
            raise Conflict(
                f"{version or model.name} is approved for {permit.target} under the policy "
                f"{permit.request.policy_version.policy.name} ({permit.request.ref}), so it cannot be "
                f"{_PAST.get(verb, 'changed')}.",
                code=f"gate.{verb}",
                remedy=f"Register a new version, or revoke the permit first: {address}",
                extra={"permit": str(permit.pk), "request": permit.request.ref, "request_url": address},
            )
        made = approved.first() if verb in {"rename", "delete"} or version is not None else None
        if made is not None:
            raise Conflict(
                f"The permit of {made.ref} is being made, so {version or model.name} cannot be {_PAST.get(verb, 'changed')}.",
                code=f"gate.{verb}",
                remedy=f"Register a new version, or revoke the permit when it is there: {_request_address(made)}",
                extra={"request": made.ref, "request_url": _request_address(made)},
            )
        request = None
        if verb in {"rename", "delete"}:
            request = open_requests.select_related("policy_version__policy").first()
        if request is not None:
            raise Conflict(
                f"{request.ref} is open for {version or model.name} under the policy "
                f"{request.policy_version.policy.name}, so it cannot be {_PAST[verb]}.",
                code=f"gate.{verb}",
                remedy=f"Withdraw the request first: {_request_address(request)}",
                extra={"request": request.ref, "request_url": _request_address(request)},
            )

    def _check_unlike(self, model: RegisteredModel, target: str, governed: Iterable[str]) -> None:
        """A free alias must not be taken for a governed one: ``Production`` for ``production``."""
        seen = looks(target)
        for other in governed:
            if looks(other) == seen:
                raise NotAllowed(
                    f"{target} looks like {other}, which is governed for {model.name}.",
                    code="gate.look_alike",
                    remedy="Choose a name that nobody can take for it.",
                    extra={"target": other},
                )

    def _check_renamed(self, model: RegisteredModel, new_name: str) -> None:
        exempt = set(
            GateExemption.objects.in_force().filter(name__in=["*", model.name, new_name]).values_list("name", flat=True)
        )
        if "*" in exempt or {model.name, new_name} <= exempt or not exempt:
            return
        raise Conflict(
            f"{model.name} cannot be renamed to {new_name}: {', '.join(exempt)} is exempt from gating here, and the other "
            "name is not.",
            code="gate.exempt_name",
            remedy="Copy the version to a model of the other name.",
            extra={"exempt": sorted(exempt)},
        )

    def _check_enters(self, model: RegisteredModel, version: ModelVersion, target: str, policy: str) -> None:
        permits = Permit.objects.active().filter(model=model, version=version, target=target)
        if permits.filter(expires_at__gt=timezone.now()).exists():
            return
        waiting = PromotionRequest.objects.filter(version=version, target=target)
        asked = waiting.open().first() or waiting.being_permitted().first()
        address = _request_address(asked) if asked else self._address(model, version, target)
        raise NotAllowed(
            f"{target} of {model.name} is governed by the policy {policy}, and v{version.number} has no active "
            "permit for it.",
            code="gate.no_permit",
            remedy=f"{asked.ref} is under way: {address}" if asked else f"Ask for its promotion: {address}",
            extra={"policy": policy, "target": target, "request_url": address},
        )

    def _check_leaves(self, model: RegisteredModel, version: ModelVersion | None, target: str, policy: str) -> None:
        permits = Permit.objects.active().filter(model=model, target=target)
        permit = (permits.filter(version=version) if version else permits).select_related("request").first()
        if permit is None:
            return
        raise NotAllowed(
            f"{target} of {model.name} is governed by the policy {policy} and held by the permit of "
            f"{permit.request.ref}.",
            code="gate.held_by_permit",
            remedy=f"Revoke the permit: {_request_address(permit.request)}",
            extra={
                "policy": policy,
                "target": target,
                "permit": str(permit.pk),
                "request_url": _request_address(permit.request),
            },
        )

    def _address(self, model: RegisteredModel | None, version: ModelVersion | None, target: str = "") -> str:
        if model is None:
            return f"{settings.PUBLIC_URL}/models/"
        place = f"{settings.PUBLIC_URL}/models/{quote(model.name, safe='')}/"
        if version is None:
            return place
        query = f"?{urlencode({'target': target})}" if target else ""
        return f"{place}versions/{version.number}/promote/{query}"


def _reads_as_approval(key: str) -> bool:
    """Whether a reader sees one of those words: in full width, in letters of another alphabet, taken apart by dashes."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", key).casefold())
    plain = "".join(letter for letter in plain if unicodedata.category(letter) != "Mn").translate(_LETTERS)
    return any(_APPROVAL_WORDS.search(text) for text in (plain, re.sub(r"[-_.]", "", plain)))


def _request_address(request: PromotionRequest) -> str:
    return f"{settings.PUBLIC_URL}/requests/{request.ref}/"


_PAST: Final = {"rename": "renamed", "delete": "deleted", "describe": "described anew"}
