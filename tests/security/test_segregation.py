"""Nobody's vote counts on what they made, whatever way it took to the request."""

import pytest

from config.errors import NotAllowed
from governance.guards import check_may_vote
from governance.models import Decision
from governance.selectors.inbox import waiting_count
from governance.standing import authors_of
from registry.models import ModelVersion, User
from registry.roles import Role
from registry.services.lineage import LineageInput, RunInput, record
from registry.services.provenance import BY
from tests.factories import governance as make

pytestmark = pytest.mark.django_db
FILES = {"MLmodel": b"# the same bytes\n"}


@pytest.mark.parametrize("part", ["registered_by", "trained_by", "code_author"])
def test_a_copy_has_the_authors_of_what_was_copied(scientist: User, approvers: list[User], part: str) -> None:
    author, other = approvers
    fields = {} if part == "registered_by" else {part: author}
    maker = author if part == "registered_by" else scientist
    make.sealed_version(make.registered_model(scientist), maker, FILES, **fields)
    copy = make.sealed_version(make.registered_model(scientist), scientist, FILES)
    request = make.finish_all(make.request(copy, scientist))
    assert f"user:{author.pk}" in authors_of(copy)
    with pytest.raises(NotAllowed, match="same files"):
        make.approve(request, [author, other])
    assert not Decision.objects.exists()
    assert waiting_count(author) == 0
    assert waiting_count(other) == 1
    check_may_vote(make.actor(other), request)


def test_a_claim_about_a_tracked_run_does_not_stand_before_the_server_that_knows(
    version: ModelVersion, scientist: User
) -> None:
    trainer, other = make.person("trainer", Role.APPROVER), make.person("other")
    tracked = make.sealed_version(version.model, scientist, run_id="f" * 32)
    record(version=tracked, inputs=LineageInput(run=RunInput(user=other.username)), by=make.actor(scientist))
    record(version=tracked, inputs=LineageInput(run=RunInput(id="f" * 32, user=trainer.username)), by=BY)
    tracked.refresh_from_db()
    assert tracked.trained_by == trainer


def test_without_a_run_the_claim_is_all_there_is(version: ModelVersion, scientist: User) -> None:
    trainer = make.person("trainer")
    record(version=version, inputs=LineageInput(run=RunInput(user=trainer.username)), by=make.actor(scientist))
    version.refresh_from_db()
    assert version.trained_by == trainer


def test_being_a_superuser_is_no_vote(version: ModelVersion, scientist: User) -> None:
    root = make.person("root", is_superuser=True, is_staff=True)
    request = make.finish_all(make.request(version, scientist))
    with pytest.raises(NotAllowed):
        make.approve(request, [root])


@pytest.mark.parametrize("kind", [{"is_service": True}, {"is_active": False}])
def test_neither_a_service_nor_a_switched_off_account_signs(
    version: ModelVersion, scientist: User, kind: dict[str, bool]
) -> None:
    signer = make.person("signer", Role.APPROVER, **kind)
    request = make.finish_all(make.request(version, scientist))
    with pytest.raises(NotAllowed):
        make.approve(request, [signer])
