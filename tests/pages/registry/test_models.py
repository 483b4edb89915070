"""The inventory: finding models and versions."""

import pytest
from django.test import Client

from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from registry.services import catalog
from tests.factories import pages as make
from tests.pages.registry.conftest import Visit

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def browser(auditor: User, visit: Visit) -> Client:
    return visit(auditor)


def names_on(content: bytes) -> list[str]:
    """Names of the models in the table, in order."""
    rows = content.decode().split('<th role="rowheader" scope="row"><a href="/models/')[1:]
    return [row.partition("/")[0] for row in rows]


def test_an_empty_register_leads_to_the_first_steps(browser: Client) -> None:
    answer = browser.get("/models/", follow=True)

    assert answer.redirect_chain == [("/first-run/", 302)]
    assert "The register is empty" in answer.content.decode()
    assert "registered_model_name" in answer.content.decode()


def test_it_says_how_many_are_live(version: ModelVersion, browser: Client) -> None:
    make.model(version.registered_by, "fraud-cnp")

    assert b"0 of 2 registered models are live." in browser.get("/models/").content


def test_search_finds_names_and_use_cases(model: RegisteredModel, browser: Client) -> None:
    make.model(model.owner, "fraud-cnp", use_case="Card not present")

    assert names_on(browser.get("/models/?q=FRAUD").content) == ["fraud-cnp"]
    assert names_on(browser.get("/models/?q=card").content) == ["credit-default", "fraud-cnp"]


@pytest.mark.parametrize(
    ("tier", "found"), [("1", ["credit-default"]), ("3", ["toy"]), ("7", ["credit-default", "toy"])]
)
def test_tiers_filter(tier: str, found: list[str], model: RegisteredModel, browser: Client) -> None:
    assessor = make.person("vera", Role.CONTRIBUTOR, Role.VALIDATOR)
    make.model(assessor, "toy", tier=3)

    assert names_on(browser.get(f"/models/?tier={tier}").content) == found


def test_an_htmx_request_gets_the_same_table_without_the_page(model: RegisteredModel, browser: Client) -> None:
    whole = browser.get("/models/?q=credit").content.decode()
    answer = browser.get("/models/?q=credit", headers={"HX-Request": "true"})
    part = answer.content.decode().strip()

    assert part.startswith("<section")
    assert part.endswith("</section>")
    assert part in whole
    assert "HX-Request" in answer["Vary"]


@pytest.mark.parametrize(
    "written", ["{digest}", "sha256:{digest}", "{short}", "{grouped}…", "credit-default v1", "credit-default/1"]
)
def test_a_digest_or_a_version_leads_straight_to_it(written: str, version: ModelVersion, browser: Client) -> None:
    digest = version.manifest_digest
    grouped = " ".join(digest[start : start + 4] for start in range(0, 16, 4))
    text = written.format(digest=digest, short=digest[:8], grouped=grouped)

    answer = browser.get("/models/", {"q": text})

    assert answer.status_code == 302
    assert answer["Location"] == "/models/credit-default/versions/1/"


def test_while_typing_a_digest_offers_its_version_instead_of_leaving(version: ModelVersion, browser: Client) -> None:
    answer = browser.get("/models/", {"q": version.manifest_digest}, headers={"HX-Request": "true"})

    assert answer.status_code == 200
    assert b"This means credit-default v1" in answer.content


def test_the_digest_of_an_invisible_version_finds_nothing(version: ModelVersion, stranger: User, visit: Visit) -> None:
    answer = visit(stranger).get("/models/", {"q": version.manifest_digest})

    assert answer.status_code == 200
    assert b"credit-default" not in answer.content


def test_a_null_byte_in_the_search_is_left_out(model: RegisteredModel, browser: Client) -> None:
    assert names_on(browser.get("/models/?q=cre%00dit").content) == ["credit-default"]


@pytest.mark.parametrize("token", ["zzz", "WyJhIl0", "W10", "\u00e4", "A" * 3000])
def test_a_page_token_that_is_not_ours_is_refused(token: str, model: RegisteredModel, browser: Client) -> None:
    for path in ("/models/", "/models/credit-default/", "/lineage/"):
        answer = browser.get(path, {"after": token})

        assert answer.status_code == 422
        assert b"This page token is not one of ours." in answer.content


def test_pages_follow_each_other_and_keep_the_search(model: RegisteredModel, browser: Client) -> None:
    for number in range(30):
        make.model(model.owner, f"series-{number:02}")

    first = browser.get("/models/?q=series")
    after = first.content.decode().split("after=")[1].partition('"')[0]
    second = browser.get(f"/models/?q=series&after={after}")

    assert names_on(first.content) == [f"series-{number:02}" for number in range(25)]
    assert names_on(second.content) == [f"series-{number:02}" for number in range(25, 30)]
    assert b'href="/models/?q=series"' in second.content, "the way back keeps the search"


def test_what_people_write_is_never_markup(scientist: User, browser: Client) -> None:
    hostile = make.model(scientist, '"><img src=x onerror=alert(1)>', use_case=SCRIPT, description=SCRIPT)
    catalog.set_model_tag(model=hostile, key="note", value=SCRIPT, by=make.actor(scientist))
    version = make.sealed_version(
        hostile,
        scientist,
        {"MLmodel": b"x", 'a"><script>.txt': b"x"},
        parameters={"C": SCRIPT},
        tags={"note": SCRIPT},
        description=SCRIPT,
        source="javascript:alert(1)",
    )
    make.record_lineage(version, dataset=SCRIPT)

    paths = ["/models/", f"/models/?q={SCRIPT}", f"/lineage/?q={SCRIPT}", "/lineage/"]
    page = browser.get("/models/").content.decode()
    address = page.split('scope="row"><a href="')[1].partition('"')[0]
    paths += [address, *(f"{address}versions/1/{tab}" for tab in ("", "lineage/", "artifacts/", "card/", "audit/"))]
    for path in paths:
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.content.decode(), path
        assert "<img src=x" not in answer.content.decode(), path
        assert 'href="javascript:' not in answer.content.decode(), path
