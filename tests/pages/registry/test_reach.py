"""Who reaches a page: visitors are sent to sign in, strangers find nothing, everybody else sees it whole."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audit.actors import SYSTEM
from registry.models import ModelVersion, Node, RegisteredModel, User
from registry.roles import Role
from registry.services import access
from tests.factories import pages as make
from tests.factories.audit import integrate
from tests.pages.registry.conftest import QUERIES, Visit

VERSION = "/models/credit-default/versions/1/"
ABOUT_ONE_MODEL = [
    "/models/credit-default/",
    VERSION,
    *(f"{VERSION}{tab}/" for tab in ("lineage", "checks", "artifacts", "card", "audit")),
    f"{VERSION}files/MLmodel",
]
FOR_EVERYBODY = ["/models/", "/lineage/", "/account/", "/first-run/"]


@pytest.mark.parametrize("path", [*ABOUT_ONE_MODEL, *FOR_EVERYBODY])
def test_a_visitor_is_sent_to_sign_in_and_back(path: str, version: ModelVersion, client: Client) -> None:
    answer = client.get(path)

    assert answer.status_code == 302
    assert answer["Location"] == f"/sign-in/?next={path}"


@pytest.mark.parametrize("path", ABOUT_ONE_MODEL)
def test_a_stranger_finds_nothing(path: str, version: ModelVersion, stranger: User, visit: Visit) -> None:
    answer = visit(stranger).get(path)

    assert answer.status_code == 404
    assert b"or you may not see it" in answer.content


@pytest.mark.parametrize("path", ABOUT_ONE_MODEL)
def test_a_team_with_a_role_on_this_model_alone_sees_it(path: str, version: ModelVersion, visit: Visit) -> None:
    other = make.model(version.registered_by, "fraud-cnp")
    guest = make.person("guest", Role.VALIDATOR, on=version.model)

    answer = visit(guest).get(path)
    assert answer.status_code == 200
    assert b"".join(answer)
    assert visit(guest).get(f"/models/{other.name}/").status_code == 404
    assert b"fraud-cnp" not in visit(guest).get("/models/").content


def test_a_role_that_is_taken_away_closes_the_page(version: ModelVersion, visit: Visit) -> None:
    guest = make.person("guest", Role.VALIDATOR, on=version.model)
    grant = guest.groups.get().role_grants.get()
    access.revoke_role(grant=grant, by=SYSTEM)

    assert visit(guest).get(VERSION).status_code == 404


@pytest.mark.parametrize("path", [path for path in ABOUT_ONE_MODEL if "/files/" not in path])
def test_a_page_about_one_model_stays_within_its_queries(
    path: str,
    version: ModelVersion,
    auditor: User,
    visit: Visit,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(2, 14):
        make.sealed_version(version.model, version.registered_by, {"MLmodel": b"%d" % number})
    integrate()
    client = visit(auditor)

    with django_assert_max_num_queries(QUERIES):
        assert client.get(path).status_code == 200


def test_lists_stay_within_their_queries(
    model: RegisteredModel,
    auditor: User,
    visit: Visit,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(40):
        other = make.model(model.owner, f"model-{number}")
        make.record_lineage(
            make.sealed_version(other, model.owner, {"MLmodel": b"%d" % number}), dataset=f"data-{number}"
        )
    client = visit(auditor)
    node = Node.objects.get(kind=Node.Kind.DATASET, name="data-7")

    for path in [*FOR_EVERYBODY, "/models/?q=model-1&tier=1&view=not_live", "/lineage/?q=data", f"/lineage/{node.pk}/"]:
        with django_assert_max_num_queries(QUERIES):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/models/no-such-model/",
        "/models/credit%00default/",
        f"/models/{'x' * 300}/",
        "/models/credit-default/versions/2/",
        "/models/credit-default/versions/99999999999999999999/",
        f"{VERSION}files/no-such-file",
        f"{VERSION}files/ML%00model",
        f"{VERSION}files/../../../etc/passwd",
        "/lineage/00000000-0000-0000-0000-000000000001/",
    ],
)
def test_what_does_not_exist_is_not_found(path: str, version: ModelVersion, auditor: User, visit: Visit) -> None:
    assert visit(auditor).get(path).status_code == 404
