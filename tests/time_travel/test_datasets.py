"""Data sets in the past: shown as they were, and a hold-out is closed then, too."""

from typing import Any

import pytest
from django.test import Client

from audit.actors import Actor
from audit.models import Inbox
from registry.models import DatasetVersion, HoldoutAttempt, User
from registry.roles import Role
from registry.services import access, datasets, sealing
from tests.api.calls import Api
from tests.factories import pages as make
from tests.factories import registry
from tests.time_travel.moments import Visit, here

CSV = b"sex,age,bad\n" + b"canary-in-the-past,30,0\nm,40,1\n" * 20


def registered(by: User, role: str) -> DatasetVersion:
    """Filled and finished; the worker has not come yet."""
    version = datasets.register_dataset(
        name="exam", role=role, by=make.actor(by), columns={"label": "bad", "sensitive": ["sex"]}
    )
    registry.uploaded(version, by, CSV, path="data")
    return datasets.finish_dataset(dataset_version=version, by=make.actor(by))


@pytest.fixture
def vera() -> User:
    return make.person("vera", Role.VALIDATOR)


def _api(user: User) -> Api:
    return Api(access.issue_token(user=user, name="t", scope="read", days=1, by=make.actor(user))[1])


def test_a_version_is_shown_as_it_was_before_it_was_sealed(vera: User, visit: Visit) -> None:
    version, api = registered(vera, "test"), _api(vera)
    then = here()
    sealing.seal_dataset(dataset_version=version, by=Actor.service("ingest"))
    here()

    past = api.get(f"datasets/exam/versions/1?as_of={then.name}").json()
    page = visit(vera).get(f"/datasets/exam/versions/1/?as_of={then.name}").content.decode()

    assert (past["status"], past["schema"]) == ("sealing", [])
    assert api.get("datasets/exam/versions/1").json()["status"] == "sealed"
    assert api.get(f"datasets/exam/versions/1/profile?as_of={then.name}").status_code == 404
    assert "Being sealed" in page
    assert "Upload the predictions" not in page


@pytest.mark.parametrize("door", ["/api/v1/datasets/exam/versions/1/file", "/datasets/exam/versions/1/file/"])
def test_a_hold_out_is_closed_in_the_past_and_the_attempt_is_logged_today(
    door: str, vera: User, auditor: User, visit: Visit
) -> None:
    sealing.seal_dataset(dataset_version=registered(vera, "holdout"), by=Actor.service("ingest"))
    then = here()

    for user in (vera, auditor):
        client: Client = visit(user)
        answer: Any = client.get(f"{door}?as_of={then.name}")

        assert answer.status_code == 403, answer.content
        assert b"canary" not in answer.content
        assert b"sealed hold-out" in answer.content
    told = [row for row in Inbox.objects.values_list("canon", flat=True) if '"holdout.refused"' in row]
    assert len(told) == 2
    assert HoldoutAttempt.objects.count() == 2
