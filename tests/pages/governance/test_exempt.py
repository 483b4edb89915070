"""An exemption from gating is seen: on every page for the whole installation, on the model's own pages and answers otherwise."""

import json

import pytest
from django.test import Client

from audit.actors import SYSTEM
from governance.models import Permit, PromotionRequest
from governance.services import exemptions
from registry.models import ModelVersion, RegisteredModel, User
from registry.services import access, catalog
from tests.factories import governance as make
from tests.pages.governance.conftest import Browser

WHOLE = 'id="exempt-instance"'
OWN = 'id="exempt-model"'
CHIP = "data-exempt"
STANDING = 'id="unpermitted"'


def page(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def places(request: PromotionRequest) -> dict[str, str]:
    model = f"/models/{request.model.name}/"
    version = f"{model}versions/{request.version.number}/"
    return {
        "model": model,
        "version": version,
        "promote": f"{version}promote/",
        "request": f"/requests/{request.ref}/",
        "inbox": "/",
        "models": "/models/",
        "account": "/account/",
    }


def test_the_whole_installation_says_so_on_every_page(
    ready: PromotionRequest, scientist: User, as_person: Browser, client: Client
) -> None:
    browser = as_person(scientist)
    for path in places(ready).values():
        found = page(browser, path)
        assert WHOLE not in found, path
        assert CHIP not in found, path
    exemptions.apply(names=["*"])
    for name, path in places(ready).items():
        found = page(browser, path)
        assert "This instance does not gate promotions" in found, path
        assert (CHIP in found) == (name in {"model", "version", "request"}), path
        assert OWN not in found, path
    assert WHOLE in page(client, "/sign-in/")
    assert WHOLE in browser.get("/nowhere/").content.decode()


def test_an_exempt_model_says_so_on_its_own_pages_only(
    ready: PromotionRequest, scientist: User, as_person: Browser
) -> None:
    browser = as_person(scientist)
    exemptions.apply(names=[ready.model.name])
    for name, path in places(ready).items():
        assert (OWN in page(browser, path)) == (name in {"model", "version", "promote", "request"}), path
    other = make.registered_model(scientist)
    found = page(browser, f"/models/{other.name}/")
    assert OWN not in found
    assert CHIP not in found


def test_the_permit_of_an_exempt_model_says_so(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    make.approve(ready, officers)
    path = f"/permits/{Permit.objects.get().pk}/"
    assert OWN not in page(as_person(officers[0]), path)
    exemptions.apply(names=[ready.model.name])
    assert "except those that a permit holds" in page(as_person(officers[0]), path)


def test_what_stands_without_a_permit_afterwards_is_named(
    version: ModelVersion, scientist: User, as_person: Browser
) -> None:
    path = f"/models/{version.model.name}/"
    exemptions.apply(names=[version.model.name])
    catalog.set_alias(model=version.model, alias="production", number=version.number, by=make.actor(scientist))
    assert STANDING not in page(as_person(scientist), path)
    exemptions.apply(names=[])
    found = page(as_person(scientist), path)
    assert STANDING in found
    assert f"alias:production is v{version.number}" in found
    assert OWN not in found


def test_what_stands_by_permit_is_not_complained_of(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    make.approve(ready, officers)
    assert STANDING not in page(as_person(officers[0]), f"/models/{ready.model.name}/")


@pytest.mark.parametrize("names", [[], ["*"], ["its own"]])
def test_the_api_says_since_when(model: RegisteredModel, scientist: User, client: Client, names: list[str]) -> None:
    make.registered_model(scientist)
    exemptions.apply(names=[model.name if name == "its own" else name for name in names])
    _, token = access.issue_token(user=scientist, name="t", days=1, by=SYSTEM)
    header = {"authorization": f"Bearer {token}"}
    one = json.loads(client.get(f"/api/v1/models/{model.name}", headers=header).content)
    assert (one["exempt_since"] is not None) == bool(names)
    rows = json.loads(client.get("/api/v1/models", headers=header).content)["results"]
    told = {row["name"]: row["exempt_since"] is not None for row in rows}
    assert told[model.name] == bool(names)
    assert sum(told.values()) == {0: 0, 1: 1}[len(names)] + (names == ["*"])
