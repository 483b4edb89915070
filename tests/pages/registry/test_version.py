"""A version's tabs: what it is, made from what, its files, and who may do what with it."""

import hashlib

import pytest
from django.test import Client

from audit.actors import SYSTEM
from governance.models import PolicyVersion
from registry.models import Blob, ModelVersion, Node, RegisteredModel, User
from registry.roles import Role
from registry.services import catalog, versions
from registry.storage import blobs
from tests.factories import governance
from tests.factories import pages as make
from tests.factories.audit import integrate
from tests.pages.registry.conftest import Visit

pytestmark = pytest.mark.usefixtures("by_hand")

VERSION = "/models/credit-default/versions/1/"
HIDDEN = "Belongs to a model you may not see"


@pytest.fixture
def browser(auditor: User, visit: Visit) -> Client:
    return visit(auditor)


@pytest.fixture
def house() -> PolicyVersion:
    """A policy in force."""
    return governance.policy()


def text_of(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_overview_says_what_it_is_and_how_to_load_it(version: ModelVersion, browser: Client) -> None:
    page = text_of(browser, VERSION)

    assert version.manifest_digest in page
    assert "models:/credit-default/1" in page
    assert "0.784" in page
    assert "region: all" in page
    assert "Default of card accounts. Registered by" in page


def test_a_version_that_waits_for_its_files_says_so(version: ModelVersion, browser: Client) -> None:
    make.pending_version(version.model, version.registered_by)

    for tab in ("", "lineage/", "checks/", "artifacts/", "card/", "audit/"):
        page = text_of(browser, f"/models/credit-default/versions/2/{tab}")
        assert "The files are being read and sealed" in page
        assert "Ask for promotion" not in page


def test_a_version_that_failed_says_why(version: ModelVersion, browser: Client) -> None:
    failed = make.pending_version(version.model, version.registered_by)
    versions.fail_version(version_id=failed.pk, message="There is no MLmodel file.", by=SYSTEM)

    assert "There is no MLmodel file." in text_of(browser, "/models/credit-default/versions/2/")


def test_a_contributor_may_ask_and_an_auditor_is_told_why_not(
    version: ModelVersion, browser: Client, visit: Visit
) -> None:
    assert f'href="{VERSION}promote/"' in text_of(visit(version.registered_by), VERSION)

    page = text_of(browser, VERSION)
    assert f'href="{VERSION}promote/"' not in page
    assert "that needs the role contributor on it" in page


def test_an_open_request_takes_the_place_of_the_button(
    version: ModelVersion, house: PolicyVersion, browser: Client
) -> None:
    version.model.evaluation_dataset = governance.dataset(version.registered_by).dataset
    version.model.save()
    promotion = governance.request(version, version.registered_by)

    assert f"Open {promotion.ref}" in text_of(browser, VERSION)
    assert promotion.ref in text_of(browser, f"{VERSION}checks/")
    assert promotion.ref in text_of(browser, "/models/credit-default/")


def test_no_check_has_run_is_said(version: ModelVersion, browser: Client) -> None:
    assert "No check has run on this version" in text_of(browser, f"{VERSION}checks/")


def test_the_artifacts_are_the_sealed_files(version: ModelVersion, browser: Client) -> None:
    page = text_of(browser, f"{VERSION}artifacts/")

    assert "3 files" in page
    for path, content in make.FILES.items():
        assert path in page
        assert hashlib.sha256(content).hexdigest() in page


def test_many_files_are_shown_in_pages(model: RegisteredModel, scientist: User, browser: Client) -> None:
    make.sealed_version(model, scientist, {f"part-{number:03}": b"%d" % number for number in range(205)})

    first = text_of(browser, f"{VERSION}artifacts/")
    assert "205 files" in first
    assert "part-199" in first
    assert "part-200" not in first
    second = text_of(browser, first.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0])
    assert "part-204" in second


def test_a_file_is_downloaded_never_displayed(version: ModelVersion, browser: Client) -> None:
    answer = browser.get(f"{VERSION}files/MLmodel")

    assert b"".join(answer) == make.MLMODEL
    assert answer["Content-Disposition"] == 'attachment; filename="MLmodel"'
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_file_whose_bytes_are_gone_is_no_broken_page(version: ModelVersion, browser: Client) -> None:
    blob = Blob.objects.get(sha256=hashlib.sha256(make.MLMODEL).hexdigest())
    place = blobs().path(blob.sha256)
    assert place is not None
    place.unlink()

    assert browser.get(f"{VERSION}files/MLmodel").status_code == 404


def test_the_audit_tab_tells_the_ledger_and_links_it_for_auditors_alone(
    version: ModelVersion, browser: Client, visit: Visit
) -> None:
    assert "Nothing is integrated into the log yet" in text_of(browser, f"{VERSION}audit/")
    integrate()

    page = text_of(browser, f"{VERSION}audit/")
    assert "3 log entries about credit-default v1" in page
    assert "ada registered credit-default v1" in page
    assert 'href="/audit/' in page.split("<main")[1]
    assert 'href="/audit/' not in text_of(visit(version.registered_by), f"{VERSION}audit/").split("<main")[1]


def test_lineage_is_drawn_and_listed(version: ModelVersion, browser: Client) -> None:
    page = text_of(browser, f"{VERSION}lineage/")

    for words in (
        "accounts",
        "Python 3.11.9",
        "commit c0ffee000000, clean",
        "made from, 2 steps, training",
        "this object",
    ):
        assert words in page


def test_a_version_without_lineage_says_so(model: RegisteredModel, scientist: User, browser: Client) -> None:
    make.sealed_version(model, scientist)

    assert "No lineage is recorded yet" in text_of(browser, f"{VERSION}lineage/")


def test_downstream_of_shared_data_an_invisible_model_has_no_name(version: ModelVersion, visit: Visit) -> None:
    secret = make.model(version.registered_by, "secret-model")
    make.record_lineage(make.sealed_version(secret, version.registered_by, {"MLmodel": b"s"}), run="secret-run")
    guest = make.person("guest", Role.VALIDATOR, on=version.model)
    data = Node.objects.get(kind=Node.Kind.DATASET)

    page = text_of(visit(guest), f"/lineage/{data.pk}/")

    assert "credit-default v1" in page
    assert HIDDEN in page
    assert "secret" not in page


def test_what_an_invisible_base_model_was_made_from_is_hidden_too(version: ModelVersion, visit: Visit) -> None:
    ada = version.registered_by
    derived = make.model(ada, "derived")
    make.record_lineage(
        make.sealed_version(derived, ada, {"MLmodel": b"d"}),
        dataset="other-data", run="run-2", base_models=("models:/credit-default/1",),
    )  # fmt: skip
    guest = make.person("guest", Role.VALIDATOR, on=derived)
    browser = visit(guest)

    page = text_of(browser, "/models/derived/versions/1/lineage/")

    assert "other-data" in page
    assert HIDDEN in page
    assert "accounts" not in page
    for name in ("credit-default", "accounts", "run-1"):
        node = Node.objects.get(name=name)
        assert browser.get(f"/lineage/{node.pk}/").status_code == 404
    assert "accounts" not in text_of(browser, "/lineage/")
    assert "other-data" in text_of(browser, "/lineage/")


def test_the_lineage_search_is_the_same_region_for_htmx(version: ModelVersion, browser: Client) -> None:
    whole = text_of(browser, "/lineage/?q=acc")
    part = browser.get("/lineage/?q=acc", headers={"HX-Request": "true"}).content.decode().strip()

    assert part in whole
    assert part.startswith("<section")
    assert "credit-default" not in part


def test_the_versions_of_a_model_are_listed_newest_first(version: ModelVersion, browser: Client) -> None:
    for number in range(30):
        make.sealed_version(version.model, version.registered_by, {"MLmodel": b"%d" % number})
    catalog.set_alias(model=version.model, alias="champion", number=31, by=make.actor(version.registered_by))

    page = text_of(browser, "/models/credit-default/")

    assert page.index(">v31<") < page.index(">v7<")
    assert ">v6<" not in page
    older = page.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    assert ">v6<" in text_of(browser, older)
    assert "champion" in page
